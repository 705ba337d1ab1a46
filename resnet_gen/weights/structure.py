"""What network a file's weights are of, by their names and shapes alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor

from resnet_gen.read.network_spec import CONVOLUTIONS, CifarSpec, NetworkSpec, VggSpec

VGG_BLOCK = "convolutions"  # in place of a kind of block


@dataclass(frozen=True)
class Structure:
    """A network as far as shapes tell it; `shortcut` is A of none and A, which have no weights."""

    design: str  # imagenet, cifar or vgg
    depth: int
    block: str  # basic, bottleneck, or VGG_BLOCK
    blocks: tuple[int, ...]
    width: int
    shortcut: str  # B, C, "none or A", or mixed; none for VGG
    classes: int | None  # None where the last layer is missing
    image_channels: int

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"blocks": list(self.blocks)}

    def __str__(self) -> str:
        stages = ", ".join(map(str, self.blocks))
        if self.block == VGG_BLOCK:
            return f"{self.depth} layers, {self.block} [{stages}]"
        return f"{self.depth} layers, {self.block} blocks [{stages}], shortcut {self.shortcut}"


def structure(tensors: Mapping[str, Tensor]) -> Structure | str:
    """The network's structure, or a sentence why it has none of this project's designs."""
    if "features.0.weight" in tensors:
        return _vgg(tensors)
    stem = tensors.get("conv1.weight")
    if stem is None or stem.dim() != 4:
        return "it has no conv1 of one convolution"
    stages = sorted({int(m[1]) for name in tensors if (m := re.match(r"layer(\d+)\.", name))})
    kernel = int(stem.shape[2])
    design = {(4, 7): "imagenet", (3, 3): "cifar"}.get((len(stages), kernel), "")
    if not design or stages != list(range(1, len(stages) + 1)):
        return f"its conv1 is {kernel}×{kernel}, before {len(stages)} stages"
    blocks = []
    for stage in stages:
        pattern = re.compile(rf"layer{stage}\.(\d+)\.")
        numbers = {int(found[1]) for name in tensors if (found := pattern.match(name))}
        if numbers != set(range(len(numbers))):
            return f"blocks of its stage {stage} are missing"
        blocks.append(len(numbers))
    block = "bottleneck" if "layer1.0.conv3.weight" in tensors else "basic"
    head = tensors.get("fc.weight")
    return Structure(
        design,
        2 + CONVOLUTIONS[block] * sum(blocks),
        block,
        tuple(blocks),
        int(stem.shape[0]),
        _shortcut(tensors, blocks, block),
        int(head.shape[0]) if head is not None and head.dim() == 2 else None,
        int(stem.shape[1]),
    )


def _vgg(tensors: Mapping[str, Tensor]) -> Structure | str:
    """VGG by the places of its convolutions: a ReLU takes one, and a max pool after a stage."""
    stem, head = tensors["features.0.weight"], tensors.get("classifier.6.weight")
    found = (re.fullmatch(r"features\.(\d+)\.weight", name) for name in tensors)
    places = sorted(int(each[1]) for each in found if each)
    steps = [after - before for before, after in pairwise(places)]
    if stem.dim() != 4 or not set(steps) <= {2, 3} or steps.count(3) != 4:
        return "its features are not VGG's five stages of convolutions"
    stages = "".join(map(str, steps)).split("3")
    blocks = tuple(len(stage) + 1 for stage in stages)
    return Structure(
        "vgg",
        sum(blocks) + 3,
        VGG_BLOCK,
        blocks,
        int(stem.shape[0]),
        "none",
        int(head.shape[0]) if head is not None and head.dim() == 2 else None,
        int(stem.shape[1]),
    )


def _shortcut(tensors: Mapping[str, Tensor], blocks: list[int], block: str) -> str:
    projected = {
        (stage, index)
        for stage, count in enumerate(blocks, start=1)
        for index in range(count)
        if f"layer{stage}.{index}.downsample.0.weight" in tensors
    }
    everywhere = {(stage, i) for stage, count in enumerate(blocks, start=1) for i in range(count)}
    growing = {(stage, 0) for stage in range(1 if block == "bottleneck" else 2, len(blocks) + 1)}
    if not projected:
        return "none or A"
    return {frozenset(everywhere): "C", frozenset(growing): "B"}.get(frozenset(projected), "mixed")


def of_spec(spec: NetworkSpec) -> Structure:
    """The structure of one of our networks, to compare with a file's."""
    blocks = (spec.n,) * 3 if isinstance(spec, CifarSpec) else tuple(spec.blocks)
    block, shortcut = VGG_BLOCK, str(spec.shortcut)
    if not isinstance(spec, VggSpec):
        block = spec.block
        shortcut = "none or A" if shortcut in ("none", "A") else shortcut
    return Structure(
        spec.design, spec.depth, block, blocks, spec.width, shortcut, spec.classes,
        spec.image_channels,
    )  # fmt: skip
