"""manifest.json of a run: what was run, by which code, on which data and machine, by whose hash.

It is written when a run begins and completed when it ends, so that each recorded number can be
traced to the files that made it: see verifying.py.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ValidationError

from resnet_gen import files
from resnet_gen.errors import Failure, Problem
from resnet_gen.experiments import continued
from resnet_gen.experiments import machine as machines
from resnet_gen.experiments.machine import Machine

if TYPE_CHECKING:
    from resnet_gen.experiments.plan import Run

MANIFEST = "manifest.json"
RECORDED = {
    "results_sha256": "results.json",
    "metrics_sha256": "metrics.jsonl",
    "tests_sha256": "tests.json",
}
CIFAR = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}  # folders below --root


class _Git(BaseModel):
    commit: str
    dirty: bool


class _Session(BaseModel):
    """What may differ between a run's beginning and its going on."""

    code: str
    files: dict[str, str]
    git: _Git | None
    versions: dict[str, str]
    device: str
    machine: str
    threads: int


class _Init(BaseModel):
    """The weights that a run began with, which were made of a shallower network's run."""

    sha256: str  # of init.safetensors, which results.json has too
    compared_sha256: str  # of constructed.json
    network: str  # the shallower one
    parent: str  # its run, a folder beside this one
    parent_sha256: str  # of that run's results.json


class _Manifest(_Session):
    """What every manifest has; more may be in it."""

    format: Literal[1]
    network: str
    size: str
    seed: int
    spec: dict[str, Any]
    spec_sha256: str
    data: dict[str, Any]
    results_sha256: str | None
    metrics_sha256: str | None
    earlier: list[_Session] = []
    init: _Init | None = None


def read(folder: Path) -> dict[str, Any] | None:
    """The manifest of a run, or None where it has none, as a run that was started by hand.

    Raises:
        Failure: the file is damaged, or of another format (exit code 2).
    """
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        found = None
    try:
        _Manifest.model_validate(found)
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"]))
        message = f"is no manifest of format 1{f': its {key} is wrong' if key else ''}"
        raise Failure(Problem("manifest", message, "", path.as_posix())) from None
    return dict(found)


def begin(run: Run, machine: Machine, threads: int) -> None:
    """Writes the manifest of a run that begins or goes on.

    One that goes on with other code or elsewhere keeps under `earlier` what it had before.
    """
    had = read(run.folder) or {}
    now: dict[str, Any] = {
        "format": 1,
        "network": run.entry.name,
        "size": run.size,
        "seed": run.seed,
        "iterations": run.iterations,
        "batch_size": run.batch_size,
        "spec": run.entry.canonical,
        "spec_sha256": run.entry.sha256,
        **code_of(run.script.parent),
        "data": data_of(run.data, run.root),
        "versions": machines.versions(),
        "device": machine.device,
        "machine": machine.words,
        "threads": threads,
        "command": ["python", run.script.as_posix(), *run.arguments],
        **dict.fromkeys(RECORDED),
    }
    if run.parent:
        now["init"] = {
            "sha256": hash_of(run.folder / continued.INIT),
            "compared_sha256": hash_of(run.folder / continued.COMPARED),
            "network": run.parent.entry.name,
            "parent": run.parent.name,
            "parent_sha256": hash_of(run.parent.folder / "results.json"),
        }
    before = {key: had[key] for key in _Session.model_fields if key in had}
    sessions = list(had.get("earlier", []))
    if before and before != {key: now[key] for key in before}:
        sessions.append(before)
    _write(run.folder, now | ({"earlier": sessions} if sessions else {}))


def complete(folder: Path, data: str, root: Path) -> None:
    """Puts the hashes of what a run has written, and of data that it has downloaded."""
    found = read(folder)
    if found is None:  # a run that was started by hand
        return
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    found["device"] = results.get("device", found["device"])
    found["data"] = data_of(data, root)  # which the run may have downloaded
    for key, name in RECORDED.items():
        found[key] = hash_of(folder / name) or None
    _write(folder, found)


def code_of(folder: Path) -> dict[str, Any]:
    """The generated files by their hashes, where they lie, and the commit that was checked out."""
    place = _git(folder, "rev-parse", "--show-prefix")
    commit = _git(folder, "rev-parse", "HEAD")
    git = None
    if place is not None and commit:
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
        tracked = (_git(folder, "ls-files", ".") or "").splitlines()
        git = {"commit": commit, "dirty": bool(changed or hashes(folder).keys() - set(tracked))}
    code = place.rstrip("/") if git and place else folder.as_posix()
    return {"code": code, "files": hashes(folder), "git": git}


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of each Python file in a network's folder, by its name."""
    return {path.name: sha256(path.read_bytes()) for path in sorted(folder.glob("*.py"))}


def data_of(data: str, root: Path) -> dict[str, Any]:
    """The data by its name and hash, which is None where it is still to be downloaded.

    Of CIFAR, the hash is of the hashes of its files; of the digits, of their arrays; of a folder,
    of the names and sizes of its files.
    """
    if data == "digits":
        return {"kind": data, "sha256": _digits()}
    if data in CIFAR:
        folder = root / CIFAR[data]
        return {"kind": data, "sha256": _contents(folder) if folder.is_dir() else None}
    folder = root / data if (root / data).is_dir() else Path(data)
    if not folder.is_dir():
        return {"kind": data, "sha256": None}
    count, total, found = _names_and_sizes(folder)
    return {"kind": data, "files": count, "bytes": total, "sha256": found}


def sha256(content: bytes) -> str:
    """The hash of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def hash_of(path: Path) -> str:
    """The hash of a file, or nothing where there is none."""
    return sha256(path.read_bytes()) if path.is_file() else ""


@functools.cache
def _digits() -> str:
    from sklearn import datasets  # type: ignore[import-untyped]  # noqa: PLC0415  (an extra)

    digits = datasets.load_digits()
    return sha256(digits.images.tobytes() + digits.target.tobytes())


def _contents(folder: Path) -> str | None:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    lines = [f"{sha256(path.read_bytes())}  {path.name}\n" for path in paths]
    return sha256("".join(lines).encode()) if lines else None


@functools.cache
def _names_and_sizes(folder: Path) -> tuple[int, int, str]:
    found = []
    for parent, _, names in os.walk(folder, followlinks=True):
        for name in names:
            path = Path(parent, name)
            found.append((path.relative_to(folder).as_posix(), path.stat().st_size))
    lines = [f"{size} {name}\n" for name, size in sorted(found)]
    return len(found), sum(size for _, size in found), sha256("".join(lines).encode())


def _write(folder: Path, content: dict[str, Any]) -> None:
    files.write(folder / MANIFEST, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says of a folder, or None where there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607  (git as the machine has it)
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
