"""What a person sees: tables and problems, the product on stdout and everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from resnet_gen.errors import Problem

PIPED_WIDTH = 180  # columns, where no terminal says how many there are
VERDICT_STYLES = {"equal": "green", "rounds": "cyan", "explained": "cyan", "differs": "bold red"}


def stdout() -> Console:
    """For the product. Honours NO_COLOR; a pipe gets neither colours nor wrapped cells."""
    return Console(
        width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False, soft_wrap=False
    )


def note(message: str) -> None:
    """Progress and remarks, on stderr."""
    print(message, file=sys.stderr)


def print_json(document: Any) -> None:
    """One document on stdout."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def print_problems(problems: Iterable[Problem]) -> None:
    """Each problem, an empty line between them, on stderr; `error` in red on a terminal."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for index, problem in enumerate(problems):
        if index:
            console.print()
        text = Text(str(problem))
        text.highlight_regex(r"error\[[\w-]+\]", "bold red")
        text.highlight_regex(r"(?m)^    +\^+$", "red")
        text.highlight_regex(r"(?m)^hint:", "cyan")
        console.print(text)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: str = "") -> None:
    """A table; `numbers` has an `r` for each column to be set to the right."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, head in enumerate(heads):
        right = numbers[index : index + 1] == "r"
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, VERDICT_STYLES.get(cell, "")) for cell in row))
    stdout().print(table)
