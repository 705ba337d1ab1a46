"""log.txt of a run: all that its processes said, and which process holds the run.

The process that starts a run's script holds a lock on log.txt, the script one on metrics.jsonl
while it trains. Both are POSIX record locks: one that is killed leaves none behind.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

LOG = "log.txt"
LOCKED = (LOG, "metrics.jsonl")


class HeldElsewhere(Exception):
    """Another process is training this run."""


def hold(folder: Path) -> IO[bytes]:
    """The folder's log, opened to append; nobody else can hold it until it is closed.

    Raises:
        HeldElsewhere: another process holds it.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / LOG).open("ab")
    if not _lock(file):
        file.close()
        raise HeldElsewhere
    return file


def is_held(folder: Path) -> bool:
    """Whether another process is training here."""
    for path in (folder / name for name in LOCKED):
        if path.is_file():
            with path.open("ab") as file:
                if not _lock(file):
                    return True
    return False


def last_lines(folder: Path, count: int = 5) -> list[str]:
    """The last lines that are not empty, as a person can read them."""
    try:
        with (folder / LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 65_536))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


def _lock(file: IO[bytes]) -> bool:
    """Whether the file could be locked, or its system has no locks."""
    try:
        import fcntl  # noqa: PLC0415  (Windows has none)
    except ImportError:
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True
