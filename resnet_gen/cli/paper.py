"""Commands about the paper: paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_gen.cli.arguments import Json, examples
from resnet_gen.errors import Failure, Problem

commands = typer.Typer()


@commands.command(
    epilog=examples("paper", "paper table6", "paper section4.2", "paper --json > ledger.json")
)
def paper(
    table: Annotated[
        str | None,
        typer.Argument(
            metavar="TABLE",
            help="A table (table6, or 6), or text, or a part of it: abstract, section4.2, figure6.",
        ),
    ] = None,
    as_json: Json = False,
    results: Annotated[
        Path, typer.Option(help="The folder below which recorded runs are looked for.")
    ] = Path("results"),
) -> None:
    """Show what stands here beside each number that the paper prints.

    A number is computed (equal, rounded or explained), measured by recorded runs, quoted from
    others, or not measured; then the command that would measure it is named. Runs that were
    shorter than the paper's count apart, with their iterations. The exit code is 1 where a
    computed number differs.
    """
    from resnet_gen import console
    from resnet_gen.ledger import printing, whole

    if not results.is_dir():
        if results != Path("results"):
            hint = "it is the folder that recorded runs lie in"
            raise Failure(Problem("file", "there is no such folder", hint, results.as_posix()))
        console.note("note: there is no results/ here, so that no run counts as measured")
    numbers, notes = whole.ledger(results)
    for note in notes:
        console.note(f"note: {note}")
    found = whole.chosen(numbers, table) if table else numbers
    if as_json:
        console.print_json(whole.as_json(found))
    elif table:
        printing.print_numbers(found)
    else:
        printing.print_overview(found)
    raise typer.Exit(1 if whole.differs(found) else 0)
