"""What an experiment would do, before it does it: its runs, how far they are, and their cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resnet_gen.experiments import continued, costs, definitions, plan, preparing, testing
from resnet_gen.experiments.definitions import Experiment, Size
from resnet_gen.experiments.machine import Machine
from resnet_gen.experiments.plan import Run, State
from resnet_gen.experiments.running import Task, Training
from resnet_gen.experiments.testing import Ensemble, Testing
from resnet_gen.read import library
from resnet_gen.train import plan as training_plan

TESTED = {"photographs": 8}  # pictures of its test/; of ImageNet's val/ 50,000


@dataclass(frozen=True)
class Outline:
    """An experiment at a size, on a machine: what is done, and what is left."""

    experiment: Experiment
    size: Size
    states: Mapping[Run, State]
    machine: Machine
    rates: costs.Rates
    jobs: int

    @property
    def runs(self) -> list[Run]:
        """All runs that the experiment needs, in their order."""
        return list(self.states)

    @property
    def left(self) -> list[Run]:
        """Those that are not finished."""
        return [run for run, state in self.states.items() if state != "finished"]

    def seconds_of(self, task: Task) -> float:
        """What a task still takes, about."""
        if isinstance(task, Training):
            return self.rates.seconds(task.run, task.progress().done)
        if isinstance(task, Testing | Ensemble):
            run = task.run if isinstance(task, Testing) else task.runs[0]
            images = TESTED.get(run.data, training_plan.IMAGENET_VALIDATION)
            # A test is a forward pass, of which a training step's rate has three.
            return costs.STARTING + testing.work_of(task, images) / self.rates.rate(run)
        return costs.STARTING

    def tasks(self) -> tuple[list[Training], list[Testing | Ensemble]]:
        """The trainings that are left, and the tests that come after them."""
        trainings = [Training(run) for run in self.left]
        tests: list[Testing | Ensemble] = [*testing.tests_left(self.experiment, self.runs)]
        fresh = [run for run in self.runs if not run.parent]
        return trainings, [*tests, *testing.ensemble_left(self.experiment, fresh)]

    @property
    def seconds(self) -> float:
        """What is left in all, in seconds, about."""
        trainings, tests = self.tasks()
        each = [self.seconds_of(task) for task in (*trainings, *tests)]
        return costs.together(each, self.jobs, self.machine)


def rows(outline: Outline) -> Sequence[tuple[str, ...]]:
    """A row for each run: name, state, iterations, multiply-adds in all, time."""
    found = []
    for run, state in outline.states.items():
        done = int(plan.last_line(run.folder).get("step", 0)) if state != "missing" else 0
        told = f"{state} at {done:,}" if state == "interrupted" else state
        left = 0.0 if state == "finished" else outline.rates.seconds(run, done)
        time = training_plan.duration(left) if left else ""
        steps = f"{run.iterations:,} × {run.batch_size}"
        found.append((run.name, told, run.data, steps, f"{run.work:.2e}", time))
    return found


HEADS = ("run", "", "data", "iterations × images", "multiply-adds", "time left")


def summary(outline: Outline) -> list[str]:
    """What is said below the table: the size's budget, tests, jobs, and the time in all."""
    designs = [run.entry.spec.design for run in outline.runs]
    lines = definitions.sizes().budgets(outline.size, designs)
    if not outline.runs:
        lines = ["nothing is trained: it is counted"]
    else:
        lines.append(f"{len(outline.left)} of {len(outline.runs)} runs are left, on")
        lines[-1] += f" {outline.machine.words}, {_at_once(outline.jobs)}"
    lacking = {preparing.missing(run.data, run.root) for run in outline.left} - {None}
    lines += [problem.message for problem in lacking if problem]
    _, tests = outline.tasks()
    if tests:
        lines.append(f"then {len(tests)} tests: {', '.join(task.name for task in tests)}")
    if outline.left or tests:
        lines.append(
            f"about {training_plan.duration(outline.seconds)} in all, {outline.rates.source}"
        )
    return lines


def document(outline: Outline) -> dict[str, Any]:
    """The same as one document."""
    return {
        "experiment": outline.experiment.experiment,
        "place": outline.experiment.place,
        "title": outline.experiment.title,
        "size": outline.size,
        "jobs": outline.jobs,
        "seconds_left": round(outline.seconds),
        "runs": [
            {
                "run": run.folder.as_posix(),
                "network": run.entry.name,
                "seed": run.seed,
                "begins_with": run.parent.folder.as_posix() if run.parent else None,
                "state": state,
                "data": run.data,
                "iterations": run.iterations,
                "batch_size": run.batch_size,
                "multiply_adds": run.work,
            }
            for run, state in outline.states.items()
        ],
    }


def experiments(every: Sequence[Experiment], size: Size) -> Sequence[tuple[str, ...]]:
    """A row for each experiment: name, place, title, and how many runs it has at a size."""
    lengths, found = definitions.sizes(), []
    for experiment in every:
        seeds = {}
        for name in experiment.networks:
            length = lengths.length(size, library.network(name).spec.design, name)
            seeds[name] = plan.seeds_of(experiment, name, length)
        count = sum(seeds.values())
        if experiment.deepen:
            count += len(continued.continued(experiment.networks, seeds))
        runs = str(count) if count else "none"
        found.append((experiment.experiment, experiment.place, experiment.title, runs))
    return found


def _at_once(jobs: int) -> str:
    return "one at a time" if jobs == 1 else f"{jobs} at once"
