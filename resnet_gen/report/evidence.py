"""A run's folder as evidence: its curves, results.json, and manifest.json where there is one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from resnet_gen.errors import Failure, Problem, quoted
from resnet_gen.plot import runs as curves
from resnet_gen.plot.runs import METRICS, Run

RESULTS, MANIFEST, TESTS = "results.json", "manifest.json", "tests.json"
Percent = Field(default=None, ge=0, le=100, allow_inf_nan=False)


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Results(_Written):
    """What a training script writes at its end; older scripts wrote less of it."""

    network: str
    iterations: int = Field(ge=0)
    data: str = ""
    batch_size: int | None = None
    seed: int | None = None
    precision: str = ""
    device: str = ""
    test_error: float | None = Percent
    best_val_error: float | None = Percent
    validated_on: str = ""
    tested_on: str = ""
    trained_on: int | None = None
    full_train: bool | None = None
    validation_decided: str = ""
    test_decided: str = ""
    seconds: float | None = None
    spec_sha256: str = ""
    torch: str = ""
    init: str = ""  # the SHA-256 of the weights that it began with, if not random ones


class Tested(_Written):
    """What a test of ImageNet found of a run's last weights; errors in percent."""

    top1_error: float = Field(ge=0, le=100)
    top5_error: float = Field(ge=0, le=100)


class Tests(RootModel[dict[str, Tested]]):
    """tests.json: what `reproduce` tested after training, by the test: 1-crop, 10-crop."""


class Git(_Written):
    """The state of the checkout that a run was started in."""

    commit: str | None = None
    dirty: bool | None = None


class Began(_Written):
    """What `reproduce` has made the weights of, that a run began with."""

    network: str


class Manifest(_Written):
    """What `reproduce` records of a run beside what its script does."""

    network: str = ""
    size: str | None = None
    seed: int | None = None
    machine: str | None = None
    spec: dict[str, Any] = {}
    git: Git | None = None
    init: Began | None = None
    results_sha256: str | None = None
    metrics_sha256: str | None = None


@dataclass(frozen=True, eq=False)  # told apart as objects: two are never the same
class Evidence:
    """One run. Errors are in percent."""

    run: Run
    label: str  # as much of the run's path as tells it from the others
    results: Results | None  # none of a run that has not ended
    manifest: Manifest | None  # none of a user's own run
    tests: Mapping[str, Tested]  # by their names: 10-crop
    changed: tuple[str, ...]  # files that are not the ones that the manifest recorded
    responses: float | None = None  # mean standard deviation of its layers' responses

    @property
    def network(self) -> str:
        """The network's name."""
        recorded = self.results or self.manifest
        return (recorded and recorded.network) or self.run.network

    @property
    def seed(self) -> int | None:
        """The seed, where it is recorded."""
        recorded = self.results or self.manifest
        return recorded.seed if recorded else None

    @property
    def steps(self) -> int:
        """Iterations that were trained."""
        return self.results.iterations if self.results else int(self.run.rate.steps[-1])

    @property
    def began_with(self) -> str:
        """The network that its first weights were made of, or their hash; empty: random ones."""
        if self.manifest and self.manifest.init:
            return self.manifest.init.network
        return self.results.init if self.results else ""

    @property
    def held_out(self) -> str:
        """The name of the error that its bold curve shows; empty where it has no such curve."""
        kinds = {"validation": "val_error", "test": "test_error"}
        return kinds[self.run.kind] if self.run.bold.steps else ""

    @property
    def size(self) -> str:
        """smoke, short or paper; empty for a user's own run."""
        return (self.manifest.size if self.manifest else None) or ""

    def figure(self, name: str) -> float | None:
        """An error by its name, or `responses`; none where the run has not measured it.

        train_error is the mean since the evaluation before the last, since a line of metrics.jsonl
        has that of a few iterations only. val_error and test_error are those of the last weights,
        best_val_error is the least that a validation found. `10-crop top1` is of tests.json.
        """
        run = self.run
        if " " in name:
            test, _, kind = name.partition(" ")
            found = self.tests.get(test)
            return getattr(found, f"{kind}_error") if found else None
        if name == "train_error":
            return run.training.values[-1]
        if name == "responses":
            return self.responses
        validated = run.bold.values if run.kind == "validation" else []
        if name == "val_error":
            return validated[-1] if validated else None
        if name == "best_val_error":
            recorded = self.results.best_val_error if self.results else None
            return min(validated, default=None) if recorded is None else recorded
        if name != "test_error":
            raise KeyError(name)
        recorded = self.results.test_error if self.results else None
        tested = run.once.values or (run.bold.values if run.kind == "test" else [])
        return recorded if recorded is not None or not tested else tested[-1]


def read(paths: Iterable[Path]) -> list[Evidence]:
    """The runs, each once; a folder of runs stands for all that have begun.

    Raises:
        Failure: some are not there, or not what they should be (exit code 2).
    """
    runs = curves.read(run for path in paths for run in _runs_in(path))
    problems: list[Problem] = []
    found = []
    for run, label in zip(runs, labels(runs), strict=True):
        folder = run.path if run.path.is_dir() else None
        try:
            results = _read(folder / RESULTS, Results) if folder else None
            manifest = _read(folder / MANIFEST, Manifest) if folder else None
            tests = _read(folder / TESTS, Tests) if folder else None
        except Failure as failure:
            problems += failure.problems
            continue
        tested = tests.root if tests else {}
        changed = _changed(folder, manifest)
        found.append(Evidence(run, label, results, manifest, tested, changed))
    if problems:
        raise Failure(problems)
    return found


def labels(runs: Sequence[Run]) -> list[str]:
    """The end of each run's path: its folder's name, and more where others have that name too."""
    paths = [run.path.resolve() for run in runs]
    found = []
    for path in paths:
        others = [other.parts for other in paths if other != path]
        count = 1
        while any(other[-count:] == path.parts[-count:] for other in others):
            count += 1
        text = "/".join(path.parts[-count:])
        found.append("".join(c if c.isprintable() else "?" for c in text))
    return found


def _runs_in(path: Path) -> list[Path]:
    if path.is_dir() and not (path / METRICS).exists():
        found = sorted(path.glob(f"*/{METRICS}"))
        return [file.parent for file in found if _has_begun(file)] or [path]
    return [path]


def _has_begun(file: Path) -> bool:
    """Whether a line is whole; a run of a folder that has only just begun is none yet."""
    with file.open("rb") as lines:
        return lines.readline().endswith(b"\n")


Model = TypeVar("Model", bound=BaseModel)


def _read(path: Path, model: type[Model]) -> Model | None:
    """The file, or nothing where there is none."""
    label = path.as_posix()
    try:
        return model.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        detail = error.errors()[0]
        key = ".".join(map(str, detail["loc"])) or "the document"
        message = f"`{key}` is missing"
        if detail["type"] != "missing":
            message = f"`{key}` is {quoted(detail['input'])}: {detail['msg'].lower()}"
        raise Failure(Problem("results", message, "", label)) from None
    except (OSError, ValueError, RecursionError):
        raise Failure(Problem("json", "is not a JSON document", "", label)) from None


def _changed(folder: Path | None, manifest: Manifest | None) -> tuple[str, ...]:
    """Which of the two files that the manifest has hashes of are not those any more."""
    if folder is None or manifest is None:
        return ()
    recorded = {METRICS: manifest.metrics_sha256, RESULTS: manifest.results_sha256}
    return tuple(
        name
        for name, sha256 in recorded.items()
        if sha256
        and (folder / name).is_file()
        and hashlib.sha256((folder / name).read_bytes()).hexdigest() != sha256
    )
