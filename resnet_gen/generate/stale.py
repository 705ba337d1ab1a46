"""Files below the output folder that resnet-gen wrote, and that no spec would make today."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from resnet_gen.errors import Failure, Problem
from resnet_gen.generate import header, origin, render
from resnet_gen.generate.output import State
from resnet_gen.read.all_specs import AnyEntry

NAMES = {f"{name}.py" for name in (*render.SIBLINGS, "train")}
FOLDER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # of a family or a network


@dataclass(frozen=True)
class Stale:
    """A file that no spec would make today."""

    path: Path
    why: str
    state: State | None  # edited or foreign; None where the file is as resnet-gen wrote it

    @property
    def words(self) -> str:
        """Why, for a person, such as `edited by hand; its spec is gone`."""
        return f"{self.state.value}; {self.why}" if self.state else self.why


def find(out: Path, wanted: Collection[Path], entries: Iterable[AnyEntry]) -> list[Stale]:
    """What is stale below `out`, where `entries` make the files `wanted` (paths below `out`).

    A spec outside specs/ is present too as long as its file is where a header says. Links are not
    followed: resnet-gen writes none.
    """
    specs = _Specs(out, wanted, entries)
    found = []
    for folder in (network for family in _folders(out) for network in _folders(family)):
        paths = [path for path in sorted(folder.glob("*.py")) if path.is_file()]
        headers = {path: header.read(path) for path in paths if not path.is_symlink()}
        label = header.spec_named(headers)
        is_networks = label is not None or specs.name(folder)
        for path, made in headers.items():
            if specs.make(path) or (made is None and not (is_networks and path.name in NAMES)):
                continue
            why = specs.why_not(path, made.spec if made and made.spec else label)
            if why:
                is_edited = made is not None and made.is_edited
                state = State.EDITED if is_edited else None if made else State.FOREIGN
                found.append(Stale(path, why, state))
    hub = out / render.HUB
    made = None if render.HUB in specs.files or hub.is_symlink() else header.read(hub)
    if made:
        found.append(Stale(hub, "there are no networks", State.EDITED if made.is_edited else None))
    return found


def prune(out: Path, files: Iterable[Stale]) -> Iterator[tuple[Path, str]]:
    """Removes the files that nobody edited, and then the folders that are empty: each with why.

    The output folder itself stays.

    Raises:
        Failure: a file cannot be removed (exit code 2).
    """
    removed = [file for file in files if file.state is None]
    for file in removed:
        try:
            file.path.unlink()
            for compiled in _compiled(file.path):
                compiled.unlink()
        except OSError as error:
            message = f"cannot be removed: {error.strerror}"
            raise Failure(Problem("file", message, "", file.path.as_posix())) from None
        yield file.path, file.why
    for folder in dict.fromkeys(file.path.parent for file in removed):
        _remove_if_empty(folder / "__pycache__")
        for each in (folder, folder.parent):
            if out in each.parents and _remove_if_empty(each):
                yield each, "an empty folder now"


class _Specs:
    """What today's specs make below the output folder."""

    def __init__(self, out: Path, wanted: Collection[Path], entries: Iterable[AnyEntry]) -> None:
        self.out = out
        self.by_label = {entry.label: entry for entry in entries}
        self.folders = {entry.folder for entry in self.by_label.values()}
        self.files = set(wanted)
        self.in_lower_case = {path.as_posix().lower(): path for path in wanted}
        self.outside = cache(self._outside)

    def make(self, path: Path) -> bool:
        """Whether a spec makes the file, which has another name where a disk ignores case."""
        wanted = self.in_lower_case.get(path.relative_to(self.out).as_posix().lower())
        there = self.out / wanted if wanted else None
        return there is not None and there.exists() and path.samefile(there)

    def name(self, folder: Path) -> bool:
        """Whether a spec gives the folder its name."""
        return folder.relative_to(self.out) in self.folders

    def why_not(self, path: Path, label: str | None) -> str:
        """Why no spec makes the file; empty where the spec at `label` does, or may."""
        below = path.relative_to(self.out)
        if label is None:
            is_networks = self.name(path.parent)
            return f"its spec makes no {path.name}" if is_networks else "no spec makes it"
        entry, makes = self.by_label.get(label), self.files
        if entry is None:
            root = origin.root_of(label, path.parent)
            if root is None:
                return "its spec is gone"
            try:
                entry, makes = self.outside(root, label)
            except Failure:  # a spec that is wrong says nothing about its files
                return ""
        if below in makes:
            return ""
        if entry.folder != below.parent:
            return f"its spec makes {entry.folder.as_posix()} now"
        return f"its spec makes no {path.name}"

    def _outside(self, root: Path, label: str) -> tuple[AnyEntry, set[Path]]:
        """A spec outside specs/, and the files that it makes."""
        entry = origin.read_from(root, label)
        return entry, set(render.render([entry]))


def _folders(parent: Path) -> Iterator[Path]:
    """The folders in `parent` that resnet-gen may have made."""
    for path in sorted(parent.iterdir()) if parent.is_dir() else ():
        if FOLDER_NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            yield path


def _compiled(path: Path) -> list[Path]:
    """What Python keeps of a module that was imported."""
    cached = path.parent / "__pycache__"
    return [] if cached.is_symlink() else sorted(cached.glob(f"{path.stem}.*.pyc"))


def _remove_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:  # it is not empty, or not there
        return False
    return True
