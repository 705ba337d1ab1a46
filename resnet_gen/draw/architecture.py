"""Figure 3: networks side by side, a box for each weighted layer, shortcuts beside them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from resnet_gen.draw.columns import Column, Kind, column
from resnet_gen.draw.folding import fold
from resnet_gen.draw.layout import (
    BETWEEN,
    BOX,
    MARGIN,
    TEXT,
    Layout,
    Placed,
    fits,
    lay_out,
    text_width,
)
from resnet_gen.draw.svg import Picture, coloured
from resnet_gen.draw.words import description, legend, multiply_adds
from resnet_gen.network.expansion import Network

BULGE = 36.0  # how far a shortcut's control points lie from the boxes; it reaches three quarters
LEAVES, JOINS = 8.0, 4.0  # how far above its first box, and below its last, a shortcut does so
RULE = (BETWEEN + LEAVES - JOINS) / 2  # how far above a box a rule lies: between such two
SAMPLE, LINE = 30.0, 18.0  # in the legend: the length of a sample, and the distance of lines
APART = 12.0  # and the least space between its entries
BASELINE = 0.35 * TEXT  # how far below the middle of a line of text its baseline lies


def columns(networks: Sequence[Network], folded: bool | None = None) -> list[Column]:
    """The networks' columns, repeats folded or not; by default where they would not fit a page."""
    whole = [column(network) for network in networks]
    if folded is None:
        folded = not fits(whole)
    return [fold(each) for each in whole] if folded else whole


def draw(found: Sequence[Column], by: str) -> str:
    """The SVG of these columns.

    Args:
        found: what `columns` gives.
        by: the command that makes the picture, which is written into it.
    """
    entries = legend(found)
    longest = max((_entry_width(words) for _, words in entries), default=0.0)
    layout = lay_out(found, longest + 2 * MARGIN)
    lines = _wrapped(entries, layout.width - 2 * MARGIN)
    height = layout.height + (LINE * len(lines) + 10 if lines else 0) + MARGIN - BETWEEN / 2
    picture = Picture(layout.width, height, _title(found), description(found), by)
    _draw_bands(picture, layout)
    for placed in layout.columns:
        _draw_column(picture, placed)
    _draw_legend(picture, lines, layout.height + 10)
    return str(picture)


def _draw_bands(picture: Picture, layout: Layout) -> None:
    """Output sizes at the left, as in Figure 3, and a rule above each."""
    right = layout.width - MARGIN
    for band in layout.bands:
        picture.path(f"M{MARGIN:g} {band.top - RULE:g}H{right:g}", "rule")
        picture.text(MARGIN, band.top + 6.5, "output", "soft")
        picture.text(MARGIN, band.top + 20, f"size: {band.size}", "soft")


def _draw_column(picture: Picture, placed: Placed) -> None:
    column, middle = placed.column, placed.middle
    picture.text(middle, MARGIN + 14, column.name, "name mid")
    picture.text(middle, MARGIN + 32, multiply_adds(column.multiply_adds), "soft mid")
    for above, below in pairwise(placed.tops):
        picture.arrow(middle, above + BOX, below)
    for shortcut in column.shortcuts:
        start, end = placed.tops[shortcut.first] - LEAVES, placed.tops[shortcut.last] + BOX + JOINS
        edge = placed.left + placed.width
        out = edge + BULGE
        curve = f"C{out:g} {start:g} {out:g} {end:g} {edge:g} {end:g}"
        look = f"line {shortcut.line}".removesuffix(" solid")
        picture.path(f"M{middle:g} {start:g}H{edge:g}{curve}H{middle + 5:g}", look)
        picture.arrowhead_left(middle, end)
    for box, top in zip(column.boxes, placed.tops, strict=True):
        look = coloured(box.halvings) if box.kind == Kind.CONVOLUTION else "box"
        picture.box(placed.left, top, placed.width, BOX, look)
        picture.text(middle, top + BOX / 2 + BASELINE, box.label, "mid")
    for each in column.folds:
        top, bottom = placed.tops[each.first], placed.tops[each.last] + BOX
        x = placed.left - 5
        picture.path(f"M{x:g} {top:g}h-5V{bottom:g}h5", "brace")
        picture.text(x - 9, (top + bottom) / 2 + BASELINE, f"×{each.times}", "bold end")


def _wrapped(entries: Sequence[tuple[str, str]], width: float) -> list[list[tuple[str, str]]]:
    """The legend's entries in lines of at most this width."""
    lines: list[list[tuple[str, str]]] = []
    used = width
    for entry in entries:
        if used + _entry_width(entry[1]) > width:
            lines.append([])
            used = 0.0
        lines[-1].append(entry)
        used += _entry_width(entry[1]) + APART
    return lines


def _entry_width(words: str) -> float:
    return SAMPLE + 8 + text_width(words)


def _draw_legend(picture: Picture, lines: list[list[tuple[str, str]]], top: float) -> None:
    for row, line in enumerate(lines):
        x, y = MARGIN, top + LINE * row + 8
        for look, words in line:
            if look == "×N":
                picture.text(x + SAMPLE, y + BASELINE, look, "bold end")
            else:
                picture.path(f"M{x:g} {y:g}h{SAMPLE:g}", f"line {look}".removesuffix(" solid"))
            picture.text(x + SAMPLE + 8, y + BASELINE, words, "soft")
            x += _entry_width(words) + APART


def _title(found: Sequence[Column]) -> str:
    return f"{' | '.join(column.name for column in found)}, layer by layer as in Figure 3"
