"""What is wrong, told like a compiler tells it: file, line, column, excerpt, caret, hint."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

NEAR = 0.6  # how alike two words must be, by difflib, for a suggestion; 1 is the same
FEW = 8  # the most choices that a hint lists
EXCERPT_WIDTH = 96  # a longer line is shown around its caret


@dataclass(frozen=True)
class Problem:
    """One mistake. `line` and `column` count from 1; 0 means the whole file, or no file at all."""

    rule: str  # the key at fault, or the kind of mistake: unknown-key, syntax, file ...
    message: str
    hint: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    width: int = 1
    excerpt: str = ""

    def __str__(self) -> str:
        """The problem as lines of text: its place, the excerpt with a caret, and the hint."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        lines = [f"{place + ': ' if place else ''}error[{self.rule}]: {self.message}"]
        if self.excerpt:
            shown, column = _around(self.excerpt, self.column - 1)
            caret = "^" * max(1, min(self.width, len(shown) - column))
            lines += [f"    {shown}", f"    {' ' * column}{caret}"]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join("".join(map(visible, line)) for line in lines)


class Failure(Exception):
    """Stops a command with problems for a person.

    The exit code is 2 for a wrong usage or spec, and 4 where something is not installed.
    """

    def __init__(self, problems: Problem | Iterable[Problem], exit_code: int = 2) -> None:
        several = [problems] if isinstance(problems, Problem) else problems
        self.problems = list(dict.fromkeys(several))  # one recipe may be wrong for many networks
        self.exit_code = exit_code
        super().__init__("\n".join(map(str, self.problems)))


def did_you_mean(word: object, known: Iterable[str], otherwise: str = "") -> str:
    """``did you mean `depth`?``, or the choices where nothing comes near.

    Of names that are equally near, the one with the longer common beginning is meant. More
    choices than a person looks through give way to `otherwise`.
    """
    known, wanted = list(known), str(word).lower()

    def nearness(name: str) -> tuple[float, int]:
        pairs = takewhile(lambda pair: pair[0] == pair[1], zip(wanted, name.lower(), strict=False))
        return difflib.SequenceMatcher(None, name.lower(), wanted).ratio(), len(list(pairs))

    near = max(known, key=nearness, default="")
    if near and nearness(near)[0] >= NEAR:
        return f"did you mean `{near}`?"
    if not known or (otherwise and len(known) > FEW):
        return otherwise
    return f"one of {', '.join(known)}"


def quoted(value: object) -> str:
    """A value as a person would write it in YAML; a long one is cut."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a mapping"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, int) and abs(value) > 10**18:
        return "a number of more than 18 digits"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def visible(character: str) -> str:
    """The character, or its escape where a terminal would obey it."""
    return character if character.isprintable() else repr(character)[1:-1]


def _around(line: str, column: int) -> tuple[str, int]:
    printable = "".join(c if c.isprintable() else " " for c in line)
    start = 0 if len(printable) <= EXCERPT_WIDTH else max(0, column - EXCERPT_WIDTH // 2)
    return printable[start : start + EXCERPT_WIDTH].rstrip() or " ", column - start
