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
from typing import Any, NamedTuple

from resnet_gen.compare import numbers
from resnet_gen.compare.layer_json import layer_of
from resnet_gen.compare.numbers import Finding
from resnet_gen.errors import Failure, Problem
from resnet_gen.network.expansion import Network
from resnet_gen.network.layers import Layer

TIME_LIMIT = 300  # seconds; the paper's deepest network takes a tenth of it
CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
import resnet_gen
del sys.path[0]
from resnet_gen.compare import recording
recording.main(sys.argv[2:])
"""


class Measured(NamedTuple):
    """What running a network's files shows."""

    layers: list[Layer]  # in the order in which they run
    findings: list[Finding]  # how the numbers that they compute agree with what the spec means
    recipe: dict[str, Any] | None  # the answers of compare.recipe.asking.ask, if it was asked


def measure(path: Path, image_channels: int, image_size: int) -> list[Layer]:
    """The layers of the network in `path` (a model.py), in the order in which they run.

    Images are (N, image_channels, image_size, image_size). What the file prints goes to stderr.

    Raises:
        Failure: there is no such file, or it does not build and run (exit code 2); torch is not
            installed (4).
    """
    given = {"image_channels": image_channels, "image_size": image_size}
    return [layer_of(fields) for fields in _examined(path, given)["layers"]]


def measure_all(
    path: Path, network: Network, other: Network | None, questions: dict[str, Any] | None
) -> Measured:
    """Those layers, the numbers that they compute, and what the train.py beside the file does.

    With `other`, one more number says whether that network computes the same.

    Raises:
        Failure: as `measure` does, of either file.
    """
    spec = network.spec
    given = {"image_channels": spec.image_channels, "image_size": spec.image_size}
    asked = {"numbers": numbers.request(network, other), "recipe": questions}
    document = _examined(path, {**given, **asked})
    layers = [layer_of(fields) for fields in document["layers"]]
    findings = [Finding(**fields) for fields in document.get("numbers", [])]
    return Measured(layers, findings, document.get("recipe"))


def _examined(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The document that recording.py makes of a file and what is asked of it."""
    if not path.is_file():
        hint = "make it with `resnet-gen generate`"
        raise Failure(Problem("file", "there is no such file", hint, path.as_posix()))
    if importlib.util.find_spec("torch") is None:
        hint = "pip install 'resnet-gen[train]'"
        raise Failure(Problem("torch", "torch is not installed", hint), exit_code=4)
    document = _record(path, given)
    if "problem" in document:
        raise Failure(Problem(**document["problem"]), document["exit_code"])
    return document


def _record(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The document that recording.py writes, from a process with a limit of time."""
    package = Path(__file__).resolve().parents[2]
    with tempfile.TemporaryDirectory() as folder:
        request, result = Path(folder, "request.json"), Path(folder, "result.json")
        request.write_text(json.dumps(given), encoding="utf-8")
        arguments = [str(package), str(path), str(request), str(result), str(TIME_LIMIT)]
        command = [sys.executable, "-P", "-c", CHILD, *arguments]
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
