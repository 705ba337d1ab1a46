"""Processes of an experiment: each task in one of its own, several at once, stopped together.

A task's script writes into log.txt of its run's folder. A task that fails stops no other; Ctrl-C,
SIGTERM or a terminal that closes stops all of them, and each writes its checkpoint first.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from resnet_gen import console
from resnet_gen.errors import Failure
from resnet_gen.experiments import continued, log, manifest, plan
from resnet_gen.experiments.continued import Continued
from resnet_gen.experiments.machine import Machine
from resnet_gen.experiments.plan import Run
from resnet_gen.train import launch

POLL = 0.2  # seconds between looks at the processes
STOPPING = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))


class Progress(NamedTuple):
    """How far a task is."""

    done: int
    total: int
    words: str = ""  # such as `train error 12.5%`


class Task(Protocol):
    """What a process does: a run's training, or a test of trained weights."""

    @property
    def name(self) -> str:
        """What a person calls it: plain20-seed0."""
        ...

    @property
    def folder(self) -> Path:
        """Where its log is."""
        ...

    def command(self) -> list[str]:
        """The script and its arguments."""
        ...

    def begin(self, machine: Machine, threads: int) -> None:
        """What is written before the process starts.

        Raises:
            Failure: it cannot start.
        """
        ...

    def is_done(self) -> bool:
        """Whether there is nothing left to do."""
        ...

    def end(self) -> str:
        """Takes up what the process has written; what is wrong with that, or nothing."""
        ...

    def progress(self) -> Progress:
        """How far it is."""
        ...


@dataclass(frozen=True)
class Training:
    """One training of a network."""

    run: Run

    @property
    def name(self) -> str:
        """The name of its run."""
        return self.run.name

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.run.folder

    def command(self) -> list[str]:
        """The network's train.py with the arguments of this run."""
        more = ["--resume"] if plan.has_begun(self.folder) else []
        return [self.run.script.as_posix(), *self.run.arguments, *more]

    def begin(self, machine: Machine, threads: int) -> None:
        """Makes the weights to begin with, where they are another run's, and writes the manifest.

        Raises:
            Failure: they cannot be made.
        """
        run = self.run
        if run.parent:
            begun = plan.has_begun(self.folder)
            which = Continued(run.parent.entry.name, run.entry.name, run.seed)
            continued.weights_for(which, self.folder.parent, run.root, anew=not begun)
        manifest.begin(run, machine, threads)

    def is_done(self) -> bool:
        """Whether the run has ended, as its results say."""
        return (self.folder / "results.json").is_file()

    def end(self) -> str:
        """Completes the manifest."""
        if not self.is_done():
            return "ended without results.json"
        manifest.complete(self.folder, self.run.data, self.run.root)
        return ""

    def progress(self) -> Progress:
        """The step and the errors of the last line of metrics.jsonl."""
        line = plan.last_line(self.folder)
        errors = [
            f"{key.replace('_error', '')} {line[key]:.1f}%"
            for key in ("train_error", "val_error", "test_error")
            if key in line
        ]
        words = f"error {', '.join(errors)}" if errors else ""
        return Progress(int(line.get("step", 0)), self.run.iterations, words)


class Failed(NamedTuple):
    """A task that did not do what it should."""

    task: Task
    message: str
    lines: list[str]  # the last ones of its log


class View(Protocol):
    """Who is told what happens: see progress.py."""

    def started(self, task: Task) -> None:
        """A task's process has begun."""
        ...

    def ended(self, task: Task, complaint: str) -> None:
        """It has ended, as it should where there is no complaint."""
        ...

    def update(self, going: Sequence[Task]) -> None:
        """These are under way; called several times a second."""
        ...


@dataclass
class Process:
    """A task that is under way."""

    task: Task
    popen: subprocess.Popen[bytes]
    log: IO[bytes]
    slot: int


