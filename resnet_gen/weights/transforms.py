"""Exact changes of weights, so that an unchanged network computes what another one did.

Each takes and gives tensors by our names, and says in a sentence what it did. None changes a file's
own tensors in place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

EPS = 1e-5  # of torch's batch norms, and of every network here
Tensors = dict[str, Tensor]


def norm_of(convolution: str) -> str:
    """The batch norm after a convolution: conv1 of bn1, downsample.0 of downsample.1."""
    if convolution.endswith("downsample.0"):
        return convolution[:-1] + "1"
    return re.sub(r"conv(\d+)$", r"bn\1", convolution)


def divide_by_factor(tensors: Tensors) -> list[str]:
    """Caffe's statistics are sums: its third blob is what they are divided by; 0 makes them 0."""
    factors = [name for name in tensors if name.endswith(".factor")]
    for name in factors:
        factor = tensors.pop(name).double().reshape(())
        scale = torch.zeros_like(factor) if factor == 0 else 1 / factor
        for part in ("running_mean", "running_var"):
            key = name.removesuffix("factor") + part
            if key in tensors and factor != 1:
                tensors[key] = (tensors[key].double() * scale).to(tensors[key].dtype)
    return ["running means and variances divided by Caffe's third blob"] if factors else []


def fill_statistics(tensors: Tensors) -> list[str]:
    """Batch norms that are folded into scale and shift: mean 0 and variance 1 - eps."""
    folded = [
        name.removesuffix(".weight")
        for name in tensors
        if re.search(r"(bn\d|downsample\.1)\.weight$", name)
    ]
    if not folded or any(f"{name}.running_mean" in tensors for name in folded):
        return []
    for name in folded:
        like = tensors[f"{name}.weight"]
        tensors[f"{name}.running_mean"] = torch.zeros_like(like)
        tensors[f"{name}.running_var"] = torch.full_like(like, 1 - EPS)
    return ["batch norms had scale and shift alone: running mean 0, running variance 1 - eps"]


def absorb_biases(tensors: Tensors) -> list[str]:
    """A convolution's bias goes into the mean that the batch norm after it subtracts."""
    biases = [n for n in tensors if n.endswith(".bias") and re.search(r"conv\d+\.|ample\.0\.", n)]
    absorbed = 0
    for name in biases:
        bias = tensors.pop(name)
        key = norm_of(name.removesuffix(".bias")) + ".running_mean"
        if key in tensors and bias.any():
            tensors[key] = (tensors[key].double() - bias.double()).to(tensors[key].dtype)
            absorbed += 1
    return [f"running_mean -= bias, of {absorbed} convolutions with a bias"] if absorbed else []


def change_eps(tensors: Tensors, had: float, wanted: float) -> list[str]:
    """Another eps goes into the variance that it is added to.

    Of the values that rounding allows, one that comes back by the opposite change.

    Raises:
        ValueError: a variance would be negative.
    """
    if had == wanted:
        return []
    for name in [name for name in tensors if name.endswith("running_var")]:
        before, change = tensors[name], had - wanted
        after = (before.double() + change).to(before.dtype)
        if (after < 0).any():
            raise ValueError(f"{name} would be negative: {after.min():g}")
        for other in (torch.nextafter(after, after - 1), torch.nextafter(after, after + 1)):
            back = (after.double() - change).to(before.dtype)
            again = (other.double() - change).to(before.dtype)
            after = torch.where((back != before) & (again == before) & (other >= 0), other, after)
        tensors[name] = after
    return [f"running_var += {had - wanted:.3g}, since eps was {had:g} and is {wanted:g}"]


def flip_channels(tensors: Tensors) -> list[str]:
    """The first convolution's input channels from BGR to RGB, or back."""
    first = "conv1" if "conv1.weight" in tensors else "features.0"
    tensors[f"{first}.weight"] = tensors[f"{first}.weight"][:, [2, 1, 0]].contiguous()
    return [f"{first}'s input channels in the opposite order: BGR and RGB"]


def move_zeros(tensors: Tensors, blocks: Sequence[int], *, back: bool = False) -> list[str]:
    """Option A's zero channels from both sides to after the others, or `back`.

    Channels are only put in another order, in all that write to or read from the shortcuts.
    """
    width = tensors["conv1.weight"].shape[0]
    order, last = torch.arange(width), _last_layer(tensors)
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            place = f"layer{stage}.{block}"
            entering = order
            widened = tensors[f"{place}.conv{last}.weight"].shape[0]
            if widened != len(order):
                before, old = (widened - len(order)) // 2, len(order)
                first, others = torch.arange(before), torch.arange(before + old, widened)
                order = torch.cat([order + before, first, others])
            _reorder(tensors, f"{place}.conv1.weight", 1, entering, back)
            _reorder(tensors, f"{place}.conv{last}.weight", 0, order, back)
            for part in ("weight", "bias", "running_mean", "running_var"):
                _reorder(tensors, f"{place}.bn{last}.{part}", 0, order, back)
    if "fc.weight" in tensors:
        _reorder(tensors, "fc.weight", 1, order, back)
    where = "after the others to both sides" if back else "both sides to after the others"
    return [f"option A's zero channels from {where}: channels in another order"]


def _last_layer(tensors: Mapping[str, Tensor]) -> int:
    return 3 if "layer1.0.conv3.weight" in tensors else 2


def _reorder(tensors: Tensors, name: str, dim: int, order: Tensor, back: bool) -> None:
    chosen = torch.argsort(order) if back else order
    tensors[name] = tensors[name].index_select(dim, chosen)


def count_batches(tensors: Tensors) -> list[str]:
    """num_batches_tracked where a file has none; torch's batch norms use it in no result here."""
    means = [name for name in tensors if name.endswith("running_mean")]
    keys = [name.removesuffix("running_mean") + "num_batches_tracked" for name in means]
    added = [key for key in keys if key not in tensors]
    tensors |= {key: torch.tensor(0) for key in added}
    return ["num_batches_tracked, which was missing, is 0"] if added else []


def faults(tensors: Mapping[str, Tensor]) -> list[str]:
    """What no trained network has: numbers that are none, negative variances, other kinds."""
    found = []
    for name, value in tensors.items():
        if not value.is_floating_point():
            if not name.endswith("num_batches_tracked"):
                found.append(f"{name} is of {str(value.dtype).removeprefix('torch.')}")
            continue
        if not bool(value.isfinite().all()):
            found.append(f"{name} has values that are NaN or infinite")
        elif name.endswith("running_var") and bool((value < 0).any()):
            found.append(f"{name} has negative variances")
    return found
