"""The layers of a network, drafted one after the other by arithmetic.

A multiply-add counts once, in convolutions and in fully-connected layers; parameters are their
weights and biases, and the batch norms' gamma and beta.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from resnet_gen.network.layers import Layer, Operation, arguments

EPS, MOMENTUM = 1e-5, 0.1  # torch's defaults for batch norm, which the references keep


class Feature(NamedTuple):
    """What flows from one layer to the next."""

    source: str
    channels: int
    size: int


class Draft:
    """The layers so far; each method adds one and says what comes out of it."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []

    def _add(self, x: Feature, layer: Layer) -> Feature:
        inputs = layer.inputs or (x.source,)
        self.layers.append(replace(layer, input_size=x.size, inputs=inputs))
        return Feature(layer.name, layer.out_channels, layer.output_size)

    def convolution(
        self,
        name: str,
        x: Feature,
        channels: int,
        kernel: int,
        stride: int,
        *,
        bias: bool = False,
    ) -> Feature:
        """Padded by (kernel - 1) / 2."""
        size = (x.size - 1) // stride + 1
        weights = x.channels * channels * kernel**2
        layer = Layer(
            name,
            Operation.CONVOLUTION,
            x.channels,
            channels,
            size,
            kernel,
            stride,
            parameters=weights + (channels if bias else 0),
            multiply_adds=weights * size**2,
            arguments=arguments(padding=(kernel - 1) // 2, dilation=1, groups=1, bias=bias),
        )
        return self._add(x, layer)

    def batch_norm(self, name: str, x: Feature) -> Feature:
        """One gamma and one beta a channel."""
        c = x.channels
        given = arguments(eps=EPS, momentum=MOMENTUM, statistics="batch", running=True, affine=True)
        layer = Layer(name, Operation.BATCH_NORM, c, c, x.size, parameters=2 * c, arguments=given)
        return self._add(x, layer)

    def relu(self, name: str, x: Feature) -> Feature:
        """Negative values become zero."""
        return self._add(x, Layer(name, Operation.RELU, x.channels, x.channels, x.size))

    def convolution_bn_relu(
        self,
        convolution: str,
        bn: str,
        relu: str,
        x: Feature,
        channels: int,
        kernel: int,
        stride: int,
    ) -> Feature:
        """The three that follow one another in a residual network."""
        x = self.convolution(convolution, x, channels, kernel, stride)
        return self.relu(relu, self.batch_norm(bn, x))

    def max_pool(
        self, name: str, x: Feature, kernel: int, *, padding: int = 0, ceil: bool = False
    ) -> Feature:
        """A stride of 2; windows that meet the border are left out, or with `ceil` cut off."""
        room = x.size + 2 * padding - kernel
        size = (-(-room // 2) if ceil else room // 2) + 1
        given = arguments(padding=padding, dilation=1, ceil=ceil)
        c = x.channels
        return self._add(x, Layer(name, Operation.MAX_POOL, c, c, size, kernel, 2, arguments=given))

    def average_pool(self, name: str, x: Feature) -> Feature:
        """The mean of each channel."""
        return self._add(x, Layer(name, Operation.AVERAGE_POOL, x.channels, x.channels, 1))

    def adaptive_pool(self, name: str, x: Feature, size: int) -> Feature:
        """Means of size × size parts of the maps, which overlap where they do not divide them."""
        return self._add(x, Layer(name, Operation.ADAPTIVE_POOL, x.channels, x.channels, size))

    def dropout(self, name: str, x: Feature, probability: float) -> Feature:
        """Active in training alone."""
        given = arguments(p=probability, active=True)
        c = x.channels
        return self._add(x, Layer(name, Operation.DROPOUT, c, c, x.size, arguments=given))

    def fully_connected(self, name: str, x: Feature, units: int) -> Feature:
        """With a bias; maps that are larger than a pixel are laid out in one row."""
        x = Feature(x.source, x.channels * x.size**2, 1)
        weights = x.channels * units
        layer = Layer(
            name,
            Operation.FULLY_CONNECTED,
            x.channels,
            units,
            1,
            parameters=weights + units,
            multiply_adds=weights,
            arguments=arguments(bias=True),
        )
        return self._add(x, layer)

    def subsample(self, name: str, x: Feature, stride: int) -> Feature:
        """Every second pixel, for a stride of 2."""
        c, size, given = x.channels, (x.size - 1) // stride + 1, arguments(offset=0)
        return self._add(
            x, Layer(name, Operation.SUBSAMPLE, c, c, size, stride=stride, arguments=given)
        )

    def zero_pad(self, name: str, x: Feature, channels: int, *, both_sides: bool) -> Feature:
        """More channels, of zeros."""
        extra = channels - x.channels
        before = extra // 2 if both_sides else 0
        given = arguments(before=before, after=extra - before, value=0)
        return self._add(
            x, Layer(name, Operation.ZERO_PAD, x.channels, channels, x.size, arguments=given)
        )

    def addition(self, name: str, x: Feature, y: Feature) -> Feature:
        """The sum of a block's main path and its shortcut."""
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
