"""An experiment's tasks as jobs of a cluster, through submitit: one job a task.

On Slurm all jobs are submitted at once and go on when this process ends; the same command waits
for them again. Before its time limit a job writes its checkpoint and is submitted anew. What the
jobs ask of the cluster beside a GPU and a time is said by sbatch's own variables, as
SBATCH_PARTITION. submitit's local executor runs the jobs on this machine.
"""

from __future__ import annotations

import importlib.util
import json
import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from resnet_gen import console, files
from resnet_gen.errors import Failure, Problem
from resnet_gen.experiments import log, machine, running
from resnet_gen.experiments.machine import Machine
from resnet_gen.experiments.plan import RUNS
from resnet_gen.experiments.running import Failed, Process, Task, View

Kind = Literal["slurm", "local"]
FOLDER, JOB = RUNS / "jobs", "job.json"  # submitit's files; the job that a run waits for
POLL = 0.5
CORES = 4  # of a job on Slurm: one computes, the others read images
WEEK = 7 * 24 * 60  # minutes
AT_LEAST = 60  # minutes that a job asks for, or three times what it is estimated to take


@dataclass
class Job:
    """A task as submitit sends it: what its machine does."""

    task: Task
    machine: Machine | None = None  # asked on the machine itself, where it is another
    jobs: int = 1  # at once on that machine
    process: Process | None = None

    def __call__(self) -> str:
        """Does the task, unless it is done; what went wrong, or nothing."""
        if self.task.is_done():
            return ""
        try:
            self.process = running.start(self.task, self.machine or machine.ask(), self.jobs)
        except (log.HeldElsewhere, Failure) as problem:
            return running.why_not(problem)
        try:
            return running.finish(self.process)
        except KeyboardInterrupt:  # the script ends by itself, once its checkpoint is written
            self.process.popen.terminate()
            raise

    def checkpoint(self) -> Any:
        """Stops before the time limit; the same task, to be submitted anew."""
        import submitit  # noqa: PLC0415  (an extra)

        if self.process:
            running.stop([self.process])
        return submitit.helpers.DelayedSubmission(Job(self.task, self.machine, self.jobs))


def require_submitit() -> None:
    """Raises Failure (exit code 4) where submitit is not installed."""
    if importlib.util.find_spec("submitit") is None:
        hint = "pip install 'resnet-gen[cluster]'"
        raise Failure(Problem("submitit", "submitit is not installed", hint), exit_code=4)


def carry_out(
    tasks: Sequence[Task],
    kind: Kind,
    here: Machine,
    jobs: int | None,
    view: View,
    seconds: Mapping[str, float],
) -> list[Failed]:
    """Does the tasks as jobs and returns those that failed.

    `jobs` is how many are submitted at once: all, unless it is given or they run on this machine.
    `seconds` has what each task is estimated to take, by its name.

    Raises:
        Failure: the cluster's commands are not there, or refuse a job (exit code 4).
        KeyboardInterrupt: those on this machine have been stopped, those on Slurm go on.
    """
    at_once = jobs or (1 if kind == "local" else len(tasks))
    waiting, going, failed = deque(tasks), list[tuple[Task, Any]](), list[Failed]()
    with running.signals_interrupt():
        try:
            while waiting or going:
                while waiting and len(going) < at_once:
                    task = waiting.popleft()
                    job = _submitted(task, kind)
                    job = job or _submit(task, kind, here, at_once, seconds.get(task.name, 0))
                    going.append((task, job))
                    view.started(task)
                for task, job in [pair for pair in going if pair[1].done()]:
                    going.remove((task, job))
                    (task.folder / JOB).unlink(missing_ok=True)
                    complaint = _complaint(job)
                    if complaint:
                        failed.append(Failed(task, complaint, log.last_lines(task.folder)))
                    view.ended(task, complaint)
                view.update([task for task, _ in going])
                time.sleep(POLL if going else 0)
        except KeyboardInterrupt:
            _leave(going, kind)
            raise
    return failed


def _submit(task: Task, kind: Kind, here: Machine, at_once: int, seconds: float) -> Any:
    import submitit  # noqa: PLC0415  (an extra)
    from submitit.core.utils import FailedJobError  # noqa: PLC0415

    local = kind == "local"
    try:
        executor = submitit.AutoExecutor(folder=FOLDER, cluster=kind)
        executor.update_parameters(
            name=task.name.replace(" ", "-"),
            timeout_min=WEEK if local else max(AT_LEAST, math.ceil(3 * seconds / 60)),
            gpus_per_node=int(not local or here.kind == "cuda"),
            **({} if local else {"cpus_per_task": CORES}),
        )
        job = executor.submit(Job(task, here, at_once) if local else Job(task))
    except (RuntimeError, OSError, FailedJobError) as error:
        message = (str(error) or type(error).__name__).splitlines()[0]
        hint = "--cluster slurm needs sbatch, squeue and sacct on this machine"
        raise Failure(Problem("cluster", message, hint), exit_code=4) from None
    files.write(task.folder / JOB, json.dumps({"cluster": kind, "job": job.job_id}) + "\n")
    return job


def _submitted(task: Task, kind: Kind) -> Any:
    """The job of an earlier command that Slurm has not ended yet."""
    import submitit  # noqa: PLC0415  (an extra)

    try:
        told = json.loads((task.folder / JOB).read_text(encoding="utf-8"))
        if kind != "slurm" or told["cluster"] != kind:
            return None
        job: Any = submitit.SlurmJob(folder=FOLDER, job_id=str(told["job"]))
        return None if job.done(force_check=True) else job
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _complaint(job: Any) -> str:
    """What a job that is done found wrong, or what ended it."""
    from submitit.core import utils  # noqa: PLC0415  (an extra)

    try:
        return str(job.result())
    except (utils.FailedJobError, utils.UncompletedJobError) as error:
        return f"its job {job.job_id} was ended: {str(error).splitlines()[-1]}"


def _leave(going: Sequence[tuple[Task, Any]], kind: Kind) -> None:
    """Stops the jobs on this machine, and says which go on elsewhere."""
    if kind == "slurm":
        ids = ", ".join(job.job_id for _, job in going)
        console.note(f"jobs {ids} go on; the same command waits for them, scancel stops them")
        return
    console.note("stopping: the runs write their checkpoints after the current step")
    for _, job in going:
        job.cancel(check=False)
    folders: list[Path] = [task.folder for task, _ in going]
    while any(not job.done() for _, job in going) or any(map(log.is_held, folders)):
        time.sleep(POLL)
    for folder in folders:
        (folder / JOB).unlink(missing_ok=True)
