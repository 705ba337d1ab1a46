"""The paper's column of a comparison: every figure that it prints of a network, by its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from resnet_gen.paper import says, tables
from resnet_gen.paper.figures import Figure, Key
from resnet_gen.paper.vgg import Figure3Vgg, Vgg
from resnet_gen.read.network_spec import CifarSpec, ImagenetSpec, NetworkSpec, VggSpec

NOT_PRINTED = "not printed"


@dataclass(frozen=True)
class Column:
    """What the paper prints of a network, or of the nearest one that it has."""

    source: str  # Table 1, 50-layer
    name: str  # 50-layer, VGG-16; nothing for section 4.2, whose rule is for all
    shown: Mapping[Key, str]  # the figures as they are printed
    means: Mapping[Key, str]  # the figures that printed formulas stand for: 6 for 2n = 6
    nearest: str  # why a neighbour's figures are shown; empty if the paper has the network


def printed(spec: NetworkSpec) -> Column:
    """Table 1's column with the spec's blocks, section 4.2's rule with Table 6's row, or VGG's."""
    if isinstance(spec, VggSpec):
        return _vgg(spec)
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
    return Column(source, column, shown | _text(spec), {}, nearest)


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
    return Column(source, "", shown | _text(spec), means, nearest)


def _vgg(spec: VggSpec) -> Column:
    """The figures of VGG-16 and VGG-19 in the text, and of VGG-19 in Figure 3."""
    table, name = tables.load("vgg", Vgg), f"VGG-{spec.depth}"
    configuration = says.vgg_configuration(spec)
    flops = table.flops_of(name) if configuration else None
    if flops is None:
        nearest = "the paper has VGG-16 and VGG-19 alone"
        if configuration:
            nearest += f"; this is configuration {configuration} of Simonyan & Zisserman 2014"
        return Column("no figures of this network", "", {}, {}, nearest)
    shown = {
        Key(Figure.DEPTH): str(spec.depth),
        Key(Figure.PARAMETERS): NOT_PRINTED,
        Key(Figure.MULTIPLY_ADDS): flops.printed,
    }
    means: dict[Key, str] = {}
    if name == table.figure3.network:
        drawn, means = _figure3(table.figure3)
        shown |= drawn
    return Column(f"{name}, {flops.place}", name, shown, means, "")


def _figure3(figure: Figure3Vgg) -> tuple[dict[Key, str], dict[Key, str]]:
    """The boxes of Figure 3's left column, as printed and as what they mean."""
    shown: dict[Key, str] = {}
    means: dict[Key, str] = {}
    for number, stage in enumerate(figure.stages, start=1):
        kernel, width = stage.convolution.split(" conv, ")
        place, pool = f"conv{number}", f"pool{number}"
        shown |= {
            Key(Figure.OUTPUT_SIZE, place): stage.output_size,
            Key(Figure.KERNEL, place): kernel,
            Key(Figure.WIDTH, place): width,
            Key(Figure.LAYERS, place): str(stage.times),
            Key(Figure.STRIDE, pool): figure.pool,
        }
        means[Key(Figure.OUTPUT_SIZE, place)] = f"{stage.output_size}×{stage.output_size}"
        means[Key(Figure.STRIDE, pool)] = figure.pool.removeprefix("/")
    last = Key(Figure.OUTPUT_SIZE, f"pool{len(figure.stages)}")
    shown[last] = figure.last_output_size
    means[last] = f"{figure.last_output_size}×{figure.last_output_size}"
    shown[Key(Figure.HEAD)] = ", ".join(figure.head)
    return shown, means


def _text(spec: CifarSpec | ImagenetSpec) -> dict[Key, str]:
    """What section 3 says of the blocks and shortcuts of such a network."""
    text = tables.load("section3", tables.Section3)
    options = text.options(spec.design, spec.block, spec.depth)
    shortcuts = spec.shortcut if spec.shortcut in options else " or ".join(options)
    return {
        Key(Figure.BLOCK_ORDER): text.order(spec.block, plain=spec.shortcut == "none"),
        Key(Figure.SHORTCUTS): shortcuts,
    }
