"""A printed number, and its status: computed, measured, quoted, or not measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from resnet_gen.compare.rows import Verdict

TEXT = "text"  # the group of all that stands in no numbered table


class Status(StrEnum):
    """What is known here of a printed number, besides that it is printed."""

    COMPUTED = "computed"  # by arithmetic, from the specs or from other printed numbers
    MEASURED = "measured"  # by training as long as the paper did, on its data
    SHORTER = "shorter run"  # by training for fewer iterations than the paper
    QUOTED = "quoted"  # nothing here could measure it: other people's, or of a detector
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Number:
    """A printed number with its place, and what stands beside it.

    `verdict` is one of `compare.rows.Verdict` for what is computed, and words for what is
    measured; `value` is ours as text; `how` says in a sentence where it comes from, or what it
    would take; `command` is one that shows or measures it.
    """

    place: str  # Table 6, section 3.3, abstract
    row: str
    column: str
    printed: str
    status: Status
    verdict: str = ""
    value: str = ""
    how: str = ""
    command: str = ""

    @property
    def group(self) -> str:
        """The table as a person names it on the command line, table6, or `text`."""
        kind, _, number = self.place.partition(" ")
        return f"table{number}" if kind == "Table" else TEXT


def counts(numbers: Iterable[Number]) -> dict[Status, int]:
    """How many numbers have each status, with the statuses that none has."""
    found = Counter(number.status for number in numbers)
    return {status: found[status] for status in Status}


def worst(verdicts: Sequence[str]) -> Verdict:
    """The verdict that says the most against a match; EQUAL where there are none."""
    order = list(Verdict)
    return max((Verdict(verdict) for verdict in verdicts), key=order.index, default=Verdict.EQUAL)
