"""A network against the paper: what is printed | what the spec means | what the code builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from resnet_gen.compare.summary import MISSING, cifar_figures, imagenet_figures
from resnet_gen.network.expansion import Network, block_of
from resnet_gen.network.layers import Layer
from resnet_gen.paper import says, tables
from resnet_gen.read.network_spec import CifarSpec, ImagenetSpec, NetworkSpec

Verdict = Literal["equal", "rounds", "explained", "differs"]
NOT_PRINTED = "not printed"
BOTTLENECK_STRIDE = (
    "Table 1 says which blocks stride, not which of a bottleneck's layers does; "
    "the authors' released networks stride in the first 1×1"
)
CHANGED = "the code does not build what the spec says"


@dataclass(frozen=True)
class Row:
    """One thing compared. `left` is the paper (or another network), `right` the generated code."""

    what: str
    left: str
    spec: str
    right: str
    verdict: Verdict
    why: str = ""


@dataclass(frozen=True)
class Comparison:
    """All rows, and what the two sides are."""

    left: str
    right: str
    rows: tuple[Row, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return all(row.verdict != "differs" for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        """The document that `diff --json` prints."""
        rows = [asdict(row) for row in self.rows]
        return {"left": self.left, "right": self.right, "equal": self.equal, "rows": rows}


@dataclass(frozen=True)
class Printed:
    """The paper's side: where it stands, each figure, and why this network may leave it."""

    source: str
    figures: Mapping[str, str]  # as shown
    wanted: Mapping[str, str]  # as the layers would have it, where that is written otherwise
    nearest_note: str  # why figures of depth may differ: only a neighbour is in the paper


def compare(network: Network, measured: Sequence[Layer], code: str) -> Comparison:
    """The network's column of Table 1, or its row of Table 6, against its code (a path)."""
    spec = network.spec
    if isinstance(spec, CifarSpec):
        printed = cifar_printed(spec)
        ours, theirs = cifar_figures(network.layers), cifar_figures(measured)
    else:
        printed = imagenet_printed(spec)
        ours, theirs = imagenet_figures(network.layers), imagenet_figures(measured)
    rows = [_where(network, printed)] if printed.nearest_note else []
    for what in dict.fromkeys([*ours, *theirs]):
        rows.append(_row(what, printed, ours.get(what, MISSING), theirs.get(what, MISSING), spec))
    rows += layer_rows(network.layers, measured)
    return Comparison(f"paper: {printed.source}", code, tuple(rows))


def imagenet_printed(spec: ImagenetSpec) -> Printed:
    """The column of Table 1 with the spec's blocks, or the nearest one."""
    table = tables.load("table1", tables.Table1)
    column, nearest = says.table1_column(spec), ""
    if column is None:
        kind = [c for c in table.flops if (int(c.split("-")[0]) > 34) == (spec.block != "basic")]
        column = min(kind, key=lambda c: abs(int(c.split("-")[0]) - spec.depth))
        nearest = f"Table 1 has no column with these blocks; {column} is the nearest"
    first, pool = table.row("conv1"), table.row("conv2_x")
    kernel, width, stride = (first.all_columns or "").split(", ")
    figures = {
        "conv1 output size": first.output_size,
        "conv1 kernel": kernel,
        "conv1 width": width,
        "conv1 stride": stride.removeprefix("stride "),
        "max pool output size": pool.output_size,
        "max pool": (pool.all_columns or "").replace(" max pool", ""),
        "head": (table.row("").all_columns or "").removesuffix(", softmax"),
        "depth": column.removesuffix("-layer"),
        "parameters": NOT_PRINTED,
        "multiply-adds": table.flops[column],
    }
    for row in table.rows:
        if column in row.columns:
            cell, label = row.columns[column], row.layer_name
            kernels, widths = zip(*(c.split(", ") for c in cell.block), strict=True)
            strided = any(layer.startswith(label[:-1]) for layer in table.downsampling.layers)
            figures |= {
                f"{label} output size": row.output_size,
                f"{label} kernels": ", ".join(kernels),
                f"{label} widths": ", ".join(widths),
                f"{label} repeats": cell.repeats,
                f"{label} stride": table.downsampling.stride if strided else "1",
            }
    source = f"Table 1's rows; nearest column: {column}" if nearest else f"Table 1, {column}"
    return Printed(source, figures | _text(spec), {}, nearest)


def cifar_printed(spec: CifarSpec) -> Printed:
    """Section 4.2's rule for this n, with Table 6's row of the depth or of the nearest one."""
    section, table = (
        tables.load("section4-2", tables.Section42),
        tables.load("table6", tables.Table6),
    )
    row, nearest = table.resnet(spec.depth), ""
    source = f"section 4.2 with n = {spec.n}, Table 6"
    if row is None:
        close = min(table.depths, key=lambda depth: abs(depth - spec.depth))
        row = table.resnet(close)
        nearest = f"Table 6 has no network of {spec.depth} layers; its nearest is ResNet-{close}"
        source = f"section 4.2 with n = {spec.n}; nearest in Table 6: ResNet-{close}"
    kernel, width = section.first_layer.split(", ")
    figures = {
        "conv1 output size": section.stages[0].output_size,
        "conv1 kernel": kernel,
        "conv1 width": width,
        "conv1 stride": "1",
        "head": section.head.removesuffix(", softmax"),
        "depth": f"{section.depth} = {6 * spec.n + 2}",
        "parameters": (row.parameters if row else None) or NOT_PRINTED,
        "multiply-adds": NOT_PRINTED,
    }
    wanted = {"depth": str(6 * spec.n + 2)}
    for k, stage in enumerate(section.stages, start=1):
        layers = str(stage.layers_for(spec.n))
        wanted[f"stage {k} layers"] = layers
        figures |= {
            f"stage {k} output size": stage.output_size,
            f"stage {k} kernels": f"{section.kernels}, {section.kernels}",
            f"stage {k} widths": f"{stage.filters}, {stage.filters}",
            f"stage {k} stride": section.downsampling.stride if k > 1 else "1",
            f"stage {k} layers": f"{stage.layers} = {layers}",
        }
    return Printed(source, figures | _text(spec), wanted, nearest)


