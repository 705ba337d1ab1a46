"""The command about what runs say: report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_gen.cli.arguments import Json, examples

commands = typer.Typer()


@commands.command(
    epilog=examples(
        "report runs/resnet20 -o report",
        "report runs/plain20-* runs/plain56-* -o report",
        "report runs/short --experiment figure6 -o report",
    )
)
def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN", help="Folders that train.py wrote into, or a folder of such folders."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder that the report is written into.")
    ] = Path("report"),
    experiment: Annotated[
        str | None,
        typer.Option(
            "--experiment",
            "-e",
            help="An experiment of the paper: its claims, its figures, its networks alone.",
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="A title instead of the report's own.")] = "",
    json: Json = False,
) -> None:
    """Report on training runs: errors beside the paper's, figures, and findings in words.

    Runs of one network and one length are its seeds. The report is written as report.md and
    report.html, with its figures as SVG and PNG, and its numbers as CSV.
    """
    from resnet_gen.experiments import preparing

    preparing.require_plot()
    from resnet_gen import console
    from resnet_gen.experiments import definitions
    from resnet_gen.report import making

    wanted = definitions.experiment(experiment) if experiment else None
    made = making.build(runs, out, wanted, title)
    paths = making.write(made, out)
    for remark in made.notes:
        console.note(f"note: {remark}")
    if json:
        console.print_json(made.document(paths))
        return
    for path in paths:
        print(path.as_posix())
