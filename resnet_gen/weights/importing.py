"""From a file of any layout to the tensors of one of our networks, or a sentence why not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from resnet_gen.errors import Failure, Problem
from resnet_gen.read.library import Entry
from resnet_gen.read.network_spec import NetworkSpec
from resnet_gen.weights import conventions as known_of
from resnet_gen.weights import target, transforms
from resnet_gen.weights.conventions import Conventions
from resnet_gen.weights.layouts import Input
from resnet_gen.weights.reading import read
from resnet_gen.weights.recognising import FORMAT, Source, recognise
from resnet_gen.weights.refusal import listed, refused
from resnet_gen.weights.structure import Structure, structure

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


@dataclass
class Imported:
    """Tensors of a network's state dict, what was done to them, and what the file says of them."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    transforms: list[str]
    notes: list[str] = field(default_factory=list)


def import_weights(
    path: Path,
    entry: Entry,
    *,
    stride_in: str | None = None,
    order: str | None = None,
    config: Path | None = None,
    new_head: bool = False,
) -> Imported:
    """The file's weights as those of the network `entry`.

    `order`, rgb or bgr, is that of the images which the file's network takes. With `new_head`, the
    last layer is left out. Files of this project may have other classes than the spec.

    Raises:
        Failure: the file is not safe or not whole, its network is another one, or what decides that
            is neither in it nor given (exit code 2).
    """
    source = recognise(read(path))
    return from_source(
        source, entry, stride_in=stride_in, order=order, config=config, new_head=new_head
    )


def own_source(path: Path) -> Source:
    """A checkpoint of a generated train.py, or a weights file of this project.

    Raises:
        Failure: it is none of these, or not safe to read (exit code 2).
    """
    source = recognise(read(path))
    if source.layout.stride_in != "recorded":
        message = f"this is a file of {source.layout.name}, not of this project"
        raise refused(path, message, "`weights import` makes one of it")
    return source


def from_source(
    source: Source,
    entry: Entry,
    *,
    stride_in: str | None = None,
    order: str | None = None,
    config: Path | None = None,
    new_head: bool = False,
) -> Imported:
    """As `import_weights`, of a file that has been read."""
    path = source.contents.path
    tensors = _accounted(source, new_head=new_head)
    found = structure(tensors)
    if isinstance(found, str):
        raise refused(path, f"no network here is built so: {found}")
    known = known_of.conventions(source, found, stride_in=stride_in, order=order, config=config)
    spec = entry.spec
    if known.network:
        known_of.require_recorded(source, entry)
        spec = spec.model_copy(update={"classes": found.classes or spec.classes})
    else:
        _require_decided(path, known)
        _require_same(path, source, found, known, entry, new_head=new_head)
    _require_shapes(path, tensors, spec, new_head=new_head)
    told = _transform(source, found, known, entry, tensors)
    if new_head:
        told.append(f"new_head: {target.head_of(spec)} was left out")
    if wrong := transforms.faults(tensors):
        raise refused(path, f"no weights of a trained network: {listed(wrong)}")
    classes = known.classes if known.classes and not new_head else None
    if classes and len(classes) != spec.classes:
        raise refused(path, f"it names {len(classes)} classes, for {spec.classes}")
    metadata = _metadata(source, known, entry, told, classes)
    names = [name for name in target.shapes(spec) if name in tensors]
    whole = {name: tensors[name].contiguous() for name in names}
    return Imported(whole, metadata, told, _notes(source, known, metadata))


def _accounted(source: Source, *, new_head: bool) -> dict[str, Tensor]:
    """The tensors by our names, when no name of the file is left over."""
    if source.unmatched:
        message = f"{source.layout.name} has no such names: {listed(source.unmatched)}"
        hint = "every name must be a weight of the network; nothing is left out silently"
        raise refused(source.contents.path, message, hint)
    kept = {n: t for n, t in source.tensors.items() if not (new_head and target.is_head(n))}
    whole = [n for n, t in kept.items() if t.is_floating_point() and t.dtype not in FLOATS]
    if whole or any(t.layout != torch.strided for t in kept.values()):
        raise refused(source.contents.path, f"of a kind that no weights are: {listed(whole)}")
    return kept


def _require_decided(path: Path, known: Conventions) -> None:
    if known.undecided:
        file, told = path.as_posix(), known.undecided.values()
        raise Failure([Problem("ambiguous", said, "", file) for said in told])


