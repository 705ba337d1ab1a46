"""An experiment as data: its networks, what is drawn of them, and what the paper claims.

specs/experiments/NAME.yaml has one experiment each; sizes.yaml says how long runs of each size are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from resnet_gen.errors import Failure, Problem, did_you_mean, quoted
from resnet_gen.read import library
from resnet_gen.read.folders import experiment_files
from resnet_gen.read.validation import read_document, validate
from resnet_gen.read.yaml_source import Document, KeyPath, Span

CIFAR = "cifar"  # the design of CIFAR's networks; all others are of ImageNet's
SIZES = "sizes"  # the stem of the file that is no experiment
Size = Literal["smoke", "short", "paper"]
Figure = Literal["train_error", "val_error", "test_error", "responses"]
Drawing = Literal["curves", "errors", "responses", "architecture"]
Test = Literal["1-crop", "10-crop", "multi-scale"]  # of ImageNet's training scripts
Count = Annotated[int, Field(ge=1)]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Claim(_Data):
    """Something that the paper says of two networks: the figure of one is greater."""

    says: str = Field(description="The finding in a sentence.")
    place: str = Field(description="Where the paper says it: section 4.2; Figure 6, left.")
    figure: Figure = Field(description="What is compared; responses are mean deviations.")
    greater: str = Field(description="The network whose figure is the greater one.")
    less: str = Field(description="The network whose figure is the smaller one.")


class Experiment(_Data):
    """What is run to answer a table, a figure or a question of the paper."""

    experiment: str = Field(description="Its name, which `reproduce` takes: that of the file.")
    place: str = Field(description="Where the paper has it: Figure 6.")
    title: str = Field(description="What it shows, in a line.")
    networks: list[str] = Field(description="Names of networks that are trained.", default=[])
    counted: list[str] = Field(
        description="Names of networks that are counted and not trained.", default=[]
    )
    seeds: dict[str, Count] = Field(
        description="Networks of which it needs more runs than their size says.", default={}
    )
    deepen: bool = Field(
        description="Whether a network that is another one of `networks` with blocks added is "
        "trained once more, from the weights that the shallower one has learned.",
        default=False,
    )
    tests: list[Test] = Field(
        description="Tests of each trained network of ImageNet, besides its validation.", default=[]
    )
    ensemble: bool = Field(
        description="Whether all runs together are tested as one, by the last of `tests`.",
        default=False,
    )
    draw: list[Drawing] = Field(description="The figures of its report.", default=[])
    claims: list[Claim] = Field(description="What the paper finds in it.", default=[])


class Length(_Data):
    """How a run of some size is made; what is not said is the recipe's."""

    data: str | None = Field(None, description="The training script's --data.")
    iterations: Count | None = Field(None, description="Of one run.")
    batch_size: Count | None = Field(None, description="Images in a batch.")
    seeds: Count | None = Field(None, description="Runs of each network: seeds 0, 1, 2 ...")


class Budget(_Data):
    """What a size costs and what it is worth, of networks of each design, in half a sentence."""

    cifar: str
    imagenet: str


class SizeOf(_Data):
    """A size: how long runs of each design are, and of networks that differ."""

    budget: Budget
    cifar: Length
    imagenet: Length
    networks: dict[str, Length] = Field(default={}, description="Networks that differ.")


class Sizes(_Data):
    """The three sizes of every experiment."""

    smoke: SizeOf
    short: SizeOf
    paper: SizeOf

    def length(self, size: Size, design: str, network: str) -> dict[str, Any]:
        """How a run of this network is made, by the keys of `Length`; the recipe has the rest."""
        of: SizeOf = getattr(self, size)
        general: Length = of.cifar if design == CIFAR else of.imagenet
        own = of.networks.get(network, Length())
        return general.model_dump(exclude_none=True) | own.model_dump(exclude_none=True)

    def budgets(self, size: Size, designs: Iterable[str]) -> list[str]:
        """What the size costs and is worth, a sentence for each design that is among these."""
        of: SizeOf = getattr(self, size)
        are_cifar = {design == CIFAR for design in designs}
        told = [of.budget.cifar] * (True in are_cifar) + [of.budget.imagenet] * (False in are_cifar)
        return [f"Size {size}: {text}." for text in dict.fromkeys(told)]


