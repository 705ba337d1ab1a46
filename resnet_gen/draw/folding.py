"""Repeats folded: equal blocks, or equal layers, that follow each other become one with ×N."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from resnet_gen.draw.columns import Box, Column, Fold, Shortcut

Part = tuple[tuple[Box, ...], tuple[str, str] | None]  # boxes, and their shortcut's `by` and `line`


def fold(whole: Column) -> Column:
    """The same network with every repeat drawn once."""
    boxes: list[Box] = []
    shortcuts: list[Shortcut] = []
    folds: list[Fold] = []
    for (part, shortcut), equal in groupby(_parts(whole)):
        first, times = len(boxes), len(list(equal))
        boxes += part
        last = len(boxes) - 1
        if shortcut:
            shortcuts.append(Shortcut(first, last, *shortcut))
        if times > 1:
            folds.append(Fold(first, last, times))
    return replace(whole, boxes=tuple(boxes), shortcuts=tuple(shortcuts), folds=tuple(folds))


def _parts(whole: Column) -> Iterator[Part]:
    """The column in order: each block with its shortcut, and each box that is in none."""
    starts = {shortcut.first: shortcut for shortcut in whole.shortcuts}
    index = 0
    while index < len(whole.boxes):
        shortcut = starts.get(index)
        after = shortcut.last + 1 if shortcut else index + 1
        yield whole.boxes[index:after], (shortcut.by, shortcut.line) if shortcut else None
        index = after
