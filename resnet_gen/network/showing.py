"""Networks as tables and documents."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from resnet_gen.network.expansion import Network, expand
from resnet_gen.network.layers import Layer, Operation
from resnet_gen.read.all_specs import AnyEntry
from resnet_gen.read.library import Entry

Table = tuple[tuple[str, ...], list[tuple[str, ...]], str]  # heads, rows, which columns are numbers
LAYER_KEYS = (
    *("name", "operation", "kernel", "stride", "in_channels", "out_channels", "output_size"),
    *("parameters", "multiply_adds"),
)


def network_row(entry: Entry, out: Path) -> dict[str, Any]:
    """A network in one row; `generated` is its folder, or null where there is no code yet."""
    network, spec, folder = expand(entry.spec), entry.spec, out / entry.folder
    return {
        "name": spec.name,
        "design": spec.design,
        "depth": spec.depth,
        "shortcut": spec.shortcut,
        "parameters": network.parameters,
        "multiply_adds": network.multiply_adds,
        "generated": folder.as_posix() if (folder / "model.py").is_file() else None,
    }


def network_table(rows: list[dict[str, Any]]) -> Table:
    """The table of `list`."""
    heads = ("name", "design", "depth", "shortcut", "parameters", "multiply-adds", "generated")
    cells = [tuple(_cell(value) for value in row.values()) for row in rows]
    return heads, cells, "llrlrrl"


def as_document(network: Network) -> dict[str, Any]:
    """The document of `show --json`: the network and every one of its layers."""
    spec = network.spec
    return {
        "name": spec.name,
        "design": spec.design,
        "depth": spec.depth,
        "shortcut": spec.shortcut,
        "parameters": network.parameters,
        "multiply_adds": network.multiply_adds,
        "layers": [{key: asdict(layer)[key] for key in LAYER_KEYS} for layer in network.layers],
    }


def layer_table(network: Network) -> Table:
    """The table of `show`: a batch norm counts with its convolution, and ReLUs are left out."""
    heads = ("layer", "operation", "channels", "output", "parameters", "multiply-adds")
    normed = {
        layer.inputs[0]: layer
        for layer in network.layers
        if layer.operation == Operation.BATCH_NORM
    }
    rows = []
    for layer in network.layers:
        if layer.operation in (Operation.BATCH_NORM, Operation.RELU):
            continue
        norm = normed.get(layer.name)
        rows.append(_layer_row(layer, layer.parameters + (norm.parameters if norm else 0)))
    totals = (f"{network.parameters:,}", f"{network.multiply_adds:,}")
    size = network.spec.image_size
    rows.append((network.spec.name, f"{network.spec.depth} layers", "", "", *totals))
    rows.insert(0, ("image", "", str(network.spec.image_channels), f"{size}×{size}", "", ""))
    return heads, rows, "llrrrr"


def resolved_yaml(entry: AnyEntry) -> str:
    """The spec with every default written out, and its hash."""
    text = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.dump(entry.canonical, text)
    return f"# {entry.label}, resolved; sha256 {entry.sha256}\n{text.getvalue()}"


def _layer_row(layer: Layer, parameters: int) -> tuple[str, ...]:
    return (
        layer.name,
        str(layer),
        str(layer.out_channels),
        f"{layer.output_size}×{layer.output_size}",
        f"{parameters:,}" if parameters else "",
        f"{layer.multiply_adds:,}" if layer.multiply_adds else "",
    )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)
