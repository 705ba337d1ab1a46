"""What is wrong, told like a compiler tells it: file, line, column, excerpt, caret, hint."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass

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
        """The lines a person reads."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        lines = [f"{place + ': ' if place else ''}error[{self.rule}]: {self.message}"]
        if self.excerpt:
            shown, column = _around(self.excerpt, self.column - 1)
            caret = "^" * max(1, min(self.width, len(shown) - column))
            lines += [f"    {shown}", f"    {' ' * column}{caret}"]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join("".join(map(_visible, line)) for line in lines)


class Failure(Exception):
    """Stops a command with problems for a person: 2 wrong usage or spec, 4 something missing."""

    def __init__(self, problems: Problem | Iterable[Problem], exit_code: int = 2) -> None:
        several = [problems] if isinstance(problems, Problem) else problems
        self.problems = list(dict.fromkeys(several))  # one recipe may be wrong for many networks
        self.exit_code = exit_code
        super().__init__("\n".join(map(str, self.problems)))


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """``did you mean `depth`?``, or the choices where nothing comes near."""
    known = list(known)
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(str(word).lower(), by_lower, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{by_lower[near[0]]}`?"
    return f"one of {', '.join(known)}" if known else ""


def quoted(value: object) -> str:
    """A value as a person would write it in YAML, cut where it is long."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a mapping"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, int) and abs(value) > 10**18:
        return "a number of more than 18 digits"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _visible(character: str) -> str:
    """Control characters spelled out: a terminal obeys them."""
    return character if character.isprintable() else repr(character)[1:-1]


def _around(line: str, column: int) -> tuple[str, int]:
    printable = "".join(c if c.isprintable() else " " for c in line)
    start = 0 if len(printable) <= EXCERPT_WIDTH else max(0, column - EXCERPT_WIDTH // 2)
    return printable[start : start + EXCERPT_WIDTH].rstrip() or " ", column - start
