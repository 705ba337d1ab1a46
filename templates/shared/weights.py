"""Weights that a run begins from, or that are tested: a checkpoint, or a file of safetensors.

A file of safetensors holds numbers and no code: 8 bytes with the length of its header; the header,
in JSON, with the dtype, shape and place of each tensor and the strings of `__metadata__`; and the
tensors, one after another. `resnet-gen weights import` writes one of other people's checkpoints.
"""

import hashlib
import json
import math
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from checkpoint import Stateful, is_finite, load_model, read_checkpoint
from distributed import fail, gathered, note
from folder import same_classes

FORMAT = "resnet-gen weights 1"
DTYPES = {
    **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16},
    **{"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8},
    "U8": torch.uint8,
}
HEAD = ("fc.weight", "fc.bias")
BEGAN = ("init", "new_head")  # what a checkpoint says of what its run began from
Shape = tuple[int, int, int]  # of an image: channels, height, width


class Trainable(Stateful, Protocol):
    """What weights are put into."""

    classes: list[str]
    mean: Tensor

    @property
    def image_shape(self) -> Shape: ...
    @property
    def head(self) -> tuple[str, ...]: ...


class Weights(NamedTuple):
    """Weights of a network for images in RGB, or grey, of 0 to 255 less a mean."""

    path: Path
    network: str
    network_sha256: str
    state: dict[str, Tensor]  # as the network's state_dict()
    classes: list[str] | None  # None where the file does not name them
    mean: Tensor | None  # (channels, 1, 1), or per pixel; None where the file does not say
    origin: str  # how they came about, for people
    inference_only: str = ""  # why they cannot be trained on, if so
    has_head: bool = True  # whether the last layer is among them
    divided: float = 1.0  # what their source divided images by, and conv1 is divided by here

    def require_network(self, network: str, network_sha256: str) -> None:
        """Ends the run where they are of another network, though their names may be the same."""
        if self.network_sha256 != network_sha256:
            other = f"{self.network}, built from another spec than the {network} here"
            fail(f"{self.path} is of another network: {other}")

    def require_classes(self, what: object, of: str, classes: list[str], hint: str = "") -> None:
        """Ends the run where they were trained on other classes than those `of` something."""
        self.require_head()
        if self.classes:
            return same_classes(what, {str(self.path): self.classes, of: classes}, hint)
        if len(self.names()) != len(classes):
            has = f"{self.path} has {len(self.names()):,} classes, {of} {len(classes):,}"
            fail(f"{what}: {has}{hint}")

    def require_head(self) -> None:
        """Ends the run where the last layer was left out."""
        if not self.has_head:
            fail(f"{self.path} has no last layer: train one by --init {self.path} --new-head")

    def names(self) -> list[str]:
        """The classes, by their numbers where the file does not name them."""
        self.require_head()
        bias = self.state.get("fc.bias")
        return self.classes or [f"class {k}" for k in range(0 if bias is None else len(bias))]

    def known_mean(self) -> Tensor:
        """The mean to subtract; ends the run where it is not known."""
        if self.mean is None:
            unknown = "which mean was subtracted from its images, and what they were divided by"
            fail(f"{self.path} does not say {unknown}: `resnet-gen weights import` writes it")
        return self.mean

    def mean_of(self, shape: Shape) -> Tensor:
        """The mean of images of this shape, per pixel or of each channel."""
        mean = self.known_mean()
        if mean.shape not in (shape, (shape[0], 1, 1)) or not mean.is_floating_point():
            fail(f"{self.path} has no mean image of shape {shape}")
        return mean

    def put_into(self, model: nn.Module) -> None:
        """Makes them the model's."""
        load_model(model, self.state, self.path)

    def to_train(self) -> dict[str, Tensor]:
        """The state with conv1 as large as in its source, which changes bn1's statistics alone.

        SGD changes weights that are 58 times smaller, before a batch norm, 58² times as much for
        their size: the first step would undo what conv1 has learned.
        """
        sizes = {"conv1.weight": 1, "bn1.running_mean": 1, "bn1.running_var": 2}
        return {k: v * self.divided ** sizes[k] if k in sizes else v for k, v in self.state.items()}


def read_weights(path: Path, device: torch.device) -> Weights:
    """The weights of a checkpoint, or of a file whose name ends with .safetensors."""
    if path.suffix.lower() == ".safetensors":
        return from_safetensors(path, device)
    found = read_checkpoint(path, device)
    if not isinstance(found["mean"], Tensor):
        fail(f"{path} has no mean image")
    if not isinstance(found["model"], dict):
        fail(f"{path} has no weights by their names")
    origin = f"after {found['progress']['step']:,} iterations"
    network, its_hash, state = found["network"], found["network_sha256"], found["model"]
    return Weights(path, network, its_hash, state, found["classes"], found["mean"], origin)


