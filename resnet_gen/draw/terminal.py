"""The same drawings in letters, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from resnet_gen.draw.blocks import Block, blocks
from resnet_gen.draw.columns import Column
from resnet_gen.draw.words import legend, multiply_adds
from resnet_gen.network.expansion import Network

# A shortcut's turn at its first box, its way past others, and its turn at the last one.
TURNS = {
    "solid": ("──╮", "  │", "──╯"),
    "dotted": ("··╮", "  :", "··╯"),
    "dashed": ("╌╌╮", "  ╎", "╌╌╯"),
}
ONLY = {"solid": "──┤", "dotted": "··┤", "dashed": "╌╌┤"}  # of a block of one box
HEAD, SPACE = "output size", "   "


def draw(found: Sequence[Column], width: int) -> str:
    """The columns side by side, as many as fit into `width` letters; the others come below."""
    groups: list[list[Column]] = []
    for column in found:
        if groups and _width([*groups[-1], column]) <= width:
            groups[-1].append(column)
        else:
            groups.append([column])
    signs = {line: first for line, (first, _, _) in TURNS.items()} | {"×N": "×N "}
    words = "".join(f"{signs[line]}  {meaning}\n" for line, meaning in legend(found))
    return "\n".join([*map(_side_by_side, groups), *([words] if words else [])])


def draw_blocks(networks: Sequence[Network]) -> str:
    """The networks' building blocks, one below the other.

    Raises:
        Failure: one of the networks is plain (exit code 2).
    """
    found = [block for network in networks for block in blocks(network).values()]
    return "\n".join(f"{chr(10).join(_block_lines(block))}\n" for block in found)


def _side_by_side(columns: Sequence[Column]) -> str:
    """Columns with rows aligned by output size, which stands to the left."""
    rows = [
        (HEAD, [column.name for column in columns]),
        ("", [multiply_adds(column.multiply_adds) for column in columns]),
    ]
    parts = [_cells(column) for column in columns]
    for size in sorted({size for cells in parts for size in cells}, reverse=True):
        for row in range(max(len(cells.get(size, ())) for cells in parts)):
            label = str(size) if row == 0 else ""
            rows.append((label, ["".join(cells.get(size, [])[row : row + 1]) for cells in parts]))
    widths = [max(map(len, cells)) for cells in zip(*(cells for _, cells in rows), strict=True)]
    lines = []
    for label, cells in rows:
        padded = (f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True))
        lines.append(f"{label:>{len(HEAD)}}{SPACE}{SPACE.join(padded)}".rstrip())
    return "\n".join(lines) + "\n"


def _width(columns: Sequence[Column]) -> int:
    return max(map(len, _side_by_side(columns).splitlines()))


def _cells(column: Column) -> dict[int, list[str]]:
    """The lines of a column at each output size: brackets, labels, shortcuts."""
    before, after = [""] * len(column.boxes), [""] * len(column.boxes)
    for fold in column.folds:
        inside = range(fold.first, fold.last + 1)
        for index in inside:
            before[index] = "│" if index < fold.last else "╰"
        before[fold.first] = f"×{fold.times} " + ("╭" if len(inside) > 1 else "[")
    for shortcut in column.shortcuts:
        first, past, last = TURNS[shortcut.line]
        after[shortcut.first : shortcut.last + 1] = [past] * (shortcut.last + 1 - shortcut.first)
        after[shortcut.last] = last
        after[shortcut.first] = first if shortcut.first < shortcut.last else ONLY[shortcut.line]
    left = max(map(len, before))
    width = max(len(box.label) for box in column.boxes)
    cells: dict[int, list[str]] = {}
    for mark, box, turn in zip(before, column.boxes, after, strict=True):
        space = " " if left else ""
        line = f"{mark:>{left}}{space}{box.label:{width}} {turn}"
        cells.setdefault(box.size, []).append(line.rstrip())
    return cells


def _block_lines(block: Block) -> list[str]:
    """A block downwards, its shortcut to the right."""
    width = max(len(words) for words, _ in block.steps) + 2
    turn, past, back = (part[-1] for part in TURNS[block.line])
    along = TURNS[block.line][0][0]
    lines = []
    for words, relu in block.steps:
        lines += [words, "│ relu" if relu else "│"]
    middle, aside = len(lines) // 2 - 1, block.aside or "x, identity"
    return [
        f"{block.network}, {block.name}, {block.size}×{block.size}, "
        f"{multiply_adds(block.multiply_adds)}",
        "",
        f"  x, {block.channels[0]}-d",
        f"  ├{along * (width - 1)}{turn}",
        *(
            f"  {line:{width}}{past}{f' {aside}' if index == middle else ''}"
            for index, line in enumerate(lines)
        ),
        f"  + ◂{along * (width - 3)}{back}  {block.sum.replace('_s', 'ₛ')}",
        "  │ relu" if block.relu else "  │",
        f"  {block.channels[1]}-d",
    ]
