"""Commands about the machine: doctor."""

from __future__ import annotations

import typer

from resnet_gen.cli.arguments import Json, examples

commands = typer.Typer()


@commands.command(epilog=examples("doctor"))
def doctor(as_json: Json = False) -> None:
    """Report what is installed, and what is missing.

    The device is the one that training would use. The exit code is 4 where something is missing.
    """
    from resnet_gen import console
    from resnet_gen.doctor import examine

    findings = examine()
    if as_json:
        console.print_json([finding._asdict() for finding in findings])
    else:
        console.print_table(("", "found", "missing"), findings)
    raise typer.Exit(4 if any(finding.missing for finding in findings) else 0)
