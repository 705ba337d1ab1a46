"""Batch norms folded into the convolutions before them, which need them no longer."""

from __future__ import annotations

import copy
from typing import cast

from torch import fx, nn
from torch.fx.experimental.optimization import fuse

from resnet_gen.errors import Failure, Problem


def fold(network: nn.Module) -> nn.Module:
    """A copy, in eval mode, whose convolutions have biases and no batch norms after them.

    The weights are computed in float64 and rounded once to what they were.

    Raises:
        Failure: a batch norm does not follow a convolution, as may be in edited code (exit code 2).
    """
    dtype = next(network.parameters()).dtype
    double = copy.deepcopy(network).double().eval()
    try:
        folded = cast("fx.GraphModule", fuse(double))
    except Exception as error:  # torch.fx could not follow edited code
        message = f"torch.fx cannot follow the network: {error}".splitlines()[0]
        raise Failure(Problem("fold", message, "export it without --fold")) from None
    folded.delete_all_unused_submodules()
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    left = [name for name, module in folded.named_modules() if isinstance(module, norms)]
    if left:
        message = f"{left[0]} does not follow a convolution whose output is used nowhere else"
        raise Failure(Problem("fold", message, "export it without --fold"))
    return folded.to(dtype).eval()
