"""The weights of a checkpoint, or of a weights file, as an export needs them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resnet_gen.errors import Failure, Problem
from resnet_gen.read.library import Entry
from resnet_gen.weights.importing import from_source, own_source


@dataclass(frozen=True)
class Input:
    """What the network's images were made of: pixels in RGB, 0 to 255, minus mean, over std."""

    mean: Tensor  # (channels, 1, 1), or per pixel (channels, height, width)
    std: Tensor  # (channels, 1, 1)


@dataclass(frozen=True)
class Trained:
    """The weights of a trained network, and what is known of them."""

    state: dict[str, Tensor]
    classes: list[str] | None  # their names, in the order of the scores
    input: Input | None
    metadata: dict[str, str]  # of a weights file that has them


def read(path: Path, entry: Entry) -> Trained:
    """The weights in `path`, which must be of the network that `entry` specifies.

    Raises:
        Failure: the file cannot be read, is damaged, is neither a checkpoint nor a weights file of
            this project, or is of another network (exit code 2); its package is missing (4).
    """
    if path.is_dir():
        hint = f"name one of its files, such as {(path / 'best.pt').as_posix()}"
        raise Failure(Problem("weights", "this is a folder", hint, path.as_posix()))
    made = from_source(own_source(path), entry)
    classes = json.loads(made.metadata.get("classes", "null"))
    return Trained(made.tensors, classes, _input(path, made.metadata), made.metadata)


def _input(path: Path, metadata: dict[str, str]) -> Input | None:
    """The input that the metadata tell of."""
    document: Any = json.loads(metadata.get("input", "null"))
    if document is None:
        return None
    try:
        mean, std = (torch.tensor(document[key], dtype=torch.float32) for key in ("mean", "std"))
        mean, std = (each[:, None, None] if each.dim() == 1 else each for each in (mean, std))
        if document["order"] != "rgb" or mean.dim() != 3 or std.dim() != 3 or not std.all():
            raise ValueError("it has no mean and std of an image in rgb")
    except (KeyError, TypeError, ValueError) as error:
        message = f"`input` in its metadata cannot be read: {error}"
        raise Failure(Problem("weights", message, "", path.as_posix())) from None
    return Input(mean, std)
