"""Commands about trained networks: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_gen.cli.arguments import OUT, examples
from resnet_gen.errors import Failure, Problem

commands = typer.Typer()


@commands.command(
    epilog=examples(
        "export resnet20 runs/resnet20/best.pt --format onnx -o resnet20.onnx",
        "export resnet20 runs/resnet20/best.pt --format pt2 --fold --subtract-mean -o resnet20.pt2",
        "export resnet20 runs/resnet20/best.pt --format safetensors -o resnet20.safetensors",
    )
)
def export(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A network's name, its spec's path, or the folder of its code."
        ),
    ],
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT",
            help="A best.pt or checkpoint.pt of the network's train.py, or a weights file.",
        ),
    ],
    form: Annotated[
        str, typer.Option("--format", help="The format: onnx, pt2 (torch.export) or safetensors.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")],
    fold: Annotated[
        bool, typer.Option("--fold", help="Fold the batch norms into the convolutions.")
    ] = False,
    subtract_mean: Annotated[
        bool,
        typer.Option(
            "--subtract-mean",
            help="Take pixels from 0 to 255, and subtract the training's mean inside the graph.",
        ),
    ] = False,
) -> None:
    """Export a trained network for production.

    The file is one that runs without the network's code. Its scores are compared with those of the
    generated network before it is written. The mean of the training images is among its metadata;
    the images that it takes have it subtracted, unless --subtract-mean is given.
    """
    from resnet_gen import console, files
    from resnet_gen.export import requirements
    from resnet_gen.generate import header, origin

    requirements.require_format(form, fold=fold, subtract_mean=subtract_mean)
    entry, code = origin.classifier_of(name, OUT)
    if not code.is_file():
        hint = origin.command(name, entry)
        raise Failure(Problem("file", "there is no such file", hint, code.as_posix()))
    requirements.require_place(out, checkpoint)
    made = header.read(code)
    if made and made.is_of_another_spec(entry):
        again = origin.command(name, entry)
        console.note(f"note: the spec changed since this code was made: {again}")
    elif made is None or made.is_edited:
        console.note(f"note: {code.as_posix()} was edited by hand, and is exported as it is")
    from resnet_gen.export.leaving import export as leave

    done = leave(entry, code, checkpoint, form, fold=fold, subtract_mean=subtract_mean)
    for remark in done.remarks:
        console.note(remark)
    files.write(out, done.content)
    print(out.as_posix())