def from_safetensors(path: Path, device: torch.device) -> Weights:
    """Weights that resnet-gen wrote; what their images were divided by is put into conv1."""
    try:
        state, metadata = parse_safetensors(path.read_bytes())
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror or error}")
    except (ValueError, RecursionError) as error:
        fail(f"{path} is not safetensors, or damaged: {error}")
    if metadata.get("format") != FORMAT:
        command = f"`resnet-gen weights import {path} --to NETWORK -o OUT` writes them"
        fail(f"{path} does not say in its metadata which network it is of: {command}")
    if missing := {"network", "network_sha256"} - metadata.keys():
        fail(f"{path} lacks {', '.join(sorted(missing))} in its metadata")
    try:
        classes, mean, divided = json.loads(metadata.get("classes", "null")), None, 1.0
        if classes is not None and not is_list_of(classes, str):
            raise ValueError("`classes` is no list of names")
        if "input" in metadata:
            mean, std = normalisation(json.loads(metadata["input"]))
            fitting = state.get("conv1.weight", torch.empty(0)).shape[1:2]
            if not mean.shape[:1] == std.shape[:1] == fitting:
                raise ValueError("`input` is not of as many channels as conv1")
            state["conv1.weight"] = state["conv1.weight"].float() / std
            mean, divided = mean.to(device), std.mean().item()
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = f"`input` lacks {error}" if isinstance(error, KeyError) else error
        fail(f"{path} has metadata that cannot be read: {reason}")
    return Weights(
        path, metadata["network"], metadata["network_sha256"], state, classes, mean,
        origin=f"with the weights of {path.name}",
        inference_only=metadata.get("inference_only", ""),
        has_head="new_head" not in metadata and not state.keys().isdisjoint(HEAD),
        divided=divided,
    )  # fmt: skip


def parse_safetensors(content: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors by name, and the metadata, of a whole file.

    Raises:
        ValueError: it is damaged or no such file; says in which way.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    if not 8 < start <= len(content):
        raise ValueError(f"its header would end at byte {start:,} of {len(content):,}")
    header = json.loads(content[8:start].decode(), object_pairs_hook=each_once)
    metadata = header.pop("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not is_list_of([*metadata.values()], str):
        raise ValueError("its header does not hold tensors and strings by their names")
    places = sorted((place(name, entry), name) for name, entry in header.items())
    tensors, at = {}, 0
    for (begin, end), name in places:
        if begin != at:
            wrong = "within another tensor" if begin < at else f"{begin - at:,} bytes too late"
            raise ValueError(f"{name} begins {wrong}")
        dtype, shape, at = DTYPES[header[name]["dtype"]], header[name]["shape"], end
        if end > len(content) - start:
            raise ValueError(f"{name} ends {start + end - len(content):,} bytes after the file")
        data = bytearray(content[start + begin : start + end])
        flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        tensors[name] = flat.reshape(shape)
    if at != len(content) - start:
        raise ValueError(f"{len(content) - start - at:,} bytes at its end are no tensor's")
    return tensors, metadata


def place(name: str, entry: object) -> tuple[int, int]:
    """Where the header says that a tensor begins and ends, which its dtype and shape must fit."""
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [begin, end]}:
            if dtype not in DTYPES:
                raise ValueError(
                    f"{name} is of dtype {dtype}, which is none of {', '.join(DTYPES)}"
                )
            if all(type(n) is int and n >= 0 for n in (*shape, begin, end)):
                if end - begin != math.prod(shape) * DTYPES[dtype].itemsize:
                    raise ValueError(
                        f"{name} has {end - begin:,} bytes for {dtype} of shape {shape}"
                    )
                return begin, end
    raise ValueError(f"{name} has no dtype, shape and place in the header")


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as a dict; a key that comes twice is refused."""
    found = dict[str, Any]()
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key} is twice in its header")
        found[key] = value
    return found


def normalisation(said: Any) -> tuple[Tensor, Tensor]:
    """Mean (channels, height or 1, width or 1), and standard deviation (channels, 1, 1)."""
    if said["order"] != "rgb":
        again = "`resnet-gen weights import` turns them"
        raise ValueError(f"images in the order {said['order']}, where this script has rgb: {again}")
    mean, std = (torch.tensor(said[key], dtype=torch.float32) for key in ("mean", "std"))
    mean = mean[:, None, None] if mean.ndim == 1 else mean
    if mean.ndim != 3 or std.ndim != 1 or not is_finite([mean, std]) or (std <= 0).any():
        raise ValueError("`input` has a mean or a standard deviation that cannot be")
    return mean, std[:, None, None]


def is_list_of(values: object, kind: type) -> bool:
    """Whether it is a list with nothing else in it."""
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


# ---- To begin a run ------------------------------------------------------------------------------


def begin(trainer: Trainable, network: Mapping[str, Any], args: Namespace) -> dict[str, object]:
    """Puts the weights of --init into the trainer; what they were, for checkpoints and results.

    Their mean is subtracted from now on, since it is what their first layers expect.
    """
    weights = read_weights(args.init, args.device)
    weights.require_network(network["network"], network["network_sha256"])
    if weights.inference_only:
        fail(f"{args.init} cannot be trained on: {weights.inference_only}")
    if not args.new_head:
        hint = "; --new-head draws the last layer anew"
        weights.require_classes("--init", "--data", trainer.classes, hint)
    if not is_finite(weights.state):
        fail(f"{args.init} has numbers that are not finite")
    state = weights.to_train()
    if args.new_head:
        own = trainer.model.state_dict()
        state |= {key: own[key] for key in trainer.head}
    load_model(trainer.model, state, args.init)
    if weights.mean is not None:
        trainer.mean = weights.mean_of(trainer.image_shape)
    began = {"init": sha256_of(args.init), "new_head": args.new_head}
    if any(other != began for other in gathered(began)):
        fail(f"{args.init} is not the same file on all machines")
    which = "this script's" if weights.mean is None else "its"
    head = ", its last layer is drawn anew" if args.new_head else ""
    note(f"beginning with the weights of {args.init}: {which} mean is subtracted{head}")
    return began


def began_with(same: object, args: Namespace) -> dict[str, object]:
    """What a resumed run began from: as its checkpoint says, or, if it is given again, --init."""
    said = {key: same[key] for key in BEGAN if key in same} if isinstance(same, dict) else {}
    if args.init and args.init.is_file():
        said = {"init": sha256_of(args.init), "new_head": args.new_head}
    return said


def sha256_of(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
