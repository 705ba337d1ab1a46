"""The rows of a comparison and their verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How the sides of a row agree; only DIFFERS makes the answer no."""

    EQUAL = "equal"
    ROUNDS = "rounds"  # the printed figure is this one, rounded
    EXPLAINED = "explained"  # the printed figure is known not to be this one, and why
    DIFFERS = "differs"


class Part(StrEnum):
    """What of a network a row compares."""

    STRUCTURE = "structure"
    NUMBERS = "numbers"
    RECIPE = "recipe"


STYLES: dict[str, str] = {
    Verdict.EQUAL: "green",
    Verdict.ROUNDS: "cyan",
    Verdict.EXPLAINED: "cyan",
    Verdict.DIFFERS: "bold red",
}
CHANGED = "the code does not build what the spec says"
MISSING = "missing"


@dataclass(frozen=True)
class Row:
    """One thing compared. `left` is the paper (or another network), `right` the generated code.

    Programs go by `key`; `what` is the same in words.
    """

    what: str
    left: str
    spec: str
    right: str
    verdict: Verdict
    why: str = ""
    key: str = ""
    part: Part = Part.STRUCTURE


@dataclass(frozen=True)
class Comparison:
    """All rows, and what the two sides are; `with_paper` where the left side is the paper."""

    left: str
    right: str
    rows: tuple[Row, ...]
    with_paper: bool
    headings: Mapping[Part, str] = field(default_factory=dict)  # above the rows of these parts

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return all(row.verdict is not Verdict.DIFFERS for row in self.rows)

    def and_rows(self, rows: Sequence[Row], part: Part, heading: str) -> Comparison:
        """The comparison with the rows of another part below its own."""
        headings = {**self.headings, part: heading}
        return replace(self, rows=(*self.rows, *rows), headings=headings)

    def as_json(self) -> dict[str, Any]:
        """The document that `diff --json` prints."""
        rows = [asdict(row) for row in self.rows]
        return {"left": self.left, "right": self.right, "equal": self.equal, "rows": rows}
