"""Commands about the machine: doctor."""

from __future__ import annotations

import typer

from resnet_gen.cli.arguments import Json

commands = typer.Typer()


@commands.command()
def doctor(as_json: Json = False) -> None:
    """Report what is installed, which device there is, and what is missing."""
    from resnet_gen import console
    from resnet_gen.doctor import examine

    findings = examine()
    if as_json:
        console.print_json([finding._asdict() for finding in findings])
    else:
        console.print_table(("", "found", "missing"), findings)
    raise typer.Exit(4 if any(finding.missing for finding in findings) else 0)
