"""A network as a torch.export archive, which torch runs without the network's code."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


def content(network: nn.Module, images: Tensor, metadata: Mapping[str, str]) -> bytes:
    """The archive, for any number of images at once, with the metadata as its extra files.

    Raises:
        Exception: whatever torch.export raises.
    """
    archive = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = torch.export.Dim("batch", min=1)
        program = torch.export.export(network, (images,), dynamic_shapes=({0: batch},))
        for node in program.graph.nodes:  # the places of Python files on this machine
            node.meta.pop("stack_trace", None)
        torch.export.save(program, archive, extra_files=dict(metadata))
    return archive.getvalue()


def runner(made: bytes) -> Callable[[Tensor], Tensor]:
    """What the archive does when it is loaded again: images (N, C, H, W) to scores."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: Callable[[Tensor], Tensor] = torch.export.load(io.BytesIO(made)).module()
    return module
