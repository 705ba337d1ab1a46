"""Figures 2 and 5: the building blocks of networks, one network beside the other.

The first row has the blocks of Figure 5, whose shortcut is the identity; below it are those where
dimensions grow, and option C's projections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from resnet_gen.draw.blocks import LINES, Block, blocks
from resnet_gen.draw.layout import MARGIN, NAME, TEXT, text_width
from resnet_gen.draw.svg import Picture, coloured
from resnet_gen.draw.words import multiply_adds
from resnet_gen.network.expansion import Network

BOX, GAP, PLUS = 26.0, 36.0, 9.0  # heights of a box and of an arrow; the radius of the addition
HEAD, CAPTION = 34.0, 46.0  # above all blocks, and above each
LEFT = 92.0  # between a block's boxes and the end of F(x) + x, which stands to their left
CORNER, BESIDE = 14.0, 26.0  # a shortcut's round corners, and its distance from the boxes
SPACE = 28.0  # between two networks
MIDDLE = 0.35 * TEXT  # how far below the middle of a line of text its baseline lies


def draw(networks: Sequence[Network], by: str) -> str:
    """The SVG of these networks' blocks.

    Args:
        networks: each with shortcuts.
        by: the command that makes the picture, which is written into it.

    Raises:
        Failure: one of the networks is plain (exit code 2).
    """
    columns = [blocks(network) for network in networks]
    lines = [line for line in LINES if any(line in column for column in columns)]
    lefts, x = [], MARGIN
    for column in columns:
        lefts.append(x)
        name = text_width(next(iter(column.values())).network, NAME, bold=True)
        boxes = _box_width(column)
        x += max(name, *(_width(block, boxes) for block in column.values())) + SPACE
    tops, y = [], MARGIN + HEAD
    for line in lines:
        tops.append(y)
        y += max(_height(column[line]) for column in columns if line in column)
    title = f"{' | '.join(network.spec.name for network in networks)}, building blocks"
    words = [_in_words(block) for column in columns for block in column.values()]
    picture = Picture(x - SPACE + MARGIN, y, title, "\n".join(words), by)
    for left, column in zip(lefts, columns, strict=True):
        picture.text(left, MARGIN + 14, next(iter(column.values())).network, "name")
        for line, top in zip(lines, tops, strict=True):
            if line in column:
                _draw_block(picture, column[line], (left, top), _box_width(column))
    return str(picture)


def _draw_block(picture: Picture, block: Block, corner: tuple[float, float], width: float) -> None:
    """A block below its caption: boxes downwards, F(x) to the left, the shortcut to the right."""
    left, top = corner
    picture.text(left, top + 12, f"{block.name}, {block.size}×{block.size}", "soft")
    picture.text(left, top + 28, multiply_adds(block.multiply_adds), "soft")
    edge, right = left + LEFT, left + LEFT + width
    x, y = edge + width / 2, top + CAPTION
    leaves = y + GAP / 2
    picture.formula(x - 8, y + 12, "x", "end")
    picture.text(x + 8, y + 12, f"{block.channels[0]}-d")
    for index, (words, relu) in enumerate(block.steps):
        picture.arrow(x, y, y + GAP)
        y += GAP
        picture.box(edge, y, width, BOX, coloured(block.halvings))
        picture.text(x, y + BOX / 2 + MIDDLE, words, "mid")
        y += BOX
        if relu:
            picture.text(x + 8, y + GAP / 2 + MIDDLE - 2, "relu", "soft")
        if index == 0:
            first = y - BOX
    _draw_brace(picture, edge - 10, first, y)
    plus = y + GAP / 2 + PLUS
    _draw_shortcut(picture, block, (x, right), (leaves, plus))
    picture.arrow(x, y, plus - PLUS)
    picture.circle(x, plus, PLUS, "line")
    picture.path(f"M{x - 5:g} {plus:g}h10M{x:g} {plus - 5:g}v10")
    picture.formula(x - PLUS - 8, plus + MIDDLE, block.sum, "end")
    picture.arrow(x, plus + PLUS, plus + PLUS + GAP)
    middle = plus + PLUS + GAP / 2 + MIDDLE - 2
    if block.relu:
        picture.text(x + 8, middle, "relu", "soft")
    if block.channels[0] != block.channels[1]:
        picture.text(x - 8, middle, f"{block.channels[1]}-d", "end")


def _draw_brace(picture: Picture, x: float, top: float, bottom: float) -> None:
    middle = (top + bottom) / 2
    upper, lower = f"q-6 0 -6 6V{middle - 6:g}", f"q0 6 -6 6q6 0 6 6V{bottom - 6:g}q0 6 6 6"
    picture.path(f"M{x:g} {top:g}{upper}{lower}", "brace")
    picture.formula(x - 18, middle + MIDDLE, "F(x)", "end")


def _draw_shortcut(
    picture: Picture, block: Block, across: tuple[float, float], down: tuple[float, float]
) -> None:
    """From the arrow above the boxes around them to the addition, with what is done on the way."""
    (x, edge), (top, plus) = across, down
    out, middle = edge + BESIDE + _aside_width(block) / 2, (top + plus) / 2
    turn = (
        f"q{CORNER:g} 0 {CORNER:g} {CORNER:g}V{plus - CORNER:g}q0 {CORNER:g} -{CORNER:g} {CORNER:g}"
    )
    look = f"line {block.line}".removesuffix(" solid")
    picture.path(f"M{x:g} {top:g}H{out - CORNER:g}{turn}H{x + PLUS + 5:g}", look)
    picture.arrowhead_left(x + PLUS, plus)
    if block.aside:
        width = _aside_width(block)
        look = coloured(block.halvings) if block.by == "projection" else "box"
        picture.box(out - width / 2, middle - BOX / 2, width, BOX, look)
        picture.text(out, middle + MIDDLE, block.aside, "mid")
    else:
        picture.formula(out + 8, middle - 4, "x")
        picture.text(out + 8, middle + 12, "identity", "soft")


def _box_width(column: Mapping[str, Block]) -> float:
    """The width of a network's boxes, all the same so that its blocks stand on one axis."""
    return max(text_width(words) for block in column.values() for words, _ in block.steps) + 20


def _aside_width(block: Block) -> float:
    """The width of the box on the shortcut, which an identity has none of."""
    return text_width(block.aside) + 14 if block.aside else 0.0


def _width(block: Block, boxes: float) -> float:
    words = 0.0 if block.aside else 8 + text_width("identity")
    beside = BESIDE + _aside_width(block) + words
    caption = text_width(multiply_adds(block.multiply_adds))
    return max(LEFT + boxes + beside, caption)


def _height(block: Block) -> float:
    return CAPTION + len(block.steps) * (GAP + BOX) + 1.5 * GAP + 2 * PLUS + 24


def _in_words(block: Block) -> str:
    steps = "; ".join(words + (", relu" if relu else "") for words, relu in block.steps)
    aside = f"{block.by}: {block.aside}" if block.aside else block.by
    sum_ = block.sum.replace("_s", "ₛ")
    of = f"{block.multiply_adds:,} multiply-adds"
    return (
        f"{block.network}, {block.name}, {of}: x, {block.channels[0]}-d; F(x): {steps}. "
        f"Shortcut: {aside}. Out: {sum_}{', relu' if block.relu else ''}, {block.channels[1]}-d."
    )
