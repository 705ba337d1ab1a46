"""Layouts of checkpoints as data: how a library names, arranges and computes with its weights.

The tables are `specs/weights/*.yaml`, one a layout; this file says what may stand in them. It needs
no torch.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from resnet_gen.errors import Failure, Problem, did_you_mean
from resnet_gen.read.folders import folders
from resnet_gen.read.network_spec import Block, Shortcut, rule
from resnet_gen.read.validation import read_model
from resnet_gen.read.yaml_source import yaml_files

Module = Literal[
    "conv1", "bn1", "conv", "bn", "downsample.0", "downsample.1", "fc", "features", "classifier"
]
Kind = Literal["convolution", "batch_norm", "linear"]
KIND: dict[Module, Kind] = {
    "conv1": "convolution",
    "bn1": "batch_norm",
    "conv": "convolution",
    "bn": "batch_norm",
    "downsample.0": "convolution",
    "downsample.1": "batch_norm",
    "fc": "linear",
    "features": "convolution",
    "classifier": "linear",
}
OF_VGG: set[Module] = {"features", "classifier"}
PARTS: dict[Kind, tuple[str, ...]] = {
    "convolution": ("weight", "bias"),
    "batch_norm": (
        *("weight", "bias", "running_mean", "running_var", "num_batches_tracked"),
        "factor",  # Caffe's third blob, which the other two are divided by
    ),
    "linear": ("weight", "bias"),
}
PLACES: dict[Module, set[str]] = {
    "conv": {"stage", "block", "layer"},
    "bn": {"stage", "block", "layer"},
    "downsample.0": {"stage", "block"},
    "downsample.1": {"stage", "block"},
    "features": {"index"},
    "classifier": {"index"},
}
Names = str | list[str]
Design = Literal["imagenet", "cifar", "vgg"]
DEFAULT_DESIGNS: tuple[Design, ...] = ("imagenet",)
DEFAULT_SHORTCUTS: tuple[Shortcut, ...] = ("B",)
File = Literal["safetensors", "pth", "pkl", "npz", "h5"]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Numbers(_Table):
    """What stands at {stage}, {block} and {layer} in names."""

    stage: int = Field(1, description="The number of the first stage, our layer1.")
    block: int | Literal["letters"] = Field(
        0, description="The number of a stage's first block; or letters: a, b, c or a, b1, b2."
    )
    layer: int | list[str] = Field(
        1, description="The number of a block's first layer, or what its layers are called."
    )


class Input(_Table):
    """What is done to pixels before a network of this layout sees them."""

    order: Literal["rgb", "bgr"] = Field(description="The order of the channels.")
    mean: list[float] | None = Field(
        None, description="What is subtracted, in pixels of 0 to 255, in that order; unless known."
    )
    std: list[float] | None = Field(None, description="What is divided by, in the same units.")


class Case(_Table):
    """What is known of files that say so beside their weights."""

    beside: str = Field(description="An entry that lies beside the weights.")
    value: str = Field(description="Its value.")
    stride_in: Literal["conv1x1", "conv3x3"] = Field(description="The layer that strides, then.")
    input: Input = Field(description="The input, then.")


class Layout(_Table):
    """A layout: whose files, how their names become ours, and what their networks compute."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")] = Field(
        description="What `weights export --as` calls it."
    )
    of: str = Field(description="Whose checkpoints are laid out so.")
    recognised_by: list[str] = Field(
        description="Names that all stand in such a file, once wrappers and prefixes are off.",
        min_length=1,
    )
    beside: list[str] = Field(
        default_factory=list, description="Entries that lie beside the weights in such a file."
    )
    files: list[File] = Field(description="Kinds of files that are written.", min_length=1)
    exports: bool = Field(True, description="Whether weights are written in it, too.")
    wrapper: str = Field("", description="The entry of the file that the weights are written into.")
    prefixes: list[str] = Field(
        default_factory=lambda: [""],
        description="What may stand before all names; the first is written.",
    )
    numbers: Numbers = Field(default_factory=Numbers, description="How places are counted.")
    modules: dict[Module, Names] = Field(
        description="Our modules and their names; of several, the first is written."
    )
    parts: dict[Kind, dict[str, Names]] = Field(
        default_factory=dict,
        description="Names of tensors where they are not torch's; * stands for the module's name.",
    )
    ignored: list[str] = Field(
        default_factory=list, description="Expressions for names that are no weights."
    )
    designs: list[Design] = Field(
        default_factory=lambda: [*DEFAULT_DESIGNS], description="Designs of networks that it has."
    )
    blocks: list[Block] = Field(
        default_factory=lambda: [*get_args(Block)], description="Kinds of blocks that it has."
    )
    shortcuts: list[Shortcut] = Field(
        default_factory=lambda: [*DEFAULT_SHORTCUTS],
        description="Options of shortcuts of its networks.",
    )
    stride_in: Literal["conv1x1", "conv3x3", "ask", "config", "recorded", "none"] = Field(
        description="The layer of its bottlenecks that strides; ask: the file does not say; "
        "config: its config.json says; recorded: the file names one of our networks; "
        "none: it has no bottlenecks."
    )
    pooling: Literal["padded", "ceil", "recorded", "none"] = Field(
        "padded",
        description="Its 3×3 max pooling: padded, or not padded and rounded up; none: it has none.",
    )
    zero_padding: Literal["after", "both"] | None = Field(
        None, description="Where its option A has its zeros."
    )
    input: Input | Literal["ask"] | None = Field(
        None, description="Its input, for ImageNet; ask: the file does not say its order."
    )
    cases: list[Case] = Field(default_factory=list, description="Files that say more.")
    convolution: Literal["OIHW", "HWIO"] = Field(
        "OIHW",
        description="The order of a convolution's dimensions: outputs, inputs, rows, columns.",
    )
    linear: Literal["OI", "IO"] = Field("OI", description="The order of fc's dimensions.")
    eps: float = Field(1e-5, description="What its batch norms add to the variance.")
    biases: Literal["none", "all", "conv1 of ResNet-50"] = Field(
        "none", description="Convolutions that are written with a bias, of zeros."
    )
    notes: str = Field("", description="What else to know.")

    @field_validator("modules")
    @classmethod
    def _all_modules(cls, modules: dict[Module, Names]) -> dict[Module, Names]:
        needed = [name for name in KIND if (name in OF_VGG) == bool(OF_VGG & modules.keys())]
        if missing := set(needed) - modules.keys():
            hint = "each of " + ", ".join(needed) + " needs a name"
            raise rule("modules", f"there is no name for {min(missing)}", hint)
        for module, names in modules.items():
            for name in several(names):
                used = set(re.findall(r"\{(\w*)\}", name))
                places = PLACES.get(module, set())
                if used != places:
                    wanted = ", ".join(f"{{{place}}}" for place in sorted(places))
                    hint = f"its places are {wanted}" if wanted else "it has no places"
                    raise rule("modules", f"`{name}` is no name for {module}", hint)
        return modules

    @field_validator("parts")
    @classmethod
    def _known_parts(cls, parts: dict[Kind, dict[str, Names]]) -> dict[Kind, dict[str, Names]]:
        for kind, named in parts.items():
            for part, names in named.items():
                if part not in PARTS[kind]:
                    hint = did_you_mean(part, PARTS[kind])
                    raise rule("parts", f"a {kind} has no part called {part}", hint)
                if any(name.count("*") != 1 for name in several(names)):
                    raise rule("parts", f"`{part}` needs one *, for its module", "such as `*.w`")
        return parts

    @field_validator("ignored")
    @classmethod
    def _are_expressions(cls, ignored: list[str]) -> list[str]:
        for expression in ignored:
            try:
                re.compile(expression)
            except re.error as error:
                raise rule("ignored", f"`{expression}` is no expression: {error}", "") from None
        return ignored

    def names_of_parts(self, kind: Kind) -> dict[str, list[str]]:
        """The parts of a kind of module, each with the templates of its names."""
        torchs = {part: f"*.{part}" for part in PARTS[kind] if part != "factor"}
        return {part: several(names) for part, names in self.parts.get(kind, torchs).items()}


