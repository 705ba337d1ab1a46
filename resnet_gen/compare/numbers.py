"""The rows of `diff` that compare numbers: what the layer list computes, and what the code does.

computation.py finds them, in the process that runs the code; nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from resnet_gen.compare.layer_json import fields_of
from resnet_gen.compare.rows import Part, Row, Verdict
from resnet_gen.network.expansion import Network, expand
from resnet_gen.network.initialisation import initial

HEADING = "numbers, in float64"
CLASSES = (7, 11)  # one of them is not the spec's number, so that num_classes has to be used


class Quantity(StrEnum):
    """What is computed by both sides and compared; its value is the key of a row."""

    WEIGHTS = "weights"
    OUTPUTS = "outputs_training"
    IMAGES_GRADIENT = "gradient_images"
    GRADIENTS = "gradients"
    STATISTICS = "statistics"
    EVALUATION = "outputs_evaluation"
    REPEATABLE = "repeatable"
    UNCHANGED = "images_unchanged"
    INITIALISATION = "initialisation"
    OTHER = "other"


LABELS = {
    Quantity.WEIGHTS: "weights",
    Quantity.OUTPUTS: "scores in training",
    Quantity.IMAGES_GRADIENT: "gradient of images",
    Quantity.GRADIENTS: "gradients of weights",
    Quantity.STATISTICS: "running statistics",
    Quantity.EVALUATION: "scores in evaluation",
    Quantity.REPEATABLE: "another seed",
    Quantity.UNCHANGED: "input images",
    Quantity.INITIALISATION: "initialisation",
    Quantity.OTHER: "the same weights",
}


@dataclass(frozen=True)
class Finding:
    """One quantity, compared: what was asked for, what was found, and whether that is equal."""

    quantity: str
    expected: str
    found: str
    equal: bool
    why: str = ""


def request(network: Network, other: Network | None) -> dict[str, Any]:
    """What computation.py needs to know of a network, as JSON.

    Images are small, with the same behaviour at every border, and as large as the spec's where
    edited code computes something else, or nothing, at the small size.
    """
    size = network.spec.image_size
    sizes = [size] if size <= _small(network) else [_small(network), size]
    classes = next(count for count in CLASSES if count != network.spec.classes)
    return {
        "classes": classes,
        "channels": network.spec.image_channels,
        "layers": {str(each): _layers(network, each, classes) for each in sizes},
        "initial": {name: list(d) for name, d in initial(network).items()},
        "other": _layers(other, sizes[0], classes) if other else [],
        "other_name": other.spec.name if other else "",
    }


def rows(findings: Sequence[Finding]) -> list[Row]:
    """A row for each finding; the left side, the paper's, has no such numbers."""
    return [
        Row(
            LABELS[Quantity(each.quantity)],
            "",
            each.expected,
            each.found,
            Verdict.EQUAL if each.equal else Verdict.DIFFERS,
            each.why,
            f"numbers.{each.quantity}",
            Part.NUMBERS,
        )
        for each in findings
    ]


def _small(network: Network) -> int:
    """A small size whose halves are odd and even wherever those of the spec's size are."""
    size = network.spec.image_size
    return 64 + size % 32 if network.spec.family == "imagenet" else 16 + size % 4


def _layers(network: Network, size: int, classes: int) -> list[dict[str, Any]]:
    """The layers of the network for images of another size, and with other classes."""
    changed = {"image_size": size, "classes": classes}
    layers = expand(network.spec.model_copy(update=changed)).layers
    return [fields_of(layer) for layer in layers]
