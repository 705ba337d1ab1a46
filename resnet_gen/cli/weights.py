"""Commands about other people's weights: weights inspect, import, export, layouts."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resnet_gen.cli.arguments import Json, examples
from resnet_gen.errors import Failure, Problem

if TYPE_CHECKING:
    from resnet_gen.weights.layouts import Layout

commands = typer.Typer()
_weights = typer.Typer(
    help="Read other people's weights, and write ours as theirs. Nothing in a file is run.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
commands.add_typer(_weights, name="weights")


class StrideIn(StrEnum):
    """The layer of a bottleneck that strides."""

    CONV1X1 = "conv1x1"
    CONV3X3 = "conv3x3"


class Order(StrEnum):
    """The order of an image's channels."""

    RGB = "rgb"
    BGR = "bgr"


File = Annotated[Path, typer.Argument(metavar="FILE", help="The weights file.")]
Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The config.json of transformers or timm beside it."),
]


def _require_torch() -> None:
    from importlib.util import find_spec

    if missing := [name for name in ("torch", "numpy") if find_spec(name) is None]:
        hint = "pip install 'resnet-gen[train,weights]'"
        message = f"{' and '.join(missing)} not installed"
        raise Failure(Problem("torch", message, hint), exit_code=4)


@_weights.command(epilog=examples("weights inspect resnet50-0676ba61.pth"))
def inspect(file: File, config: Config = None, as_json: Json = False) -> None:
    """Say what a weights file is.

    Its layout, its network, what its names do not tell, and the networks that it fits.
    """
    _require_torch()
    from resnet_gen import console
    from resnet_gen.weights import inspecting

    document = inspecting.inspect(file, config)
    if as_json:
        return console.print_json(document)
    console.print_table(("", ""), inspecting.rows(document))


@_weights.command(
    "import",
    epilog=examples(
        "weights import resnet50-0676ba61.pth --to resnet50_v1_5 -o resnet50.safetensors",
        "weights import R-50.pkl --to specs/my50.yaml -o my50.safetensors --new-head",
    ),
)
def import_(
    file: File,
    to: Annotated[str, typer.Option(metavar="NAME", help="The network that they go to.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FILE", help="The .safetensors to write.")
    ],
    stride_in: Annotated[
        StrideIn | None,
        typer.Option(help="Where the file's bottlenecks stride, which its names do not tell."),
    ] = None,
    order: Annotated[
        Order | None,
        typer.Option("--input", help="The order of channels that the file's network takes."),
    ] = None,
    config: Config = None,
    new_head: Annotated[
        bool, typer.Option("--new-head", help="Leave out the last layer: the classes are others.")
    ] = False,
) -> None:
    """Make weights of one of our networks out of a file of any layout.

    They are written as safetensors, with what was done to them. What would load and compute
    something else is refused.
    """
    _require_torch()
    from resnet_gen import console
    from resnet_gen.read import library
    from resnet_gen.weights import importing, writing

    if out.suffix != ".safetensors":
        hint = f"such as {out.with_suffix('.safetensors').as_posix()}"
        raise Failure(Problem("usage", "-o must end in .safetensors", hint, out.as_posix()))
    entry = library.network(to)
    made = importing.import_weights(
        file, entry, stride_in=stride_in, order=order, config=config, new_head=new_head
    )
    writing.write_safetensors(out, made.tensors, made.metadata)
    for said in (*made.transforms, *made.notes):
        console.note(f"note: {said}")
    print(out.as_posix())


@_weights.command(
    epilog=examples("weights export runs/resnet50_v1_5/best.pt --as torchvision -o resnet50.pth")
)
def export(
    file: File,
    layout: Annotated[str, typer.Option("--as", metavar="LAYOUT", help="Whose names to use.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The file to write.")],
) -> None:
    """Write weights of one of our networks as another library has them.

    FILE is a checkpoint of train.py, or safetensors of `weights import`.
    """
    _require_torch()
    from resnet_gen import console
    from resnet_gen.weights import exporting, layouts, writing

    chosen = layouts.layout(layout)
    if chosen.exports:
        writing.kind_of(out, chosen)
    made = exporting.export_weights(file, chosen)
    writing.write_layout(out, chosen, made.tensors, {"format": "pt"})
    for said in (*made.transforms, *made.notes):
        console.note(f"note: {said}")
    print(out.as_posix())


@_weights.command(
    epilog=examples(
        "weights deepen runs/resnet20 --to resnet56 -o deeper.safetensors",
        "train resnet56 -- --data cifar10 --init deeper.safetensors",
    )
)
def deepen(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|CHECKPOINT", help="A trained network: a run's folder, or its weights."
        ),
    ],
    to: Annotated[
        str, typer.Option(metavar="NAME", help="The network that has more blocks, else the same.")
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FILE", help="The .safetensors to write.")
    ],
    data: Annotated[
        str | None,
        typer.Option(help="The images, as a training script's --data. Default: those of the run."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="The folder that they are in. Default: the run's, or data.")
    ] = None,
) -> None:
    """Construct a deeper network that computes what a trained one does (section 1).

    Blocks are added that pass on what they are given: residual ones to the bit, plain ones to
    rounding. Both networks are shown training images before anything is written.
    """
    _require_torch()
    from resnet_gen import console
    from resnet_gen.experiments.constructed import construct

    made = construct(run, to, out, data=data, root=root)
    same = "the same to the bit"
    if not made.to_the_bit:
        same = f"{made.apart:.1e} apart at most, where the largest is {made.largest:.3g}"
    console.note(
        f"{made.deeper}: {made.shallower} and {made.blocks} blocks that pass on what they are "
        f"given; for {made.images:,} training images the scores are {same}"
    )
    print(out.as_posix())


@_weights.command(epilog=examples("weights layouts", "weights layouts keras"))
def layouts(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Print its table.")] = None,
    as_json: Json = False,
) -> None:
    """List the layouts that are known, or print one's table."""
    from resnet_gen import console
    from resnet_gen.weights.layouts import all_layouts, layout, layout_files

    found = [layout(name)] if name else all_layouts()
    if as_json:
        documents = [each.model_dump(mode="json") for each in found]
        return console.print_json(documents[0] if name else documents)
    if name:
        paths = [path for path in layout_files().values() if path.stem == name]
        print(paths[0].read_text(encoding="utf-8"), end="")
        return
    heads = ("layout", "of", "files", "strides in", "pooling", "ways")
    console.print_table(heads, [_row(each) for each in found])


def _row(each: Layout) -> tuple[str, ...]:
    ways = "both" if each.exports else "import"
    return (each.name, each.of, ", ".join(each.files), each.stride_in, each.pooling, ways)
