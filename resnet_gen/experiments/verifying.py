"""Recorded runs against their manifests: the numbers, and the files that made them.

A run's results.json and metrics.jsonl must have the hashes that its manifest has, and must agree
with it and with each other; the generated files must have theirs at the commit that it names.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resnet_gen.errors import Failure, Problem
from resnet_gen.experiments import continued, manifest
from resnet_gen.experiments.definitions import Experiment, Size
from resnet_gen.experiments.plan import RUNS
from resnet_gen.read.network_spec import sha256_of

Fault = Callable[..., None]  # takes a message, and the name of the file that it is about
RESULTS, METRICS = "results.json", "metrics.jsonl"
PLACES = (RUNS, Path("results"))
SAME = ("network", "seed", "iterations", "batch_size", "spec_sha256")  # in results and manifest


@dataclass
class Verified:
    """What was found of one recorded run."""

    folder: Path
    network: str
    size: str
    results: dict[str, Any] = field(default_factory=dict)
    code: str = ""  # where its files are as its manifest says: a commit, or here
    faults: list[Problem] = field(default_factory=list)

    @property
    def words(self) -> str:
        """One line for a person."""
        if self.faults:
            return f"{self.folder.as_posix()}: not as its manifest says"
        errors = [
            f"{key.replace('_', ' ')} {value:g}%"
            for key, value in self.results.items()
            if key.startswith("test_") and isinstance(value, (int, float))
        ]
        steps = f"{self.results['iterations']:,} iterations"
        return f"{self.folder.as_posix()}: {', '.join([*errors, steps])}; files as {self.code}"


def verify(experiment: Experiment, size: Size | None = None) -> list[Verified]:
    """Every recorded run of the experiment's networks, below runs/ and results/.

    Raises:
        Failure: nothing is recorded (exit code 2).
    """
    found = []
    for folder in recorded(PLACES):
        problem = None
        try:
            had = manifest.read(folder) or {}
        except Failure as failure:
            had, problem = {}, failure.problems[0]
        network = str(had.get("network", folder.name.partition("-seed")[0]))
        if network not in experiment.networks or (size and had.get("size", size) != size):
            continue
        if had.get("init") and not experiment.deepen:
            continue
        verified = Verified(folder, network, str(had.get("size", "")))
        if problem:
            verified.faults.append(problem)
        else:
            _verify(verified, had)
        found.append(verified)
    if not found:
        at = f" at size {size}" if size else ""
        message = f"no run of {experiment.experiment}'s networks is recorded{at}"
        hint = f"resnet-gen reproduce {experiment.experiment} runs them; looked in runs/, results/"
        raise Failure(Problem("runs", message, hint))
    return found


def recorded(places: Iterable[Path]) -> list[Path]:
    """The folders with a manifest, in the order of their names."""
    return sorted(path.parent for place in places for path in place.rglob(manifest.MANIFEST))


def _verify(verified: Verified, had: dict[str, Any]) -> None:
    folder = verified.folder

    def fault(message: str, name: str = manifest.MANIFEST, hint: str = "") -> None:
        path = (folder / name).as_posix()
        verified.faults.append(Problem("verify", message, hint, path))

    if not had.get("results_sha256"):
        hint = "run it to its end with `resnet-gen reproduce`"
        return fault("the run is not finished", hint=hint)
    for key, name in manifest.RECORDED.items():
        path = folder / name
        if not had.get(key):
            continue
        if not path.is_file():
            fault("there is no such file, and the manifest has its hash", name)
        elif manifest.sha256(path.read_bytes()) != had[key]:
            fault("has been changed since the run ended", name)
    if sha256_of(had["spec"]) != had["spec_sha256"]:
        fault("its spec is not the one of its spec_sha256")
    verified.results = _numbers(folder, had, fault)
    if had.get("init"):
        _beginning(folder, had["init"], verified.results, fault)
    sessions = [had, *had.get("earlier", [])]
    places = [_files(session, had["spec_sha256"], fault) for session in sessions]
    verified.code = "; before that ".join(dict.fromkeys(places[:1] + places[:0:-1]))
    return None


def _numbers(folder: Path, had: dict[str, Any], fault: Fault) -> dict[str, Any]:
    """The results, after comparing them with the manifest and with the figures."""
    try:
        results = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
        rows = (folder / METRICS).read_text(encoding="utf-8").splitlines()
        lines = [json.loads(row) for row in rows]
        last = lines[-1]
        validated = [line["val_error"] for line in lines if "val_error" in line]
    except (OSError, ValueError, LookupError, TypeError) as error:
        fault(f"cannot be read: {error}", RESULTS)
        return {}
    for key in SAME:
        if results.get(key) != had.get(key):
            fault(f"{key} is {results.get(key)}, and in the manifest {had.get(key)}", RESULTS)
    if last.get("step") != results.get("iterations"):
        fault(f"ends at step {last.get('step')}, not {results.get('iterations')}", METRICS)
    for key, value in results.items():
        if key.startswith("test_") and key in last and last[key] != value:
            fault(f"{key} is {value}, and in {METRICS} {last[key]}", RESULTS)
    best = results.get("best_val_error")
    if best is not None and best != min(validated, default=None):
        fault(f"best_val_error {best} is not the least in {METRICS}", RESULTS)
    return dict(results)


def _beginning(folder: Path, init: dict[str, str], results: dict[str, Any], fault: Fault) -> None:
    """Compares the weights that a run began with to its results, and to the run they are of."""
    if results.get("init") != init["sha256"]:
        fault(f"began with other weights than the manifest's {continued.INIT}", RESULTS)
    for name, expected in (
        (continued.INIT, init["sha256"]),
        (continued.COMPARED, init["compared_sha256"]),
    ):
        # Weights may be left out of what is recorded; how they compared is one of its numbers.
        if not (folder / name).is_file() and name != continued.INIT:
            fault("there is no such file, and the manifest has its hash", name)
        elif (folder / name).is_file() and manifest.hash_of(folder / name) != expected:
            fault("has been changed since the run began", name)
    parent = folder.with_name(init["parent"]) / RESULTS
    if parent.is_file() and manifest.hash_of(parent) != init["parent_sha256"]:
        fault(f"was made of another {init['parent']} than the one beside it")


def _files(session: dict[str, Any], spec_sha256: str, fault: Fault) -> str:
    """Where the generated files have the manifest's hashes, in words: at a commit, or here."""
    code, git = Path(session["code"]), session["git"] or {}
    wanted, commit = session["files"], git.get("commit", "")
    here = manifest.hashes(code) if code.is_dir() else {}
    place = code if code.is_dir() else Path()
    if commit and _git(place, "cat-file", "-e", f"{commit}^{{commit}}") is None:
        if here == wanted:
            return f"here, since commit {commit[:12]} is not in this repository"
        fault(f"commit {commit[:12]} is not in this repository, and the files here differ")
        return ""
    recorded = {name: _at(place, commit, code / name) for name in wanted} if commit else {}
    hashes = {name: manifest.sha256(text) for name, text in recorded.items() if text is not None}
    edited = [name for name in wanted if hashes.get(name) != wanted[name]]
    differing = [
        name
        for name in edited
        if here.get(name) != wanted[name] or (commit and not git.get("dirty"))
    ]
    at = f"at commit {commit[:12]}" if commit else "here"
    if differing:
        either = f"{at} or here" if git.get("dirty") else at
        fault(f"{', '.join(differing)} in {code.as_posix()}: not those of the run, {either}")
        return ""
    train = recorded.get("train.py")
    if train and "train.py" not in edited and spec_sha256.encode() not in train:
        fault(f"train.py {at} is of another spec")
    return f"{at}, edited as here: {', '.join(edited)}" if commit and edited else at


def _at(place: Path, commit: str, path: Path) -> bytes | None:
    """A file's content at a commit of the repository at `place`, or None where it had none."""
    return _git(place, "show", f"{commit}:{path.as_posix()}")


def _git(place: Path, *arguments: str) -> bytes | None:
    """What git prints in a folder, or None where it fails or is not there."""
    command = ["git", "-C", str(place), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
