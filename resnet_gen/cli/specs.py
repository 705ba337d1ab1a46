"""Commands about specs: new, check, list, show, schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_gen.cli.arguments import OUT, Json, Name, Specs
from resnet_gen.errors import Failure, Problem

commands = typer.Typer()


@commands.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An identifier, such as resnet26.")],
    design: Annotated[str, typer.Option(help="cifar (section 4.2) or imagenet (Table 1).")],
    depth: Annotated[int, typer.Option(help="Weighted layers; 6n+2 for cifar.")],
    shortcut: Annotated[str, typer.Option(help="none, A, B or C.")] = "",
    block: Annotated[str | None, typer.Option(help="basic or bottleneck (imagenet).")] = None,
    blocks: Annotated[str | None, typer.Option(help="Such as 3,4,6,3 (imagenet).")] = None,
) -> None:
    """Write a commented spec into specs/DESIGN/NAME.yaml."""
    from resnet_gen.errors import did_you_mean
    from resnet_gen.read.network_spec import DESIGNS
    from resnet_gen.read.new_spec import new_spec

    if design not in DESIGNS:
        message = f"{design!r} is not one of {', '.join(DESIGNS)}"
        raise Failure(Problem("design", message, did_you_mean(design, DESIGNS)))
    try:
        counts = [int(part) for part in blocks.split(",")] if blocks else None
    except ValueError:
        message = f"{blocks!r} is not a list of numbers"
        raise Failure(Problem("blocks", message, "such as --blocks 3,4,6,3")) from None
    chosen = shortcut or ("A" if design == "cifar" else "B")
    text = new_spec(name, design, depth, chosen, block, counts)
    path = Path("specs", design, f"{name}.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Failure(Problem("file", "this file is there already", "", str(path))) from None
    print(path.as_posix())


@commands.command()
def check(specs: Specs = None, as_json: Json = False) -> None:
    """Validate specs, or all of them; silent when all is well."""
    from resnet_gen import console
    from resnet_gen.paper import tables
    from resnet_gen.read import library

    problems = library.read_networks(specs or library.network_files().values())[1]
    if not specs:
        problems += library.recipe_problems() + tables.problems()
    if problems:
        raise Failure(problems)
    if as_json:
        console.print_json({"errors": []})


@commands.command("list")
def list_networks(as_json: Json = False) -> None:
    """List every network: design, depth, shortcut, parameters, multiply-adds, where it is."""
    from resnet_gen import console
    from resnet_gen.network import showing
    from resnet_gen.read import library

    rows = [showing.summary(entry, OUT) for entry in library.all_networks()]
    rows.sort(key=lambda row: (row["design"], row["depth"], row["name"]))
    if as_json:
        return console.print_json(rows)
    console.print_table(*showing.network_table(rows))


@commands.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show a network's layers with sizes, parameters and multiply-adds, and its resolved spec."""
    from resnet_gen import console
    from resnet_gen.network import showing
    from resnet_gen.network.expansion import expand
    from resnet_gen.read import library

    entry = library.network(name)
    network = expand(entry.spec)
    if as_json:
        return console.print_json(showing.as_document(network))
    console.print_table(*showing.layer_table(network))
    print(f"\n{showing.resolved_yaml(entry)}", end="")


@commands.command()
def schema(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One of them.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write NAME.json files there.")] = None,
) -> None:
    """Print the JSON Schemas of specs, recipes and the paper's tables."""
    import json

    from resnet_gen import console
    from resnet_gen.errors import did_you_mean
    from resnet_gen.read.schema import schemas

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
