"""Words and numbers that all drawings share."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby

from resnet_gen.draw.columns import Column
from resnet_gen.draw.folding import fold

# What the lines of shortcuts mean, in the order of legends.
LINES = {
    "solid": "identity shortcut",
    "dotted": "dimensions grow",
    "dashed": "equal dimensions: projection",
}
FOLDED = "so many, one after the other"


def multiply_adds(count: int) -> str:
    """A count with three digits, in the paper's unit from 10⁹ on: 19.6×10⁹."""
    digits, _, power = Decimal(f"{count:.2e}").to_eng_string().partition("E+")
    raised = power.translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{digits}{'×10' if power else ''}{raised} multiply-adds"


def legend(found: Sequence[Column]) -> list[tuple[str, str]]:
    """What the lines that occur mean: each line, and its words; `×N` stands for folds."""
    shortcuts = [shortcut for column in found for shortcut in column.shortcuts]
    entries = []
    for line, words in LINES.items():
        by = sorted({shortcut.by for shortcut in shortcuts if shortcut.line == line})
        how = f": {' or '.join(by)}" if line == "dotted" else ""
        entries += [(line, words + how)] if by else []
    return entries + ([("×N", FOLDED)] if any(column.folds for column in found) else [])


def description(found: Sequence[Column]) -> str:
    """The same in words: for each network its sizes, and the layers at each."""
    return "\n".join(_in_words(fold(column)) for column in found)


def _in_words(folded: Column) -> str:
    times = {each.first: each for each in folded.folds}
    parts, index = [], 0
    for size, group in groupby(folded.boxes, key=lambda box: box.size):
        words, end = [], index + len(list(group))
        while index < end:
            repeat = times.get(index)
            after = repeat.last + 1 if repeat else index + 1
            labels = "; ".join(box.label for box in folded.boxes[index:after])
            words.append(f"{repeat.times} × ({labels})" if repeat else labels)
            index = after
        parts.append(f"output size {size}: {'; '.join(words)}")
    of = f"{folded.depth} weighted layers, {folded.multiply_adds:,} multiply-adds"
    return f"{folded.name}, {of}. {'. '.join(parts)}."
