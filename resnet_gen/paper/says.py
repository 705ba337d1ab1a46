"""What the paper says of a network, and where a spec or its recipe leaves the paper."""

from __future__ import annotations

from typing import NamedTuple

from resnet_gen.paper.tables import Errors, Section42, Table1, Table2, Table6, load
from resnet_gen.paper.vgg import Vgg
from resnet_gen.read.network_spec import (
    CONVOLUTIONS,
    DEFAULT_RECIPES,
    CifarSpec,
    ImagenetSpec,
    NetworkSpec,
    VggSpec,
    class_name,
)
from resnet_gen.read.recipe import CifarRecipe, ImagenetRecipe
from resnet_gen.read.recipes import recipe as recipe_called

RUNS_OF_SPREAD = 5  # Table 6: ResNet-110 was run five times


def title_of(spec: NetworkSpec) -> str:
    """The network as the literature calls it, such as ResNet-50 v1.5, or else its class."""
    if isinstance(spec, VggSpec):
        is_known = spec.name == f"vgg{spec.depth}" and vgg_configuration(spec)
        return f"VGG-{spec.depth}" if is_known else class_name(spec.name)
    standard = {
        f"resnet{spec.depth}": "",
        f"plain{spec.depth}": "",
        f"resnet{spec.depth}_{spec.shortcut.lower()}": f" {spec.shortcut}",
        f"resnet{spec.depth}_v1_5": " v1.5",
    }
    if spec.name not in standard or (spec.name.startswith("plain") != (spec.shortcut == "none")):
        return class_name(spec.name)
    kind = "plain" if spec.shortcut == "none" else "ResNet"
    return f"{kind}-{spec.depth}{standard[spec.name]}"


def table1_column(spec: NetworkSpec) -> str | None:
    """The column of Table 1 with these blocks: "50-layer"."""
    if not isinstance(spec, ImagenetSpec):
        return None
    column = f"{spec.depth}-layer"
    rows = [row for row in load("table1", Table1).rows if column in row.columns]
    repeats = [int(row.columns[column].repeats) for row in rows]
    layers = CONVOLUTIONS[spec.block]
    same = repeats == spec.blocks and len(rows[0].columns[column].block) == layers
    return column if same else None


def vgg_configuration(spec: VggSpec) -> str | None:
    """The configuration of Simonyan & Zisserman 2014 with these stages: "D"."""
    found = load("vgg", Vgg).configuration(spec.depth)
    return found.name if found and found.blocks == spec.blocks else None


def departures(spec: NetworkSpec) -> list[str]:
    """The lines of the spec that are not the paper's, apart from depth and shortcut."""
    fields = type(spec).model_fields
    keys = ["classes", "width", "image_size", "image_channels", "zero_gamma", "hidden", "dropout"]
    found = [
        f"{key}: {str(getattr(spec, key)).lower()}"
        for key in keys
        if key in fields and getattr(spec, key) != fields[key].default
    ]
    if isinstance(spec, ImagenetSpec) and spec.strided_convolution == 2:
        found.append("stride_in: conv3x3")
    return found


def recipe_departures(recipe: CifarRecipe | ImagenetRecipe) -> list[str]:
    """Which lines of a recipe are not the paper's: "learning rate", "drops".

    Section 4.2's warm-up is the paper's too, for any network. Where drops are planned, that no
    plateau is waited for goes without saying.
    """
    paper = recipe_called(DEFAULT_RECIPES[recipe.design])
    ignored = {"name", "design", "warmup"}
    keys = [key for key in type(recipe).model_fields if key not in ignored]
    changed = [key for key in keys if getattr(recipe, key) != getattr(paper, key)]
    if "drops" in changed and "patience" in changed:
        changed.remove("patience")
    if isinstance(recipe, CifarRecipe) and recipe.warmup is not None:
        warmup = getattr(recipe_called("cifar-paper-warmup"), "warmup", None)
        changed += ["warmup"] if recipe.warmup != warmup else []
    return [key.replace("_", " ") for key in changed]


class Reported(NamedTuple):
    """An error that the paper reports of a network, in percent as printed."""

    top1: str
    top5: str  # empty where only one is reported
    spread: str  # mean ± standard deviation, where the error is the best of several runs
    table: str
    crops: str  # how it was tested, where there are several ways

    def __str__(self) -> str:
        """The error with its table: "8.75% (Table 6)"."""
        place = f"{self.table}, {self.crops}" if self.crops else self.table
        if self.spread:
            place += f"; best of {RUNS_OF_SPREAD} runs, mean {self.spread}"
        if self.top5:
            return f"{self.top1}% top-1, {self.top5}% top-5 ({place})"
        return f"{self.top1}%{' top-1' if self.crops else ''} ({place})"


def reported(spec: NetworkSpec) -> Reported | None:
    """The paper's error of exactly this network: of Table 6, or else of Table 3 or 2."""
    if departures(spec):
        return None
    if isinstance(spec, VggSpec):
        called = f"VGG-{spec.depth}" if vgg_configuration(spec) else ""
        for quoted in load("table3", Errors).rows:
            if quoted.method == called:
                return Reported(quoted.top1 or "", quoted.top5 or "", "", "Table 3", "10-crop")
        return None
    if isinstance(spec, CifarSpec):
        row = load("table6", Table6).resnet(spec.depth)
        if row is None or spec.shortcut != load("section4-2", Section42).shortcut:
            return None
        return Reported(row.error, "", row.spread or "", "Table 6", "")
    if table1_column(spec) is None:
        return None
    for method in load("table3", Errors).rows:
        if (method.depth, method.shortcut) == (spec.depth, spec.shortcut):
            return Reported(method.top1 or "", method.top5 or "", "", "Table 3", "10-crop")
    column = {"none": "plain", "A": "ResNet"}.get(spec.shortcut, "")
    for row2 in load("table2", Table2).rows:
        if row2.layers == str(spec.depth) and column:
            return Reported(getattr(row2, column), "", "", "Table 2", "10-crop")
    return None


def reported_error(spec: NetworkSpec) -> str | None:
    """The paper's error of exactly this network, with its table: "8.75% (Table 6)"."""
    found = reported(spec)
    return None if found is None else str(found)
