"""One layer of a network, and what a list of them says stage by stage.

The arithmetic (expansion.py) and the measurement (compare/measure.py) each make their own list;
that both speak of a layer in the same words is what lets them be compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Operation(StrEnum):
    """The operations that the paper's networks and VGG are made of, in the field's words."""

    CONVOLUTION = "convolution"
    BATCH_NORM = "batch norm"
    RELU = "ReLU"
    ADDITION = "addition"
    SUBSAMPLE = "subsample"
    ZERO_PAD = "zero pad"
    MAX_POOL = "max pool"
    AVERAGE_POOL = "average pool"  # of whole maps
    ADAPTIVE_POOL = "adaptive average pool"  # to a size, whatever the maps'
    DROPOUT = "dropout"
    FULLY_CONNECTED = "fully connected"


Argument = bool | int | float | str | None | tuple["Argument", ...]
Arguments = tuple[tuple[str, Argument], ...]


def arguments(**values: Argument) -> Arguments:
    """What an operation is given besides its input: pairs of name and value, by name."""
    return tuple(sorted(values.items()))


@dataclass(frozen=True)
class Layer:
    """A step of the forward pass, for one image.

    Names are those of the generated modules (`layer1.0.conv1`); steps without a module of their
    own are numbered in the module that takes them (`layer1.0.relu2`). Sizes are height and width
    in pixels, 1 after the global pooling. `inputs` names the layers that feed this one; those of
    an addition are in the order of their names. `arguments` holds all else that the operation was
    given: a batch norm's eps and momentum, the padding of a convolution. An operation that no
    network of the paper has is called by torch's name for it.
    """

    name: str
    operation: Operation | str
    in_channels: int
    out_channels: int
    output_size: int
    kernel: int | None = None
    stride: int | None = None
    parameters: int = 0
    multiply_adds: int = 0
    inputs: tuple[str, ...] = ()
    input_size: int = 0
    arguments: Arguments = ()

    def __str__(self) -> str:
        """The layer as Table 1 writes it, `3×3, 64, stride 2`, or the operation's name."""
        pool = " max pool" if self.operation == Operation.MAX_POOL else ""
        stride = f", stride {self.stride}" if (self.stride or 1) > 1 else ""
        if self.operation == Operation.CONVOLUTION or pool:
            width = "" if pool else f", {self.out_channels}"
            return f"{self.kernel}×{self.kernel}{pool}{width}{stride}"
        if self.operation == Operation.FULLY_CONNECTED:
            return f"{self.out_channels}-d fc"
        return f"{self.operation}{stride}"


@dataclass(frozen=True)
class Stage:
    """What a stage's layers have in common: a row of Table 1."""

    name: str  # the module's name: layer1
    output_size: int
    convolutions: tuple[str, ...]  # the main path of a block: ("3×3, 64", "3×3, 64")
    repeats: int
    strides: tuple[tuple[str, int], ...]  # the first block's convolutions: kernel and stride
    later_strides: int  # the largest stride in the blocks after the first
    orders: tuple[str, ...]  # each distinct block's steps: "3×3 BN ReLU 3×3 BN + ReLU"
    shortcuts: tuple[str, ...]  # one a block: "identity", "projection", "zero-padded" or "none"
    weighted: int  # the number of weighted layers on the main path


def square(size: int) -> str:
    """A size as the paper writes it: 112×112."""
    return f"{size}×{size}"


def stages(layers: Sequence[Layer]) -> list[Stage]:
    """The stages of a network whose blocks are called layerN.M; others have none."""
    blocks: dict[str, dict[str, list[Layer]]] = {}
    for layer in layers:
        if found := re.match(r"(layer\d+)\.(\d+)\.", layer.name):
            blocks.setdefault(found[1], {}).setdefault(found[2], []).append(layer)
    return [_stage(name, list(parts.values())) for name, parts in blocks.items()]


def shortcut_option(found: Sequence[Stage]) -> str:
    """The option of section 3.3 that the blocks amount to, or their mixture in words."""
    kinds = [kind for stage in found for kind in stage.shortcuts]
    later = [kind for stage in found for kind in stage.shortcuts[1:]]
    if set(kinds) == {"none"}:
        return "none"
    if set(kinds) == {"projection"}:
        return "C"
    if set(later) <= {"identity"}:
        changing = {stage.shortcuts[0] for stage in found} - {"identity"}
        if len(changing) == 1:
            return {"projection": "B", "zero-padded": "A"}.get(changing.pop(), "mixed")
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "no blocks"


def total(layers: Sequence[Layer], what: str) -> int:
    """The sum of `parameters` or `multiply_adds`."""
    return sum(getattr(layer, what) for layer in layers)


def has_dropout(layers: Sequence[Layer]) -> bool:
    """Whether training draws random numbers."""
    return any(layer.operation == Operation.DROPOUT for layer in layers)


def depth(layers: Sequence[Layer]) -> int:
    """The number of weighted layers: convolutions of the main path, and fully-connected ones."""
    return sum(
        layer.operation == Operation.FULLY_CONNECTED
        or (layer.operation == Operation.CONVOLUTION and not _on_shortcut(layer))
        for layer in layers
    )


def _stage(name: str, blocks: list[list[Layer]]) -> Stage:
    main = [[la for la in block if not _on_shortcut(la)] for block in blocks]
    convolutions = [[la for la in block if la.operation == Operation.CONVOLUTION] for block in main]
    written = [tuple(f"{c.kernel}×{c.kernel}, {c.out_channels}" for c in b) for b in convolutions]
    return Stage(
        name,
        blocks[-1][-1].output_size,
        max(written, key=written.count, default=()),
        len(blocks),
        tuple((f"{c.kernel}×{c.kernel}", c.stride or 1) for c in convolutions[0]),
        max([c.stride or 1 for block in convolutions[1:] for c in block], default=1),
        tuple(dict.fromkeys(_order(block) for block in main)),
        tuple(_shortcut(block) for block in blocks),
        sum(len(block) for block in convolutions),
    )


def _on_shortcut(layer: Layer) -> bool:
    return ".downsample." in layer.name or layer.operation in (
        Operation.SUBSAMPLE,
        Operation.ZERO_PAD,
    )


def _order(block: Sequence[Layer]) -> str:
    words: dict[str, str] = {
        Operation.BATCH_NORM: "BN",
        Operation.RELU: "ReLU",
        Operation.ADDITION: "+",
    }
    return " ".join(
        f"{la.kernel}×{la.kernel}"
        if la.operation == Operation.CONVOLUTION
        else words.get(la.operation, la.operation)
        for la in block
    )


def _shortcut(block: Sequence[Layer]) -> str:
    if not any(layer.operation == Operation.ADDITION for layer in block):
        return "none"
    aside = [layer for layer in block if _on_shortcut(layer)]
    if any(layer.operation == Operation.CONVOLUTION for layer in aside):
        return "projection"
    return "zero-padded" if any(la.operation == Operation.ZERO_PAD for la in aside) else "identity"
