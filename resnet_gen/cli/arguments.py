"""Arguments and defaults that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(metavar="NAME", help="A network's name, or its spec's path.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Specs = Annotated[
    list[str] | None, typer.Argument(metavar="[SPEC]...", help="Names or paths of specs.")
]
OUT = Path("generated")
