"""Dropout as one operation, whatever torch makes of it: to be recorded, or to be left out.

On a processor and on the meta device torch draws a mask, scales it and multiplies by it, and in
evaluation does nothing at all; on a GPU it calls one operation, which has its probability and
whether it is active among its arguments. That operation is called here everywhere.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class DropoutsShown(TorchFunctionMode):
    """Each dropout calls `native_dropout`; with `left_out`, in the form that drops nothing.

    One in place leaves its input as it is: what follows takes its output.
    """

    def __init__(self, *, left_out: bool = False) -> None:
        super().__init__()
        self.left_out = left_out

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.dropout:
            return self._shown(*args, **kwargs)
        if func in (torch.dropout, torch.dropout_):
            given = dict(zip(("input", "p", "train"), args, strict=False)) | kwargs
            return self._shown(given["input"], given["p"], given["train"])
        return func(*args, **kwargs)

    def _shown(
        self, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        """The output, for the arguments of `F.dropout` under its names."""
        return torch.native_dropout(input, p, training and not self.left_out)[0]
