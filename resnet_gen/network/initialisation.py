"""How the weights of a network begin, by arithmetic: section 3.4, which follows He et al. 2015b.

Convolutions are drawn from a normal distribution of variance 2 / fan, batch norms begin as the
identity, and the fully-connected layer keeps PyTorch's own uniform distribution. Of VGG the paper
does not say; its biases and fully-connected layers begin as torchvision's.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from resnet_gen.network.expansion import Network
from resnet_gen.network.layers import Layer, Operation
from resnet_gen.read.network_spec import VggSpec

VGG_DEVIATION = 0.01  # of the weights of fully-connected layers


class Distribution(NamedTuple):
    """What a tensor is filled with; of a constant, `first` is the value."""

    kind: str  # "normal", "uniform" or "constant"
    first: float  # mean, or lower bound
    second: float = 0.0  # standard deviation, or upper bound

    def __str__(self) -> str:
        if self.kind == "normal":
            return f"normal, mean {self.first:g}, standard deviation {self.second:.7g}"
        if self.kind == "uniform":
            return f"uniform from {self.first:.7g} to {self.second:.7g}"
        return f"all {self.first:g}"


def initial(network: Network) -> dict[str, Distribution]:
    """The distribution of every parameter and running statistic, by its name in a state dict."""
    spec, zero = network.spec, Distribution("constant", 0.0)
    is_vgg = isinstance(spec, VggSpec)
    last = set() if isinstance(spec, VggSpec) or not spec.zero_gamma else _last_batch_norms(network)
    found = {}
    for layer in network.layers:
        if layer.operation == Operation.CONVOLUTION:
            found[f"{layer.name}.weight"] = _he(layer, spec.initialisation)
            if is_vgg:
                found[f"{layer.name}.bias"] = zero
        elif layer.operation == Operation.BATCH_NORM:
            gamma = 0.0 if layer.name in last else 1.0
            for name, value in (("weight", gamma), ("bias", 0.0)):
                found[f"{layer.name}.{name}"] = Distribution("constant", value)
            for name, value in (("running_mean", 0.0), ("running_var", 1.0)):
                found[f"{layer.name}.{name}"] = Distribution("constant", value)
        elif layer.operation == Operation.FULLY_CONNECTED and is_vgg:
            found[f"{layer.name}.weight"] = Distribution("normal", 0.0, VGG_DEVIATION)
            found[f"{layer.name}.bias"] = zero
        elif layer.operation == Operation.FULLY_CONNECTED:
            bound = 1 / math.sqrt(layer.in_channels)
            for name in ("weight", "bias"):
                found[f"{layer.name}.{name}"] = Distribution("uniform", -bound, bound)
    return found


def _he(layer: Layer, fan: str) -> Distribution:
    channels = layer.out_channels if fan == "fan_out" else layer.in_channels
    return Distribution("normal", 0.0, math.sqrt(2 / (channels * (layer.kernel or 1) ** 2)))


def _last_batch_norms(network: Network) -> set[str]:
    """The last batch norm of each block's main path."""
    last = {}
    for layer in network.layers:
        if found := re.fullmatch(r"(layer\d+\.\d+)\.bn\d+", layer.name):
            last[found[1]] = layer.name
    return set(last.values())
