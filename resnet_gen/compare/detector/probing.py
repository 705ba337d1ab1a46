"""What it takes to ask a network for numbers: weights that keep them alive, and a distance."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

Net = TypeVar("Net", bound=nn.Module)


def lively(net: Net) -> Net:
    """The network with statistics that normalise, so that no layer's numbers explode or vanish."""
    net.train()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    with torch.no_grad():
        net(torch.randn(4, 3, 96, 96))
    for norm in norms:
        norm.momentum = 0.1
    return net.eval()


def apart(one: Tensor, other: Tensor) -> float:
    """How far two results are apart at most, as a share of the largest number."""
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-12))
