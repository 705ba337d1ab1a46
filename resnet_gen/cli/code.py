"""Commands about generated code: generate, diff."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_gen.cli.arguments import OUT, Json, Specs
from resnet_gen.errors import Failure, Problem

commands = typer.Typer()


@commands.command()
def generate(
    specs: Specs = None,
    everything: Annotated[bool, typer.Option("--all", help="Every network.")] = False,
    out: Annotated[Path, typer.Option(help="The folder to write into.")] = OUT,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing, say what is stale.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Write nothing, show what would change.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite edited files too.")] = False,
) -> None:
    """Generate model.py and train.py for specs, or with --all for every network."""
    from resnet_gen import console
    from resnet_gen.generate import output, render
    from resnet_gen.read import library

    if everything == bool(specs):
        raise Failure(Problem("usage", "name specs, or say --all", "resnet-gen list shows them"))
    entries = library.all_networks() if everything else library.networks(specs or [])
    rendered = render.render(entries)
    files = [output.inspect(out / path, *content) for path, content in rendered.items()]
    if everything and (check or diff):
        files += output.orphans(out, {file.path for file in files})
    if check or diff:
        stale = [file for file in files if file.state is not output.State.CURRENT]
        for file in stale:
            print(f"{file.path.as_posix()}: {file.state.value}")
            print(output.difference(file) if diff else "", end="")
        raise typer.Exit(1 if stale else 0)
    written, kept = output.write_all(files, force=force)
    for file in written:
        console.note(f"wrote {file.path.as_posix()} ({file.state.value})")
    for file in kept:
        console.note(f"kept {file.path.as_posix()} ({file.state.value}; --force overwrites it)")
    console.note(f"{len(files) - len(written) - len(kept)} of {len(files)} files were up to date")
    raise typer.Exit(1 if kept else 0)


@commands.command()
def diff(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A network, or a folder of generated code.")
    ],
    other: Annotated[str | None, typer.Argument(metavar="[OTHER]", help="Another network.")] = None,
    as_json: Json = False,
) -> None:
    """Compare a network and its code with the paper, or layer by layer with another network."""
    from resnet_gen import console
    from resnet_gen.compare.printing import print_comparison
    from resnet_gen.generate import output
    from resnet_gen.network.expansion import expand
    from resnet_gen.read import library

    entry, code = output.code_of(name, OUT)
    against = library.network(other) if other else None
    from resnet_gen.compare.measure import measure  # imports torch

    measured = measure(code, entry.spec.image_channels, entry.spec.image_size)
    if output.is_of_another_spec(code, entry):
        console.note(f"note: the spec changed since this code was made: resnet-gen generate {name}")
    network = expand(entry.spec)
    if against:
        from resnet_gen.compare.with_network import align

        found = align(network, measured, code.as_posix(), expand(against.spec))
    else:
        from resnet_gen.compare.with_paper import compare

        found = compare(network, measured, code.as_posix())
    if as_json:
        console.print_json(found.as_json())
    else:
        print_comparison(found, every_row=against is None)
    raise typer.Exit(0 if found.equal else 1)
