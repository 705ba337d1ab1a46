"""How the weights of a network begin, by arithmetic: section 3.4, which follows He et al. 2015b.

Convolutions are drawn from a normal distribution of variance 2 / fan, batch norms begin as the
identity, and the fully-connected layer keeps PyTorch's own uniform distribution.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from resnet_gen.network.expansion import Network
from resnet_gen.network.layers import Layer, Operation


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
    last = _last_batch_norms(network.layers) if network.spec.zero_gamma else set()
    found = {}
    for layer in network.layers:
        if layer.operation == Operation.CONVOLUTION:
            found[f"{layer.name}.weight"] = _he(layer, network.spec.initialisation)
        elif layer.operation == Operation.BATCH_NORM:
            gamma = 0.0 if layer.name in last else 1.0
            for name, value in (("weight", gamma), ("bias", 0.0)):
                found[f"{layer.name}.{name}"] = Distribution("constant", value)
            for name, value in (("running_mean", 0.0), ("running_var", 1.0)):
                found[f"{layer.name}.{name}"] = Distribution("constant", value)
        elif layer.operation == Operation.FULLY_CONNECTED:
            bound = 1 / math.sqrt(layer.in_channels)
            for name in ("weight", "bias"):
                found[f"{layer.name}.{name}"] = Distribution("uniform", -bound, bound)
    return found


def _he(layer: Layer, fan: str) -> Distribution:
    channels = layer.out_channels if fan == "fan_out" else layer.in_channels
    return Distribution("normal", 0.0, math.sqrt(2 / (channels * (layer.kernel or 1) ** 2)))


def _last_batch_norms(layers: tuple[Layer, ...]) -> set[str]:
    """The last batch norm of each block's main path."""
    last = {}
    for layer in layers:
        if found := re.fullmatch(r"(layer\d+\.\d+)\.bn\d+", layer.name):
            last[found[1]] = layer.name
    return set(last.values())
