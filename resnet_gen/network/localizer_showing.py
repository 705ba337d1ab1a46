"""Localizers as tables and documents."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from resnet_gen.network.detector import Part
from resnet_gen.network.localizer import LocalizerNetwork, of_a_crop
from resnet_gen.network.showing import LAYER_KEYS, Table
from resnet_gen.read.detectors import LocalizerEntry


def localizer_row(entry: LocalizerEntry, out: Path) -> dict[str, Any]:
    """A row of `list`: both networks' parameters, and the RPN's work for a crop."""
    network, folder = of_a_crop(entry), out / entry.folder
    return {
        "name": entry.name,
        "design": entry.spec.design,
        "depth": entry.backbone_spec.depth,
        "shortcut": entry.backbone_spec.shortcut,
        "parameters": sum(part.parameters for part in network.parts),
        "multiply_adds": network.trunk.multiply_adds + network.rpn.multiply_adds,
        "generated": folder.as_posix() if (folder / "localizer.py").is_file() else None,
    }


def localizer_document(entry: LocalizerEntry) -> dict[str, Any]:
    """The document of `show --json`: its parts, and every layer of each."""
    network = of_a_crop(entry)
    row = localizer_row(entry, Path())
    del row["generated"]
    return {
        **row,
        "backbone": entry.backbone.name,
        "image": {"height": network.size, "width": network.size},
        "proposals": entry.spec.proposals,
        "parts": [
            {
                "name": part.name,
                "parameters": part.parameters,
                "multiply_adds": part.multiply_adds,
                "times": _times(network, part),
                "layers": [
                    {key: asdict(layer)[key] for key in LAYER_KEYS} for layer in part.layers
                ],
            }
            for part in network.parts
        ],
    }


def localizer_table(entry: LocalizerEntry) -> Table:
    """The table of `show`: what an image takes once, and each proposal of a class."""
    network, spec = of_a_crop(entry), entry.spec
    heads = ("part", "of", "output", "parameters", "multiply-adds", "times")
    channels, side = network.trunk.layers[-1].out_channels, network.trunk.layers[-1].output_size
    anchors = len(spec.anchors.sizes) * len(spec.anchors.ratios)
    each = f"{spec.classes} scores, {spec.classes} boxes"
    rows = [
        (
            part.name,
            of,
            output,
            *(f"{count:,}" for count in (part.parameters, part.multiply_adds)),
            f"{_times(network, part):,}",
        )
        for part, of, output in zip(
            network.parts,
            (f"conv1 to conv5_x of {entry.backbone.name}", "3×3, then 1×1",
             f"{entry.backbone.name} again, of a warped box", ""),
            (f"{channels} maps, {side}×{side}", f"{each} at {anchors} anchors of a place",
             f"{channels}-d", each),
            strict=True,
        )
    ]  # fmt: skip
    parameters = sum(part.parameters for part in network.parts)
    size = f"{network.size}×{network.size}"
    rows.append((entry.name, f"a crop of {size}, one class", "", f"{parameters:,}", "", ""))
    return heads, rows, "lllrrr"


def _times(network: LocalizerNetwork, part: Part) -> int:
    return 1 if part in (network.trunk, network.rpn) else network.spec.proposals
