"""Commands about generated code: generate, diff."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resnet_gen.cli.arguments import OUT, Json, Specs, examples
from resnet_gen.errors import Failure, Problem

if TYPE_CHECKING:
    from resnet_gen.read.detectors import DetectorEntry, LocalizerEntry

commands = typer.Typer()


@commands.command(
    epilog=examples("generate resnet20", "generate --all --check", "generate my-specs/ --out code")
)
def generate(
    specs: Specs = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Generate every network, instead of those that are named.")
    ] = False,
    out: Annotated[
        Path, typer.Option(help="The folder to write into; each network gets a folder below it.")
    ] = OUT,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing, and name the files that are not up to date."),
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Write nothing, and show what would change.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite files that were edited by hand, too.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="With --all, remove the files that no spec makes and nobody edited."
        ),
    ] = False,
) -> None:
    """Generate the code of networks, a folder for each.

    With --all, hubconf.py too, by which torch.hub finds them.

    Files that were edited by hand are kept. The exit code is 1 where some were kept, and with
    --check or --diff where some are not up to date.
    """
    from resnet_gen import console
    from resnet_gen.generate import output, render, stale
    from resnet_gen.read import all_specs

    if everything == bool(specs):
        raise Failure(Problem("usage", "name specs, or say --all", "resnet-gen list shows them"))
    if prune and not everything:
        message = "--prune goes with --all: only all specs together say what none of them makes"
        raise Failure(Problem("usage", message, "resnet-gen generate --all --prune"))
    if prune and (check or diff):
        message = "--check and --diff remove nothing, so they do not go with --prune"
        raise Failure(Problem("usage", message, "they name what --prune would remove"))
    entries = all_specs.everything() if everything else all_specs.named(specs or [])
    rendered = render.render(entries, hub=everything)
    files = [output.inspect(out / path, *content) for path, content in rendered.items()]
    left_over = stale.find(out, rendered.keys(), entries) if everything else []
    if check or diff:
        changed = [file for file in files if file.state is not output.State.CURRENT]
        for file in changed:
            print(f"{file.path.as_posix()}: {file.words}")
            console.print_text(output.difference(file) if diff else "")
        for each in left_over:
            print(f"{each.path.as_posix()}: {each.words}")
        raise typer.Exit(1 if changed or left_over else 0)
    written, kept = output.write_all(files, force=force)
    for file in written:
        console.note(f"wrote {file.path.as_posix()} ({file.words})")
    for file in kept:
        console.note(f"kept {file.path.as_posix()} ({file.words}; --force overwrites it)")
    console.note(f"{len(files) - len(written) - len(kept)} of {len(files)} files were up to date")
    if left_over and not prune:
        what = f"{len(left_over)} of the files below {out.as_posix()}"
        console.note(f"no spec makes {what}: --all --check names them, --all --prune removes them")
    for path, why in stale.prune(out, left_over if prune else []):
        console.note(f"removed {path.as_posix()} ({why})")
    precious = [each for each in left_over if each.state is not None] if prune else []
    for each in precious:
        console.note(f"kept {each.path.as_posix()} ({each.words}; delete it by hand)")
    raise typer.Exit(1 if kept or precious else 0)


@commands.command(
    epilog=examples(
        "diff resnet50_b", "diff generated/cifar/resnet20", "diff resnet34_c resnet34_a"
    )
)
def diff(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A network's name, its spec's path, or the folder of its code."
        ),
    ],
    other: Annotated[
        str | None,
        typer.Argument(
            metavar="[OTHER]", help="The network to compare with, in place of the paper."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare a network and its code with the paper.

    The network is compared layer by layer and by the numbers that it computes, and its training
    with the paper's. With OTHER, all are compared with that network's instead. The code is run in
    a process of its own, with random weights and made-up images. The exit code is 1 where
    something differs that the paper does not explain.
    """
    from resnet_gen import console
    from resnet_gen.compare import numbers
    from resnet_gen.compare.measure import measure_all
    from resnet_gen.compare.printing import print_comparison
    from resnet_gen.compare.recipe import rows as recipe
    from resnet_gen.compare.rows import Part
    from resnet_gen.generate import header, origin
    from resnet_gen.network.expansion import expand
    from resnet_gen.read import library
    from resnet_gen.read.detectors import DetectorEntry, LocalizerEntry

    entry, code = origin.code_of(name, OUT)
    if isinstance(entry, DetectorEntry | LocalizerEntry):
        return _diff_detector(entry, code, other, as_json)
    against = library.network(other) if other else None
    network, rival = expand(entry.spec), expand(against.spec) if against else None
    questions = recipe.questions(entry, code.with_name("train.py"))
    measured = measure_all(code, network, rival, questions)
    made = header.read(code)
    if made and made.is_of_another_spec(entry):
        again = origin.command(name, entry)
        console.note(f"note: the spec changed since this code was made: {again}")
    if against and rival:
        from resnet_gen.compare.with_network import align

        found = align(network, measured.layers, code.as_posix(), rival)
        rows = recipe.with_network(entry, measured.recipe, against)
    else:
        from resnet_gen.compare.with_paper import compare

        found = compare(network, measured.layers, code.as_posix())
        rows = recipe.with_paper(entry, measured.recipe)
    found = found.and_rows(numbers.rows(measured.findings), Part.NUMBERS, numbers.HEADING)
    found = found.and_rows(rows, Part.RECIPE, recipe.heading(entry.spec))
    if as_json:
        console.print_json(found.as_json())
    else:
        print_comparison(found)
    raise typer.Exit(0 if found.equal else 1)


def _diff_detector(
    entry: DetectorEntry | LocalizerEntry, model: Path, other: str | None, as_json: bool
) -> None:
    """A detector or a localizer, whose code lies beside model.py, against its spec and paper."""
    from resnet_gen import console
    from resnet_gen.compare.detector import comparing, localizer_comparing
    from resnet_gen.compare.printing import print_comparison
    from resnet_gen.read.detectors import DetectorEntry

    if other:
        message = "a detector is compared with the paper alone"
        raise Failure(Problem("usage", message, f"resnet-gen diff {entry.name}"))
    if isinstance(entry, DetectorEntry):
        found = comparing.compare(entry, model.with_name("detector.py"))
    else:
        found = localizer_comparing.compare(entry, model.with_name("localizer.py"))
    if as_json:
        console.print_json(found.as_json())
    else:
        print_comparison(found)
    raise typer.Exit(0 if found.equal else 1)
