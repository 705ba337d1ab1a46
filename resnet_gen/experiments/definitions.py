"""An experiment as data: its networks, what is drawn of them, and what the paper claims.

specs/experiments/NAME.yaml has one experiment each; sizes.yaml says how long runs of each size are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from resnet_gen.errors import Failure, Problem, did_you_mean, quoted
from resnet_gen.read.folders import experiment_files
from resnet_gen.read.validation import read_model

SIZES = "sizes"  # the stem of the file that is no experiment
Size = Literal["smoke", "short", "paper"]
Figure = Literal["train_error", "val_error", "test_error", "responses"]
Drawing = Literal["curves", "errors", "responses", "architecture"]
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
    draw: list[Drawing] = Field(description="The figures of its report.", default=[])
    claims: list[Claim] = Field(description="What the paper finds in it.", default=[])


class Length(_Data):
    """How a run of some size is made; what is not said is the recipe's."""

    data: str | None = Field(None, description="The training script's --data.")
    iterations: Count | None = Field(None, description="Of one run.")
    batch_size: Count | None = Field(None, description="Images in a batch.")
    seeds: Count | None = Field(None, description="Runs of each network: seeds 0, 1, 2 ...")


class SizeOf(_Data):
    """A size: how long runs of each design are, and of networks that differ."""

    budget: str = Field(description="What it costs and what it is worth, in a sentence.")
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
        general: Length = of.cifar if design == "cifar" else of.imagenet
        own = of.networks.get(network, Length())
        return general.model_dump(exclude_none=True) | own.model_dump(exclude_none=True)


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
    return _read(files[name])


def all_experiments() -> list[Experiment]:
    """Every experiment, by its name.

    Raises:
        Failure: one of the files is wrong (exit code 2).
    """
    return [_read(path) for stem, path in sorted(experiment_files().items()) if stem != SIZES]


def sizes() -> Sizes:
    """The three sizes.

    Raises:
        Failure: somebody's own sizes.yaml is wrong (exit code 2).
    """
    path = experiment_files()[SIZES]
    return read_model(path, path.as_posix(), Sizes, "the sizes of experiments")


def _read(path: Path) -> Experiment:
    return read_model(path, path.as_posix(), Experiment, "an experiment")
