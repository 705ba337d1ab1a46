"""What a checkpoint of train.py or a weights file has to say, whoever wrote it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resnet_gen.errors import Failure, Problem
from resnet_gen.export.requirements import require_packages
from resnet_gen.read.library import Entry

WEIGHTS = "resnet-gen weights 1"  # a weights file's `format`
ORIGIN = ("source_layout", "source_sha256", "transforms", "inference_only")


@dataclass(frozen=True)
class Input:
    """What the network's images were made of: pixels from 0 to 255, minus mean, over std."""

    order: str  # of the channels: rgb or bgr
    mean: Tensor  # (channels, 1, 1), or per pixel (channels, height, width)
    std: Tensor  # (channels, 1, 1)


@dataclass(frozen=True)
class Trained:
    """The weights of a trained network, and what is known of them."""

    network: str
    network_sha256: str
    state: dict[str, Tensor]
    classes: list[str] | None  # their names, in the order of the scores
    input: Input | None
    origin: dict[str, str] = field(default_factory=dict)  # for a weights file's metadata


def read(path: Path, entry: Entry) -> Trained:
    """The weights in `path`, which must be of the network that `entry` specifies.

    Raises:
        Failure: the file cannot be read, is damaged, is neither a checkpoint nor a weights file,
            or is of another network (exit code 2); its package is not installed (4).
    """
    if path.is_dir():
        hint = f"name one of its files, such as {(path / 'best.pt').as_posix()}"
        raise _wrong(path, "this is a folder", hint)
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise Failure(Problem("file", message, "", path.as_posix())) from None
    is_archive = content[:2] == b"PK"
    trained = _checkpoint(path, content) if is_archive else _weights_file(path, content)
    _require_network(path, trained, entry)
    return trained


def _checkpoint(path: Path, content: bytes) -> Trained:
    """What templates/shared/checkpoint.py has saved, once the checksums in it are right."""
    try:
        with zipfile.ZipFile(path) as archive:
            marked = (file.filename for file in archive.infolist() if file.external_attr)
            damaged = archive.testzip() or next(marked, None)
    except Exception:  # zipfile raises many kinds
        raise _wrong(path, "it is cut short or damaged: its archive cannot be read") from None
    if damaged:
        raise _wrong(path, f"it is damaged, in its part {damaged}")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # and so does torch.load
        raise _wrong(path, f"it cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(found, dict) or not isinstance(found.get("network"), str):
        raise _wrong(path, "it is no checkpoint of a network that resnet-gen generated")
    wanted = ("network_sha256", "model", "classes", "mean")
    if missing := [key for key in wanted if key not in found]:
        message = f"it lacks {', '.join(missing)}: another version's train.py wrote it"
        raise _wrong(path, message)
    mean = found["mean"]
    if not isinstance(mean, Tensor) or mean.dim() != 3:
        raise _wrong(path, "its mean is neither of a channel nor of a pixel")
    return Trained(
        found["network"],
        str(found["network_sha256"]),
        _state(path, found["model"]),
        _classes(path, found["classes"]),
        Input("rgb", mean.float(), torch.ones(len(mean), 1, 1)),
        {
            "source_layout": "resnet-gen checkpoint",
            "source_sha256": hashlib.sha256(content).hexdigest(),
            "transforms": "[]",
        },
    )


def _weights_file(path: Path, content: bytes) -> Trained:
    """What is in a safetensors file with our metadata."""
    if content[8:9] != b"{":
        hint = "checkpoint.pt and best.pt of a run are checkpoints"
        raise _wrong(path, "it is neither a checkpoint nor a safetensors file", hint)
    require_packages(["safetensors"])
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415

    try:
        with safe_open(path, "pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise _wrong(path, f"it is cut short or damaged: {error}") from None
    if metadata.get("format") != WEIGHTS:
        hint = f"its metadata do not say `format`: {WEIGHTS!r}"
        raise _wrong(path, "its weights are not known to be of a network of ours", hint)
    classes = _from_json(path, metadata, "classes")
    return Trained(
        metadata.get("network", ""),
        metadata.get("network_sha256", ""),
        state,
        None if classes is None else _classes(path, classes),
        _input(path, _from_json(path, metadata, "input")),
        {key: metadata[key] for key in ORIGIN if key in metadata},
    )


def _from_json(path: Path, metadata: Mapping[str, str], key: str) -> Any:
    try:
        return json.loads(metadata.get(key, "null"))
    except ValueError:
        raise _wrong(path, f"`{key}` in its metadata is no JSON") from None


def _input(path: Path, document: Any) -> Input | None:
    """The input that a weights file's metadata tell of."""
    if document is None:
        return None
    try:
        mean, std = (torch.tensor(document[key], dtype=torch.float32) for key in ("mean", "std"))
        order = document["order"]
    except (KeyError, TypeError, ValueError) as error:
        raise _wrong(path, f"`input` in its metadata cannot be read: {error}") from None
    mean, std = (each[:, None, None] if each.dim() == 1 else each for each in (mean, std))
    if order not in ("rgb", "bgr") or mean.dim() != 3 or std.dim() != 3 or not std.all():
        raise _wrong(path, "`input` in its metadata has no order, mean and std of an image")
    return Input(order, mean, std)


def _state(path: Path, found: object) -> dict[str, Tensor]:
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise _wrong(path, "it has no weights by their names")
    return {str(key): value for key, value in found.items()}


def _classes(path: Path, found: object) -> list[str]:
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise _wrong(path, "it does not have the names of classes")
    return found


def _require_network(path: Path, trained: Trained, entry: Entry) -> None:
    """The hash decides, since the weights of two networks may have the same names and shapes."""
    if trained.network_sha256 == entry.network_sha256:
        return
    if trained.network != entry.name:
        message = f"it is of {trained.network or 'a network without a name'}, not of {entry.name}"
        raise _wrong(path, message, "their specs are not the same network")
    message = f"it is of another {entry.name} than {entry.label} specifies"
    raise _wrong(path, message, "the spec was changed since, or it is not the one that was trained")


def _wrong(path: Path, message: str, hint: str = "") -> Failure:
    return Failure(Problem("checkpoint", message, hint, path.as_posix()))
