"""Commands about what trained networks compute inside: responses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_gen.cli.arguments import OUT, examples
from resnet_gen.errors import Failure, Problem

commands = typer.Typer()


@commands.command(
    epilog=examples(
        "responses runs/plain20 runs/resnet20 -o figure7",
        "responses runs/seed0 runs/seed1 runs/seed2 --mean",
        "responses resnet20.safetensors --data cifar10 --root data",
    )
)
def responses(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN|CHECKPOINT",
            help="Folders that train.py wrote into, its checkpoints, or .safetensors files.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="The path of the figure, written as SVG, PNG and CSV with its data."
        ),
    ] = Path("responses.svg"),
    data: Annotated[
        str | None,
        typer.Option(help="The images, as a training script's --data. Default: those of the run."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="The folder that they are in. Default: the run's, or data.")
    ] = None,
    images: Annotated[
        int, typer.Option(min=1, help="How many, evenly spaced among the test images.")
    ] = 1_000,
    mean: Annotated[
        bool,
        typer.Option(
            "--mean", help="Draw runs of one network as their mean, in a band of all of them."
        ),
    ] = False,
    title: Annotated[str, typer.Option(help="A title above the figure.")] = "",
) -> None:
    """Draw the responses of trained networks' layers, after Figure 7.

    The response of a 3×3 layer is its output after batch norm, before the ReLU or the addition. Its
    standard deviation is drawn for each layer, in their order above and sorted below. Of a run, the
    last weights are taken.
    """
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        hint = "pip install 'resnet-gen[plot]'"
        raise Failure(Problem("matplotlib", "matplotlib is not installed", hint), exit_code=4)
    from resnet_gen.generate import apart

    apart.require_torch()
    from resnet_gen.responses import drawing
    from resnet_gen.responses.measuring import measure

    drawing.places(out)  # before minutes of measuring
    found = measure(runs, data, root, images, OUT)
    for path in drawing.save(drawing.draw(found, title, mean=mean), found, out):
        print(path.as_posix())
