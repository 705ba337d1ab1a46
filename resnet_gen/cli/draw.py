"""The command that draws networks."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from resnet_gen.cli.arguments import examples
from resnet_gen.errors import Failure, Problem

commands = typer.Typer()


class Format(StrEnum):
    """What a drawing is made of."""

    SVG = "svg"
    TEXT = "text"


@commands.command(
    epilog=examples(
        "draw resnet20",
        "draw plain34 resnet34_a -o figure3.svg",
        "draw resnet34_b resnet50_b --block -o figure5.svg",
        "draw resnet152_b --no-fold -o resnet152.svg",
    )
)
def draw(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME", help="Names of networks, or paths of their specs."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The path of the SVG that is written.")
    ] = None,
    block: Annotated[
        bool,
        typer.Option("--block", help="Draw the networks' building blocks, as Figures 2 and 5 do."),
    ] = False,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format", help="svg, or text for a terminal; text where no file is named by --out."
        ),
    ] = None,
    folded: Annotated[
        bool | None,
        typer.Option(
            "--fold/--no-fold",
            help="Draw repeats once, with their number. By default that is done where the whole "
            "would be longer than a page.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Draw networks side by side, as Figure 3 does.

    Rows are aligned by output size, and shortcuts are dotted where dimensions grow. A detector is
    drawn by itself, from the image to its boxes. Without --out the drawing is printed.
    """
    from resnet_gen import console
    from resnet_gen.draw import architecture, block_picture, terminal
    from resnet_gen.draw.saving import MADE_BY, save
    from resnet_gen.network.expansion import expand
    from resnet_gen.read import all_specs, library

    form = form or (Format.SVG if out else Format.TEXT)
    if out and form == Format.TEXT:
        hint = "leave it out and redirect: resnet-gen draw ... > networks.txt"
        raise Failure(Problem("out", "--out is for an SVG, and text is printed", hint))
    if block and folded is not None:
        message = f"--{'' if folded else 'no-'}fold has no meaning with --block"
        raise Failure(Problem("usage", message, "leave one of them out"))
    if detectors := [name for name in names if all_specs.detector_paths(name)]:
        return _detector(names, detectors[0], out, form, block, folded)
    networks = [expand(entry.spec) for entry in library.networks(names)]
    words = [network.spec.name for network in networks]
    words += ["--block"] if block else []
    words += [] if folded is None else ["--fold" if folded else "--no-fold"]
    by = " ".join([MADE_BY, *words])
    if block:
        svg = form == Format.SVG
        drawn = block_picture.draw(networks, by) if svg else terminal.draw_blocks(networks)
    else:
        found = architecture.columns(networks, folded)
        if folded is None and any(column.folds for column in found):
            console.note("note: folded, since the whole is longer than a page; --no-fold draws it")
        width = console.stdout().width
        drawn = architecture.draw(found, by) if form == Format.SVG else terminal.draw(found, width)
    if out:
        save(drawn, out)
        print(out.as_posix())
    else:
        console.print_text(drawn)


def _detector(
    names: list[str], name: str, out: Path | None, form: Format, block: bool, folded: bool | None
) -> None:
    """Draws the one detector that is named."""
    from resnet_gen import console
    from resnet_gen.draw import detector_picture
    from resnet_gen.draw.saving import MADE_BY, save
    from resnet_gen.network.detector import of_an_image
    from resnet_gen.read.all_specs import detector_paths
    from resnet_gen.read.detectors import DetectorEntry, read_detector

    if len(names) > 1 or block or folded is not None:
        message = "a detector is drawn by itself, without --block and --fold"
        raise Failure(Problem("usage", message, f"resnet-gen draw {name}"))
    entry = read_detector(detector_paths(name)[0])
    if not isinstance(entry, DetectorEntry):
        message = "a localizer is drawn as its backbone is"
        raise Failure(Problem("usage", message, f"resnet-gen draw {entry.backbone.name}"))
    network = of_an_image(entry)
    if form == Format.TEXT or out is None:
        return console.print_text(detector_picture.in_words(network, entry.backbone.name))
    save(detector_picture.draw(network, entry.backbone.name, f"{MADE_BY} {entry.name}"), out)
    return print(out.as_posix())
