"""Doing an experiment: what is left of its runs, their tests, and its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from resnet_gen import console
from resnet_gen.errors import Problem
from resnet_gen.experiments import (
    cluster,
    costs,
    log,
    machine,
    manifest,
    plan,
    preparing,
    progress,
    running,
)
from resnet_gen.experiments.definitions import Experiment, Size
from resnet_gen.experiments.describing import Outline
from resnet_gen.experiments.plan import Run
from resnet_gen.experiments.running import Failed, Task, Training
from resnet_gen.experiments.testing import Ensemble, Testing


def outline(
    experiment: Experiment, size: Size, seeds: int | None, root: Path, jobs: int | None
) -> Outline:
    """What the experiment needs here, and how far it is.

    Raises:
        Failure: code is missing, or a folder holds another run (exit code 2).
    """
    states = plan.states_of(plan.runs_of(experiment, size, seeds, root))
    here = machine.ask()
    left = [run for run, state in states.items() if state != "finished"]
    at_once = jobs or costs.jobs_that_fit(here, left)
    return Outline(experiment, size, states, here, costs.Rates(here), at_once)


class Done(NamedTuple):
    """What came of an experiment: the report's files, and the runs and tests that failed."""

    report: list[Path]
    problems: list[Problem]


def do(what: Outline, out: Path, kind: cluster.Kind | None, jobs: int | None) -> Done:
    """Trains what is left, tests, and writes the report on what is finished.

    Raises:
        Failure: something that runs need is not there (exit codes 2 and 4).
        KeyboardInterrupt: runs have been stopped; those on a cluster go on.
    """
    preparing.require_plot()
    trainings, tests = what.tasks()
    if trainings or tests:
        if kind:
            cluster.require_submitit()
        preparing.prepare([run for task in (*trainings, *tests) for run in _needs(task)])
    for run in what.runs:
        _seal(run)
    failed = _carry_out(what, [task for task in trainings if not task.run.parent], kind, jobs)
    finished = _finished(what)
    deeper = [task for task in trainings if task.run.parent in finished]
    failed += _carry_out(what, deeper, kind, jobs)
    finished = _finished(what)
    possible = [task for task in tests if set(finished).issuperset(_needs(task))]
    failed += _carry_out(what, possible, kind, jobs)
    return Done(report(what.experiment, finished, out), [_problem(each) for each in failed])


def report(experiment: Experiment, runs: Sequence[Run], out: Path) -> list[Path]:
    """The paths of the experiment's report on finished runs."""
    from resnet_gen.report import making  # noqa: PLC0415  (matplotlib is slow, and an extra)

    if experiment.networks and not runs:
        return []
    return making.make([run.folder for run in runs], out, experiment)


def _finished(what: Outline) -> list[Run]:
    return [run for run in what.runs if (run.folder / "results.json").is_file()]


def _carry_out(
    what: Outline, tasks: Sequence[Task], kind: cluster.Kind | None, jobs: int | None
) -> list[Failed]:
    if not tasks:
        return []
    seconds = {task.name: what.seconds_of(task) for task in tasks}
    with progress.view(progress.Clock(seconds), len(tasks)) as view:
        if kind:
            return cluster.carry_out(tasks, kind, what.machine, jobs, view, seconds)
        return running.carry_out(tasks, what.machine, what.jobs, view)


def _seal(run: Run) -> None:
    """Completes the manifest of a run whose process outlived the one that had started it."""
    had = manifest.read(run.folder)
    if had and not had["results_sha256"] and (run.folder / "results.json").is_file():
        manifest.complete(run.folder, run.data, run.root)


def _needs(task: Training | Testing | Ensemble) -> tuple[Run, ...]:
    """The runs that a task trains, or tests once they are trained."""
    return task.runs if isinstance(task, Ensemble) else (task.run,)


def _problem(failed: Failed) -> Problem:
    """The problem of a task that failed, after the last lines of its log."""
    path = (failed.task.folder / log.LOG).as_posix()
    console.note(f"\n{failed.task.name}, the end of its log:")
    for line in failed.lines:
        console.note(f"    {line}")
    hint = "the same command goes on with it, once the cause is mended"
    return Problem("run", f"{failed.task.name} {failed.message}", hint, path)
