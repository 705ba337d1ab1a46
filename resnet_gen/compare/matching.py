"""Which weight of the code is which weight of the layer list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Shapes = Mapping[str, tuple[int, ...]]


def match(spec: Shapes, code: Shapes, order: Sequence[str]) -> dict[str, str]:
    """From the spec's names to the code's: by name and shape, else by kind, shape and order.

    `order` has the code's modules as they run. Weights without a partner are left out.
    """
    pairs = {name: name for name, shape in spec.items() if code.get(name) == shape}
    place = {module: number for number, module in enumerate(order)}
    left = sorted(
        (name for name in code if name not in pairs),
        key=lambda name: place.get(name.rpartition(".")[0], len(place)),
    )
    for name, shape in spec.items():
        if name in pairs:
            continue
        fitting = [c for c in left if code[c] == shape and _kind(c) == _kind(name)]
        if fitting:
            pairs[name] = fitting[0]
            left.remove(fitting[0])
    return pairs


def _kind(name: str) -> str:
    return name.rpartition(".")[2]
