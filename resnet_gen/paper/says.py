"""What the paper says of a network, and where a spec leaves the paper."""

from __future__ import annotations

from resnet_gen.paper.tables import Errors, Section42, Table1, Table2, Table6, load
from resnet_gen.read.network_spec import CONVOLUTIONS, CifarSpec, ImagenetSpec, NetworkSpec


def table1_column(spec: ImagenetSpec) -> str | None:
    """The column of Table 1 with these blocks: "50-layer"."""
    column = f"{spec.depth}-layer"
    rows = [row for row in load("table1", Table1).rows if column in row.columns]
    repeats = [int(row.columns[column].repeats) for row in rows]
    layers = CONVOLUTIONS[spec.block]
    same = repeats == spec.blocks and len(rows[0].columns[column].block) == layers
    return column if same else None


def departures(spec: NetworkSpec) -> list[str]:
    """Where the spec leaves the paper by its own word, not counting depth and shortcut."""
    fields = type(spec).model_fields
    keys = ["classes", "width", "image_size", "image_channels", "zero_gamma"]
    found = [
        f"{key}: {str(getattr(spec, key)).lower()}"
        for key in keys
        if getattr(spec, key) != fields[key].default
    ]
    if isinstance(spec, ImagenetSpec) and spec.stride_in == "conv3x3":
        found.append("stride_in: conv3x3")
    return found


def reported_error(spec: NetworkSpec) -> str | None:
    """The paper's error of exactly this network, with its table: "8.75% (Table 6)"."""
    if departures(spec):
        return None
    if isinstance(spec, CifarSpec):
        row = load("table6", Table6).resnet(spec.depth)
        if row is None or spec.shortcut != load("section4-2", Section42).shortcut:
            return None
        spread = f"; best of 5 runs, mean {row.spread}" if row.spread else ""
        return f"{row.error}% (Table 6{spread})"
    if table1_column(spec) is None:
        return None
    for method in load("table3", Errors).rows:
        if (method.depth, method.shortcut) == (spec.depth, spec.shortcut):
            return f"{method.top1}% top-1, {method.top5}% top-5 (Table 3, 10-crop)"
    column = {"none": "plain", "A": "ResNet"}.get(spec.shortcut, "")
    for row2 in load("table2", Table2).rows:
        if row2.layers == str(spec.depth) and column:
            return f"{getattr(row2, column)}% top-1 (Table 2, 10-crop)"
    return None
