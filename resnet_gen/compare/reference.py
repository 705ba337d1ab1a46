"""A network as its layer list says, computed in plain torch.

It shares nothing with the templates, and has no constant of its own: what an operation is given
stands in its layer. Batch norm is written out, so that it is not the call that the code uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from resnet_gen.network.layers import Layer, Operation

Weights = Mapping[str, Tensor]


class Mode(NamedTuple):
    """Whether batch norms use their batch's statistics; the new running ones are then put here."""

    training: bool
    statistics: dict[str, Tensor]


def interpret(
    layers: Sequence[Layer], weights: Weights, images: Tensor, mode: Mode
) -> dict[str, Tensor]:
    """Every layer's output by its name, for images (N, C, H, W); the last one is the scores.

    `weights` has the parameters and running statistics by their names in a state dict.
    """
    values = {"input": images}
    for layer in layers:
        values[layer.name] = apply(layer, [values[name] for name in layer.inputs], weights, mode)
    return values


def apply(layer: Layer, inputs: Sequence[Tensor], weights: Weights, mode: Mode) -> Tensor:
    """One layer's output for its inputs."""
    own = {
        name: weights[f"{layer.name}.{name}"]
        for name in shapes(layer)
        if f"{layer.name}.{name}" in weights
    }
    given = dict(layer.arguments)
    return OPERATIONS[Operation(layer.operation)](layer, inputs, own, given, mode)


def shapes(layer: Layer) -> dict[str, tuple[int, ...]]:
    """The tensors that a layer has in a state dict, without the count of batches."""
    given, out = dict(layer.arguments), layer.out_channels
    if layer.operation == Operation.CONVOLUTION:
        kernel, groups = layer.kernel or 1, int(str(given["groups"]))
        found: dict[str, tuple[int, ...]] = {
            "weight": (out, layer.in_channels // groups, kernel, kernel)
        }
        return found | ({"bias": (out,)} if given["bias"] else {})
    if layer.operation == Operation.BATCH_NORM:
        return {name: (out,) for name in ("weight", "bias", "running_mean", "running_var")}
    if layer.operation == Operation.FULLY_CONNECTED:
        return {"weight": (out, layer.in_channels), "bias": (out,)}
    return {}


def _convolution(
    layer: Layer, inputs: Sequence[Tensor], own: Weights, given: Any, _: Mode
) -> Tensor:
    return F.conv2d(
        inputs[0],
        own["weight"],
        own.get("bias"),
        layer.stride or 1,
        given["padding"],
        given["dilation"],
        given["groups"],
    )


def _batch_norm(
    layer: Layer, inputs: Sequence[Tensor], own: Weights, given: Any, mode: Mode
) -> Tensor:
    (x,) = inputs
    if mode.training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        count, momentum = x.numel() / x.shape[1], given["momentum"]
        unbiased = var * count / (count - 1)
        for name, new in (("running_mean", mean), ("running_var", unbiased)):
            kept = (1 - momentum) * own[name] + momentum * new.detach()
            mode.statistics[f"{layer.name}.{name}"] = kept
    else:
        mean, var = own["running_mean"], own["running_var"]
    normal = (x - _wide(mean)) / torch.sqrt(_wide(var) + given["eps"])
    return normal * _wide(own["weight"]) + _wide(own["bias"])


def _zero_pad(layer: Layer, inputs: Sequence[Tensor], _: Weights, given: Any, __: Mode) -> Tensor:
    (x,) = inputs
    pieces = [
        x.new_full((x.shape[0], given[side], *x.shape[2:]), given["value"])
        for side in ("before", "after")
    ]
    return torch.cat([pieces[0], x, pieces[1]], dim=1)


def _subsample(layer: Layer, inputs: Sequence[Tensor], _: Weights, given: Any, __: Mode) -> Tensor:
    first, step = given["offset"], layer.stride
    return inputs[0][:, :, first::step, first::step]


def _max_pool(layer: Layer, inputs: Sequence[Tensor], _: Weights, given: Any, __: Mode) -> Tensor:
    kernel, padding = layer.kernel or 1, given["padding"]
    return F.max_pool2d(
        inputs[0], kernel, layer.stride, padding, given["dilation"], ceil_mode=given["ceil"]
    )


def _adaptive_pool(
    layer: Layer, inputs: Sequence[Tensor], _: Weights, __: Any, ___: Mode
) -> Tensor:
    (x,) = inputs
    means = _part_means(x.shape[2], layer.output_size).to(x.dtype)
    return torch.einsum("or,ncrs,ps->ncop", means, x, means)


def _part_means(size: int, parts: int) -> Tensor:
    """The matrix that makes so many means of `size` values, each of the values that it touches."""
    means = torch.zeros(parts, size, dtype=torch.float64)
    for part in range(parts):
        first, end = part * size // parts, -(-(part + 1) * size // parts)
        means[part, first:end] = 1 / (end - first)
    return means


def _wide(values: Tensor) -> Tensor:
    """One value a channel, for maps (N, C, H, W)."""
    return values[:, None, None]


OPERATIONS: dict[Operation, Callable[[Layer, Sequence[Tensor], Weights, Any, Mode], Tensor]] = {
    Operation.CONVOLUTION: _convolution,
    Operation.BATCH_NORM: _batch_norm,
    Operation.RELU: lambda layer, inputs, own, given, mode: inputs[0].clamp(min=0),
    Operation.ADDITION: lambda layer, inputs, own, given, mode: (
        inputs[0] + given["alpha"] * inputs[1]
    ),
    Operation.SUBSAMPLE: _subsample,
    Operation.ZERO_PAD: _zero_pad,
    Operation.MAX_POOL: _max_pool,
    Operation.AVERAGE_POOL: lambda layer, inputs, own, given, mode: inputs[0].flatten(2).mean(2),
    Operation.ADAPTIVE_POOL: _adaptive_pool,
    Operation.DROPOUT: lambda layer, inputs, own, given, mode: inputs[0],  # left out: dropout.py
    Operation.FULLY_CONNECTED: lambda layer, inputs, own, given, mode: (
        inputs[0].flatten(1) @ own["weight"].T + own["bias"]
    ),
}
