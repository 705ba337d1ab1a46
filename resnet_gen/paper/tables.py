"""The paper's tables and sections as printed: numbers are strings, none is computed.

Only notes.yaml is ours: what is known about counts that do not round to the printed ones.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from resnet_gen.errors import Failure, Problem, did_you_mean
from resnet_gen.paper.appendix import Appendix
from resnet_gen.paper.forms import (
    COUNT,
    Convolution,
    Printed,
    PrintedCount,
    PrintedNumber,
    Size,
)
from resnet_gen.paper.scores import Scores
from resnet_gen.paper.text import Text
from resnet_gen.paper.vgg import Vgg
from resnet_gen.read.folders import table_files
from resnet_gen.read.network_spec import (
    Block,
    Shortcut,
    rule,
)
from resnet_gen.read.validation import read_model

TABLE_1_ROWS = ["conv1", "conv2_x", "conv3_x", "conv4_x", "conv5_x", ""]


class Cell(Printed):
    """A block of Table 1 and how often it stands in a row."""

    block: list[Convolution]
    repeats: PrintedNumber


class Table1Row(Printed):
    """A row of Table 1."""

    layer_name: str
    output_size: Size
    all_columns: str | None = None
    columns: dict[str, Cell] = Field(default_factory=dict)


class Downsampling(Printed):
    """Where a network halves its feature maps."""

    stride: PrintedNumber
    layers: list[str] = Field(default_factory=list)


class Table1(Printed):
    """The architectures for ImageNet."""

    table: Literal["1"]
    rows: list[Table1Row]
    flops: dict[str, Annotated[str, Field(pattern=r"^\d+\.\d×10\^9$")]]
    downsampling: Downsampling

    @field_validator("rows")
    @classmethod
    def _rows_are_the_papers(cls, rows: list[Table1Row]) -> list[Table1Row]:
        names = [row.layer_name for row in rows]
        if names != TABLE_1_ROWS:
            message = f"the rows are {', '.join(names)}"
            hint = f"Table 1 has {', '.join(TABLE_1_ROWS[:-1])} and one without a name"
            raise rule("rows", message, hint)
        if not re.fullmatch(r"\d×\d, \d+, stride \d", rows[0].all_columns or ""):
            raise rule("rows", "conv1 is not of the form of `7×7, 64, stride 2`", "see the paper")
        return rows

    @field_validator("flops")
    @classmethod
    def _flops_are_of_columns(cls, flops: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        columns = {column for row in info.data.get("rows", []) for column in row.columns}
        for column in [*flops, *sorted(columns)]:
            if column not in flops or not re.fullmatch(r"\d+-layer", column):
                hint = "the rows and the FLOPs have the same columns: 18-layer, 34-layer ..."
                raise rule("flops", f"`{column}` is no column with FLOPs", hint)
        return flops

    def row(self, layer_name: str) -> Table1Row:
        """The row called conv1, conv2_x ...; the last one has no name."""
        return next(row for row in self.rows if row.layer_name == layer_name)


class PlainAgainstResidual(Printed):
    """A row of Table 2."""

    layers: PrintedNumber
    plain: PrintedNumber
    ResNet: PrintedNumber


class Table2(Printed):
    """Top-1 error on ImageNet validation, plain networks against residual ones."""

    table: Literal["2"]
    rows: list[PlainAgainstResidual]


class Method(Printed):
    """A row of Tables 3 to 5; depth and shortcut tell which of the paper's networks it is."""

    method: str
    depth: int | None = None
    shortcut: Shortcut | None = None
    top1: PrintedNumber | None = None
    top5: PrintedNumber | None = None
    note: str | None = None


class Errors(Printed):
    """Tables 3, 4 and 5: error on ImageNet."""

    table: Literal["3", "4", "5"]
    measure: str
    rows: list[Method]


class CifarMethod(Printed):
    """A row of Table 6."""

    method: str
    layers: Annotated[str, Field(pattern=r"^\d+$")] | None = None
    parameters: Annotated[str, Field(pattern=r"^\d+\.\d+M$")] | None = None
    error: PrintedNumber
    spread: Annotated[str, Field(pattern=r"^\d+\.\d+±\d+\.\d+$")] | None = None


class Table6(Printed):
    """Error on the CIFAR-10 test set."""

    table: Literal["6"]
    rows: list[CifarMethod]

    @field_validator("rows")
    @classmethod
    def _there_are_resnets(cls, rows: list[CifarMethod]) -> list[CifarMethod]:
        if not any(row.method == "ResNet" and row.layers for row in rows):
            raise rule("rows", "no row is of a ResNet with its layers", "see the paper's Table 6")
        return rows

    def resnet(self, depth: int) -> CifarMethod | None:
        """The row of the ResNet with that many layers."""
        rows = (r for r in self.rows if r.method == "ResNet" and r.layers == str(depth))
        return next(rows, None)

    @property
    def depths(self) -> list[int]:
        """The depths of its ResNets."""
        return [int(r.layers) for r in self.rows if r.method == "ResNet" and r.layers]


