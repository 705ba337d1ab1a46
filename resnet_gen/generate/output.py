"""Generated files on disk: whose they are, whether they are up to date, and writing them whole."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from resnet_gen.errors import Failure, Problem
from resnet_gen.files import write as write_whole
from resnet_gen.generate import header


class State(Enum):
    """What a file is, seen from what the spec and the templates give today."""

    CURRENT = "up to date"
    MISSING = "not generated yet"
    EDITED = "edited by hand"
    FOREIGN = "not made by resnet-gen"
    SPEC_CHANGED = "the spec changed"
    SPEC_MOVED = "the spec moved"
    SPECS_CHANGED = "the specs changed"
    GENERATOR_CHANGED = "the generator changed"


@dataclass(frozen=True)
class File:
    """A file that should stand at `path`, and what stands there."""

    path: Path
    text: str  # with its header
    found: str | None
    state: State
    besides: State | None = None  # what changed too since an edited file was made

    @property
    def is_precious(self) -> bool:
        """Whether writing would destroy somebody's work."""
        return self.state in (State.EDITED, State.FOREIGN)

    @property
    def words(self) -> str:
        """The state for a person, such as `edited by hand; the spec changed too`."""
        return self.state.value + (f"; {self.besides.value} too" if self.besides else "")


def inspect(path: Path, lines: str, code: str) -> File:
    """The file at `path` against the header and the code that the specs give."""
    text = lines + code
    try:
        found = header.text_of(path)
    except (FileNotFoundError, NotADirectoryError):
        return File(path, text, None, State.MISSING)
    except (UnicodeDecodeError, IsADirectoryError):
        return File(path, text, "", State.FOREIGN)
    made = header.parse(found)
    if found == text:
        return File(path, text, found, State.CURRENT)
    if made is None:
        return File(path, text, found, State.FOREIGN)
    changed = None if made.lines == lines else _change(made, header.parse(text))
    is_edited = made.is_edited and found != made.lines + code  # else only its header is old
    if is_edited or changed is None:
        return File(path, text, found, State.EDITED, changed)
    return File(path, text, found, changed)


def _change(made: header.Header, wanted: header.Header | None) -> State:
    """What changed since the file was made, by the two headers, which differ."""
    if wanted is None or None in (made.spec_sha256, wanted.spec_sha256):
        return State.GENERATOR_CHANGED
    if made.spec_sha256 != wanted.spec_sha256:
        return State.SPECS_CHANGED if wanted.spec is None else State.SPEC_CHANGED
    return State.SPEC_MOVED if made.spec != wanted.spec else State.GENERATOR_CHANGED


def difference(file: File) -> str:
    """A unified diff from what stands there to what would."""
    name = file.path.as_posix()
    old, new = (file.found or "").splitlines(keepends=True), file.text.splitlines(keepends=True)
    return "".join(difflib.unified_diff(old, new, f"a/{name}", f"b/{name}"))


def write_all(files: Iterable[File], *, force: bool) -> tuple[list[File], list[File]]:
    """Writes what is stale. Returns the files written, and the precious ones left alone.

    Raises:
        Failure: a folder cannot be written (exit code 2).
    """
    stale = [file for file in files if file.state is not State.CURRENT]
    kept = [file for file in stale if file.is_precious and not force]
    written = [file for file in stale if file not in kept]
    for file in written:
        try:
            write(file)
        except OSError as error:
            message = f"cannot be written: {error.strerror}"
            raise Failure(Problem("file", message, "", file.path.as_posix())) from None
    return written, kept


def write(file: File) -> None:
    """Puts the text in place in one step: a reader sees the old file or the new one.

    Raises:
        OSError: the folder cannot be written.
    """
    write_whole(file.path, file.text)
