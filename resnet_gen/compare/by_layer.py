"""Two lists of layers, told apart layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from resnet_gen.compare.rows import CHANGED, MISSING, Row, Verdict
from resnet_gen.network.layers import Argument, Layer, Operation


def layer_rows(ours: Sequence[Layer], theirs: Sequence[Layer]) -> list[Row]:
    """The code's layers against the spec's: a row for each that is not the same, else one row."""
    spec, code = by_name(ours), by_name(theirs)
    rows = []
    for name in dict.fromkeys([*spec, *code]):
        left, right = spec.get(name), code.get(name)
        if left != right:
            said, built = told_apart(left, right)
            key = layer_key(name)
            rows.append(Row(name, "", said, built, Verdict.DIFFERS, CHANGED, key))
    if rows:
        return rows
    count = f"{len(spec)} layers"
    return [Row("every layer", "", count, count, Verdict.EQUAL, key="layers")]


def by_name(layers: Sequence[Layer]) -> dict[str, Layer]:
    """The layers by their names, which no two share."""
    return {layer.name: layer for layer in layers}


def layer_key(name: str) -> str:
    """The key of a layer's row."""
    return f"layers.{name}"


def in_words(layer: Layer | None) -> str:
    """The layer in words, such as `3×3, 64, stride 2 → 64×28×28, 36,864 parameters`.

    Operations that only torch has a name for come with their arguments.
    """
    if layer is None:
        return MISSING
    size = f" → {layer.out_channels}×{layer.output_size}×{layer.output_size}"
    parameters = f", {layer.parameters:,} parameters" if layer.parameters else ""
    given = dict(layer.arguments) if layer.operation not in list(Operation) else {}
    return "; ".join([f"{layer}{size}{parameters}", *(_argument(name, given) for name in given)])


def told_apart(left: Layer | None, right: Layer | None) -> tuple[str, str]:
    """Both layers in words, with whichever of their arguments and inputs are not the same."""
    one, other = in_words(left), in_words(right)
    if left is None or right is None or left.operation != right.operation:
        return one, other
    ours, theirs = dict(left.arguments), dict(right.arguments)
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in ours or name not in theirs or ours[name] != theirs[name]:
            one += f"; {_argument(name, ours)}"
            other += f"; {_argument(name, theirs)}"
    if left.inputs != right.inputs:
        one += f"; after {' and '.join(left.inputs)}"
        other += f"; after {' and '.join(right.inputs)}"
    return one, other


def _argument(name: str, given: Mapping[str, Argument]) -> str:
    """An argument in words: `eps 0.001`, `no bias`."""
    words, value = name.replace("_", " "), given.get(name)
    if value is None or value is False:
        return f"no {words}"
    return words if value is True else f"{words} {value}"
