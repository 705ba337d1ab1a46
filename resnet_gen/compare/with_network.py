"""Two networks side by side, layer by layer, and what the differences sum up to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from resnet_gen.compare.by_layer import by_name, in_words, layer_key, told_apart
from resnet_gen.compare.rows import CHANGED, Comparison, Row, Verdict
from resnet_gen.network import layers as op
from resnet_gen.network.expansion import Network
from resnet_gen.network.layers import Layer

SUM_OF = "sum"  # begins the keys of the rows that sum up the layers of one operation


def align(network: Network, measured: Sequence[Layer], code: str, other: Network) -> Comparison:
    """`other` | `network` as its spec means it | as its code (a path) builds it."""
    left, spec, right = (by_name(side) for side in (other.layers, network.layers, measured))
    rows = [
        _row(name, left.get(name), spec.get(name), right.get(name))
        for name in _merged(left, spec, right)
    ]
    rows += _sums(other.layers, network.layers, measured)
    return Comparison(other.spec.name, code, tuple(rows), with_paper=False)


def _row(name: str, left: Layer | None, spec: Layer | None, right: Layer | None) -> Row:
    if spec != right:
        said, built = told_apart(spec, right)
        return Row(name, in_words(left), said, built, Verdict.DIFFERS, CHANGED, layer_key(name))
    if _apart_from_inputs(left) == _apart_from_inputs(spec):
        text = in_words(spec)
        return Row(name, text, text, text, Verdict.EQUAL, key=layer_key(name))
    theirs, ours = told_apart(_apart_from_inputs(left), _apart_from_inputs(spec))
    return Row(name, theirs, ours, ours, Verdict.DIFFERS, key=layer_key(name))


def _apart_from_inputs(layer: Layer | None) -> Layer | None:
    """The layer without its inputs: where these differ, other rows have the layers that do."""
    return layer and replace(layer, inputs=(), input_size=0)


def _sums(*sides: Sequence[Layer]) -> list[Row]:
    """Rows of totals: each operation's layers, then depth, parameters and multiply-adds."""
    operations = dict.fromkeys(layer.operation for side in sides for layer in side)
    rows = [
        _total(
            f"sum of {operation} layers",
            f"{SUM_OF}.{operation.replace(' ', '_')}",
            *(_sum(side, operation) for side in sides),
        )
        for operation in operations
    ]
    rows.append(_total("depth", "depth", *(str(op.depth(side)) for side in sides)))
    for what, key in (("parameters", "parameters"), ("multiply-adds", "multiply_adds")):
        rows.append(_total(what, key, *(f"{op.total(side, key):,}" for side in sides)))
    return rows


def _total(what: str, key: str, left: str, spec: str, right: str) -> Row:
    verdict = Verdict.EQUAL if left == spec == right else Verdict.DIFFERS
    return Row(what, left, spec, right, verdict, _change(left, spec), key)


def _sum(side: Sequence[Layer], operation: str) -> str:
    chosen = [layer for layer in side if layer.operation == operation]
    parameters, work = op.total(chosen, "parameters"), op.total(chosen, "multiply_adds")
    text = f"{len(chosen)}"
    text += f", {parameters:,} parameters" if parameters else ""
    return text + (f", {work:,} multiply-adds" if work else "")


def _change(left: str, spec: str) -> str:
    """The difference of two plain numbers, such as `+19,267,584`; of others, nothing."""
    if not re.fullmatch(r"[\d,]+", left) or not re.fullmatch(r"[\d,]+", spec) or left == spec:
        return ""
    return f"{int(spec.replace(',', '')) - int(left.replace(',', '')):+,}"


def _merged(*sides: Mapping[str, Layer]) -> list[str]:
    """The names of all sides in the order of the forward pass: each after the one before it."""
    names: list[str] = []
    for side in sides:
        known, at = set(names), 0
        if side.keys() <= known:
            continue
        for name in side:
            if name in known:
                at = names.index(name) + 1
            else:
                names.insert(at, name)
                at += 1
    return names
