"""Commands about specs: new, check, list, show, schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_gen.cli.arguments import OUT, Json, Name, Specs, examples
from resnet_gen.errors import Failure, Problem

commands = typer.Typer()


@commands.command(
    epilog=examples(
        "new resnet26 --design cifar --depth 26",
        "new wide18 --design imagenet --depth 18 --blocks 2,2,2,2 --width 128",
        "new vgg13 --design vgg --depth 13",
    )
)
def new(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="The new network's name: an identifier, such as resnet26."
        ),
    ],
    design: Annotated[
        str,
        typer.Option(
            help="The design: cifar (section 4.2), imagenet (Table 1) or vgg (Figure 3, left)."
        ),
    ],
    depth: Annotated[
        int, typer.Option(help="The number of weighted layers, which is 6n+2 for cifar.")
    ],
    shortcut: Annotated[
        str, typer.Option(help="Shortcuts: none, A (cifar's default), B (imagenet's) or C.")
    ] = "",
    block: Annotated[
        str | None, typer.Option(help="For imagenet, the kind of block: basic or bottleneck.")
    ] = None,
    blocks: Annotated[
        str | None,
        typer.Option(
            help="For imagenet, the blocks of each stage, such as 3,4,6,3; for vgg, its "
            "convolutions, such as 2,2,3,3,3."
        ),
    ] = None,
    stride_in: Annotated[
        str | None, typer.Option(help="The layer of a bottleneck that strides: conv1x1 or conv3x3.")
    ] = None,
    classes: Annotated[int | None, typer.Option(help="The number of classes.")] = None,
    width: Annotated[int | None, typer.Option(help="The filters of the first stage.")] = None,
    image_size: Annotated[
        int | None, typer.Option(help="The height and width of images, in pixels.")
    ] = None,
    image_channels: Annotated[int | None, typer.Option(help="The channels of images.")] = None,
    pooling: Annotated[
        str | None,
        typer.Option(help="For imagenet, how the max pooling meets the border: padded or ceil."),
    ] = None,
    initialisation: Annotated[
        str | None, typer.Option(help="The fan of He's initialisation: fan_out or fan_in.")
    ] = None,
    zero_padding: Annotated[
        str | None, typer.Option(help="Where option A puts its zero channels: after or both.")
    ] = None,
    zero_gamma: Annotated[
        bool,
        typer.Option("--zero-gamma", help="Let the last batch norm of each block start at zero."),
    ] = False,
    hidden: Annotated[
        int | None, typer.Option(help="For vgg, the units of the first two fully-connected layers.")
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(help="For vgg, the probability that training drops one of those units."),
    ] = None,
    training: Annotated[
        str | None, typer.Option(help="The name of the recipe that trains the network.")
    ] = None,
) -> None:
    """Write a new network's spec.

    It goes to specs/cifar or specs/imagenet, with a comment at each line. What is not given is the
    paper's. For imagenet, blocks are those of Table 1's column of the same depth, and for vgg those
    of Simonyan & Zisserman's.
    """
    from resnet_gen import files
    from resnet_gen.read.network_spec import DESIGNS
    from resnet_gen.read.new_spec import new_spec

    choices = {
        "shortcut": shortcut or None,
        "block": block,
        "blocks": blocks,
        "stride_in": stride_in,
        "classes": classes,
        "width": width,
        "image_size": image_size,
        "image_channels": image_channels,
        "pooling": pooling,
        "initialisation": initialisation,
        "zero_padding": zero_padding,
        "zero_gamma": zero_gamma or None,
        "hidden": hidden,
        "dropout": dropout,
        "training": training,
    }
    given = {key: value for key, value in choices.items() if value is not None}
    text = new_spec(name, design, depth, given)
    path = Path("specs", DESIGNS[design].family, f"{name}.yaml")
    try:
        files.write(path, text, replace=False)
    except FileExistsError:
        raise Failure(Problem("file", "this file is there already", "", str(path))) from None
    print(path.as_posix())


@commands.command(epilog=examples("check", "check specs/cifar/resnet20.yaml", "check my-specs/"))
def check(specs: Specs = None, as_json: Json = False) -> None:
    """Check specs, and tell every mistake at its line.

    Nothing is printed when all is well. Without arguments, all specs, recipes and tables of the
    paper are checked. A folder stands for all files in it.
    """
    from resnet_gen import checking, console

    if problems := checking.problems(specs or []):
        raise Failure(problems)
    if as_json:
        console.print_json({"errors": []})


@commands.command("list", epilog=examples("list", "list --json"))
def list_networks(as_json: Json = False) -> None:
    """List every network.

    Each has its depth, shortcuts, parameters, multiply-adds and the folder of its code.
    """
    from resnet_gen import console
    from resnet_gen.network import showing
    from resnet_gen.network.detector_showing import detector_row
    from resnet_gen.network.localizer_showing import localizer_row
    from resnet_gen.read import library
    from resnet_gen.read.detectors import DetectorEntry, all_detectors

    rows = [showing.network_row(entry, OUT) for entry in library.all_networks()]
    rows += [
        detector_row(entry, OUT) if isinstance(entry, DetectorEntry) else localizer_row(entry, OUT)
        for entry in all_detectors()
    ]
    rows.sort(key=lambda row: (row["design"], row["depth"], row["name"]))
    if as_json:
        return console.print_json(rows)
    console.print_table(*showing.network_table(rows))


@commands.command(epilog=examples("show resnet20", "show specs/imagenet/resnet50_b.yaml --json"))
def show(name: Name, as_json: Json = False) -> None:
    """Show a network's layers and its resolved spec.

    The spec is shown with every default written out. Sizes, parameters and multiply-adds are
    computed from the spec, for one image.
    """
    from resnet_gen import console
    from resnet_gen.network.detector_showing import detector_document, detector_table
    from resnet_gen.network.expansion import expand
    from resnet_gen.network.localizer_showing import localizer_document, localizer_table
    from resnet_gen.network.showing import as_document, layer_table, resolved_yaml
    from resnet_gen.read import all_specs
    from resnet_gen.read.detectors import DetectorEntry, LocalizerEntry

    entry = all_specs.one(name)
    if isinstance(entry, DetectorEntry):
        document, table = detector_document(entry), detector_table(entry)
    elif isinstance(entry, LocalizerEntry):
        document, table = localizer_document(entry), localizer_table(entry)
    else:
        network = expand(entry.spec)
        document, table = as_document(network), layer_table(network)
    if as_json:
        return console.print_json(document)
    console.print_table(*table)
    return print(f"\n{resolved_yaml(entry)}", end="")


@commands.command(epilog=examples("schema network", "schema --out specs/schema"))
def schema(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Print this schema alone.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write NAME.json files into this folder instead.")
    ] = None,
) -> None:
    """Print the JSON Schemas of all YAML files.

    Editors check specs, recipes and the paper's tables by them while they are written.
    """
    import json

    from resnet_gen import console
    from resnet_gen.errors import did_you_mean
    from resnet_gen.schema import schemas

    found = schemas()
    if name is not None and name not in found:
        message = f"there is no schema called {name!r}"
        raise Failure(Problem("name", message, did_you_mean(name, found)))
    chosen = {name: found[name]} if name else found
    if out is None:
        return console.print_json(found[name] if name else found)
    out.mkdir(parents=True, exist_ok=True)
    for stem, document in chosen.items():
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        (out / f"{stem}.json").write_text(text, encoding="utf-8")
        print((out / f"{stem}.json").as_posix())
