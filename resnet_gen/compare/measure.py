"""What a generated file really builds, found by running it in a process of its own.

The file may be anybody's edit: it may end its process, loop, crash or print. Whatever it does
becomes a sentence here, and torch is imported in that process alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from resnet_gen.compare import numbers
from resnet_gen.compare.layer_json import layer_of
from resnet_gen.compare.numbers import Finding
from resnet_gen.errors import Failure, Problem
from resnet_gen.generate import apart
from resnet_gen.network.expansion import Network
from resnet_gen.network.layers import Layer

TIME_LIMIT = 300  # seconds; the paper's deepest network takes a tenth of it


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
    apart.require_torch()
    document = _record(path, given)
    if failure := apart.failed(document):
        raise failure
    return document


def _record(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The document that recording.py writes, from a process with a limit of time."""
    return apart.ask("resnet_gen.compare.recording:record_file", path, given, TIME_LIMIT)
