"""Which layout a file has: wrappers and prefixes off, its names as ours, each one accounted for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from resnet_gen.weights.layouts import Layout, all_layouts
from resnet_gen.weights.naming import Naming
from resnet_gen.weights.reading import MAX_NAME, Contents
from resnet_gen.weights.refusal import listed, refused

WRAPPERS = (
    *("state_dict", "model_state", "model", "model_state_dict", "net", "state_dict_ema"),
    "blobs",  # Detectron's
)
PREFIXES = ("module.", "_orig_mod.", "model.")  # of DataParallel, torch.compile, Lightning
FORMAT = "resnet-gen weights 1"


@dataclass
class Source:
    """A file whose layout is known, with its tensors by our names and in our arrangement."""

    contents: Contents
    layout: Layout
    tensors: dict[str, Tensor]
    theirs: dict[str, str]  # our name to the name in the file
    unmatched: list[str]  # names that the layout does not have
    ignored: list[str]  # names that the layout says are no weights
    beside: dict[str, Any]  # what lies beside the weights
    notes: list[str] = field(default_factory=list)


def recognise(contents: Contents) -> Source:
    """The file by its layout.

    Raises:
        Failure: no layout has its names, or two of its names mean the same tensor.
    """
    weights, beside, notes = _peel(contents)
    _require_names(contents, weights)
    best: tuple[int, Layout, dict[str, Any]] | None = None
    for layout in all_layouts():
        if not _has_beside(layout, contents, beside):
            continue
        for prefix in layout.prefixes:
            bare = _without(prefix, weights)
            if bare is not None and all(name in bare for name in layout.recognised_by):
                score = len(layout.recognised_by) + 10 * len(layout.beside)
                if best is None or score > best[0]:
                    best = score, layout, bare
    if best is None:
        names = listed(list(map(str, weights))) or "none"
        raise refused(
            contents.path,
            f"no layout that is known has its names: {names}",
            "`resnet-gen weights layouts` shows those that are known",
        )
    return _rename(contents, best[1], best[2], beside, notes)


def _peel(contents: Contents) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    weights: dict[str, Any] = dict(contents.document)
    beside: dict[str, Any] = {}
    notes: list[str] = []
    while True:
        inner = [name for name in WRAPPERS if isinstance(weights.get(name), Mapping)]
        if inner:
            others = [name for name in inner[1:] if _looks_like_weights(weights[name])]
            if others:
                notes.append(f"read is its {inner[0]}; it has {listed(others)} too")
            beside |= {name: value for name, value in weights.items() if name != inner[0]}
            weights = dict(weights[inner[0]])
            continue
        prefix = next((p for p in PREFIXES if (_without(p, weights)) is not None), None)
        if prefix is None:
            return weights, beside, notes
        weights = _without(prefix, weights) or {}


def _looks_like_weights(value: object) -> bool:
    return isinstance(value, Mapping) and any(isinstance(each, Tensor) for each in value.values())


def _without(prefix: str, weights: Mapping[str, Any]) -> dict[str, Any] | None:
    """The weights without a prefix that all their names have, or None."""
    if not weights or not all(isinstance(n, str) and n.startswith(prefix) for n in weights):
        return None
    return {name.removeprefix(prefix): value for name, value in weights.items()}


def _require_names(contents: Contents, weights: Mapping[Any, Any]) -> None:
    if not any(isinstance(value, Tensor) for value in weights.values()):
        raise refused(contents.path, "it holds no tensors by their names")
    for name in weights:
        if not isinstance(name, str) or not name.isprintable() or len(name) > MAX_NAME:
            raise refused(contents.path, f"a tensor has a name that none has: {str(name)[:40]!r}")


def _has_beside(layout: Layout, contents: Contents, beside: Mapping[str, Any]) -> bool:
    if contents.metadata.get("format") == FORMAT:
        return "network_sha256" in layout.beside
    return all(name in beside for name in layout.beside)


def _rename(
    contents: Contents,
    layout: Layout,
    weights: dict[str, Any],
    beside: dict[str, Any],
    notes: list[str],
) -> Source:
    naming = Naming(layout)
    source = Source(contents, layout, {}, {}, [], [], beside, notes)
    for name, value in weights.items():
        ours = naming.ours(name)
        if any(re.search(expression, name) for expression in layout.ignored):
            source.ignored.append(name)
        elif ours is None or not isinstance(value, Tensor):
            source.unmatched.append(name)
        elif ours in source.tensors:
            both = f"{source.theirs[ours]} and {name}"
            raise refused(contents.path, f"{both} would both be {ours}")
        else:
            source.tensors[ours] = _arranged(layout, ours, value)
            source.theirs[ours] = name
    return source


def _arranged(layout: Layout, name: str, value: Tensor) -> Tensor:
    """The tensor with its dimensions in torch's order; one of another rank as it is."""
    if layout.convolution == "HWIO" and name.endswith("weight") and value.dim() == 4:
        return value.permute(3, 2, 0, 1)
    if layout.linear == "IO" and name == "fc.weight" and value.dim() == 2:
        return value.t()
    if name.endswith(("running_mean", "running_var", "bias")) or ".bn" in name:
        return value.flatten() if value.numel() == max(value.shape, default=0) else value
    return value
