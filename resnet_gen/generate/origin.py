"""From a folder of generated code to the spec that made it, wherever the folder stands."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path

from resnet_gen.errors import Failure, Problem
from resnet_gen.generate import header
from resnet_gen.read import all_specs, folders, library
from resnet_gen.read.all_specs import AnyEntry
from resnet_gen.read.library import Entry


def code_of(name: str, out: Path) -> tuple[AnyEntry, Path]:
    """A network and its model.py: by name or spec below `out`, or by the folder of the code.

    Raises:
        Failure: there is no such network, or the spec of the folder's code is not found.
    """
    folder = Path(name)
    if name.endswith(".py") and not folder.is_dir():
        folder = folder.parent
    model = folder / "model.py"
    if not folder.is_dir() or (name.isidentifier() and not model.is_file()):
        entry = all_specs.one(name)
        return entry, out / entry.folder / "model.py"
    named_by = [folder / file for file in header.NAMING]
    label = header.spec_named({path: header.read(path) for path in named_by})
    if label is None:
        message = "there is no model.py in this folder"
        if model.is_file():
            message = "its model.py does not begin with the line that names its spec"
        hint = "name a network, or a folder that `resnet-gen generate` wrote"
        raise Failure(Problem("code", message, hint, folder.as_posix()))
    return _entry(label, folder), model


def classifier_of(name: str, out: Path) -> tuple[Entry, Path]:
    """As `code_of`, of networks that classify alone.

    Raises:
        Failure: as there; or it is a detector (exit code 2).
    """
    entry, code = code_of(name, out)
    if not isinstance(entry, Entry):
        message = f"{entry.name} is no classifier, which alone this command takes"
        raise Failure(Problem("usage", message, "its train.py trains, tests and predicts", name))
    return entry, code


def command(name: str, entry: AnyEntry) -> str:
    """The command that makes the code of `name` (a network, its spec or a folder) again."""
    if Path(name).exists() and not name.endswith((".yaml", ".yml")):
        name = entry.label if Path(entry.label).is_file() else entry.name
    return f"resnet-gen generate {name}"


def root_of(label: str, folder: Path) -> Path | None:
    """The directory from which a header's path leads to a spec.

    It is `folder` or one above it, or else the current one: code may be generated into another
    place than its spec's, and moved.
    """
    here = folder.resolve()
    if Path(label).is_absolute():  # resnet-gen writes none
        return None
    roots = (here, *here.parents, Path.cwd())
    return next((root for root in roots if os.path.isfile(root / label)), None)  # noqa: PTH113


def read_from(root: Path, label: str) -> AnyEntry:
    """The spec at `label` below `root`, with the recipes that a command run there would find.

    Raises:
        Failure: the spec is wrong.
    """
    here = Path.cwd()
    try:
        with contextlib.chdir(root):
            return all_specs.one(label)
    except Failure as failure:
        if root == here:
            raise
        problems = [replace(p, file=(root / p.file).as_posix()) for p in failure.problems]
        raise Failure(problems) from None


def _entry(label: str, folder: Path) -> AnyEntry:
    root = root_of(label, folder)
    if root is not None:
        return read_from(root, label)
    shipped = folders.package_folder("specs").parent / label
    if os.path.isfile(shipped) and not Path(label).is_absolute():  # noqa: PTH113
        return all_specs.one(shipped.as_posix())
    with contextlib.suppress(Failure):  # the spec may have moved
        moved = library.locate(Path(label).stem)
        if moved.is_file():
            return library.read_network(moved)
    message = f"its header names the spec {label}, and there is no such file"
    looked = f"looked in {folder.resolve().as_posix()} and the folders above it"
    if not folder.resolve().is_relative_to(Path.cwd()):
        looked += f", in {Path.cwd().as_posix()}"
    hint = f"{looked}, and among resnet-gen's own specs: run this in the folder that has {label}"
    raise Failure(Problem("code", message, hint, folder.as_posix()))
