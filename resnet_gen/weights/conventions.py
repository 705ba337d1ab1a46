"""What a file's network computes beyond its names and shapes: strides, pooling, zeros, input.

It comes from the layout's table, from what lies beside the weights, from a config.json, or from a
person; never from a guess.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from resnet_gen.errors import Failure
from resnet_gen.read import library
from resnet_gen.read.network_spec import DESIGNS
from resnet_gen.weights.layouts import Input
from resnet_gen.weights.recognising import Source
from resnet_gen.weights.refusal import refused
from resnet_gen.weights.structure import Structure

MAX_CONFIG = 4 << 20  # bytes
# timm's ResNets that compute what torchvision's do; others have the same names and differ.
PLAIN = re.compile(r"((tv|gluon|ssl|swsl)_)?resnet\d+(_v1b)?")
OTHERS = re.compile(r"(eca|se|sk)?resnet(blur|aa)\w*")


@dataclass
class Conventions:
    """What is known; None where it does not matter or is not known."""

    stride_in: str | None = None
    pooling: str | None = None
    zero_padding: str | None = None
    input: Input | None = None
    classes: list[str] | None = None
    network: str = ""  # for files of this project, the name of the network
    undecided: dict[str, str] = field(default_factory=dict)  # a flag, and what it decides
    notes: list[str] = field(default_factory=list)


def conventions(
    source: Source,
    found: Structure,
    *,
    stride_in: str | None = None,
    order: str | None = None,
    config: Path | None = None,
) -> Conventions:
    """What the file's network computes.

    Raises:
        Failure: it computes something that no network here does, or a flag contradicts the file.
    """
    if source.layout.stride_in == "recorded":
        if stride_in or order or config:
            hint = "leave out --stride-in, --input and --config"
            raise refused(source.contents.path, "the file says itself which network it is of", hint)
        return _recorded(source)
    _refuse_by_name(source)
    layout = source.layout
    known = Conventions(pooling=layout.pooling if found.design == "imagenet" else None)
    if found.shortcut == "none or A":
        known.zero_padding = layout.zero_padding
    strides: str | None = layout.stride_in if layout.stride_in.startswith("conv") else None
    given = layout.input
    for case in layout.cases:
        if source.beside.get(case.beside) == case.value:
            strides, given = case.stride_in, case.input
    read = _read_config(source, config)
    if read:
        strides = _strides_of_config(source, read) or strides
        given = _input_of_config(read) or given
        known.classes = _classes_of_config(read, found.classes)
    strides = stride_in or strides
    if found.block == "bottleneck":
        known.stride_in = strides
        if strides is None:
            ask = "config.json or --stride-in" if layout.stride_in == "config" else "--stride-in"
            known.undecided["--stride-in"] = (
                f"{layout.name}'s names are the same for v1, which strides in the 1×1 convolutions "
                f"(conv1x1), and for v1.5, which strides in the 3×3 (conv3x3): {ask} says which"
            )
    _decide_input(known, given, order, found, layout.name)
    return known


def _decide_input(
    known: Conventions, given: Any, order: str | None, found: Structure, name: str
) -> None:
    if DESIGNS[found.design].family != "imagenet" or found.image_channels != 3:
        known.input = Input(order="bgr") if order == "bgr" else None
        return
    if given == "ask":
        known.input = Input(order="bgr" if order == "bgr" else "rgb") if order else None
        if not order:
            known.undecided["--input"] = (
                f"{name}'s names do not say whether images are RGB or BGR: --input rgb|bgr does"
            )
        return
    if given is not None and order and order != given.order:
        mean, std = given.mean and given.mean[::-1], given.std and given.std[::-1]
        given = Input(order="bgr" if order == "bgr" else "rgb", mean=mean, std=std)
    known.input = given
    if given is not None and given.mean is not None:
        known.notes.append(f"the input's mean and deviation are those that {name} takes by default")


def _recorded(source: Source) -> Conventions:
    """What one of this project's own files says: its network, classes and mean."""
    path = source.contents.path
    said: dict[str, Any] = {**(source.contents.metadata or source.beside)}
    name, known = said.get("network"), Conventions()
    if not isinstance(name, str):
        raise refused(path, "it does not say which network it is of")
    known.network = name
    if source.contents.metadata:
        classes, given = said.get("classes"), said.get("input")
        try:
            names, read = json.loads(classes or "[]"), json.loads(given or "{}")
        except (ValueError, RecursionError) as error:
            raise refused(path, "the file is damaged: its metadata are no JSON") from error
        if not isinstance(names, list) or not isinstance(read, dict):
            raise refused(path, "the file is damaged: its metadata have no classes or no input")
        known.classes = list(map(str, names)) or None
        source.beside["input"] = read or None
        return known
    classes, mean = said.get("classes"), said.get("mean")
    if classes is not None:
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise refused(path, "it does not have the names of classes")
        known.classes = classes
    if mean is not None:
        if not isinstance(mean, Tensor) or mean.dim() not in (1, 3):
            raise refused(path, "its mean is neither of a channel nor of a pixel")
        whole = mean.dim() == 3 and mean.shape[1:].numel() == 1
        flat = mean.flatten() if whole else mean
        std = [1.0] * int(mean.shape[0])
        source.beside["input"] = {"order": "rgb", "mean": flat.tolist(), "std": std}
    return known


