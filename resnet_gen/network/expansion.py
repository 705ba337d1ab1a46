"""What a spec means: every layer with its size, parameters and multiply-adds, by arithmetic alone.

A multiply-add counts once, in convolutions and in the fully-connected layer; parameters are the
convolutions' weights, the batch norms' gamma and beta, and the last layer's weight and bias.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from resnet_gen.network import layers as op
from resnet_gen.network.layers import Layer, Operation, arguments
from resnet_gen.read.network_spec import CifarSpec, NetworkSpec

EPS, MOMENTUM = 1e-5, 0.1  # torch's defaults for batch norm, which the references keep


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


@dataclass(frozen=True)
class Network:
    """A spec with its stages and layers."""

    spec: NetworkSpec
    stages: tuple[StagePlan, ...]
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """The number of learned values, which running statistics are not among."""
        return op.total(self.layers, "parameters")

    @property
    def multiply_adds(self) -> int:
        """The multiply-adds of a forward pass with one image."""
        return op.total(self.layers, "multiply_adds")


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
        inputs = layer.inputs or (x.source,)
        self.layers.append(replace(layer, input_size=x.size, inputs=inputs))
        return _Feature(layer.name, layer.out_channels, layer.output_size)

    def convolution(
        self, name: str, x: _Feature, channels: int, kernel: int, stride: int
    ) -> _Feature:
        size = (x.size - 1) // stride + 1  # padded by (kernel - 1) / 2
        weights = x.channels * channels * kernel**2
        layer = Layer(
            name,
            Operation.CONVOLUTION,
            x.channels,
            channels,
            size,
            kernel,
            stride,
            parameters=weights,
            multiply_adds=weights * size**2,
            arguments=arguments(padding=(kernel - 1) // 2, dilation=1, groups=1, bias=False),
        )
        return self._add(x, layer)

    def batch_norm(self, name: str, x: _Feature) -> _Feature:
        c = x.channels
        given = arguments(eps=EPS, momentum=MOMENTUM, statistics="batch", running=True, affine=True)
        layer = Layer(name, Operation.BATCH_NORM, c, c, x.size, parameters=2 * c, arguments=given)
        return self._add(x, layer)

    def relu(self, name: str, x: _Feature) -> _Feature:
        return self._add(x, Layer(name, Operation.RELU, x.channels, x.channels, x.size))

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
        given = arguments(padding=1 if padded else 0, dilation=1, ceil=not padded)
        c = x.channels
        return self._add(x, Layer(name, Operation.MAX_POOL, c, c, size, 3, 2, arguments=given))

    def average_pool(self, name: str, x: _Feature) -> _Feature:
        return self._add(x, Layer(name, Operation.AVERAGE_POOL, x.channels, x.channels, 1))

    def fully_connected(self, name: str, x: _Feature, classes: int) -> _Feature:
        weights = x.channels * classes
        layer = Layer(
            name,
            Operation.FULLY_CONNECTED,
            x.channels,
            classes,
            1,
            parameters=weights + classes,
            multiply_adds=weights,
            arguments=arguments(bias=True),
        )
        return self._add(x, layer)

    def subsample(self, name: str, x: _Feature, stride: int) -> _Feature:
        c, size, given = x.channels, (x.size - 1) // stride + 1, arguments(offset=0)
        return self._add(
            x, Layer(name, Operation.SUBSAMPLE, c, c, size, stride=stride, arguments=given)
        )

    def zero_pad(self, name: str, x: _Feature, channels: int, *, both_sides: bool) -> _Feature:
        extra = channels - x.channels
        before = extra // 2 if both_sides else 0
        given = arguments(before=before, after=extra - before, value=0)
        return self._add(
            x, Layer(name, Operation.ZERO_PAD, x.channels, channels, x.size, arguments=given)
        )

    def addition(self, name: str, x: _Feature, y: _Feature) -> _Feature:
        inputs, given = tuple(sorted((x.source, y.source))), arguments(alpha=1)
        layer = Layer(
            name,
            Operation.ADDITION,
            x.channels,
            x.channels,
            x.size,
            inputs=inputs,
            arguments=given,
        )
        return self._add(x, layer)


def _block(
    draft: _Draft, spec: NetworkSpec, name: str, x: _Feature, width: int, stride: int
) -> _Feature:
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
    draft: _Draft, spec: NetworkSpec, name: str, x: _Feature, channels: int, stride: int
) -> _Feature:
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
