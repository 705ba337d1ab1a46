"""What a person sees: tables and problems, the product on stdout and everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from resnet_gen.errors import Problem, visible

PIPED_WIDTH = 180  # columns of a table where there is no terminal


def stdout() -> Console:
    """The console for a command's product.

    It honours NO_COLOR; a pipe gets neither colours nor cells wrapped to a terminal's width.
    """
    return Console(
        width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False, soft_wrap=False
    )


def note(message: str) -> None:
    """Prints progress or a remark on stderr."""
    print(message, file=sys.stderr)


def print_json(document: Any) -> None:
    """Prints one JSON document on stdout, with escapes for what a terminal would obey."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    print("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))


def print_text(text: str) -> None:
    """Prints a file's text as it is into a pipe; a terminal gets escapes for what it would obey."""
    if sys.stdout.isatty():
        text = "".join(c if c in "\n\t" else visible(c) for c in text)
    print(text, end="")


def print_problems(problems: Iterable[Problem]) -> None:
    """Prints problems on stderr with empty lines between them; a terminal shows `error` in red."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for index, problem in enumerate(problems):
        if index:
            console.print()
        text = Text(str(problem))
        text.highlight_regex(r"error\[[\w-]+\]", "bold red")
        text.highlight_regex(r"(?m)^    +\^+$", "red")
        text.highlight_regex(r"(?m)^hint:", "cyan")
        console.print(text)


def print_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    numbers: str = "",
    styles: Mapping[str, str] = {},
) -> None:
    """A table; `numbers` has an `r` for each column to be set to the right.

    A cell whose whole text is in `styles` is set in that style.
    """
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, head in enumerate(heads):
        right = numbers[index : index + 1] == "r"
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, styles.get(cell, "")) for cell in row))
    stdout().print(table)
