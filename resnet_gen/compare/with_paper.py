"""A network against the paper: what is printed | what the spec means | what the code builds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from resnet_gen.compare.by_layer import layer_rows
from resnet_gen.compare.rows import CHANGED, MISSING, Comparison, Row, Verdict
from resnet_gen.compare.summary import strided_in, summary
from resnet_gen.network.expansion import Network
from resnet_gen.network.layers import Layer
from resnet_gen.paper import says, tables
from resnet_gen.paper.figures import Figure, Key
from resnet_gen.paper.printed import NOT_PRINTED, Column, printed
from resnet_gen.read.network_spec import NetworkSpec

BOTTLENECK_STRIDE = (
    "Table 1 says which blocks stride, not which of a bottleneck's layers does; "
    "the authors' released networks stride in the first 1×1"
)
COUNTS = (Figure.PARAMETERS, Figure.MULTIPLY_ADDS)
OF_DEPTH = (Figure.REPEATS, Figure.DEPTH)  # figures that a neighbour in the paper need not share


def compare(network: Network, measured: Sequence[Layer], code: str) -> Comparison:
    """The network's column of Table 1, or its row of Table 6, against its code (a path)."""
    spec = network.spec
    paper = printed(spec)
    ours, theirs = summary(network.layers, spec.design), summary(measured, spec.design)
    rows = [_absence(spec.name, paper.nearest)] if paper.nearest else []
    for key in dict.fromkeys([*ours, *theirs]):
        values = paper.shown.get(key, ""), ours.get(key, MISSING), theirs.get(key, MISSING)
        verdict, why = _judge(key, paper, *values[1:], network)
        rows.append(Row(key.label, *values, verdict, why, str(key)))
    rows += layer_rows(network.layers, measured)
    return Comparison(f"paper: {paper.source}", code, tuple(rows), with_paper=True)


def _absence(name: str, nearest: str) -> Row:
    return Row("network", "not in the paper", name, name, Verdict.EXPLAINED, nearest, "network")


def _judge(
    key: Key, paper: Column, ours: str, theirs: str, network: Network
) -> tuple[Verdict, str]:
    """The verdict on a row, and its reason."""
    spec, shown = network.spec, paper.shown.get(key, "")
    if ours != theirs:
        return Verdict.DIFFERS, CHANGED
    if shown in ("", NOT_PRINTED) or paper.means.get(key, shown) == ours:
        return Verdict.EQUAL, ""
    if key.figure in COUNTS:
        return _judge_count(key, paper, network)
    if paper.nearest and key.figure in OF_DEPTH:
        return Verdict.EXPLAINED, paper.nearest
    if key.figure is Figure.STRIDE and ours == strided_in(shown, "1×1"):
        return Verdict.EXPLAINED, BOTTLENECK_STRIDE
    if key.figure is Figure.SHORTCUTS and spec.design == "imagenet" and spec.block == "basic":
        return Verdict.EXPLAINED, _departure(key.figure, spec)
    return Verdict.DIFFERS, _departure(key.figure, spec)


def _judge_count(key: Key, paper: Column, network: Network) -> tuple[Verdict, str]:
    """Whether the printed figure is this count rounded; if not, what is known about it."""
    spec, shown = network.spec, paper.shown[key]
    count = network.parameters if key.figure is Figure.PARAMETERS else network.multiply_adds
    unit = 10**6 if shown.endswith("M") else 10**9  # of 0.27M, 3.8×10^9 and 19.6 billion
    digits = re.split(r"M|×| ", shown)[0]
    rounded = (Decimal(count) / unit).quantize(Decimal(digits), ROUND_HALF_UP)
    if str(rounded) == digits and not paper.nearest:
        return Verdict.ROUNDS, f"{count:,} rounds to {shown}"
    for note in tables.load("notes", tables.Notes).flops:
        if note.multiply_adds == count and note.column == paper.name:
            return Verdict(note.verdict), note.why
    if departures := says.departures(spec):
        return Verdict.DIFFERS, f"the spec sets {', '.join(departures)}"
    if paper.nearest:
        return Verdict.EXPLAINED, paper.nearest
    return Verdict.DIFFERS, _departure(Figure.SHORTCUTS, spec)


def _departure(figure: Figure, spec: NetworkSpec) -> str:
    """Which line of the spec makes this figure another one than the paper's."""
    if figure is Figure.SHORTCUTS:
        return f"the paper reports no such network with shortcut: {spec.shortcut}"
    if figure is Figure.STRIDE:
        return "v1.5: the spec sets stride_in: conv3x3; the authors' release strides in the 1×1"
    keys = {
        Figure.HEAD: ("classes", "hidden"),
        Figure.WIDTH: ("width",),
        Figure.WIDTHS: ("width",),
    }
    departures = [said.split(":")[0] for said in says.departures(spec)]
    likely = keys.get(figure, ("image_size",))
    key = next((key for key in likely if key in departures), likely[0])
    return f"the spec sets {key}: {getattr(spec, key)}"
