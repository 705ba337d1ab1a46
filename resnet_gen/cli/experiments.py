"""Commands about the paper's experiments: reproduce."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resnet_gen.cli.arguments import Json, examples
from resnet_gen.errors import Failure, Problem

if TYPE_CHECKING:
    from resnet_gen.experiments.definitions import Experiment, Size
    from resnet_gen.experiments.describing import Outline

commands = typer.Typer()


class SizeName(StrEnum):
    """The sizes of experiments."""

    smoke = "smoke"
    short = "short"
    paper = "paper"


class ClusterName(StrEnum):
    """What submitit submits to."""

    slurm = "slurm"
    local = "local"


@commands.command(
    epilog=examples(
        "reproduce --list",
        "reproduce figure6 --dry-run",
        "reproduce figure6 --size smoke",
        "reproduce figure6 --verify",
    )
)
def reproduce(
    name: Annotated[
        str, typer.Argument(metavar="EXPERIMENT", help="The experiment; --list shows them all.")
    ] = "",
    size: Annotated[
        SizeName | None,
        typer.Option(
            help="How long its runs are: minutes on two cores (smoke, the default), a part of the "
            "paper's iterations (short), or all of them (paper)."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Run nothing; print the runs and what they cost.")
    ] = False,
    show_list: Annotated[bool, typer.Option("--list", help="Print all experiments.")] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Run nothing; check what is recorded in runs/ and results/ against its manifests.",
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Runs at once; by default 1 on a processor, and on GPUs as many as fit.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Runs of each network, with seeds from 0; the size has others."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="The folder of the report; by default runs/SIZE/EXPERIMENT.",
        ),
    ] = None,
    root: Annotated[
        Path, typer.Option(metavar="DATA", help="The folder that has the data, or gets it.")
    ] = Path("data"),
    cluster: Annotated[
        ClusterName | None,
        typer.Option(help="Submit each run as a job, through submitit."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run an experiment of the paper, and report on it.

    Each run is a process of its own, in runs/SIZE/NETWORK-seedN, which experiments share. What is
    finished is not run again, and what was interrupted goes on.
    """
    from resnet_gen.experiments import definitions

    chosen: Size = (size or SizeName.smoke).value
    if show_list:
        return _list(definitions.all_experiments(), chosen, as_json)
    if not name:
        hint = "resnet-gen reproduce --list shows them all"
        raise Failure(Problem("usage", "name an experiment", hint))
    experiment = definitions.experiment(name)
    if verify:
        return _verify(experiment, size.value if size else None, as_json)

    from resnet_gen import console
    from resnet_gen.experiments import reproducing, testing

    what = reproducing.outline(experiment, chosen, seeds, root, jobs)
    if dry_run:
        return _dry_run(what, as_json)
    out = out or testing.folder_of(experiment, chosen)
    try:
        done = reproducing.do(what, out, cluster.value if cluster else None, jobs)
    except KeyboardInterrupt:
        console.note("interrupted; the same command goes on from the checkpoints")
        raise typer.Exit(130) from None
    paths = [path.as_posix() for path in done.report]
    if not as_json:
        print("\n".join(paths), end="\n" * bool(paths))
    if done.problems:
        raise Failure(done.problems, exit_code=1)
    if as_json:
        console.print_json({"experiment": name, "size": chosen, "report": paths})


def _list(experiments: list[Experiment], size: Size, as_json: bool) -> None:
    from resnet_gen import console
    from resnet_gen.experiments import describing

    if as_json:
        return console.print_json([each.model_dump() for each in experiments])
    heads = ("experiment", "place", "shows", f"runs, {size}")
    console.print_table(heads, describing.experiments(experiments, size), "   r")


def _dry_run(what: Outline, as_json: bool) -> None:
    from resnet_gen import console
    from resnet_gen.experiments import describing

    if as_json:
        return console.print_json(describing.document(what))
    if what.runs:
        console.print_table(describing.HEADS, describing.rows(what), "   rrr")
    print("\n".join(describing.summary(what)))


def _verify(experiment: Experiment, size: Size | None, as_json: bool) -> None:
    from dataclasses import asdict

    from resnet_gen import console
    from resnet_gen.experiments import verifying

    found = verifying.verify(experiment, size)
    faults = [fault for each in found for fault in each.faults]
    if as_json:
        console.print_json([asdict(each) | {"folder": each.folder.as_posix()} for each in found])
    else:
        for each in found:
            print(each.words)
        console.print_problems(faults)
    raise typer.Exit(1 if faults else 0)