def several(names: Names) -> list[str]:
    """Names as a list, also where there is one."""
    return [names] if isinstance(names, str) else names


def layout_files() -> dict[str, Path]:
    """Every layout's file by its stem; the user's own win."""
    shipped_last = folders("specs")[::-1]
    files = [path for folder in shipped_last for path in yaml_files(folder / "weights")[::-1]]
    return dict(sorted({path.stem: path for path in files}.items()))


def read_layout(path: Path) -> Layout:
    """One table.

    Raises:
        Failure: with every problem of the file (exit code 2).
    """
    return read_model(path, path.as_posix(), Layout, "a layout")


def all_layouts() -> list[Layout]:
    """Every layout.

    Raises:
        Failure: with the problems of a table that is wrong.
    """
    return [read_layout(path) for path in layout_files().values()]


def layout(name: str) -> Layout:
    """The layout of this name.

    Raises:
        Failure: there is none.
    """
    known = {each.name: each for each in all_layouts()}
    if name not in known:
        hint = did_you_mean(name, known)
        raise Failure(Problem("layout", f"there is no layout called {name}", hint))
    return known[name]


def problems() -> list[Problem]:
    """What is wrong with the tables."""
    found: list[Problem] = []
    for path in layout_files().values():
        try:
            read_layout(path)
        except Failure as failure:
            found += failure.problems
    return found