class CifarStage(Printed):
    """A column of section 4.2's table; `layers` in terms of n."""

    output_size: Size
    layers: Annotated[str, Field(pattern=r"^(\d\+)?\dn$")]
    filters: PrintedNumber

    def layers_for(self, n: int) -> int:
        """The number of layers for a given n: 1+2n or 2n."""
        found = re.fullmatch(r"(?:(\d)\+)?(\d)n", self.layers)
        assert found, "the pattern of the field"  # noqa: S101  (for the type checker)
        return int(found[1] or 0) + int(found[2]) * n


class Section42(Printed):
    """The networks for CIFAR-10."""

    section: Literal["4.2"]
    depth: Literal["6n+2"]
    first_layer: Convolution
    kernels: Size
    stages: list[CifarStage]
    downsampling: Downsampling
    head: str
    shortcut: Shortcut


class Order(Printed):
    """What follows what within a block, with and without its shortcut."""

    block: Block
    plain: str
    residual: str


class BuiltWith(Printed):
    """The shortcuts that the paper built a kind of network with."""

    design: Literal["cifar", "imagenet"]
    block: Block
    depth: int | None = Field(None, description="Only this one; the first row that fits counts.")
    options: list[Shortcut]


class Section3(Printed):
    """What the text says about blocks and shortcuts."""

    section: Literal["3"]
    orders: list[Order]
    shortcuts: list[BuiltWith]

    def order(self, block: str, *, plain: bool) -> str:
        """The order of a block's operations: `3×3 BN ReLU 3×3 BN + ReLU`."""
        found = next(order for order in self.orders if order.block == block)
        return found.plain if plain else found.residual

    def options(self, design: str, block: str, depth: int) -> list[Shortcut]:
        """The shortcuts of such networks in the paper."""
        kinds = [k for k in self.shortcuts if (k.design, k.block) == (design, block)]
        return next((k.options for k in kinds if k.depth in (None, depth)), [])


class Note(Printed):
    """Why a count is not the printed one, for exactly this count."""

    column: str
    multiply_adds: int
    verdict: Literal["explained", "differs"]
    why: str


class Notes(Printed):
    """What is known about the figures that do not round to the printed ones."""

    table: Literal["1"]
    flops: list[Note]


class PrintedWarmup(Printed):
    """The smaller learning rate that the 110-layer network of section 4.2 begins with."""

    depth: int
    learning_rate: PrintedNumber
    training_error: Annotated[PrintedNumber, Field(description="In %; below it, the warm-up ends.")]


class TrainingOf(Printed):
    """What a section says about training, as printed; counts may be 64k or 60×10^4."""

    section: Literal["3.4", "4.2"]
    iterations: PrintedCount
    batch_size: PrintedCount
    learning_rate: PrintedNumber
    drops: str
    momentum: PrintedNumber
    weight_decay: PrintedNumber
    mean: str
    crop: Size
    flip: str


class ImagenetTraining(TrainingOf):
    """Section 3.4."""

    optimizer: str
    shorter_side: Annotated[str, Field(pattern=r"^\[\d+, \d+\]$")]
    colour: str


class CifarTraining(TrainingOf):
    """Section 4.2."""

    drops: Annotated[str, Field(pattern=rf"^{COUNT}( and {COUNT})*$")]
    warmup: PrintedWarmup
    split: Annotated[str, Field(pattern=rf"^{COUNT}/{COUNT}$")]
    padding: PrintedCount


class Training(Printed):
    """How the networks of both designs were trained."""

    imagenet: ImagenetTraining
    cifar: CifarTraining


Model = TypeVar("Model", bound=BaseModel)
FILES: dict[str, type[BaseModel]] = {
    "table1": Table1,
    "table2": Table2,
    "table3": Errors,
    "table4": Errors,
    "table5": Errors,
    "table6": Table6,
    **{f"table{number}": Scores for number in range(7, 15)},
    "text": Text,
    "section3": Section3,
    "section4-2": Section42,
    "vgg": Vgg,
    "appendix": Appendix,
    "training": Training,
    "notes": Notes,
}


@cache
def load(name: str, model: type[Model]) -> Model:
    """A file of specs/paper/.

    Raises:
        Failure: somebody's own copy of it is wrong.
    """
    path = table_files()[name]
    return read_model(path, path.as_posix(), model, "the paper's table")


def read_table(path: Path) -> BaseModel:
    """One of the paper's tables, by the name of its file.

    Raises:
        Failure: it is wrong, or no table of the paper has that name (exit code 2).
    """
    if path.stem not in FILES:
        message, hint = "the paper has no such table", did_you_mean(path.stem, FILES)
        raise Failure(Problem("file", message, hint, path.as_posix()))
    return read_model(path, path.as_posix(), FILES[path.stem], "the paper's table")


def problems() -> list[Problem]:
    """What is wrong with any of the tables, where somebody has a copy of their own."""
    found: list[Problem] = []
    for name, model in FILES.items():
        try:
            load(name, model)
        except Failure as failure:
            found += failure.problems
    return found
