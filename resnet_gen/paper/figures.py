"""The figures that the paper's tables give of a network, as keys that every column shares."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Figure(StrEnum):
    """What a row is about."""

    OUTPUT_SIZE = "output size"
    KERNEL = "kernel"
    WIDTH = "width"
    STRIDE = "stride"
    WINDOW = "window"
    KERNELS = "kernels"
    WIDTHS = "widths"
    REPEATS = "repeats"
    LAYERS = "layers"
    HEAD = "head"
    BLOCK_ORDER = "block order"
    SHORTCUTS = "shortcuts"
    DEPTH = "depth"
    PARAMETERS = "parameters"
    MULTIPLY_ADDS = "multiply-adds"


class Key(NamedTuple):
    """A figure, and the place in the network that it is of; no place means the whole network."""

    figure: Figure
    place: str = ""  # conv1, max pool, conv3_x, stage 2

    def __str__(self) -> str:
        """The key as programs read it: conv3_x.output_size."""
        parts = (part for part in (self.place, self.figure.value) if part)
        return ".".join(part.replace(" ", "_").replace("-", "_") for part in parts)

    @property
    def label(self) -> str:
        """The key as people read it: `conv3_x output size`, or `max pool` for its window."""
        if self.figure is Figure.WINDOW:
            return self.place
        return f"{self.place} {self.figure}" if self.place else str(self.figure)
