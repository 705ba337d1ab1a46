"""Tables 7 to 14: detection and localization, in the columns that each table has."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from resnet_gen.paper.forms import Printed, PrintedNumber
from resnet_gen.read.network_spec import rule


class Scored(Printed):
    """A row: a method, and what it reaches by column."""

    method: str
    others: bool = Field(False, description="Not the authors' own, but cited or a baseline.")
    scores: dict[str, PrintedNumber] = Field(description="By column; what is not printed is not.")


class Scores(Printed):
    """A table of detection or localization results."""

    table: Literal["7", "8", "9", "10", "11", "12", "13", "14"]
    measure: str = Field(description="What the numbers are, with their unit.")
    columns: list[str]
    rows: list[Scored]
    left_out: str | None = Field(None, description="What the table prints and this file has not.")

    @field_validator("rows")
    @classmethod
    def _in_columns(cls, rows: list[Scored], info: object) -> list[Scored]:
        columns = getattr(info, "data", {}).get("columns", [])
        for row in rows:
            if unknown := [column for column in row.scores if column not in columns]:
                message = f"{row.method} has a score in `{unknown[0]}`, which is no column"
                raise rule("rows", message, f"the columns are {', '.join(columns)}")
        return rows
