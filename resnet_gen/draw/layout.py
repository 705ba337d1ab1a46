"""Where everything of a figure stands: columns side by side, rows aligned by output size.

All in the SVG's units, which are pixels where it is shown at its own size. Widths of text are
estimated upwards, since the viewer's font is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from resnet_gen.draw.columns import Column
from resnet_gen.draw.words import multiply_adds

TEXT, NAME = 13.0, 15.0  # sizes of letters: of all text, and of networks' names
BOX = 20.0  # the height of a box
WITHIN, BETWEEN = 7.0, 17.0  # gaps within a block, and between blocks
MARGIN, HEAD, GUTTER = 16.0, 44.0, 68.0
SHORTCUTS, BRACKET = 32.0, 16.0  # room to the right of boxes, and to the left of folded ones
COLUMN_GAP = 22.0
PAGE = 1450.0  # what is longer is folded; Figure 3 with VGG-19 is just shorter

Gaps = dict[int, tuple[float, ...]]  # by output size: the gap above each box of a column


@dataclass(frozen=True)
class Band:
    """The rows of one output size."""

    size: int
    top: float  # the top edge of the first row's boxes
    bottom: float  # the bottom edge of the last row's


@dataclass(frozen=True)
class Placed:
    """A column with the left edge of its boxes, their width, and the top edge of each."""

    column: Column
    left: float
    width: float
    tops: tuple[float, ...]

    @property
    def middle(self) -> float:
        """Where the arrows run."""
        return self.left + self.width / 2


@dataclass(frozen=True)
class Layout:
    """A figure without its legend: `height` is where the legend begins."""

    bands: tuple[Band, ...]
    columns: tuple[Placed, ...]
    width: float
    height: float


def text_width(text: str, size: float = TEXT, *, bold: bool = False) -> float:
    """About the most that the text takes in common sans-serif fonts, wide ones among them."""
    return len(text) * size * (0.72 if bold else 0.64)


def lay_out(columns: Sequence[Column], least: float = 0) -> Layout:
    """Equal output sizes stand beside each other, and each column begins them at the top.

    Args:
        columns: from left to right.
        least: the least width of the figure.
    """
    gaps = _gaps(columns)
    bands = _bands(gaps)
    tops = {band.size: band.top for band in bands}
    right, placed = MARGIN + GUTTER - COLUMN_GAP, []
    for column, own in zip(columns, gaps, strict=True):
        width = max(text_width(box.label) for box in column.boxes) + 10
        before, after = _room(column, width)
        left = right + COLUMN_GAP + before
        right = left + width + after
        rows = (top for size in own for top in _tops(tops[size], own[size]))
        placed.append(Placed(column, left, width, tuple(rows)))
    width = max(least, right + MARGIN)
    return Layout(bands, tuple(placed), width, bands[-1].bottom + BETWEEN)


def fits(columns: Sequence[Column]) -> bool:
    """Whether the figure is no longer than a page."""
    return _bands(_gaps(columns))[-1].bottom <= PAGE


def _room(column: Column, width: float) -> tuple[float, float]:
    """What is needed to the left and to the right of boxes of this width."""
    name = text_width(column.name, NAME, bold=True)
    head = max(name, text_width(multiply_adds(column.multiply_adds)))
    beside = max(0.0, (head - width) / 2)
    folds = [BRACKET + text_width(f"×{fold.times}", bold=True) for fold in column.folds]
    return max([beside, *folds]), max(beside, SHORTCUTS if column.shortcuts else 0.0)


def _tops(first: float, gaps: Sequence[float]) -> Iterator[float]:
    """The top edges of boxes with these gaps above them, the first of which lies above `first`."""
    y = first - gaps[0]
    for gap in gaps:
        yield y + gap
        y += gap + BOX


def _gaps(columns: Sequence[Column]) -> list[Gaps]:
    """The gaps of each column; plain ones have the gaps of residual ones with as many boxes."""
    found = [_own_gaps(column) for column in columns]
    residual = [gaps for column, gaps in zip(columns, found, strict=True) if column.shortcuts]
    for column, gaps in zip(columns, found, strict=True):
        for size in gaps if not column.shortcuts else ():
            equal = (
                other[size] for other in residual if len(other.get(size, ())) == len(gaps[size])
            )
            gaps[size] = next(equal, gaps[size])
    return found


def _own_gaps(column: Column) -> Gaps:
    """Wide gaps around blocks, and where a convolution follows what is none."""
    apart = {shortcut.first for shortcut in column.shortcuts}
    apart |= {shortcut.last + 1 for shortcut in column.shortcuts}
    for index, (above, box) in enumerate(pairwise(column.boxes), start=1):
        if (above.kind, above.size) != (box.kind, box.size):
            apart.add(index)
    gaps: Gaps = {}
    for index, box in enumerate(column.boxes):
        gap = BETWEEN if index == 0 or index in apart else WITHIN
        gaps[box.size] = (*gaps.get(box.size, ()), gap)
    return gaps


def _bands(gaps: Sequence[Gaps]) -> tuple[Band, ...]:
    """The sizes of all columns from the largest to the smallest, one below the other."""
    bottom, found = MARGIN + HEAD, []
    for size in sorted({size for own in gaps for size in own}, reverse=True):
        top = bottom + BETWEEN
        bottom += max(sum(gap + BOX for gap in own.get(size, ())) for own in gaps)
        found.append(Band(size, top, bottom))
    return tuple(found)
