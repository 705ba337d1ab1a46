"""Weights as `resnet-gen weights import` writes them, made by the safetensors package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor


def write(
    path: Path, train: Any, state: Mapping[str, Tensor], drop: tuple[str, ...] = (), **more: object
) -> Path:
    """A file of the network of a train.py, with all metadata but `drop`; returns its path.

    What is no string becomes JSON.
    """
    said: dict[str, object] = {
        "format": "resnet-gen weights 1",
        "network": train.NETWORK,
        "network_sha256": train.NETWORK_SHA256,
        "source_layout": "resnet-gen",
        "source_sha256": "0" * 64,
        "transforms": [],
        **more,
    }
    metadata = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in said.items()
        if key not in drop
    }
    contiguous = {key: value.contiguous() for key, value in state.items()}
    safetensors.torch.save_file(contiguous, path, metadata)
    return path


def images(mean: Tensor | list, std: list[float], order: str = "rgb") -> dict[str, object]:
    """What `input` says: what was subtracted from pixels of 0 to 255, and divided by."""
    as_list = mean.tolist() if isinstance(mean, Tensor) else mean
    return {"order": order, "mean": as_list, "std": std}
