"""Whether an exported network gives the generated one's scores: measured before it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from resnet_gen.errors import Failure, Problem

BATCHES = (1, 3)  # images; what is exported was traced with another number
TOLERANCE = 1e-4  # of the largest score: a thousand layers in float32 stay well below it


def scores_of(network: nn.Module, batches: Sequence[Tensor]) -> list[Tensor]:
    """What the generated network, in eval mode, makes of batches of images (N, C, H, W).

    Raises:
        Failure: a score is not finite (exit code 2).
    """
    with torch.no_grad():
        scores = [network(images) for images in batches]
    if not all(each.isfinite().all() for each in scores):
        message = "the network's scores are not finite: its training has diverged"
        raise Failure(Problem("checkpoint", message))
    return scores


def difference(
    scores: Sequence[Tensor],
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
    shapes = [[tuple(each.shape) for each in several] for several in (found, scores)]
    if shapes[0] != shapes[1]:
        message = f"{what} gives scores of shapes {shapes[0]}, not {shapes[1]}"
        raise Failure(Problem("export", message), exit_code=3)
    largest = max(each.abs().max().item() for each in scores)
    apart = max((f - s).abs().max().item() for f, s in zip(found, scores, strict=True))
    relative = apart / (largest or 1.0)
    if not relative <= TOLERANCE:  # nor where it is not a number
        message = f"{what} gives other scores: {relative:.1g} of the largest apart"
        raise Failure(Problem("export", message, "nothing was written"), exit_code=3)
    counts = " and ".join(str(len(each)) for each in scores)
    if apart == 0:
        return f"{what}: the same scores as the generated network, to the bit, for {counts} images"
    return (
        f"{what}: scores differ from the generated network's by at most {apart:.1e}, "
        f"where the largest is {largest:.3g}, for {counts} images"
    )
