"""Safetensors files: the header checked, then read by safetensors itself."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from resnet_gen.weights.refusal import needed, refused

MAX_HEADER = 16 << 20  # bytes; ResNet-1202's has 0.8 million
SIZES = {
    **{"F64": 8, "F32": 4, "F16": 2, "BF16": 2},
    **{"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1},
}


def read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors by their names, and the metadata.

    Raises:
        Failure: the header is not right: names twice, tensors over each other or outside.
    """
    metadata = _check(path)
    try:
        with needed("safetensors").safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        raise refused(path, "the file is damaged: safetensors does not read it") from error


def _check(path: Path) -> dict[str, str]:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(MAX_HEADER, size - 8):
            raise refused(path, f"its header claims {length:,} bytes, of a file of {size:,}")
        text = file.read(length)
    twice: list[str] = []

    def entries(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice.append(next(name for name in names if names.count(name) > 1))
        return found

    try:
        header = json.loads(text, object_pairs_hook=entries)
    except (ValueError, RecursionError) as error:
        raise refused(path, "the file is damaged: its header is no JSON") from error
    if twice:
        raise refused(path, f"its header has {twice[0]} twice")
    if not isinstance(header, dict):
        raise refused(path, "the file is damaged: its header is no mapping")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise refused(path, "the file is damaged: its metadata are no words")
    spans = sorted(_span(path, name, entry) for name, entry in header.items())
    end = 0
    for start, stop, name in spans:
        if start != end:
            where = "lies over another" if start < end else "leaves a gap before it"
            raise refused(path, f"{name} {where}")
        end = stop
    if end != size - 8 - length:
        raise refused(path, f"its tensors end at byte {end:,} of {size - 8 - length:,}")
    return metadata


def _span(path: Path, name: str, entry: Any) -> tuple[int, int, str]:
    try:
        size, shape, (start, stop) = SIZES[entry["dtype"]], entry["shape"], entry["data_offsets"]
        if not all(type(n) is int and n >= 0 for n in (start, stop, *shape)):
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        raise refused(path, f"{name} has no shape, kind or place that weights have") from error
    if stop - start != size * math.prod(shape):
        raise refused(path, f"{name} claims another size than its place in the file has")
    return start, stop, name
