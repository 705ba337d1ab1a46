"""The command line. Each command imports what it needs, so that --help is instant.

Exit codes: 0 done or yes, 1 the answer is no, 2 wrong usage or a wrong spec, 3 a bug here,
4 something is not installed or not reachable, 130 interrupted.
"""

from __future__ import annotations

import io
import signal
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from resnet_gen import __version__
from resnet_gen.problems import Failure, Problem

app = typer.Typer(
    name="resnet-gen",
    help="The networks of the ResNet paper (He et al. 2015) as specs, and readable PyTorch code "
    "from each.",
    epilog="A network is named by its name (resnet20) or by its spec's path.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A network's name, or its spec's path.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Specs = Annotated[
    list[str] | None, typer.Argument(metavar="[SPEC]...", help="Names or paths of specs.")
]
OUT = Path("generated")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"resnet-gen {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that stand before a command."""


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An identifier, such as resnet26.")],
    design: Annotated[str, typer.Option(help="cifar (section 4.2) or imagenet (Table 1).")],
    depth: Annotated[int, typer.Option(help="Weighted layers; 6n+2 for cifar.")],
    shortcut: Annotated[str, typer.Option(help="none, A, B or C.")] = "",
    block: Annotated[str | None, typer.Option(help="basic or bottleneck (imagenet).")] = None,
    blocks: Annotated[str | None, typer.Option(help="Such as 3,4,6,3 (imagenet).")] = None,
) -> None:
    """Write a commented spec into specs/DESIGN/NAME.yaml."""
    from resnet_gen.problems import did_you_mean
    from resnet_gen.scaffold import new_spec
    from resnet_gen.spec import DESIGNS

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


@app.command()
def check(specs: Specs = None, as_json: Json = False) -> None:
    """Validate specs, or all of them; silent when all is well."""
    from resnet_gen import console, library, paper

    problems = library.read_networks(specs or library.network_files().values())[1]
    if not specs:
        problems += library.recipe_problems() + paper.problems()
    if problems:
        raise Failure(problems)
    if as_json:
        console.print_json({"errors": []})


@app.command("list")
def list_networks(as_json: Json = False) -> None:
    """List every network: design, depth, shortcut, parameters, multiply-adds, where it is."""
    from resnet_gen import console, library, showing

    rows = [showing.summary(entry, OUT) for entry in library.all_networks()]
    rows.sort(key=lambda row: (row["design"], row["depth"], row["name"]))
    if as_json:
        return console.print_json(rows)
    console.print_table(*showing.network_table(rows))


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show a network's layers with sizes, parameters and multiply-adds, and its resolved spec."""
    from resnet_gen import console, library, showing
    from resnet_gen.network import expand

    entry = library.network(name)
    network = expand(entry.spec)
    if as_json:
        return console.print_json(showing.as_document(network))
    console.print_table(*showing.layer_table(network))
    print(f"\n{showing.resolved_yaml(entry)}", end="")


@app.command()
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
    from resnet_gen import console, library, output, render

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


@app.command()
def diff(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A network, or a folder of generated code.")
    ],
    other: Annotated[str | None, typer.Argument(metavar="[OTHER]", help="Another network.")] = None,
    as_json: Json = False,
) -> None:
    """Compare a network and its code with the paper, or layer by layer with another network."""
    from resnet_gen import console, library, output, showing
    from resnet_gen.network import expand

    entry, code = output.code_of(name, OUT)
    against = library.network(other) if other else None
    from resnet_gen.measure import measure  # imports torch

    measured = measure(code, entry.spec.image_channels, entry.spec.image_size)
    if output.is_of_another_spec(code, entry):
        console.note(f"note: the spec changed since this code was made: resnet-gen generate {name}")
    network = expand(entry.spec)
    if against:
        from resnet_gen.align import align

        found = align(network, measured, code.as_posix(), expand(against.spec))
    else:
        from resnet_gen.compare import compare

        found = compare(network, measured, code.as_posix())
    if as_json:
        console.print_json(found.as_json())
    else:
        showing.print_comparison(found, every_row=against is None)
    raise typer.Exit(0 if found.equal else 1)


@app.command(context_settings={"ignore_unknown_options": True})
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
    from resnet_gen import launch
    from resnet_gen.plan import may_be_too_large

    script, given = launch.find_script(name, OUT), arguments or []
    if slurm:
        print(launch.slurm_script(script, given), end="")
        raise typer.Exit
    launch.require_torch()
    if plan or may_be_too_large(script.network, given):
        from resnet_gen import console, rehearse

        if plan:
            print("\n".join(rehearse.describe(script.network, script.path, given)))
            raise typer.Exit
        if warning := rehearse.warning(script.network, script.path, given):
            console.note(warning)
    raise typer.Exit(launch.run(script, given))


@app.command()
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
    from resnet_gen.metrics import read
    from resnet_gen.plot import draw, save

    for path in save(draw(read(runs), title), out):
        print(path.as_posix())


@app.command()
def schema(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One of them.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write NAME.json files there.")] = None,
) -> None:
    """Print the JSON Schemas of specs, recipes and the paper's tables."""
    import json

    from resnet_gen import console
    from resnet_gen.problems import did_you_mean
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


@app.command()
def doctor(as_json: Json = False) -> None:
    """Report what is installed, which device there is, and what is missing."""
    from resnet_gen import console
    from resnet_gen.doctor import examine

    findings = examine()
    if as_json:
        console.print_json([finding._asdict() for finding in findings])
    else:
        console.print_table(("", "found", "missing"), findings)
    raise typer.Exit(4 if any(finding.missing for finding in findings) else 0)


def main() -> None:
    """Runs a command and turns what goes wrong into lines for a person and an exit code."""
    if hasattr(signal, "SIGPIPE"):  # `head` has seen enough: end quietly, as other commands do
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # × on a terminal that has none
    try:
        status = app(sys.argv[1:] or ["--help"], standalone_mode=False) or 0
    except Failure as failure:
        status = _report(failure.problems, failure.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except OSError as error:  # a folder that cannot be written, a name that is too long
        message = error.strerror or str(error)
        status = _report([Problem("file", message, "", str(error.filename or ""))], 2)
    except Exception as error:
        if hasattr(error, "format_message"):  # click's usage errors; typer has a click of its own
            hint = "--help shows commands and options"
            status = _report([Problem("usage", error.format_message(), hint)], 2)
        else:
            traceback.print_exc()
            message = "this is a bug in resnet-gen; the lines above say where"
            status = _report([Problem("bug", message)], 3)
    sys.exit(status)


def _report(problems: list[Problem], exit_code: int) -> int:
    from resnet_gen import console

    if "--json" in sys.argv:
        console.print_json({"errors": [asdict(problem) for problem in problems]})
    console.print_problems(problems)
    return exit_code
