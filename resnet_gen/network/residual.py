"""The layers of Table 1's networks and of section 4.2's: a stem, stages of blocks, and a head."""

from __future__ import annotations

from dataclasses import dataclass

from resnet_gen.network.draft import Draft, Feature
from resnet_gen.read.network_spec import CifarSpec, ResidualDesign


@dataclass(frozen=True)
class StagePlan:
    """A stage of the network, and what its blocks are built from."""

    name: str  # the attribute of the generated class: layer1
    label: str  # Table 1's name for it, conv2_x; empty in section 4.2, which has no names
    in_channels: int
    width: int  # the filters of its 3×3 layers
    out_channels: int  # four times the width for bottlenecks
    blocks: int
    stride: int
    output_size: int


def draft_residual(draft: Draft, x: Feature, spec: ResidualDesign) -> tuple[StagePlan, ...]:
    """Adds all layers, from the images `x` to the scores."""
    if isinstance(spec, CifarSpec):
        x = draft.convolution_bn_relu("conv1", "bn1", "relu1", x, spec.width, 3, 1)
        counts, first_label = [spec.n] * 3, None
    else:
        x = draft.convolution_bn_relu("conv1", "bn1", "relu1", x, spec.width, 7, 2)
        ceil = spec.pooling == "ceil"
        x = draft.max_pool("max_pool1", x, 3, padding=0 if ceil else 1, ceil=ceil)
        counts, first_label = spec.blocks, 2
    expansion = 4 if spec.block == "bottleneck" else 1
    stages = []
    for index, blocks in enumerate(counts):
        name, width, stride = f"layer{index + 1}", spec.width * 2**index, 1 if index == 0 else 2
        before = x.channels
        for number in range(blocks):
            x = _block(draft, spec, f"{name}.{number}", x, width, stride if number == 0 else 1)
        label = f"conv{first_label + index}_x" if first_label else ""
        stages.append(
            StagePlan(name, label, before, width, width * expansion, blocks, stride, x.size)
        )
    x = draft.average_pool("average_pool1", x)
    draft.fully_connected("fc", x, spec.classes)
    return tuple(stages)


def _block(
    draft: Draft, spec: ResidualDesign, name: str, x: Feature, width: int, stride: int
) -> Feature:
    """3×3, 3×3 (basic) or 1×1, 3×3, 1×1 (bottleneck), each with its batch norm.

    A ReLU follows all but the last of them; the addition and a ReLU follow that one.
    """
    if spec.block == "bottleneck":
        in_3x3 = spec.strided_convolution == 2
        plan = [
            (width, 1, 1 if in_3x3 else stride),
            (width, 3, stride if in_3x3 else 1),
            (4 * width, 1, 1),
        ]
    else:
        plan = [(width, 3, stride), (width, 3, 1)]
    out = x
    for k, (channels, kernel, step) in enumerate(plan, start=1):
        out = draft.convolution(f"{name}.conv{k}", out, channels, kernel, step)
        out = draft.batch_norm(f"{name}.bn{k}", out)
        if k < len(plan):
            out = draft.relu(f"{name}.relu{k}", out)
    if spec.shortcut != "none":
        aside = _shortcut(draft, spec, name, x, out.channels, stride)
        out = draft.addition(f"{name}.addition1", out, aside)
    return draft.relu(f"{name}.relu{len(plan)}", out)


def _shortcut(
    draft: Draft, spec: ResidualDesign, name: str, x: Feature, channels: int, stride: int
) -> Feature:
    """The shortcut of section 3.3: identity, zero-padded or projected, by the option."""
    changes = x.channels != channels or stride != 1
    if spec.shortcut == "C" or (spec.shortcut == "B" and changes):
        x = draft.convolution(f"{name}.downsample.0", x, channels, 1, stride)
        return draft.batch_norm(f"{name}.downsample.1", x)
    if changes:
        if stride != 1:
            x = draft.subsample(f"{name}.subsample1", x, stride)
        both = spec.zero_padding == "both"
        x = draft.zero_pad(f"{name}.zero_pad1", x, channels, both_sides=both)
    return x
