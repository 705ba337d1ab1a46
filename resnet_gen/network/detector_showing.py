"""Detectors as tables and documents."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from resnet_gen.network.detector import Part, of_an_image, shared_convolutions
from resnet_gen.network.layers import Operation
from resnet_gen.network.showing import LAYER_KEYS, Table
from resnet_gen.read.detectors import DetectorEntry


def detector_row(entry: DetectorEntry, out: Path) -> dict[str, Any]:
    """A detector in one row of `list`; depth and shortcuts are its backbone's."""
    network, folder = of_an_image(entry), out / entry.folder
    return {
        "name": entry.name,
        "design": entry.spec.design,
        "depth": entry.backbone_spec.depth,
        "shortcut": entry.backbone_spec.shortcut,
        "parameters": network.parameters,
        "multiply_adds": network.multiply_adds(entry.spec.proposals),
        "generated": folder.as_posix() if (folder / "detector.py").is_file() else None,
    }


def detector_document(entry: DetectorEntry) -> dict[str, Any]:
    """The document of `show --json`: its parts, and every layer of each."""
    network = of_an_image(entry)
    row = detector_row(entry, Path())
    del row["generated"]
    return {
        **row,
        "backbone": entry.backbone.name,
        "image": {"height": network.height, "width": network.width},
        "proposals": entry.spec.proposals,
        "parts": [
            {
                "name": part.name,
                "parameters": part.parameters,
                "multiply_adds": part.multiply_adds,
                "times": network.times(part),
                "layers": [
                    {key: asdict(layer)[key] for key in LAYER_KEYS} for layer in part.layers
                ],
            }
            for part in network.parts
        ],
    }


def detector_table(entry: DetectorEntry) -> Table:
    """The table of `show`: the parts, what an image takes once and what each region takes."""
    network, spec = of_an_image(entry), entry.spec
    heads = ("part", "of", "output", "parameters", "multiply-adds", "times", "in all")
    anchors = len(spec.anchors.sizes) * len(spec.anchors.ratios)
    of = {
        "trunk": f"conv1 to conv4_x of {entry.backbone.name}, "
        f"{shared_convolutions(network.trunk.layers)} convolutions",
        "RPN": f"3×3, and {anchors} anchors at each place",
        "conv5_x": f"RoI {spec.roi.kind} of {spec.roi.size}×{spec.roi.size}, "
        f"{_convolutions(network.region)} convolutions",
        "siblings": f"{spec.classes + 1} scores, {spec.classes + 1} boxes",
    }
    outputs = (
        f"{network.trunk.layers[-1].out_channels} maps, stride 16",
        f"{spec.proposals} proposals",
        f"{network.region.layers[-1].out_channels}-d",
        "",
    )
    rows = []
    for part, output in zip(network.parts, outputs, strict=True):
        times = network.times(part)
        counts = (part.parameters, part.multiply_adds, times, times * part.multiply_adds)
        rows.append((part.name, of[part.name], output, *(f"{count:,}" for count in counts)))
    whole = network.multiply_adds(spec.proposals)
    size = f"{network.height}×{network.width}"
    rows.append(
        (entry.name, f"an image of {size}", "", f"{network.parameters:,}", "", "", f"{whole:,}")
    )
    return heads, rows, "lllrrrr"


def _convolutions(part: Part) -> int:
    return sum(layer.operation == Operation.CONVOLUTION for layer in part.layers)
