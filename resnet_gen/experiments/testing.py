"""The paper's tests on ImageNet, by the generated scripts, of runs that are trained.

What a test of a run finds is in its folder's tests.json, by the test's name; what an ensemble finds
is in ensemble.json of the experiment's folder. The weights are those after the last iteration.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_gen import files
from resnet_gen.experiments import log, manifest
from resnet_gen.experiments.definitions import Experiment, Test
from resnet_gen.experiments.machine import Machine
from resnet_gen.experiments.plan import RUNS, Run
from resnet_gen.experiments.running import Progress

WEIGHTS = "checkpoint.pt"
TO_DO = Progress(0, 1)
TESTS, ENSEMBLE = "tests.json", "ensemble.json"
# Images of 224×224 that a test's multiply-adds are worth: the sum of (side / 224)² over the sides
# of the multi-scale test, of pictures one and a half times as long as wide.
VIEWS = {"1-crop": 1, "10-crop": 10, "multi-scale": 27}
ERRORS = re.compile(r"^(\S+) error ([\d.]+)% top-1, ([\d.]+)% top-5")


@dataclass(frozen=True)
class Testing:
    """One test of one run's weights."""

    run: Run
    test: Test

    @property
    def name(self) -> str:
        """The run and the test: resnet34_b-seed0 10-crop."""
        return f"{self.run.name} {self.test}"

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.run.folder

    def command(self) -> list[str]:
        """The network's train.py, which tests and does not train."""
        return _command([self.run], self.test)

    def begin(self, machine: Machine, threads: int) -> None:
        """Writes nothing: the run has its manifest."""

    def is_done(self) -> bool:
        """Whether tests.json has it."""
        return self.test in tests_of(self.folder)

    def end(self) -> str:
        """Puts the errors into tests.json, and its hash into the manifest."""
        errors = _errors(self.folder, self.test)
        if errors is None:
            return "ended without an error in its log"
        weights = {"weights": WEIGHTS, "weights_sha256": _hash(self.folder / WEIGHTS)}
        found = tests_of(self.folder) | {self.test: errors | weights}
        _write(self.folder / TESTS, found)
        manifest.complete(self.folder, self.run.data, self.run.root)
        return ""

    def progress(self) -> Progress:
        """Nothing until it ends, and then the errors."""
        found = tests_of(self.folder).get(self.test)
        return Progress(1, 1, _words(found)) if found else TO_DO


@dataclass(frozen=True)
class Ensemble:
    """One test of the weights of several runs together."""

    runs: tuple[Run, ...]
    test: Test
    folder: Path  # the experiment's

    @property
    def name(self) -> str:
        """How many runs, and the test."""
        return f"ensemble of {len(self.runs)}, {self.test}"

    def command(self) -> list[str]:
        """The first network's train.py, which reads the others' code beside its own."""
        return _command(self.runs, self.test)

    def begin(self, machine: Machine, threads: int) -> None:
        """Writes nothing."""

    def end(self) -> str:
        """Writes ensemble.json."""
        errors = _errors(self.folder, self.test)
        if errors is None:
            return "ended without an error in its log"
        _write(self.folder / ENSEMBLE, {"test": self.test, **errors, "runs": self._members()})
        return ""

    def progress(self) -> Progress:
        """Nothing until it ends, and then the errors."""
        return Progress(1, 1, _words(_read(self.folder / ENSEMBLE))) if self.is_done() else TO_DO

    def is_done(self) -> bool:
        """Whether ensemble.json has this test of these weights."""
        found = _read(self.folder / ENSEMBLE)
        return found.get("test") == self.test and found.get("runs") == self._members()

    def _members(self) -> list[dict[str, str]]:
        return [
            {"run": run.name, "weights": WEIGHTS, "weights_sha256": _hash(run.folder / WEIGHTS)}
            for run in self.runs
        ]


def tests_left(experiment: Experiment, runs: Sequence[Run]) -> list[Testing]:
    """The tests that the experiment wants of finished runs and that are not done yet."""
    return [
        Testing(run, test)
        for run in runs
        for test in experiment.tests
        if run.entry.spec.design == "imagenet" and not Testing(run, test).is_done()
    ]


def ensemble_left(experiment: Experiment, runs: Sequence[Run]) -> list[Ensemble]:
    """The experiment's ensemble, if it wants one that is not tested yet."""
    if not experiment.ensemble or not runs:
        return []
    folder = folder_of(experiment, runs[0].size)
    found = Ensemble(tuple(runs), experiment.tests[-1], folder)
    return [] if found.is_done() else [found]


def folder_of(experiment: Experiment, size: str) -> Path:
    """Where an experiment's report goes, and what is of no single run."""
    return RUNS / size / experiment.experiment


def tests_of(folder: Path) -> dict[str, Any]:
    """The tests of a run by their names, each with `top1_error` and `top5_error` in percent."""
    return _read(folder / TESTS)


def work_of(task: Testing | Ensemble, images: int) -> int:
    """The multiply-adds of a test on so many images, about."""
    runs = task.runs if isinstance(task, Ensemble) else (task.run,)
    return sum(run.network.multiply_adds for run in runs) * VIEWS[task.test] * images


def _command(runs: Sequence[Run], test: Test) -> list[str]:
    first = runs[0]
    weights = [(run.folder / WEIGHTS).as_posix() for run in runs]
    data = ["--data", first.data, "--root", first.root.as_posix()]
    return [first.script.as_posix(), *data, "--test", test, "--evaluate", *weights]


def _errors(folder: Path, test: str) -> dict[str, float] | None:
    """The errors in percent that the log's last line of this test has."""
    for line in reversed(log.last_lines(folder, 20)):
        found = ERRORS.match(line)
        if found and found[1] == test:
            return {"top1_error": float(found[2]), "top5_error": float(found[3])}
    return None


def _words(errors: dict[str, Any]) -> str:
    return f"error {errors['top1_error']:.2f}% top-1, {errors['top5_error']:.2f}% top-5"


def _hash(path: Path) -> str:
    """A file's hash, or nothing where it is not there."""
    if not path.is_file():
        return ""
    now = path.stat()
    return _hash_of(path, now.st_mtime_ns, now.st_size)


@functools.cache
def _hash_of(path: Path, _changed: int, _size: int) -> str:
    """The hash of a checkpoint, which may be hundreds of MB: it is asked for several times."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, content: dict[str, Any]) -> None:
    files.write(path, json.dumps(content, indent=2) + "\n")