def require_recorded(source: Source, entry: library.Entry) -> None:
    """The network of a file of this project must be this one, by its hash.

    Raises:
        Failure: it is another, or the file does not say enough.
    """
    said = source.contents.metadata or source.beside
    path, name = source.contents.path, said.get("network")
    if "network_sha256" in said:
        if said["network_sha256"] != entry.network_sha256:
            if name == entry.name:
                message = f"it is of another {name} than {entry.label} specifies"
                hint = "the spec was changed since, or it is not the one that was trained"
                raise refused(path, message, hint)
            message = f"it is of {name}, which is another network than {entry.name}"
            raise refused(path, f"{message}, though shapes may fit")
        return
    recorded = _by_name(str(name))
    if recorded is None or recorded.sha256 != said.get("spec_sha256"):
        message = f"it is of {name}, by a spec that is not here"
        raise refused(path, message, "put the spec that it was trained with into specs/")
    if recorded.network_sha256 != entry.network_sha256:
        raise refused(path, f"it is of {name}, which is another network than {entry.name}")


def _by_name(name: str) -> library.Entry | None:
    try:
        return library.network(name)
    except Failure:
        return None


# ---- What others' files and configurations say ---------------------------------------------------


def _refuse_by_name(source: Source) -> None:
    """Refuses timm's networks of the same names that compute something else."""
    said = [source.beside.get(key, "") for key in ("arch", "architecture")]
    for name in (*source.contents.path.absolute().parts[-4:], *map(str, said)):
        if found := OTHERS.search(name.lower()):
            _refuse_architecture(source, found[0])


def _refuse_architecture(source: Source, name: str) -> None:
    message = f"{name} has the names of a ResNet and computes something else"
    raise refused(source.contents.path, message, "no network here computes the same")


def _read_config(source: Source, config: Path | None) -> dict[str, Any]:
    beside = source.contents.path.parent / "config.json"
    if config is None and source.layout.stride_in == "config" and beside.is_file():
        config = beside
    if config is None:
        return {}
    if not config.is_file() or config.stat().st_size > MAX_CONFIG:
        raise refused(config, "there is no such config.json")
    try:
        read = json.loads(config.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise refused(config, "this is no JSON") from error
    if not isinstance(read, dict):
        raise refused(config, "this is no configuration: a mapping belongs here")
    return read


def _strides_of_config(source: Source, read: dict[str, Any]) -> str | None:
    """Which layer strides; what no network here does is refused."""
    architecture = read.get("architecture")
    if isinstance(architecture, str):
        name = architecture.partition(".")[0]
        if not PLAIN.fullmatch(name):
            _refuse_architecture(source, name)
        return "conv3x3"
    if source.layout.name != "transformers":
        return None
    path = source.contents.path
    if read.get("downsample_in_first_stage"):
        raise refused(path, "by its config.json its first stage strides; here none does")
    if (activation := read.get("hidden_act", "relu")) != "relu":
        raise refused(path, f"by its config.json its activation is {activation}; here it is relu")
    if read.get("model_type", "resnet") != "resnet":
        raise refused(path, f"by its config.json it is no ResNet but {read['model_type']}")
    return "conv1x1" if read.get("downsample_in_bottleneck", False) else "conv3x3"


def _input_of_config(read: dict[str, Any]) -> Input | None:
    """The mean and deviation that timm's config.json and transformers' processors have."""
    given = read.get("pretrained_cfg", read)
    mean = given.get("mean", given.get("image_mean")) if isinstance(given, dict) else None
    std = given.get("std", given.get("image_std")) if isinstance(given, dict) else None
    if not (isinstance(mean, list) and isinstance(std, list)):
        return None
    if not all(isinstance(value, (int, float)) for value in mean + std):
        return None
    scaled = [[255.0 * value for value in values] for values in (mean, std)]
    return Input(order="rgb", mean=scaled[0], std=scaled[1])


def _classes_of_config(read: dict[str, Any], count: int | None) -> list[str] | None:
    names = read.get("id2label")
    if isinstance(names, dict) and names.keys() == {str(index) for index in range(count or 0)}:
        return [str(names[str(index)]) for index in range(count or 0)]
    return None
