"""What an experiment runs at a size: each run's folder and command, and how far it is.

Experiments share runs: a network at one size with one seed has one folder, whoever asks for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from resnet_gen.errors import Failure, Problem
from resnet_gen.experiments import continued, log, manifest
from resnet_gen.experiments.definitions import Experiment, Size, sizes
from resnet_gen.network.expansion import Network
from resnet_gen.read import library
from resnet_gen.read.library import Entry
from resnet_gen.read.recipes import AnyRecipe
from resnet_gen.train import launch

RUNS = Path("runs")
PHOTOGRAPHS = "photographs"  # the data that the package makes, see pictures.py
MADE_DATA = RUNS / "data"
State = Literal["finished", "interrupted", "missing", "elsewhere"]
TRACES = ("metrics.jsonl", "checkpoint.pt", "best.pt")  # what a run has written once it trains


@dataclass(frozen=True, eq=False)  # a key of mappings, by its identity
class Run:
    """A training of one network, at one size, with one seed."""

    entry: Entry
    network: Network
    recipe: AnyRecipe
    size: Size
    seed: int
    script: Path
    folder: Path
    data: str  # the script's --data
    root: Path  # and its --root
    iterations: int
    batch_size: int
    parent: Run | None = None  # the shallower run whose weights it begins with, blocks added

    @property
    def name(self) -> str:
        """The run's own name, that of its folder."""
        return self.folder.name

    @property
    def work(self) -> int:
        """The multiply-adds of the whole run: a step costs three forward passes."""
        return 3 * self.network.multiply_adds * self.batch_size * self.iterations

    @property
    def arguments(self) -> list[str]:
        """The script's arguments, without `--resume`."""
        flags = {
            "--data": self.data,
            "--root": self.root.as_posix(),
            "--out": self.folder.as_posix(),
            "--iterations": self.iterations,
            "--batch-size": self.batch_size,
            "--seed": self.seed,
        }
        if self.parent:
            flags["--init"] = (self.folder / continued.INIT).as_posix()
        return [word for flag, value in flags.items() for word in (flag, str(value))]


def runs_of(
    experiment: Experiment,
    size: Size,
    seeds: int | None = None,
    root: Path = Path("data"),
    out: Path = Path("generated"),
) -> list[Run]:
    """The runs of an experiment: of the first seed all networks, and so on.

    Those that begin with the weights of others come last. `seeds` takes the place of what the size
    and the experiment say; `out` has the generated code.

    Raises:
        Failure: a network is not generated, or its code is of another spec (exit code 2).
    """
    lengths, found, problems = sizes(), list[Run](), list[Problem]()
    for name in experiment.networks:
        try:
            script = launch.find_script(name, out)
            entry = library.network(name)
            _require_same_spec(entry, script.path)
        except Failure as failure:
            problems += failure.problems
            continue
        length = lengths.length(size, entry.spec.design, name)
        data = length.get("data", {"cifar": "cifar10"}.get(entry.spec.design, "imagenet"))
        for seed in range(seeds or seeds_of(experiment, name, length)):
            found.append(
                Run(
                    entry=entry,
                    network=script.network,
                    recipe=script.recipe,
                    size=size,
                    seed=seed,
                    script=script.path,
                    folder=RUNS / size / f"{entry.name}-seed{seed}",
                    data=data,
                    root=MADE_DATA if data == PHOTOGRAPHS else root,
                    iterations=length.get("iterations", script.recipe.iterations),
                    batch_size=length.get("batch_size", script.recipe.batch_size),
                )
            )
    if problems:
        raise Failure(problems)
    found.sort(key=lambda run: run.seed)
    return found + (_deepened(experiment, found) if experiment.deepen else [])


def seeds_of(experiment: Experiment, name: str, length: Mapping[str, Any]) -> int:
    """How many runs of a network an experiment has, at a size where they are of this length."""
    of_size: int = length.get("seeds", 1)
    return max(of_size, experiment.seeds.get(name, 1))


