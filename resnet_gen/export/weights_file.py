"""A network's weights as a safetensors file: no code, and nothing that could run."""

from __future__ import annotations

from collections.abc import Mapping

import safetensors.torch
import torch
from torch import Tensor

from resnet_gen.errors import Failure, Problem


def content(state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The file's content, read again and found to have every weight to the bit.

    Raises:
        Failure: it has not (exit code 3), or a weight is not finite (2).
    """
    for key, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            message = f"{key} is not finite: its training has diverged"
            raise Failure(Problem("checkpoint", message))
    made = safetensors.torch.save({k: v.contiguous() for k, v in state.items()}, dict(metadata))
    again = safetensors.torch.load(made)
    same = again.keys() == state.keys() and all(torch.equal(again[k], state[k]) for k in state)
    if not same:
        raise Failure(Problem("export", "the weights read again are not the same"), exit_code=3)
    return made
