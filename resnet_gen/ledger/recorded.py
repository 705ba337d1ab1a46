"""Recorded training runs, and what those of a network show: each seed's figure, and how long."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from resnet_gen.errors import Failure
from resnet_gen.ledger.networks import DATA
from resnet_gen.plot import runs as curves
from resnet_gen.read.library import Entry

RESULTS, MANIFEST, TESTS = "results.json", "manifest.json", "tests.json"
FIGURES = ("test_error", "warmup_steps")
NAMED = 2  # folders that a sentence names


@dataclass(frozen=True)
class Recorded:
    """A finished run: what its files say of it.

    `figures` has errors in percent by their names: test_error, train_error (the last one), those of
    ImageNet's tests such as `10-crop top-1`; and warmup_steps.
    """

    path: str  # as it was found: results/cifar10/resnet20-10000-cpu
    network: str
    data: str
    iterations: int
    batch_size: int | None  # None where the run does not say: the recipe's
    seed: int
    device: str
    spec_sha256: str
    began: bool  # with weights that were given to it (--init), and not with random ones
    figures: dict[str, float]


@dataclass(frozen=True)
class Shown:
    """What the runs of a network show of one figure."""

    values: tuple[float, ...]  # one a seed
    iterations: int
    of_iterations: int  # the recipe's
    where: str

    @property
    def whole(self) -> bool:
        """Whether they were trained as long as the paper trained."""
        return self.iterations == self.of_iterations

    @property
    def mean(self) -> float:
        """The mean of all seeds."""
        return fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation; None for a lone seed."""
        return stdev(self.values) if len(self.values) > 1 else None


def read(folder: Path) -> tuple[list[Recorded], list[str]]:
    """All runs below a folder, by path; and a note of each that cannot be counted."""
    runs, notes = [], []
    for path in sorted(folder.rglob(RESULTS)):
        try:
            runs.append(_run(path.parent))
        except Failure as failure:
            notes += [f"{path.parent.as_posix()} is not counted: {p}" for p in failure.problems]
        except LookupError as error:
            notes.append(f"{path.as_posix()} is not counted: it has no {error}")
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            notes.append(f"{path.as_posix()} is not counted: {error}")
    return runs, notes


def shown(runs: Sequence[Recorded], entry: Entry, figure: str) -> Shown | None:
    """What the longest runs of this network on the paper's data show; None without any.

    Runs of another spec or recipe than the network's do not count, nor do those that began with
    given weights. Of two with the same seed, the
    first by its path counts.
    """
    recipe = entry.recipe
    if recipe is None:
        return None
    fitting = [
        run
        for run in runs
        if (run.network, run.spec_sha256, run.began) == (entry.name, entry.sha256, False)
        and run.data == DATA[entry.spec.design]
        and run.iterations <= recipe.iterations
        and run.batch_size in (None, recipe.batch_size)
        and figure in run.figures
    ]
    longest = max((run.iterations for run in fitting), default=0)
    seeds: dict[int, Recorded] = {}
    for run in fitting:
        if run.iterations == longest:
            seeds.setdefault(run.seed, run)
    if not seeds:
        return None
    chosen = [seeds[seed] for seed in sorted(seeds)]
    values = tuple(run.figures[figure] for run in chosen)
    return Shown(values, longest, recipe.iterations, _where(chosen))


def _run(folder: Path) -> Recorded:
    """One run.

    Raises:
        Failure: its metrics are damaged, or not there.
        ValueError, LookupError, TypeError, AttributeError: a file is not what it should be.
    """
    results: dict[str, Any] = json.loads((folder / RESULTS).read_bytes())
    tests: dict[str, Any] = {}
    if (folder / TESTS).is_file():
        tests = json.loads((folder / TESTS).read_bytes())
    data = results["data"]
    if (folder / MANIFEST).is_file():
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        _require_recorded(folder, manifest)
        data = manifest["data"]["kind"]
    figures = {key: float(results[key]) for key in FIGURES if results.get(key) is not None}
    for test, errors in tests.items():
        figures |= {f"{test} top-{k}": float(errors[f"top{k}_error"]) for k in (1, 5)}
    if wrong := [key for key, value in figures.items() if not math.isfinite(value)]:
        raise ValueError(f"{wrong[0]} is no number")
    (run,) = curves.read([folder])
    return Recorded(
        folder.as_posix(),
        str(results["network"]),
        str(data),
        int(results["iterations"]),
        results.get("batch_size"),
        int(results["seed"]),
        str(results["device"]),
        str(results["spec_sha256"]),
        "init" in results,
        figures | {"train_error": run.training.values[-1]},
    )


def _require_recorded(folder: Path, manifest: dict[str, Any]) -> None:
    """Stops where a file of the run is not the one that its manifest has the hash of.

    Raises:
        ValueError: it is another one.
        LookupError: the manifest has no hash of results.json.
    """
    named = {RESULTS: manifest["results_sha256"], TESTS: manifest.get("tests_sha256")}
    for name, expected in named.items():
        path = folder / name
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise ValueError(f"{name} is not the file that its manifest was written for")


def _where(runs: Sequence[Recorded]) -> str:
    """The runs' folders and what they ran on, in words."""
    more = len(runs) - NAMED
    paths = ", ".join(run.path for run in runs[:NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{paths}, on {' and '.join(dict.fromkeys(run.device for run in runs))}"
