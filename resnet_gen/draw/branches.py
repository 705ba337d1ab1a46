"""Where the layers of a network part and meet again: the two ways of each residual block.

This is read off the inputs of the layers alone, so that any network can be drawn, whatever its
layers are called.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from resnet_gen.network.layers import Layer, Operation


@dataclass(frozen=True)
class Branch:
    """A block: its layers, the layers on the shortcut beside them, and the addition of both."""

    main: tuple[Layer, ...]
    aside: tuple[Layer, ...]  # empty for an identity
    addition: Layer

    @property
    def grows(self) -> bool:
        """Whether what comes out has other dimensions than what came in."""
        first, last = self.main[0], self.addition
        return (first.in_channels, first.input_size) != (last.out_channels, last.output_size)

    @property
    def by(self) -> str:
        """What the shortcut does: `identity`, `zero padding` or `projection` (section 3.3)."""
        if any(layer.operation == Operation.CONVOLUTION for layer in self.aside):
            return "projection"
        return "zero padding" if self.aside else "identity"

    @property
    def line(self) -> str:
        """How the shortcut is drawn: `dotted` where dimensions grow, as in Figure 3.

        An option C projection that leaves them as they are is `dashed`; an identity is `solid`.
        """
        if self.grows:
            return "dotted"
        return "solid" if self.by == "identity" else "dashed"


def branches(layers: Sequence[Layer]) -> list[Branch]:
    """The residual blocks in order; a plain network has none."""
    named = {layer.name: layer for layer in layers}
    uses = Counter(name for layer in layers for name in layer.inputs)

    def back(name: str) -> tuple[Layer, ...]:
        """The layers that lead here from where the ways parted: what two layers take."""
        way: list[Layer] = []
        while uses[name] == 1:
            way.append(named[name])
            name = named[name].inputs[0]
        return tuple(reversed(way))

    found = []
    for layer in layers:
        if layer.operation == Operation.ADDITION:
            aside, main = sorted((back(name) for name in layer.inputs), key=len)
            found.append(Branch(main, aside, layer))
    return found
