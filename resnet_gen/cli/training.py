"""Commands about training: train, plot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_gen.cli.arguments import OUT, Name
from resnet_gen.errors import Failure, Problem

commands = typer.Typer()


@commands.command(context_settings={"ignore_unknown_options": True})
def train(
    name: Name,
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGS]...", help="For the script: --help.")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say how long, how large and at what rates.")
    ] = False,
    slurm: Annotated[
        bool, typer.Option("--slurm", help="Only print a batch script for several machines.")
    ] = False,
) -> None:
    """Run a network's generated train.py, or with --plan say what that would be."""
    from resnet_gen.train import launch
    from resnet_gen.train.plan import may_be_too_large

    script, given = launch.find_script(name, OUT), arguments or []
    if slurm:
        print(launch.slurm_script(script, given), end="")
        raise typer.Exit
    launch.require_torch()
    if plan or may_be_too_large(script.network, given):
        from resnet_gen import console
        from resnet_gen.train import rehearse

        if plan:
            print("\n".join(rehearse.describe(script.network, script.path, given)))
            raise typer.Exit
        if warning := rehearse.warning(script.network, script.path, given):
            console.note(warning)
    raise typer.Exit(launch.run(script, given))


@commands.command()
def plot(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Folders of runs, or metrics.jsonl's.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="PATH.svg and PATH.png are written.")
    ] = Path("curves.svg"),
    title: Annotated[str, typer.Option(help="A line above the curves.")] = "",
) -> None:
    """Draw error and learning-rate curves of training runs, as SVG and PNG."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        hint = "pip install 'resnet-gen[plot]'"
        raise Failure(Problem("matplotlib", "matplotlib is not installed", hint), exit_code=4)
    from resnet_gen.plot.drawing import draw, save
    from resnet_gen.plot.runs import read

    for path in save(draw(read(runs), title), out):
        print(path.as_posix())
