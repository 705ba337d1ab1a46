"""What travels with an exported network: which one it is, its classes, and what it takes."""

from __future__ import annotations

import json
from typing import Any

from torch import Tensor

from resnet_gen.export.reading import Input, Trained
from resnet_gen.read.library import Entry


def of_graph(entry: Entry, trained: Trained, *, subtract_mean: bool) -> dict[str, str]:
    """The metadata of an ONNX or pt2 file. All values are strings, lists being JSON.

    `mean` and `std` are what to subtract from pixels of 0 to 255 and to divide by before; they are
    absent where that is not known, and where the graph itself does so.
    """
    found = {"network": entry.name, "network_sha256": entry.network_sha256}
    if trained.classes is not None:
        found["classes"] = json.dumps(trained.classes, ensure_ascii=False)
    found["images"] = _sentence(entry, trained.input, subtract_mean)
    if trained.input is not None and not subtract_mean:
        found["mean"] = json.dumps(_plain(trained.input.mean))
        if (trained.input.std != 1).any():
            found["std"] = json.dumps(_plain(trained.input.std))
    return found


def _sentence(entry: Entry, made_of: Input | None, subtract_mean: bool) -> str:
    """The input for a person."""
    channels, size = entry.spec.image_channels, entry.spec.image_size
    shape = f"float32 (N, {channels}, {size}, {size})"
    if made_of is None:
        return f"{shape}: prepared as for the training of these weights, which is not known here"
    order = "RGB" if channels == 3 else f"{channels} channels"
    pixels = f"{shape}: {order}, 0 to 255"
    if subtract_mean:
        return f"{pixels}; the mean is subtracted inside"
    return f"{pixels}, minus `mean`" + (", over `std`" if (made_of.std != 1).any() else "")


def _plain(value: Tensor) -> Any:
    """A list of one number for each channel, or nested for each pixel."""
    return value.flatten().tolist() if value.shape[1:] == (1, 1) else value.tolist()
