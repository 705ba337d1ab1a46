"""Commands about training: train, plot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_gen.cli.arguments import OUT, Name, examples
from resnet_gen.errors import Failure, Problem

commands = typer.Typer()


@commands.command(
    context_settings={"ignore_unknown_options": True},
    epilog=examples(
        "train resnet20 -- --data digits --iterations 400",
        "train resnet110 --plan",
        "train resnet50_b --slurm -- --data imagenet",
    ),
)
def train(
    name: Name,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- ARGS]...", help="Arguments for the script; `-- --help` lists them."
        ),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            help="Run nothing; say how long training would take, its memory and learning rates.",
        ),
    ] = False,
    slurm: Annotated[
        bool,
        typer.Option(
            "--slurm", help="Run nothing; print a Slurm batch script for several machines."
        ),
    ] = False,
) -> None:
    """Train a network by its generated script.

    What follows `--` goes to the script, train.py, and its exit code is this command's.
    """
    from resnet_gen.train import launch
    from resnet_gen.train.plan import may_be_too_large

    given = arguments or []
    if detector := launch.detector_script(name, OUT):
        return _train_detector(detector, given, plan=plan, slurm=slurm)
    script = launch.find_script(name, OUT)
    if slurm:
        data = "cifar10" if script.network.spec.design == "cifar" else "imagenet"
        print(launch.slurm_script(script.path, data, given), end="")
        raise typer.Exit
    launch.require_torch()
    if plan or may_be_too_large(script.network, script.recipe.batch_size, given):
        from resnet_gen import console
        from resnet_gen.train import rehearse

        if plan:
            print("\n".join(rehearse.describe(script, given)))
            raise typer.Exit
        if warning := rehearse.warning(script, given):
            console.note(warning)
    raise typer.Exit(launch.run(script.path, given))


@commands.command(
    epilog=examples("plot runs/resnet20", "plot runs/plain20 runs/resnet20 -o figure6.svg")
)
def plot(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN", help="Folders that train.py wrote into, or their metrics.jsonl files."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="The path of the plot, which is written as SVG and as PNG."
        ),
    ] = Path("curves.svg"),
    title: Annotated[str, typer.Option(help="A title above the curves.")] = "",
) -> None:
    """Draw the curves of training runs, after Figure 6.

    Errors are above, and the learning rates that were applied are below.
    """
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        hint = "pip install 'resnet-gen[plot]'"
        raise Failure(Problem("matplotlib", "matplotlib is not installed", hint), exit_code=4)
    from resnet_gen.plot.drawing import draw, save
    from resnet_gen.plot.runs import read

    for path in save(draw(read(runs), title), out):
        print(path.as_posix())


def _train_detector(script: Path, given: list[str], *, plan: bool, slurm: bool) -> None:
    from resnet_gen.train import launch

    if plan:
        message = "--plan is for networks that classify"
        raise Failure(
            Problem("usage", message, "a detector's first lines of figures tell its speed")
        )
    if slurm:
        return print(launch.slurm_script(script, "coco", given), end="")
    launch.require_torch()
    raise typer.Exit(launch.run(script, given))
