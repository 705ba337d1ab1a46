"""Writing files whole: a reader sees the old file or the new one, never a part."""

from __future__ import annotations

import glob
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ABANDONED = 3600  # seconds: a part that old is of a process that was killed


def write(path: Path, content: str | bytes, *, replace: bool = True) -> None:
    """Puts `content` (text as UTF-8) in place in one step, making the folder where it is missing.

    Raises:
        FileExistsError: there is a file already, and `replace` is false.
        OSError: the folder cannot be written.
    """
    with replacing(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        if not replace:
            path.touch(exist_ok=False)  # claims the name, where renaming would take it from others


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file's path, which takes the place of `path` at the end, or vanishes by an error.

    Raises:
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = f".{path.name[:100]}."
    _remove_abandoned(path.parent, hidden)
    part = path.with_name(hidden + uuid.uuid4().hex[:8])
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _remove_abandoned(folder: Path, hidden: str) -> None:
    """Takes away what a killed process left; a part that is young may be another's work."""
    for part in folder.glob(f"{glob.escape(hidden)}{'[0-9a-f]' * 8}"):
        with suppress(OSError):  # somebody else was quicker
            if time.time() - part.stat().st_mtime > ABANDONED:
                part.unlink()