def _require_same(
    path: Path,
    source: Source,
    found: Structure,
    known: Conventions,
    entry: Entry,
    *,
    new_head: bool,
) -> None:
    told = target.differences(found, known, entry.spec, new_head=new_head)
    if not told:
        return
    hint = "`weights inspect` says which networks it fits"
    if "classes" in told[0]:
        hint = "--new-head leaves out the last layer"
    elif "strides" in told[0] or "pooling" in told[0]:
        hint = "every shape would fit, and it would compute something else; " + hint
    message = f"{source.layout.name}'s network is not {entry.name}: it {_has(told[0])}"
    raise refused(path, ", ".join([message, *told[1:]]), hint)


def _require_shapes(
    path: Path, tensors: dict[str, Tensor], spec: NetworkSpec, *, new_head: bool
) -> None:
    """Every tensor is there in its shape, but for those that a transform adds or takes away."""
    sizes = {name: shape[:1] for name, shape in target.shapes(spec).items()}
    plain, wrong = dict(tensors), []
    for name in tensors:
        absorbed, _, part = name.rpartition(".")
        if name in sizes or part not in ("bias", "factor"):
            continue
        value, bias = plain.pop(name), part == "bias"
        if tuple(value.shape) != sizes.get(f"{absorbed}.weight") if bias else value.numel() != 1:
            wrong.append(f"its {name} is {list(value.shape)}")
    added = ["num_batches_tracked"]
    if not any(name.endswith("running_mean") for name in tensors):
        added += ["running_mean", "running_var"]
    wrong += [
        said
        for said in target.missing_and_added(plain, spec, new_head=new_head)
        if not (said.startswith("it lacks") and said.endswith(tuple(added)))
    ]
    if wrong:
        of_head = any(head in wrong[0] for head in target.HEADS)
        hint = f"--new-head leaves out {target.head_of(spec)}" if of_head else ""
        raise refused(path, f"it is not {spec.name}: {listed(wrong)}", hint)


def _has(told: str) -> str:
    verbs = ("strides", "pads", "does", "has")
    return told if told.startswith(verbs) else f"has {told}"


def _transform(
    source: Source, found: Structure, known: Conventions, entry: Entry, tensors: dict[str, Tensor]
) -> list[str]:
    """Changes the tensors into ours, and says how."""
    layout, told = source.layout, []
    if layout.convolution == "HWIO" or layout.linear == "IO":
        told.append("convolutions from HWIO to OIHW, fc transposed")
    told += transforms.divide_by_factor(tensors)
    told += transforms.fill_statistics(tensors)
    told += transforms.absorb_biases(tensors)
    try:
        told += transforms.change_eps(tensors, layout.eps, transforms.EPS)
    except ValueError as error:
        raise refused(
            source.contents.path, f"its eps cannot become {transforms.EPS:g}: {error}"
        ) from None
    if known.input and known.input.order == "bgr":
        told += transforms.flip_channels(tensors)
    if known.zero_padding == "both" and target.pads_after(entry.spec):
        told += transforms.move_zeros(tensors, found.blocks)
    return told + transforms.count_batches(tensors)


def _metadata(
    source: Source, known: Conventions, entry: Entry, told: list[str], classes: list[str] | None
) -> dict[str, str]:
    metadata = {
        "format": FORMAT,
        "network": entry.name,
        "network_sha256": entry.network_sha256,
        "source_layout": source.layout.name,
        "source_sha256": source.contents.sha256,
        "transforms": json.dumps(told, ensure_ascii=False),
    }
    if classes:
        metadata["classes"] = json.dumps(classes, ensure_ascii=False)
    recorded = source.beside.get("input") if known.network else as_rgb(known.input)
    if recorded:
        metadata["input"] = json.dumps(recorded)
    changed = [said for said in told if said.startswith("running_") or "eps" in said]
    before = source.contents.metadata.get("inference_only", "")
    if changed or before:
        metadata["inference_only"] = before or (
            "the running statistics have absorbed what this network lacks, which training on would "
            "undo: " + "; ".join(changed)
        )
    return metadata


def as_rgb(given: Input | None) -> dict[str, object] | None:
    """The input as metadata have it, in RGB; None where its mean is not known."""
    if given is None or given.mean is None or given.std is None:
        return None
    step = -1 if given.order == "bgr" else 1
    return {"order": "rgb", "mean": given.mean[::step], "std": given.std[::step]}


def _notes(source: Source, known: Conventions, metadata: dict[str, str]) -> list[str]:
    notes = [*source.notes, *known.notes]
    if source.ignored:
        notes.append(f"no weights, and left out: {listed(source.ignored)}")
    if "input" not in metadata:
        notes.append("the file does not say what is subtracted from its images, nor is it known")
    return notes
