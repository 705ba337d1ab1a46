"""A project in a folder whose surroundings are watched, and commands in it that must end well."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from resnet_gen.cli import main as command_line
from resnet_gen.paper import tables

EXIT_CODES = (0, 1, 2, 4)  # 3 is a bug here, and nothing interrupts (130)
TIME_LIMIT = 20  # seconds for what takes less than one: what is looked for never ends


class Endless(BaseException):
    """The time limit, which no `except Exception` takes."""


@contextlib.contextmanager
def limited(seconds: int = TIME_LIMIT) -> Iterator[None]:
    """Raises Endless where what is inside does not end."""

    def stop(*_: object) -> None:
        raise Endless

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def contents(folder: Path, without: Path | None = None) -> dict[str, bytes]:
    """Every file below the folder with its bytes, links as where they lead."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if without and (path == without or without in path.parents):
            continue
        if path.is_symlink():
            found[str(path.relative_to(folder))] = str(path.readlink()).encode()
        elif path.is_file():
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


class Told:
    """How a command ended, and what it said."""

    def __init__(self, argv: list[str], code: object, out: str, err: str) -> None:
        self.argv, self.code, self.out, self.err = argv, code, out, err

    def fault(self) -> str:
        """What is wrong with this end; empty where nothing is."""
        if self.code not in EXIT_CODES:
            return f"exit code {self.code}: {self.err[-1500:]}"
        if "Traceback (most recent call last)" in self.err or "error[bug]" in self.err:
            return f"a traceback: {self.err[-1500:]}"
        if self.code == 2 and not self.err.strip():
            return "refused without a word"
        shown = self.err if "--diff" in self.argv else self.err + self.out  # a patch, into a pipe
        if any(c in shown for c in ("\x1b", "\x00", "\u202e")):
            return f"a control character reaches the terminal: {self.err[-300:]!r}"
        return ""


def told_by(work: Callable[[], object], argv: list[str]) -> Told:
    """What `work`, a `main`, does with these arguments in this process."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, argv
    code: object = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), limited():
            work()
    except SystemExit as stop:
        code = stop.code or 0
    except Endless:
        code = "none: it does not end"
    except BaseException:
        code, _ = "none: it raises", err.write(traceback.format_exc())
    finally:
        sys.argv = before
    return Told(argv, code, out.getvalue(), err.getvalue())


def resnet_gen(*arguments: object) -> Told:
    """The command line in this process."""
    tables.load.cache_clear()
    return told_by(command_line.main, ["resnet-gen", *map(str, arguments)])


class Project:
    """A folder to work in, beside which nothing may be written."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / "project"
        (root / "beside").mkdir(parents=True)
        (root / "beside/theirs.py").write_text("not ours\n")
        self.path.mkdir()
        self.around = contents(root, self.path)

    def fault(self, told: Told, before: dict[str, bytes], may_change: Callable[[str], bool]) -> str:
        """What is wrong after a command: its end, a file outside, or a user's file changed."""
        if said := told.fault():
            return said
        if contents(self.root, self.path) != self.around:
            return "a file outside of the project changed"
        after = contents(self.path)
        for name, content in before.items():
            if after.get(name) != content and not may_change(name):
                return f"{name} is not as it was"
        made = [name for name in after.keys() - before.keys() if not may_change(name)]
        return f"it made {made}" if made else ""


def restore(folder: Path, wanted: dict[str, bytes]) -> None:
    """Makes the folder's files these again."""
    there = contents(folder)
    for name in there.keys() - wanted.keys():
        (folder / name).unlink()
    for name, content in wanted.items():
        if there.get(name) != content:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


def counted(faults: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One of each fault that ends in the same line."""
    found: dict[str, dict[str, Any]] = {}
    for fault in faults:
        key = fault["fault"].strip().splitlines()[-1]
        found.setdefault(key, {**fault, "times": 0})["times"] += fault.get("times", 1)
    return list(found.values())


def working_in(folder: Path) -> contextlib.AbstractContextManager[None]:
    """The current folder, for a while."""
    os.environ["NO_COLOR"] = "1"
    return contextlib.chdir(folder)
