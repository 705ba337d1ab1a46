"""One layer of a network, and what a list of them says stage by stage.

The arithmetic (expansion.py) and the measurement (compare/measure.py) each make their own list;
that both speak of a layer in the same words is what lets them be compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

CONVOLUTION = "convolution"
BATCH_NORM = "batch norm"
RELU = "ReLU"
ADDITION = "addition"
SUBSAMPLE = "subsample"
ZERO_PAD = "zero pad"
ZERO_PAD_BOTH = "zero pad, on both sides"
MAX_POOL = "max pool"
CEIL_MAX_POOL = "max pool, rounded up"
AVERAGE_POOL = "average pool"
FULLY_CONNECTED = "fully connected"


@dataclass(frozen=True)
class Layer:
    """A step of the forward pass, for one image.

    Names are those of the generated modules (`layer1.0.conv1`); steps without a module of their
    own are numbered in the module that takes them (`layer1.0.relu2`). Sizes are height and width
    in pixels, 1 after the global pooling. `inputs` names the layers that feed this one.
    """

    name: str
    operation: str
    in_channels: int
    out_channels: int
    output_size: int
    kernel: int | None = None
    stride: int | None = None
    parameters: int = 0
    multiply_adds: int = 0
    inputs: tuple[str, ...] = ()
    input_size: int = 0

    def __str__(self) -> str:
        """`3×3, 64, stride 2`: how Table 1 writes a layer, or the operation's name."""
        pool = " max pool" if self.operation in (MAX_POOL, CEIL_MAX_POOL) else ""
        stride = f", stride {self.stride}" if (self.stride or 1) > 1 else ""
        if self.operation == CONVOLUTION or pool:
            width = "" if pool else f", {self.out_channels}"
            return f"{self.kernel}×{self.kernel}{pool}{width}{stride}"
        if self.operation == FULLY_CONNECTED:
            return f"{self.out_channels}-d fc"
        return f"{self.operation}{stride}"


@dataclass(frozen=True)
class Stage:
    """What a stage's layers have in common: a row of Table 1."""

    name: str  # layer1
    output_size: int
    convolutions: tuple[str, ...]  # of each block's main path: ("3×3, 64", "3×3, 64")
    repeats: int
    strides: tuple[tuple[str, int], ...]  # kernel and stride of the first block's convolutions
    later_strides: int  # the largest stride in the blocks after the first
    orders: tuple[str, ...]  # each distinct block's steps: "3×3 BN ReLU 3×3 BN + ReLU"
    shortcuts: tuple[str, ...]  # of each block: "identity", "projection", "zero-padded", "none"
    weighted: int  # weighted layers on the main path


def stages(layers: Sequence[Layer]) -> list[Stage]:
    """The stages of a network whose blocks are called layerN.M; others have none."""
    blocks: dict[str, dict[str, list[Layer]]] = {}
    for layer in layers:
        if found := re.match(r"(layer\d+)\.(\d+)\.", layer.name):
            blocks.setdefault(found[1], {}).setdefault(found[2], []).append(layer)
    return [_stage(name, list(parts.values())) for name, parts in blocks.items()]


def shortcut_option(found: Sequence[Stage]) -> str:
    """none, A, B or C (section 3.3) by what the blocks have; other mixtures are spelled out."""
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


def depth(layers: Sequence[Layer]) -> int:
    """Weighted layers: convolutions of the main path, and the fully-connected ones."""
    return sum(
        layer.operation == FULLY_CONNECTED
        or (layer.operation == CONVOLUTION and not _on_shortcut(layer))
        for layer in layers
    )


def _stage(name: str, blocks: list[list[Layer]]) -> Stage:
    main = [[la for la in block if not _on_shortcut(la)] for block in blocks]
    convolutions = [[la for la in block if la.operation == CONVOLUTION] for block in main]
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
    return ".downsample." in layer.name or layer.operation in (SUBSAMPLE, ZERO_PAD, ZERO_PAD_BOTH)


def _order(block: Sequence[Layer]) -> str:
    words = {BATCH_NORM: "BN", RELU: "ReLU", ADDITION: "+"}
    return " ".join(
        f"{la.kernel}×{la.kernel}"
        if la.operation == CONVOLUTION
        else words.get(la.operation, la.operation)
        for la in block
    )


def _shortcut(block: Sequence[Layer]) -> str:
    if not any(layer.operation == ADDITION for layer in block):
        return "none"
    aside = [layer for layer in block if _on_shortcut(layer)]
    if any(layer.operation == CONVOLUTION for layer in aside):
        return "projection"
    return "zero-padded" if any("zero pad" in la.operation for la in aside) else "identity"
