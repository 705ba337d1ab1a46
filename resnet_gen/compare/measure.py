"""What a generated file really builds, found by running it in a process of its own.

The file may be anybody's edit: it may end its process, loop, crash or print. Whatever it does
becomes a sentence here, and torch is imported in that process alone.
"""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from resnet_gen.errors import Failure, Problem
from resnet_gen.network.layers import Argument, Layer, Operation

TIME_LIMIT = 120  # seconds; the paper's deepest network takes a tenth of it
CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
import resnet_gen
del sys.path[0]
from resnet_gen.compare import recording
recording.main(sys.argv[2:])
"""


def measure(path: Path, image_channels: int, image_size: int) -> list[Layer]:
    """The layers of the network in `path` (a model.py), in the order in which they run.

    Raises:
        Failure: as measure_with_recipe.
    """
    return measure_with_recipe(path, image_channels, image_size, None)[0]


def measure_with_recipe(
    path: Path, image_channels: int, image_size: int, questions: dict[str, Any] | None
) -> tuple[list[Layer], dict[str, Any] | None]:
    """The layers of the network in `path` (a model.py), and what the train.py beside it does.

    Images are (N, image_channels, image_size, image_size). The answers are those of
    compare.recipe.asking.ask; without questions there are none. What the files print goes to
    stderr.

    Raises:
        Failure: there is no such file, or it does not build and run (exit code 2); torch is not
            installed (4).
    """
    if not path.is_file():
        hint = "make it with `resnet-gen generate`"
        raise Failure(Problem("file", "there is no such file", hint, path.as_posix()))
    if importlib.util.find_spec("torch") is None:
        hint = "pip install 'resnet-gen[train]'"
        raise Failure(Problem("torch", "torch is not installed", hint), exit_code=4)
    document = _record(path, image_channels, image_size, questions)
    if "problem" in document:
        raise Failure(Problem(**document["problem"]), document["exit_code"])
    return [_layer(fields) for fields in document["layers"]], document.get("recipe")


def _record(
    path: Path, image_channels: int, image_size: int, questions: dict[str, Any] | None
) -> dict[str, Any]:
    """The document that recording.py writes, from a process with a limit of time."""
    package = Path(__file__).resolve().parents[2]
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "layers.json")
        given = [str(package), str(path), str(image_channels), str(image_size)]
        given += [json.dumps(questions), str(result), str(TIME_LIMIT)]
        command = [sys.executable, "-P", "-c", CHILD, *given]
        # In a session of its own, Ctrl-C does not reach it; the exception below does.
        with subprocess.Popen(command, stdout=2, start_new_session=True) as process:
            try:
                status = process.wait(TIME_LIMIT)
            except subprocess.TimeoutExpired:
                process.kill()
                message = f"it does not end: stopped after {TIME_LIMIT} seconds"
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


def _ended(status: int, path: Path) -> Problem:
    """What is known of a process that left no layers behind."""
    if status >= 0:
        message = f"it ended its process, with status {status}, before its layers were seen"
        return Problem("code", message, "look for what exits", path.as_posix())
    name = signal.Signals(-status).name
    hint = "the system stops a process this way that takes too much memory"
    message = f"running it crashed: {name}"
    return Problem("code", message, hint if name == "SIGKILL" else "", path.as_posix())


def _layer(fields: dict[str, Any]) -> Layer:
    """A layer from its JSON, which has lists for tuples."""
    known = fields["operation"] in list(Operation)
    fields["operation"] = Operation(fields["operation"]) if known else fields["operation"]
    fields["inputs"] = tuple(fields["inputs"])
    fields["arguments"] = tuple((name, _argument(value)) for name, value in fields["arguments"])
    return Layer(**fields)


def _argument(value: Any) -> Argument:
    return tuple(map(_argument, value)) if isinstance(value, list) else value
