"""A network as Figure 3 shows it: a column of boxes, and shortcuts past some of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from resnet_gen.draw.branches import branches
from resnet_gen.network.expansion import Network
from resnet_gen.network.layers import Layer, Operation


class Kind(StrEnum):
    """What a box stands for."""

    IMAGE = "image"
    CONVOLUTION = "convolution"
    POOL = "pool"
    FULLY_CONNECTED = "fully connected"


@dataclass(frozen=True)
class Box:
    """A step that changes what the network sees: a weighted layer, a pooling, the image itself.

    `size` is the height and width in pixels of what comes out, by which columns are aligned;
    `halvings` says how often the image's has been halved on the way, by which boxes are coloured.
    """

    label: str
    kind: Kind
    size: int
    halvings: int


@dataclass(frozen=True)
class Shortcut:
    """A shortcut past the boxes of the indices `first` to `last`, both included."""

    first: int
    last: int
    by: str  # identity, zero padding or projection
    line: str  # solid, dotted or dashed


@dataclass(frozen=True)
class Fold:
    """The boxes `first` to `last` stand for as many of them, one after the other, as `times`."""

    first: int
    last: int
    times: int


@dataclass(frozen=True)
class Column:
    """A network's boxes from the image to the scores."""

    name: str
    depth: int
    multiply_adds: int
    boxes: tuple[Box, ...]
    shortcuts: tuple[Shortcut, ...]
    folds: tuple[Fold, ...] = ()


def column(network: Network) -> Column:
    """The column of a network; its layers' inputs say what leads where."""
    blocks = branches(network.layers)
    aside = {layer.name for block in blocks for layer in block.aside}
    image = network.spec.image_size
    boxes = [Box("image", Kind.IMAGE, image, 0)]
    at: dict[str, int] = {}  # the index of the box that a layer's output comes from
    for layer in network.layers:
        if layer.name not in aside and (kind := _kind(layer)):
            size = min(boxes[-1].size, layer.output_size)
            boxes.append(Box(_label(layer), kind, size, halvings(image, size)))
        at[layer.name] = len(boxes) - 1
    shortcuts = tuple(
        Shortcut(at[block.main[0].name], at[block.addition.name], block.by, block.line)
        for block in blocks
    )
    spec = network.spec
    return Column(spec.name, spec.depth, network.multiply_adds, tuple(boxes), shortcuts)


def halvings(image: int, size: int) -> int:
    """How often the image's size has been halved, about: 3 from 224 to 28."""
    return round(math.log2(image / size))


def _kind(layer: Layer) -> Kind | None:
    """What kind of box the layer is; None for what Figure 3 leaves out."""
    if layer.operation == Operation.CONVOLUTION:
        return Kind.CONVOLUTION
    if layer.operation == Operation.FULLY_CONNECTED:
        return Kind.FULLY_CONNECTED
    pools = layer.operation in (Operation.MAX_POOL, Operation.AVERAGE_POOL)
    # Other pooling counts where it makes something smaller: VGG's at 224 changes nothing.
    return Kind.POOL if pools or layer.output_size < layer.input_size else None


def _label(layer: Layer) -> str:
    """The layer in Figure 3's words."""
    stride = f", /{layer.stride}" if (layer.stride or 1) > 1 else ""
    if layer.operation == Operation.CONVOLUTION:
        return f"{layer.kernel}×{layer.kernel} conv, {layer.out_channels}{stride}"
    if layer.operation == Operation.FULLY_CONNECTED:
        return f"fc {layer.out_channels}"
    return f"pool{stride}" if layer.operation == Operation.MAX_POOL else "avg pool"
