"""What a spec means: every layer with its size, parameters and multiply-adds, by arithmetic alone.

A multiply-add counts once, in convolutions and in the fully-connected layer; parameters are the
convolutions' weights, the batch norms' gamma and beta, and the last layer's weight and bias.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from resnet_gen.network import layers as op
from resnet_gen.network.layers import Layer
from resnet_gen.read.network_spec import CifarSpec, ImagenetSpec, NetworkSpec


@dataclass(frozen=True)
class StagePlan:
    """One stage: what its blocks are built from."""

    name: str  # layer1
    label: str  # conv2_x in Table 1; empty for section 4.2, which names none
    in_channels: int
    width: int  # filters of its 3×3 layers
    out_channels: int  # four times the width for bottlenecks
    blocks: int
    stride: int
    output_size: int


@dataclass(frozen=True)
class Network:
    """A spec, expanded."""

    spec: NetworkSpec
    stages: tuple[StagePlan, ...]
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """Learned numbers; running statistics are not."""
        return op.total(self.layers, "parameters")

    @property
    def multiply_adds(self) -> int:
        """For one image."""
        return op.total(self.layers, "multiply_adds")


def block_of(spec: NetworkSpec) -> str:
    """The kind of block: basic or bottleneck."""
    return spec.block if isinstance(spec, ImagenetSpec) else "basic"


def expand(spec: NetworkSpec) -> Network:
    """The network that the spec means."""
    draft, x = _Draft(), _Feature("input", spec.image_channels, spec.image_size)
    if isinstance(spec, CifarSpec):
        x = draft.convolution_bn_relu("conv1", "bn1", "relu1", x, spec.width, 3, 1)
        counts, first_label = [spec.n] * 3, None
    else:
        x = draft.convolution_bn_relu("conv1", "bn1", "relu1", x, spec.width, 7, 2)
        x = draft.max_pool("max_pool1", x, padded=spec.pooling == "padded")
        counts, first_label = spec.blocks, 2
    expansion = 4 if block_of(spec) == "bottleneck" else 1
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
    return Network(spec, tuple(stages), tuple(draft.layers))


class _Feature(NamedTuple):
    """What flows from one layer to the next."""

    source: str
    channels: int
    size: int


class _Draft:
    """The layers so far; each method adds one and says what comes out of it."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []

    def _add(self, x: _Feature, layer: Layer) -> _Feature:
        self.layers.append(replace(layer, input_size=x.size))
        return _Feature(layer.name, layer.out_channels, layer.output_size)

    def convolution(
        self, name: str, x: _Feature, channels: int, kernel: int, stride: int
    ) -> _Feature:
        size = (x.size - 1) // stride + 1  # padded by (kernel - 1) / 2
        weights = x.channels * channels * kernel**2
        work = weights * size**2
        return self._add(
            x,
            Layer(
                name,
                op.CONVOLUTION,
                x.channels,
                channels,
                size,
                kernel,
                stride,
                weights,
                work,
                (x.source,),
            ),
        )

    def batch_norm(self, name: str, x: _Feature) -> _Feature:
        c = x.channels
        return self._add(
            x, Layer(name, op.BATCH_NORM, c, c, x.size, parameters=2 * c, inputs=(x.source,))
        )

    def relu(self, name: str, x: _Feature) -> _Feature:
        return self._add(
            x, Layer(name, op.RELU, x.channels, x.channels, x.size, inputs=(x.source,))
        )

    def convolution_bn_relu(
        self,
        convolution: str,
        bn: str,
        relu: str,
        x: _Feature,
        channels: int,
        kernel: int,
        stride: int,
    ) -> _Feature:
        x = self.convolution(convolution, x, channels, kernel, stride)
        return self.relu(relu, self.batch_norm(bn, x))

    def max_pool(self, name: str, x: _Feature, *, padded: bool) -> _Feature:
        # padded by 1 and rounded down, or not padded and rounded up
        size = (x.size - 1) // 2 + 1 if padded else -(-(x.size - 3) // 2) + 1
        c, operation = x.channels, op.MAX_POOL if padded else op.CEIL_MAX_POOL
        return self._add(x, Layer(name, operation, c, c, size, 3, 2, inputs=(x.source,)))

    def average_pool(self, name: str, x: _Feature) -> _Feature:
        c = x.channels
        return self._add(x, Layer(name, op.AVERAGE_POOL, c, c, 1, inputs=(x.source,)))

    def fully_connected(self, name: str, x: _Feature, classes: int) -> _Feature:
        weights = x.channels * classes
        return self._add(
            x,
            Layer(
                name,
                op.FULLY_CONNECTED,
                x.channels,
                classes,
                1,
                parameters=weights + classes,
                multiply_adds=weights,
                inputs=(x.source,),
            ),
        )

    def subsample(self, name: str, x: _Feature, stride: int) -> _Feature:
        c, size = x.channels, (x.size - 1) // stride + 1
        return self._add(
            x, Layer(name, op.SUBSAMPLE, c, c, size, stride=stride, inputs=(x.source,))
        )

    def zero_pad(self, name: str, x: _Feature, channels: int, *, both_sides: bool) -> _Feature:
        before = (channels - x.channels) // 2 if both_sides else 0
        operation = op.ZERO_PAD_BOTH if before else op.ZERO_PAD
        return self._add(
            x, Layer(name, operation, x.channels, channels, x.size, inputs=(x.source,))
        )

    def addition(self, name: str, x: _Feature, y: _Feature) -> _Feature:
        inputs = (x.source, y.source)
        return self._add(x, Layer(name, op.ADDITION, x.channels, x.channels, x.size, inputs=inputs))


def _block(
    draft: _Draft, spec: NetworkSpec, name: str, x: _Feature, width: int, stride: int
) -> _Feature:
    """3×3, 3×3 (basic) or 1×1, 3×3, 1×1 (bottleneck), each with its batch norm.

    A ReLU follows all but the last of them; the addition and a ReLU follow that one.
    """
    if isinstance(spec, ImagenetSpec) and spec.block == "bottleneck":
        in_3x3 = spec.stride_in == "conv3x3"
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
    draft: _Draft, spec: NetworkSpec, name: str, x: _Feature, channels: int, stride: int
) -> _Feature:
    """Section 3.3: identity where the dimensions agree (A, B); zero-padded or projected else."""
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
