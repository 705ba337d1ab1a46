"""Whether an exported network gives the generated one's scores: measured before it is kept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from resnet_gen.errors import Failure, Problem

BATCHES = (1, 3)  # images; what is exported was traced with another number
TOLERANCE = 1e-4  # of the largest score
ROUNDINGS = 10  # or as many times what float32 itself takes the generated network from its scores


class Scores(NamedTuple):
    """What the generated network makes of some batches of images."""

    batches: list[Tensor]  # each (N, classes)
    largest: float
    rounding: float  # the largest difference from what it makes of them in float64


def scores_of(network: nn.Module, batches: Sequence[Tensor]) -> Scores:
    """The scores of the generated network, in eval mode, for batches of images (N, C, H, W).

    Raises:
        Failure: a score is not finite (exit code 2).
    """
    with torch.no_grad():
        scores = [network(images) for images in batches]
        double = copy.deepcopy(network).double()
        exact = [double(images.double()) for images in batches]
    if not all(each.isfinite().all() for each in scores):
        message = "the network's scores are not finite: its training has diverged"
        raise Failure(Problem("checkpoint", message))
    largest = max(each.abs().max().item() for each in scores)
    return Scores(scores, largest, _apart(scores, exact))


def difference(
    scores: Scores,
    exported: Callable[[Tensor], Tensor],
    batches: Sequence[Tensor],
    what: str,
) -> str:
    """The largest difference from the generated network's scores, in words.

    Args:
        scores: the generated network's, for the same images.
        exported: what takes images to scores.
        batches: the images as `exported` takes them.
        what: what it is, for the sentence.

    Raises:
        Failure: the scores are not the same (exit code 3).
    """
    with torch.no_grad():
        found = [exported(images) for images in batches]
    shapes = [[tuple(each.shape) for each in several] for several in (found, scores.batches)]
    if shapes[0] != shapes[1]:
        message = f"{what} gives scores of shapes {shapes[0]}, not {shapes[1]}"
        raise Failure(Problem("export", message), exit_code=3)
    apart = _apart(found, scores.batches)
    if not apart <= max(TOLERANCE * scores.largest, ROUNDINGS * scores.rounding):  # nor where NaN
        message = f"{what} gives other scores: {apart:.1g} apart, the largest being"
        hint = "nothing was written"
        raise Failure(Problem("export", f"{message} {scores.largest:.3g}", hint), exit_code=3)
    counts = " and ".join(str(len(each)) for each in scores.batches)
    if apart == 0:
        return f"{what}: the same scores as the generated network, to the bit, for {counts} images"
    return (
        f"{what}: scores differ from the generated network's by at most {apart:.1e}, "
        f"where the largest is {scores.largest:.3g}, for {counts} images"
    )


def _apart(some: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    """The largest difference; NaN where there is one."""
    pairs = zip(some, others, strict=True)
    return float(torch.stack([(one - other).abs().max().double() for one, other in pairs]).max())
