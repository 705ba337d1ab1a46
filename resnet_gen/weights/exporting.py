"""From our weights to a file of another layout, or a sentence why that has no such network."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from resnet_gen.read import library
from resnet_gen.read.library import Entry
from resnet_gen.read.network_spec import Block
from resnet_gen.weights import conventions as known_of
from resnet_gen.weights import target, transforms
from resnet_gen.weights.importing import from_source, own_source
from resnet_gen.weights.layouts import KIND, Input, Layout
from resnet_gen.weights.naming import Naming
from resnet_gen.weights.refusal import refused
from resnet_gen.weights.structure import Structure, of_spec

DEPTH_WITH_BIAS = 50  # Caffe's conv1 has one in this network alone


@dataclass
class Exported:
    """Tensors by the layout's names and in its arrangement, and what was done to them."""

    network: str
    tensors: dict[str, Tensor]
    transforms: list[str]
    notes: list[str] = field(default_factory=list)


def export_weights(path: Path, layout: Layout) -> Exported:
    """A checkpoint of our train.py, or our safetensors, as weights of `layout`.

    Raises:
        Failure: the file is none of ours, or the layout has no network that computes the same.
    """
    source = own_source(path)
    if not layout.exports:
        raise refused(path, f"{layout.name} is what files of this project are", "`weights import`")
    name = str((source.contents.metadata or source.beside).get("network"))
    entry = library.network(name)
    known_of.require_recorded(source, entry)
    found = of_spec(entry.spec)
    _require_expressible(path, layout, entry, found)
    new_head = not any(map(target.is_head, source.tensors))
    imported = from_source(source, entry, new_head=new_head)
    tensors, told = imported.tensors, []
    if layout.zero_padding == "both" and target.pads_after(entry.spec):
        told += transforms.move_zeros(tensors, found.blocks, back=True)
    if isinstance(layout.input, Input) and layout.input.order == "bgr":
        told += transforms.flip_channels(tensors)
    try:
        told += transforms.change_eps(tensors, transforms.EPS, layout.eps)
    except ValueError as error:
        raise refused(path, f"{layout.name}'s eps is {layout.eps:g}: {error}") from None
    told += _add_parts(layout, entry, tensors)
    named = _renamed(layout, found, tensors)
    if layout.convolution == "HWIO" or layout.linear == "IO":
        told.append("convolutions from OIHW to HWIO, fc transposed")
    notes = [_input_note(layout, imported.metadata.get("input"))]
    if strides := target.strided(entry.spec) if layout.stride_in in ("ask", "config") else None:
        notes.append(f"its names do not tell that it strides in {target.STRIDES[strides]}")
    return Exported(entry.name, named, told, notes)


def _require_expressible(path: Path, layout: Layout, entry: Entry, found: Structure) -> None:
    spec, strides, why = entry.spec, target.strided(entry.spec), ""
    if found.design not in layout.designs:
        why = f"none of {found.design}'s design"
    elif found.block in get_args(Block) and found.block not in layout.blocks:
        why = f"none of {found.block} blocks"
    elif spec.shortcut not in layout.shortcuts:
        option = {"none": "without shortcuts"}.get(spec.shortcut, f"of shortcut {spec.shortcut}")
        why = f"none {option}"
    elif spec.design == "imagenet" and spec.pooling != layout.pooling:
        why = f"none that {target.POOLS[spec.pooling]}"
    elif layout.stride_in in target.STRIDES and strides not in (None, layout.stride_in):
        why = f"none that strides in {target.STRIDES[str(strides)]}"
    if why:
        hint = "`resnet-gen weights layouts` shows what each layout has"
        message = f"{layout.name} cannot have {entry.name}: of its networks, {why}"
        raise refused(path, message, hint)


def _add_parts(layout: Layout, entry: Entry, tensors: dict[str, Tensor]) -> list[str]:
    """Biases and factors that the layout has and our networks do not."""
    told: list[str] = []
    if "factor" in layout.names_of_parts("batch_norm"):
        for name in [name for name in tensors if name.endswith("running_mean")]:
            tensors[name.removesuffix("running_mean") + "factor"] = torch.ones(1)
    of_all = layout.biases == "all"
    if of_all or (layout.biases != "none" and entry.spec.depth == DEPTH_WITH_BIAS):
        convolutions = [name for name, value in tensors.items() if value.dim() == 4]
        for name in convolutions if of_all else ["conv1.weight"]:
            bias = name.removesuffix("weight") + "bias"
            tensors[bias] = torch.zeros(tensors[name].shape[0], dtype=tensors[name].dtype)
        told.append(f"biases of zeros for {'all convolutions' if of_all else 'conv1'}")
    return told


def _renamed(layout: Layout, found: Structure, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    naming, named = Naming(layout), {}
    parts = {part for kind in set(KIND.values()) for part in layout.names_of_parts(kind)}
    for name in sorted(tensors, key=_place):
        value = tensors[name]
        if name.rpartition(".")[2] not in parts:
            continue  # num_batches_tracked, which only torch counts
        if layout.convolution == "HWIO" and value.dim() == 4:
            value = value.permute(2, 3, 1, 0)
        if layout.linear == "IO" and name == "fc.weight":
            value = value.t()
        named[naming.theirs(name, found.blocks)] = value.contiguous()
    return named


def _place(name: str) -> tuple[object, ...]:
    """Where a tensor's module stands: that of Keras's layers, by whose order it loads them."""
    module, _, part = name.rpartition(".")
    parts = ("weight", "bias", "running_mean", "running_var", "factor", "num_batches_tracked")
    if module.startswith(("features", "classifier")):
        stack, index = module.split(".")
        return (stack == "classifier", "", int(index), "", parts.index(part))
    if not module.startswith("layer"):
        return (module == "fc", "", 0, module.replace("bn", "convx"), parts.index(part))
    stage, block, rest = module.split(".", 2)
    order = ("conv1", "bn1", "conv2", "bn2", "downsample.0", "conv3", "downsample.1", "bn3")
    return (False, stage, int(block), f"{order.index(rest)}", parts.index(part))


def _input_note(layout: Layout, given: str | None) -> str:
    order = layout.input.order if isinstance(layout.input, Input) else "rgb"
    what = f"images in {order.upper()}"
    if given is None:
        return f"it takes {what}; what is subtracted from them is not known"
    return f"it takes {what}, not as {layout.name} prepares them, but by (RGB, 0 to 255) {given}"
