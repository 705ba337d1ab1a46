"""Running generated code in a process of its own, with a limit of time.

The code may be anybody's edit: it may end its process, loop, crash or print. Whatever it does
becomes a sentence here, and torch is imported in that process alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resnet_gen import files
from resnet_gen.errors import Failure, Problem

CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
import resnet_gen
del sys.path[0]
from resnet_gen.generate import apart
apart.answer(sys.argv[2:])
"""


def ask(function: str, path: Path, given: dict[str, Any], time_limit: int) -> dict[str, Any]:
    """What a function of this package returns for a generated file, from a process of its own.

    Args:
        function: its module and name, `resnet_gen.compare.recording:record_file`. It takes a path
            and what is given, and returns a document; both are written as JSON on their way.
        path: the generated file that it runs.
        given: what else it needs to know.
        time_limit: seconds after which the process is stopped.

    Raises:
        Failure: the process does not end in time, or ends without a document (exit code 2).
    """
    package = Path(__file__).resolve().parents[2]
    with tempfile.TemporaryDirectory() as folder:
        request, result = Path(folder, "request.json"), Path(folder, "result.json")
        request.write_text(json.dumps(given), encoding="utf-8")
        arguments = [str(package), function, *map(str, (path, request, result, time_limit))]
        command = [sys.executable, "-P", "-c", CHILD, *arguments]
        # In a session of its own, Ctrl-C does not reach it; the exception below does.
        with subprocess.Popen(command, stdout=2, start_new_session=True) as process:
            try:
                status = process.wait(time_limit)
            except subprocess.TimeoutExpired:
                process.kill()
                message = f"it does not end: stopped after {time_limit:,} seconds"
                hint = "look for a loop without an end"
                raise Failure(Problem("code", message, hint, path.as_posix())) from None
            except BaseException:
                process.kill()
                process.wait()
                raise
        if not result.is_file():
            raise Failure(_ended(status, path))
        document: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return document


def require_torch() -> None:
    """Raises Failure (exit code 4) where torch is not installed."""
    if importlib.util.find_spec("torch") is None:
        hint = "pip install 'resnet-gen[train]'"
        raise Failure(Problem("torch", "torch is not installed", hint), exit_code=4)


def failed(document: dict[str, Any]) -> Failure | None:
    """The failure that a document tells of, if it does: {"problem": {...}, "exit_code": ...}."""
    if "problem" not in document:
        return None
    return Failure(Problem(**document["problem"]), document["exit_code"])


def _ended(status: int, path: Path) -> Problem:
    """What is known of a process that left no document behind."""
    if status >= 0:
        message = f"it ended its process, with status {status}, before it was measured"
        return Problem("code", message, "look for what exits", path.as_posix())
    name = signal.Signals(-status).name
    hint = "the system stops a process this way that takes too much memory"
    message = f"running it crashed: {name}"
    return Problem("code", message, hint if name == "SIGKILL" else "", path.as_posix())


# ---- In that process -----------------------------------------------------------------------------


def answer(arguments: Sequence[str]) -> None:
    """Writes the document, and ends this process without waiting for what the file started."""
    function, path, request, result, time_limit = arguments
    if hasattr(signal, "alarm"):  # holds even if the process that waits for this one has gone
        signal.alarm(int(time_limit))
    module, _, name = function.partition(":")
    given = json.loads(Path(request).read_text(encoding="utf-8"))
    document = getattr(importlib.import_module(module), name)(Path(path), given)
    files.write(Path(result), json.dumps(document))
    sys.stdout.flush()
    os._exit(0)


def broken(path: Path, error: BaseException, hint: str = "") -> Problem:
    """Where in a generated file an error arose, as the problem of that file."""
    message = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    frames = traceback.extract_tb(error.__traceback__)
    own = path.resolve()
    lines = [f.lineno or 0 for f in frames if Path(f.filename).resolve() == own]
    line, column = lines[-1] if lines else 0, 0
    if isinstance(error, SyntaxError) and Path(error.filename or "").resolve() == own:
        line, column, message = error.lineno or 0, error.offset or 0, f"no Python: {error.msg}"
    text = path.read_text(encoding="utf-8", errors="replace").splitlines()
    excerpt = text[line - 1] if 0 < line <= len(text) else ""
    indent = len(excerpt) - len(excerpt.lstrip())
    width = len(excerpt.strip()) if not column else 1
    column = column or (indent + 1 if line else 0)
    return Problem("code", message, hint, path.as_posix(), line, column, width, excerpt)
