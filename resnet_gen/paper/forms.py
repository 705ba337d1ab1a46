"""How figures are written in the paper's tables and text; every number is a string, as printed."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PrintedNumber = Annotated[str, Field(pattern=r"^\d+(\.\d+)?$", description="As printed.")]
Size = Annotated[str, Field(pattern=r"^\d+×\d+$", description="Height × width in pixels.")]
COUNT = r"\d+(k|×10\^\d)?"
PrintedCount = Annotated[str, Field(pattern=f"^{COUNT}$", description="As printed: 64k, 60×10^4.")]
Convolution = Annotated[str, Field(pattern=r"^\d×\d, \d+$", description="Kernel, filters.")]


class Printed(BaseModel):
    """A part of a table or of the text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
