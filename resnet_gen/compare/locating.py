"""Where code begins to compute something else than the layer list.

Each layer is held against the layer list twice: with the values that the layer list has there,
and with what its own operation makes of the code's inputs. The second stays at rounding in the
deepest network, wherever the code is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan

import torch
from torch import Tensor, nn

from resnet_gen.compare.operations import Call
from resnet_gen.compare.recorder import follow
from resnet_gen.compare.reference import Mode, apply
from resnet_gen.network.layers import Layer, has_dropout


@dataclass(frozen=True)
class Located:
    """The first layer that is not the layer list's, the largest error of one operation, casts."""

    first: str  # empty where every layer is
    local: float  # of its largest value
    casts: bool  # whether some tensor has another precision than the images


def distance(found: Tensor | None, expected: Tensor | None, scale: float = 0.0) -> float:
    """The largest difference, relative to the largest value expected (or to `scale`).

    It is infinite where there is only one of the two, or their shapes differ.
    """
    if found is None or expected is None or found.shape != expected.shape:
        return 0.0 if found is expected else inf
    largest = max(expected.abs().max().item() if expected.numel() else 0.0, scale, 1e-300)
    off = (found.detach().to(expected.dtype) - expected.detach()).abs_()
    worst = off.max().item() if off.numel() else 0.0
    return inf if isnan(worst) else worst / largest


def locate(
    model: nn.Module,
    layers: Sequence[Layer],
    expected: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    tolerance: float,
) -> Located:
    """Runs `model`, in the mode in which it is, on the images of `expected["input"]`.

    `expected` has every layer's output as the layer list has it; `weights` its weights.
    """
    known = {layer.name: layer for layer in layers}
    off: dict[str, float] = {}
    local: dict[str, float] = {}
    casts = False
    images = expected["input"].detach().clone()

    def watch(layer: Layer, call: Call) -> None:
        nonlocal casts
        casts |= call.output.is_floating_point() and call.output.dtype != images.dtype
        reference = known.get(layer.name)
        if reference is None:
            return
        off[layer.name] = distance(_as(call.output, expected[layer.name]), expected[layer.name])
        local[layer.name] = 0.0
        kept = all(x.data_ptr() != call.output.data_ptr() for x in call.traced)
        if kept and layer.inputs == reference.inputs and layer.operation == reference.operation:
            with torch.no_grad():
                again = apply(reference, call.traced, weights, Mode(model.training, {}))
            local[layer.name] = distance(_as(call.output, again), again)

    with torch.no_grad():
        follow(model, images, watch, without_dropout=has_dropout(layers))
    first = next((name for name, each in off.items() if not each <= tolerance), "")
    missing = [layer.name for layer in layers if layer.name not in off]
    return Located(first, inf if missing else max(local.values(), default=0.0), casts)


def _as(found: Tensor, expected: Tensor) -> Tensor:
    """The same numbers in the other's shape, where pooled maps are one value each or none."""
    return found.reshape(expected.shape) if found.numel() == expected.numel() else found
