"""Standard deviations of layer responses (section 4.2, Figure 7), measured on a network's images.

A response is the output of a 3×3 convolution after its batch norm, and before the ReLU or the
addition that follows. Its standard deviation is that of all its values: of all images, positions
and channels. Batch norm is in evaluation mode, with the statistics that training left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from resnet_gen import console
from resnet_gen.errors import Failure
from resnet_gen.generate import apart
from resnet_gen.network.expansion import Network, expand
from resnet_gen.network.layers import Layer, Operation
from resnet_gen.responses import finding, table
from resnet_gen.responses.finding import Subject
from resnet_gen.responses.table import Responses

__all__ = ["Responses", "layers_of", "measure"]

IMAGES = 1_000
OUT = Path("generated")
SLOWEST = 1e9  # multiply-adds in a second, which every machine does: for the limit of time
AT_LEAST = 300  # seconds of that limit, for starting and for reading images


def measure(
    paths: Sequence[Path],
    data: str | None = None,
    root: Path | None = None,
    images: int = IMAGES,
    out: Path = OUT,
) -> list[Responses]:
    """The responses of trained networks to their test images.

    Of a run's folder without a checkpoint, they are those of its responses.csv.

    Args:
        paths: folders of runs, checkpoints, or files of safetensors.
        data: the images, as a training script's --data; without it, those of each run.
        root: the folder that they are in; without it, that of each run, or `data`.
        images: how many at most, evenly spaced among the test images.
        out: the folder that the networks' code is generated into.

    Raises:
        Failure: with the problems of all paths: no weights, no code, no images (exit code 2);
            torch is not installed (4).
    """
    apart.require_torch()
    found: list[Responses | Subject] = []
    problems = []
    for path in dict.fromkeys(paths):
        try:
            found.append(_recorded(path) or finding.find(path, out, data, root))
        except Failure as failure:
            if failure.exit_code != 2:
                raise
            problems += failure.problems
    if problems:
        raise Failure(problems)
    return [_measure(each, images) if isinstance(each, Subject) else each for each in found]


def layers_of(network: Network) -> dict[str, str]:
    """Its 3×3 convolutions, 6n+1 in section 4.2, and the layer whose output is each one's response.

    That is the batch norm behind it, or, in a network without, the convolution itself.
    """
    norms = {
        layer.inputs[0]: layer.name
        for layer in network.layers
        if layer.operation == Operation.BATCH_NORM
    }
    return {name: norms.get(name, name) for name in _three_by_three(network.layers)}


def _recorded(path: Path) -> Responses | None:
    has_weights = any((path / name).is_file() for name in finding.CHECKPOINTS)
    return None if has_weights or not path.is_dir() else table.read(path)


def _three_by_three(layers: Iterable[Layer]) -> list[str]:
    return [la.name for la in layers if la.operation == Operation.CONVOLUTION and la.kernel == 3]


def _measure(subject: Subject, images: int) -> Responses:
    spec = subject.entry.spec
    network = expand(spec)
    layers = layers_of(network)
    given = {
        "network": subject.entry.name,
        "weights": str(subject.weights),
        "modules": list(layers.values()),
        "data": subject.data,
        "root": str(subject.root),
        "count": images,
    }
    limit = AT_LEAST + round(images * network.multiply_adds / SLOWEST)
    document = apart.ask("resnet_gen.responses.recording:record", subject.code, given, limit)
    if failure := apart.failed(document):
        raise failure
    trained = "" if subject.iterations is None else f", after {subject.iterations:,} iterations"
    shown = f"{document['images']:,} test images of {subject.data}"
    console.note(f"{subject.path.as_posix()}: {subject.entry.name}{trained}, shown {shown}")
    return Responses(
        network=subject.entry.name,
        path=subject.path,
        layers=tuple(layers),
        deviations=tuple(document["deviations"]),
        plain=spec.shortcut == "none",
        iterations=subject.iterations,
        data=subject.data,
        images=document["images"],
    )