def carry_out(tasks: Sequence[Task], machine: Machine, jobs: int, view: View) -> list[Failed]:
    """Does the tasks, so many at once, and returns those that failed.

    Raises:
        KeyboardInterrupt: all that were going on have been stopped.
    """
    waiting, going, failed = deque(tasks), list[Process](), list[Failed]()

    def fail(task: Task, message: str) -> None:
        failed.append(Failed(task, message, log.last_lines(task.folder)))

    with signals_interrupt():
        try:
            while waiting or going:
                while waiting and len(going) < jobs:
                    task, used = waiting.popleft(), {process.slot for process in going}
                    if task.is_done():  # by another process, meanwhile
                        view.ended(task, "")
                        continue
                    slot = next(k for k in range(jobs) if k not in used)
                    try:
                        going.append(start(task, machine, jobs, slot))
                        view.started(task)
                    except (log.HeldElsewhere, Failure) as problem:
                        complaint = why_not(problem)
                        fail(task, complaint)
                        view.ended(task, complaint)
                for process in [each for each in going if each.popen.poll() is not None]:
                    going.remove(process)
                    complaint = finish(process)
                    if complaint:
                        fail(process.task, complaint)
                    view.ended(process.task, complaint)
                view.update([process.task for process in going])
                time.sleep(POLL if going else 0)
        except BaseException:
            stop(going)
            raise
    return failed


def start(task: Task, machine: Machine, jobs: int = 1, slot: int = 0) -> Process:
    """Starts a task's process, with its share of the cores and a GPU of its slot.

    Raises:
        HeldElsewhere: another process is at it.
        Failure: what it begins with is not there.
    """
    threads = threads_of(machine, jobs)
    file = log.hold(task.folder)
    try:
        task.begin(machine, threads)
        popen = subprocess.Popen(
            [sys.executable, "-c", launch.START, *task.command()],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), **_gpu(machine, slot)},
            start_new_session=True,  # a terminal's Ctrl-C reaches it by `stop` alone
        )
    except BaseException:
        file.close()
        raise
    return Process(task, popen, file, slot)


def why_not(problem: log.HeldElsewhere | Failure) -> str:
    """Why a task did not start, in the words that follow its name."""
    if isinstance(problem, Failure):
        return f"cannot begin: {problem.problems[0].message}"
    return "another process is training it"


def threads_of(machine: Machine, jobs: int) -> int:
    """The threads of each of several processes: its share of the cores.

    OMP_NUM_THREADS, where somebody has set it, is the most that each may have.
    """
    share, most = max(1, machine.cores // jobs), os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(most)) if most.isdigit() and int(most) else share


def finish(process: Process) -> str:
    """Closes a process that has ended; what went wrong, or nothing."""
    code = process.popen.wait()
    process.log.close()
    if code:
        return f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
    return process.task.end()


def stop(going: Sequence[Process]) -> None:
    """Asks all processes to write their checkpoints and end, and waits; Ctrl-C again kills them."""
    left = [process for process in going if process.popen.poll() is None]
    for process in left:
        with suppress(ProcessLookupError):
            process.popen.terminate()
    if left:
        count = f"{len(left)} runs write their" if len(left) > 1 else "the run writes its"
        console.note(f"stopping: {count} checkpoint after the current step; Ctrl-C again kills")
    try:
        for process in left:
            process.popen.wait()
    except KeyboardInterrupt:
        for process in left:
            process.popen.kill()
            process.popen.wait()
    for process in going:
        process.log.close()


def _gpu(machine: Machine, slot: int) -> dict[str, str]:
    """The GPU that a slot's processes see, where there are several."""
    if machine.kind != "cuda" or len(machine.free) < 2:
        return {}
    every = list(map(str, range(len(machine.free))))
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(every)).split(",")
    return {"CUDA_VISIBLE_DEVICES": seen[slot % len(seen)]}


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Each of the signals that stop a process comes as KeyboardInterrupt meanwhile."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