def _deepened(experiment: Experiment, runs: Sequence[Run]) -> list[Run]:
    """The deeper networks' runs once more, from the weights of the shallower ones."""
    by_name = {run.name: run for run in runs}
    seeds = {name: sum(run.entry.name == name for run in runs) for name in experiment.networks}
    return [
        replace(
            by_name[one.fresh],
            folder=by_name[one.fresh].folder.with_name(one.name),
            parent=by_name[one.parent],
        )
        for one in continued.continued(experiment.networks, seeds)
    ]


def state_of(run: Run) -> State:
    """How far a run is; `elsewhere` is one that another process is training now.

    Raises:
        Failure: what lies in its folder is another run (exit code 2).
    """
    if changed := changes(run):
        message = f"what is there is another run: {'; '.join(changed)}"
        hint = "move the folder away to run it anew, or undo the change to keep it"
        raise Failure(Problem("changed", message, hint, run.folder.as_posix()))
    if (run.folder / "results.json").is_file():
        return "finished"
    if log.is_held(run.folder):
        return "elsewhere"
    return "interrupted" if has_begun(run.folder) else "missing"


def has_begun(folder: Path) -> bool:
    """Whether a run has written anything to go on from."""
    paths = (folder / name for name in TRACES)
    return any(path.is_file() and path.stat().st_size for path in paths)


def states_of(runs: Sequence[Run]) -> dict[Run, State]:
    """The state of each run.

    Raises:
        Failure: with all folders that hold another run (exit code 2).
    """
    found, problems = dict[Run, State](), list[Problem]()
    for run in runs:
        try:
            found[run] = state_of(run)
        except Failure as failure:
            problems += failure.problems
    if problems:
        raise Failure(problems)
    return found


def changes(run: Run) -> list[str]:
    """What a run's folder says that is not what would be run now, in words."""
    had = manifest.read(run.folder) or _said_by_results(run.folder)
    if had is None:
        return []
    data = had.get("data")
    now = {
        "network": run.entry.name,
        "seed": run.seed,
        "iterations": run.iterations,
        "batch_size": run.batch_size,
        "data": run.data,
    }
    had_now = {**had, "data": data.get("kind") if isinstance(data, dict) else data}
    found = [
        f"{key.replace('_', ' ')} {had_now[key]}, now {value}"
        for key, value in now.items()
        if key in had_now and had_now[key] != value
    ]
    if had.get("spec_sha256") != run.entry.sha256:
        differing = _differences(had.get("spec"), run.entry.canonical)
        found += differing or ["by another spec or recipe"]
    if run.parent and has_begun(run.folder):
        parent, began = run.parent, had.get("init") or {}
        if not isinstance(began, dict):  # of a run without a manifest: the hash of its weights
            return found
        if not began:
            found.append(f"it began with random weights, now with those of {parent.name}")
        elif manifest.hash_of(parent.folder / "results.json") not in ("", began["parent_sha256"]):
            found.append(f"it began with the weights of another {parent.name}")
    return found


def last_line(folder: Path) -> dict[str, Any]:
    """The last whole line of a run's metrics.jsonl, or nothing where there is none."""
    try:
        with (folder / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            rows = file.read().split(b"\n")[:-1]
        found = json.loads(rows[-1]) if rows else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _differences(had: Any, has: Any, key: str = "") -> list[str]:
    """Where two canonical specs differ: `training.iterations 64000, now 32000`."""
    if isinstance(had, dict) and isinstance(has, dict):
        keys = [*has, *(name for name in had if name not in has)]
        found = [
            _differences(had.get(name), has.get(name), f"{key}.{name}" if key else name)
            for name in keys
        ]
        return [line for lines in found for line in lines]
    return [] if had == has or not key else [f"{key} {had}, now {has}"]


def _said_by_results(folder: Path) -> dict[str, Any] | None:
    """What results.json says of a run without a manifest, which was trained by hand."""
    try:
        found = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _require_same_spec(entry: Entry, script: Path) -> None:
    found = re.search(r'^SPEC_SHA256 = "(\w+)"', script.read_text(encoding="utf-8"), re.MULTILINE)
    if not found or found[1] != entry.sha256:
        message = f"this code is of another spec than {entry.label}"
        hint = f"resnet-gen generate {entry.name}"
        raise Failure(Problem("stale", message, hint, script.as_posix()))
