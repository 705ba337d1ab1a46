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
from typing import Annotated

import typer

from resnet_gen import __version__
from resnet_gen.cli import (
    code,
    draw,
    experiments,
    export,
    machine,
    paper,
    reports,
    responses,
    specs,
    training,
    weights,
)
from resnet_gen.cli.arguments import examples
from resnet_gen.errors import Failure, Problem

app = typer.Typer(
    name="resnet-gen",
    help="The networks of the ResNet paper (He et al. 2015) as short specs, and from each a folder "
    "of readable PyTorch code. A network is named by its name (resnet20) or by its spec's path.",
    epilog=examples("list", "diff resnet20", "train resnet20 -- --data digits --iterations 400"),
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _group in (
    specs,
    code,
    draw,
    paper,
    training,
    experiments,
    reports,
    responses,
    weights,
    export,
    machine,
):
    app.add_typer(_group.commands)


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
