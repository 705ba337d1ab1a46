"""Two networks side by side, layer by layer, and what the differences sum up to."""

from __future__ import annotations

import re
from collections.abc import Sequence

from resnet_gen.compare.with_paper import CHANGED, Comparison, Row, Verdict, describe
from resnet_gen.network import layers as op
from resnet_gen.network.expansion import Network
from resnet_gen.network.layers import Layer


def align(network: Network, measured: Sequence[Layer], code: str, other: Network) -> Comparison:
    """`other` | `network` as its spec means it | as its code (a path) builds it."""
    left, spec, right = (_by_name(side) for side in (other.layers, network.layers, measured))
    rows = [
        _row(name, left.get(name), spec.get(name), right.get(name))
        for name in sorted(dict.fromkeys([*left, *spec, *right]), key=_place)
    ]
    rows += _sums(other.layers, network.layers, measured)
    return Comparison(other.spec.name, code, tuple(rows))


def _row(name: str, left: Layer | None, spec: Layer | None, right: Layer | None) -> Row:
    verdict: Verdict = "equal"
    why = ""
    if describe(spec) != describe(right):
        verdict, why = "differs", CHANGED
    elif describe(left) != describe(spec):
        verdict = "differs"
    return Row(name, describe(left), describe(spec), describe(right), verdict, why)


def _sums(*sides: Sequence[Layer]) -> list[Row]:
    """Rows of totals: each operation's layers, then depth, parameters and multiply-adds."""
    operations = dict.fromkeys(layer.operation for side in sides for layer in side)
    figures = {
        f"sum of {operation} layers": [_sum(side, operation) for side in sides]
        for operation in operations
    }
    figures["depth"] = [str(op.depth(side)) for side in sides]
    for what, label in (("parameters", "parameters"), ("multiply_adds", "multiply-adds")):
        totals = [op.total(side, what) for side in sides]
        figures[label] = [f"{total:,}" for total in totals]
    rows = []
    for what, values in figures.items():
        left, spec, right = values
        verdict: Verdict = "equal" if left == spec == right else "differs"
        rows.append(Row(what, left, spec, right, verdict, _change(left, spec)))
    return rows


def _sum(side: Sequence[Layer], operation: str) -> str:
    chosen = [layer for layer in side if layer.operation == operation]
    parameters, work = op.total(chosen, "parameters"), op.total(chosen, "multiply_adds")
    text = f"{len(chosen)}"
    text += f", {parameters:,} parameters" if parameters else ""
    return text + (f", {work:,} multiply-adds" if work else "")


def _change(left: str, spec: str) -> str:
    """`+19,267,584` where both are plain numbers."""
    if not re.fullmatch(r"[\d,]+", left) or not re.fullmatch(r"[\d,]+", spec) or left == spec:
        return ""
    return f"{int(spec.replace(',', '')) - int(left.replace(',', '')):+,}"


def _by_name(side: Sequence[Layer]) -> dict[str, Layer]:
    return {layer.name: layer for layer in side}


def _place(name: str) -> tuple[int, int, int, str]:
    """conv1 ... layer1.0 ... layer4.2 ... fc: the order of the forward pass, for both at once."""
    if found := re.match(r"layer(\d+)\.(\d+)\.(.+)", name):
        return 1, int(found[1]), int(found[2]), ""
    return (2 if name.startswith(("average", "fc")) else 0), 0, 0, ""