def experiment(name: str) -> Experiment:
    """The experiment called `name`.

    Raises:
        Failure: there is none of that name, or its file is wrong (exit code 2).
    """
    files = experiment_files()
    names = [stem for stem in files if stem != SIZES]
    if name not in names:
        hint = did_you_mean(name, names, "`resnet-gen reproduce --list` shows them all")
        raise Failure(Problem("name", f"there is no experiment called {quoted(name)}", hint))
    return read_experiment(files[name])


def all_experiments() -> list[Experiment]:
    """Every experiment, by its name.

    Raises:
        Failure: one of the files is wrong (exit code 2).
    """
    files = sorted(experiment_files().items())
    return [read_experiment(path) for stem, path in files if stem != SIZES]


def sizes() -> Sizes:
    """The three sizes.

    Raises:
        Failure: somebody's own sizes.yaml is wrong (exit code 2).
    """
    return read_sizes(experiment_files()[SIZES])


def read(path: Path) -> Experiment | Sizes:
    """What a file of specs/experiments/ has.

    Raises:
        Failure: with every problem of the file (exit code 2).
    """
    return read_sizes(path) if path.stem == SIZES else read_experiment(path)


def read_experiment(path: Path) -> Experiment:
    """The experiment in a file, which has its name.

    Raises:
        Failure: with every problem of the file, unknown networks among them (exit code 2).
    """
    document = read_document(path, path.as_posix())
    made, problems = validate(document, Experiment, "an experiment")
    if made is None:
        raise Failure(problems)
    if made.experiment != path.stem:
        message = f"{quoted(made.experiment)} is not the name of its file"
        place = document.values.get(("experiment",))
        hint = f"write `experiment: {path.stem}`"
        problems.append(document.problem(place, "experiment", message, hint))
    named: list[tuple[KeyPath, str]] = [
        ((key, index), name)
        for key in ("networks", "counted")
        for index, name in enumerate(getattr(made, key))
    ]
    problems += _unknown(document, named)
    of_runs: list[tuple[KeyPath, str]] = [(("seeds", name), name) for name in made.seeds]
    for index, claim in enumerate(made.claims):
        of_runs += [(("claims", index, side), getattr(claim, side)) for side in ("greater", "less")]
    for path_of, name in of_runs:
        if name not in made.networks:
            message = f"{quoted(name)} is not one of this experiment's networks"
            place = _place(document, path_of)
            hint = did_you_mean(name, made.networks)
            problems.append(document.problem(place, "network", message, hint))
    if problems:
        raise Failure(sorted(problems, key=lambda p: (p.line, p.column)))
    return made


def read_sizes(path: Path) -> Sizes:
    """The three sizes of a file.

    Raises:
        Failure: with every problem of the file, unknown networks among them (exit code 2).
    """
    document = read_document(path, path.as_posix())
    made, problems = validate(document, Sizes, "the sizes of experiments")
    if made is not None:
        named: list[tuple[KeyPath, str]] = [
            ((size, "networks", name), name)
            for size in get_args(Size)
            for name in getattr(made, size).networks
        ]
        problems += _unknown(document, named)
    if made is None or problems:
        raise Failure(problems)
    return made


def problems() -> list[Problem]:
    """What is wrong with any experiment, or with their sizes."""
    found: list[Problem] = []
    for path in experiment_files().values():
        try:
            read(path)
        except Failure as failure:
            found += failure.problems
    return found


def _unknown(document: Document, named: Sequence[tuple[KeyPath, str]]) -> list[Problem]:
    """The problems of names that no network has."""
    found = []
    for path, name in named:
        try:
            library.locate(name)
        except Failure as failure:
            (problem,) = failure.problems
            place = _place(document, path)
            found.append(document.problem(place, "network", problem.message, problem.hint))
    return found


def _place(document: Document, path: KeyPath) -> Span | None:
    """Where a name stands: as a value in most places, as a key in mappings of networks."""
    is_key = path[-2] in ("seeds", "networks") and isinstance(path[-1], str)
    return (document.keys if is_key else document.values).get(path)
