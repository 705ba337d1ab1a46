"""Whether an exported network gives the generated one's scores: measured before it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from resnet_gen.errors import Failure, Problem

BATCHES = (1, 3)  # images; what is exported was traced with another number
TOLERANCE = 1e-4  # of the largest score: a thousand layers in float32 stay well below it


def difference(
    network: nn.Module,
    exported: Callable[[Tensor], Tensor],
    batches: Sequence[tuple[Tensor, Tensor]],
    what: str,
) -> str:
    """The largest difference of scores, in words.

    Args:
        network: the generated network, in eval mode.
        exported: what takes the second images of a pair to scores.
        batches: pairs of the network's images (N, C, H, W) and the same for `exported`.
        what: what the other one is, for the sentence.

    Raises:
        Failure: the scores are not finite (exit code 2), or not the same (3).
    """
    largest, apart = 0.0, 0.0
    with torch.no_grad():
        for own, others in batches:
            scores, found = network(own), exported(others)
            if not scores.isfinite().all():
                message = "the network's scores are not finite: its training has diverged"
                raise Failure(Problem("checkpoint", message))
            if found.shape != scores.shape:
                message = f"{what} gives scores {tuple(found.shape)}, not {tuple(scores.shape)}"
                raise Failure(Problem("export", message), exit_code=3)
            largest = max(largest, scores.abs().max().item())
            apart = max(apart, (found - scores).abs().max().item())
    relative = apart / (largest or 1.0)
    if not relative <= TOLERANCE:  # nor where it is not a number
        message = f"{what} gives other scores: {relative:.1g} of the largest apart"
        raise Failure(Problem("export", message, "nothing was written"), exit_code=3)
    counts = " and ".join(str(len(own)) for own, _ in batches)
    if apart == 0:
        return f"{what}: the same scores as the generated network, to the bit, for {counts} images"
    return (
        f"{what}: scores differ from the generated network's by at most {apart:.1e}, "
        f"where the largest is {largest:.3g}, for {counts} images"
    )
