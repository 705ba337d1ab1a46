"""Arguments and defaults that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The name of a network, or the path of its spec.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, also for a failure.")]
Specs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SPEC]...", help="Names of networks, paths of specs, or folders of specs."
    ),
]
OUT = Path("generated")


def examples(*commands: str) -> str:
    """The end of a command's help: one command a line."""
    return "\b\nExamples:\n" + "\n".join(f"  resnet-gen {command}" for command in commands)