def layer_rows(ours: Sequence[Layer], theirs: Sequence[Layer]) -> list[Row]:
    """The code's layers against the spec's: a row for each that is not the same, else one row."""
    spec, code = {la.name: la for la in ours}, {la.name: la for la in theirs}
    rows = []
    for name in dict.fromkeys([*spec, *code]):
        left, right = spec.get(name), code.get(name)
        if left != right:
            said, built = describe(left), describe(right)
            if said == built:  # the same layer, fed by another one
                said, built = f"{said}, after {_inputs(left)}", f"{built}, after {_inputs(right)}"
            rows.append(Row(name, "", said, built, "differs", CHANGED))
    if rows:
        return rows
    count = f"{len(spec)} layers"
    return [Row("every layer", "", count, count, "equal")]


def describe(layer: Layer | None) -> str:
    """`3×3, 64, stride 2 → 28×28, 36,864 parameters`."""
    if layer is None:
        return MISSING
    size = f" → {layer.out_channels}×{layer.output_size}×{layer.output_size}"
    parameters = f", {layer.parameters:,} parameters" if layer.parameters else ""
    return f"{layer}{size}{parameters}"


def _inputs(layer: Layer | None) -> str:
    return " and ".join(layer.inputs) if layer else ""


def _text(spec: NetworkSpec) -> dict[str, str]:
    """What the paper's text says of such a network."""
    text = tables.load("section3", tables.Section3)
    options = text.options(spec.design, block_of(spec), spec.depth)
    return {
        "block order": text.order(block_of(spec), plain=spec.shortcut == "none"),
        "shortcuts": spec.shortcut if spec.shortcut in options else " or ".join(options),
    }


def _where(network: Network, printed: Printed) -> Row:
    name = network.spec.name
    return Row("network", "not in the paper", name, name, "explained", printed.nearest_note)


def _row(what: str, printed: Printed, ours: str, theirs: str, spec: NetworkSpec) -> Row:
    shown = printed.figures.get(what, "")
    if ours != theirs:
        return Row(what, shown, ours, theirs, "differs", CHANGED)
    if shown in ("", NOT_PRINTED) or printed.wanted.get(what, shown) == ours:
        return Row(what, shown, ours, theirs, "equal")
    if what in ("parameters", "multiply-adds"):
        verdict, why = _figure(what, printed, int(ours.replace(",", "")), spec)
        return Row(what, shown, ours, theirs, verdict, why)
    if printed.nearest_note and what.endswith(("repeats", "depth")):
        return Row(what, shown, ours, theirs, "explained", printed.nearest_note)
    if ours == f"{shown}, in the 1×1":
        return Row(what, shown, ours, theirs, "explained", BOTTLENECK_STRIDE)
    if what == "shortcuts" and spec.design == "imagenet" and block_of(spec) == "basic":
        return Row(what, shown, ours, theirs, "explained", _reason(what, spec))
    return Row(what, shown, ours, theirs, "differs", _reason(what, spec))


def _figure(what: str, printed: Printed, value: int, spec: NetworkSpec) -> tuple[Verdict, str]:
    """Whether the printed figure is this count rounded; if not, what is known about it."""
    shown = printed.figures[what]
    number, unit = (shown[:-1], 10**6) if shown.endswith("M") else (shown.split("×")[0], 10**9)
    rounded = (Decimal(value) / unit).quantize(Decimal(number), ROUND_HALF_UP)
    if str(rounded) == number and not printed.nearest_note:
        return "rounds", f"{value:,} rounds to {shown}"
    for note in tables.load("notes", tables.Notes).flops:
        if note.multiply_adds == value and note.column == f"{spec.depth}-layer":
            return note.verdict, note.why
    if departures := says.departures(spec):
        return "differs", f"the spec sets {', '.join(departures)}"
    if printed.nearest_note:
        return "explained", printed.nearest_note
    return "differs", _reason("shortcuts", spec)


def _reason(what: str, spec: NetworkSpec) -> str:
    """Which line of the spec makes this row differ."""
    if what == "shortcuts":
        return f"the paper reports no such network with shortcut: {spec.shortcut}"
    key = {"head": "classes", "width": "width", "widths": "width", "stride": "stride_in"}.get(
        what.rsplit(maxsplit=1)[-1], "image_size"
    )
    if key == "stride_in":
        return "v1.5: the spec sets stride_in: conv3x3; the authors' release strides in the 1×1"
    return f"the spec sets {key}: {getattr(spec, key)}"
