"""From a run's folder or a checkpoint to the network, its generated code, and its images."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from resnet_gen import console
from resnet_gen.errors import Failure, Problem, quoted
from resnet_gen.generate import header, origin
from resnet_gen.read import library
from resnet_gen.read.library import Entry
from resnet_gen.weights.importing import own_source
from resnet_gen.weights.recognising import Source

# The last weights before the best: the paper's figures are of the network that training ended with.
CHECKPOINTS = ("checkpoint.pt", "best.pt")
ROOT = Path("data")  # the training scripts' default for --root


class Subject(NamedTuple):
    """A trained network, and the images that it is shown."""

    path: Path  # as it was named: a run's folder, or a file of weights
    weights: Path
    entry: Entry
    code: Path  # its model.py
    data: str  # as a training script's --data
    root: Path  # as its --root
    iterations: int | None  # trained so far; None where the file does not say


def find(path: Path, out: Path, data: str | None = None, root: Path | None = None) -> Subject:
    """What `path` is of: a run's folder, a checkpoint, or a file of safetensors.

    Args:
        path: a run's folder or a file of weights.
        out: the folder that code is generated into.
        data: the images, as a training script's --data; without it, those of the run.
        root: the folder that they are in; without it, the run's, or `data`.

    Raises:
        Failure: there are no weights, they are of a network whose spec or code is not here, or
            nothing says which images it was trained on (exit code 2).
    """
    weights = weights_in(path)
    source = own_source(weights)
    entry = _entry_of(source)
    code = out / entry.folder / "model.py"
    if not code.is_file():
        hint = origin.command(entry.name, entry)
        raise Failure(Problem("file", "there is no such file", hint, code.as_posix()))
    if not code.with_name("train.py").is_file():
        message = "there is no train.py beside it, whose folder would read the images"
        raise Failure(Problem("code", message, "", code.as_posix()))
    made = header.read(code)
    if made is None or made.is_edited:
        console.note(f"note: {code.as_posix()} was edited by hand, and is run as it is")
    data = data or data_of(weights, source)
    root = root or _root_of(weights)
    return Subject(path, weights, entry, code, data, root, _iterations(source))


def weights_in(path: Path) -> Path:
    """The file of weights that a path names: itself, or that of a run's folder.

    Raises:
        Failure: there is none (exit code 2).
    """
    if not path.is_dir():
        return path
    found = [path / name for name in CHECKPOINTS if (path / name).is_file()]
    if not found:
        message = f"this folder has no {' and no '.join(CHECKPOINTS)}"
        hint = "a run is the folder that train.py wrote into"
        raise Failure(Problem("file", message, hint, path.as_posix()))
    return found[0]


def data_of(weights: Path, source: Source) -> str:
    """What the run that wrote these weights was trained on, as --data.

    Raises:
        Failure: neither the file nor the results beside it say so (exit code 2).
    """
    told = _document(weights.with_name("results.json")).get("data")
    same = source.beside.get("same")
    if not isinstance(told, str) and isinstance(same, dict):
        told = same.get("data")
        told = None if told == "folder" else told  # which one, the checkpoint does not say
    if not isinstance(told, str):
        message = "it does not say which images it was trained on"
        hint = "--data names them: cifar10, cifar100, digits, or a folder of images"
        raise Failure(Problem("data", message, hint, weights.as_posix()))
    return told


def _entry_of(source: Source) -> Entry:
    """The network of a file, by its name, or by its hash where the spec has another name now."""
    said = source.contents.metadata or source.beside
    name, its_hash = said.get("network"), said.get("network_sha256")
    named: Entry | None = None
    with contextlib.suppress(Failure):
        named = library.network(name) if isinstance(name, str) and name.isidentifier() else None
    if named and its_hash in (None, named.network_sha256):
        return named
    same = [entry for entry in library.all_networks() if entry.network_sha256 == its_hash]
    if same:
        return same[0]
    message = f"it is of {quoted(name)}, and no spec here is of that network"
    hint = "put the spec that it was trained with into specs/"
    if named:
        message = f"it is of another {named.name} than {named.label} specifies"
        hint = "the spec was changed since, or it is not the one that was trained"
    raise Failure(Problem("weights", message, hint, source.contents.path.as_posix()))


def _root_of(weights: Path) -> Path:
    """The --root of the command in a run's manifest, or the scripts' default."""
    command = _document(weights.with_name("manifest.json")).get("command")
    words = [str(word) for word in command] if isinstance(command, list) else []
    return Path(words[words.index("--root") + 1]) if "--root" in words[:-1] else ROOT


def _iterations(source: Source) -> int | None:
    progress = source.beside.get("progress")
    step = progress.get("step") if isinstance(progress, dict) else None
    return step if isinstance(step, int) else None


def _document(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one where there is no such file, or none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
