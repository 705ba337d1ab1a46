"""The paper's column of a comparison: every figure that it prints of a network, by its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from resnet_gen.paper import says, tables
from resnet_gen.paper.figures import Figure, Key
from resnet_gen.read.network_spec import CifarSpec, ImagenetSpec, NetworkSpec

NOT_PRINTED = "not printed"


@dataclass(frozen=True)
class Column:
    """What the paper prints of a network, or of the nearest one that it has."""

    source: str  # Table 1, 50-layer
    shown: Mapping[Key, str]  # the figures as they are printed
    means: Mapping[Key, str]  # the figures that printed formulas stand for: 6 for 2n = 6
    nearest: str  # why a neighbour's figures are shown; empty if the paper has the network


def printed(spec: NetworkSpec) -> Column:
    """The column of Table 1 with the spec's blocks, or section 4.2's rule with Table 6's row."""
    return _cifar(spec) if isinstance(spec, CifarSpec) else _imagenet(spec)


def _imagenet(spec: ImagenetSpec) -> Column:
    table = tables.load("table1", tables.Table1)
    column, nearest = says.table1_column(spec), ""
    if column is None:
        kind = [c for c in table.flops if (int(c.split("-")[0]) > 34) == (spec.block != "basic")]
        column = min(kind, key=lambda c: abs(int(c.split("-")[0]) - spec.depth))
        nearest = f"Table 1 has no column with these blocks; {column} is the nearest"
    first, pool = table.row("conv1"), table.row("conv2_x")
    kernel, width, stride = (first.all_columns or "").split(", ")
    shown = {
        Key(Figure.OUTPUT_SIZE, "conv1"): first.output_size,
        Key(Figure.KERNEL, "conv1"): kernel,
        Key(Figure.WIDTH, "conv1"): width,
        Key(Figure.STRIDE, "conv1"): stride.removeprefix("stride "),
        Key(Figure.OUTPUT_SIZE, "max pool"): pool.output_size,
        Key(Figure.WINDOW, "max pool"): (pool.all_columns or "").replace(" max pool", ""),
        Key(Figure.HEAD): (table.row("").all_columns or "").removesuffix(", softmax"),
        Key(Figure.DEPTH): column.removesuffix("-layer"),
        Key(Figure.PARAMETERS): NOT_PRINTED,
        Key(Figure.MULTIPLY_ADDS): table.flops[column],
    }
    for row in table.rows:
        if column in row.columns:
            shown |= _table1_stage(table, row, column)
    source = f"Table 1's rows; nearest column: {column}" if nearest else f"Table 1, {column}"
    return Column(source, shown | _text(spec), {}, nearest)


def _table1_stage(table: tables.Table1, row: tables.Table1Row, column: str) -> dict[Key, str]:
    cell, place = row.columns[column], row.layer_name
    kernels, widths = zip(*(c.split(", ") for c in cell.block), strict=True)
    strided = any(layer.startswith(place[:-1]) for layer in table.downsampling.layers)
    return {
        Key(Figure.OUTPUT_SIZE, place): row.output_size,
        Key(Figure.KERNELS, place): ", ".join(kernels),
        Key(Figure.WIDTHS, place): ", ".join(widths),
        Key(Figure.REPEATS, place): cell.repeats,
        Key(Figure.STRIDE, place): table.downsampling.stride if strided else "1",
    }


def _cifar(spec: CifarSpec) -> Column:
    section = tables.load("section4-2", tables.Section42)
    table = tables.load("table6", tables.Table6)
    row, nearest = table.resnet(spec.depth), ""
    source = f"section 4.2 with n = {spec.n}, Table 6"
    if row is None:
        close = min(table.depths, key=lambda depth: abs(depth - spec.depth))
        row = table.resnet(close)
        nearest = f"Table 6 has no network of {spec.depth} layers; its nearest is ResNet-{close}"
        source = f"section 4.2 with n = {spec.n}; nearest in Table 6: ResNet-{close}"
    kernel, width = section.first_layer.split(", ")
    depth = str(6 * spec.n + 2)
    shown = {
        Key(Figure.OUTPUT_SIZE, "conv1"): section.stages[0].output_size,
        Key(Figure.KERNEL, "conv1"): kernel,
        Key(Figure.WIDTH, "conv1"): width,
        Key(Figure.STRIDE, "conv1"): "1",
        Key(Figure.HEAD): section.head.removesuffix(", softmax"),
        Key(Figure.DEPTH): f"{section.depth} = {depth}",
        Key(Figure.PARAMETERS): (row.parameters if row else None) or NOT_PRINTED,
        Key(Figure.MULTIPLY_ADDS): NOT_PRINTED,
    }
    means = {Key(Figure.DEPTH): depth}
    for number, stage in enumerate(section.stages, start=1):
        place, layers = f"stage {number}", str(stage.layers_for(spec.n))
        means[Key(Figure.LAYERS, place)] = layers
        shown |= {
            Key(Figure.OUTPUT_SIZE, place): stage.output_size,
            Key(Figure.KERNELS, place): f"{section.kernels}, {section.kernels}",
            Key(Figure.WIDTHS, place): f"{stage.filters}, {stage.filters}",
            Key(Figure.STRIDE, place): section.downsampling.stride if number > 1 else "1",
            Key(Figure.LAYERS, place): f"{stage.layers} = {layers}",
        }
    return Column(source, shown | _text(spec), means, nearest)


def _text(spec: NetworkSpec) -> dict[Key, str]:
    """What section 3 says of the blocks and shortcuts of such a network."""
    text = tables.load("section3", tables.Section3)
    options = text.options(spec.design, spec.block, spec.depth)
    shortcuts = spec.shortcut if spec.shortcut in options else " or ".join(options)
    return {
        Key(Figure.BLOCK_ORDER): text.order(spec.block, plain=spec.shortcut == "none"),
        Key(Figure.SHORTCUTS): shortcuts,
    }
