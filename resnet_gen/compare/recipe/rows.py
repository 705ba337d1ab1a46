"""A recipe's rows: the section of the paper, or another network | the spec | the train.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resnet_gen.compare.recipe import words
from resnet_gen.compare.recipe.words import LABELS
from resnet_gen.compare.rows import MISSING, Part, Row, Verdict
from resnet_gen.paper import training
from resnet_gen.read.library import Entry
from resnet_gen.read.network_spec import DEFAULT_RECIPES, NetworkSpec
from resnet_gen.read.recipe import CifarRecipe, ImagenetRecipe
from resnet_gen.read.recipes import AnyRecipe

CHANGED = "train.py does not do what the spec's recipe says"
NO_SCRIPT = "no train.py"
NO_SCRIPT_WHY = "there is no train.py beside model.py, so that the recipe is the spec's alone"
LINES = {  # the lines of a recipe that a row hangs on, where it is not the one of its key
    "learning_rate": ["learning_rate", "drops"],
    "held_out": ["validation"],
    "crop": [],
    "mean": [],
}
NO_PLATEAU = "the recipe has neither patience nor drops: its rate never changes"
OPEN = {  # what the section leaves open or does otherwise, by design and row
    ("imagenet", "learning_rate"): (
        "section 3.4 does not say what a plateau is: here, so many validations without a lower "
        "error"
    ),
    ("imagenet", "mean"): (
        "the mean of each channel, unless train.py is given --pixel-mean: "
        "then it is the paper's, of each pixel"
    ),
}


def questions(entry: Entry, script: Path) -> dict[str, Any] | None:
    """What to ask the script; nothing, where there is none or no recipe."""
    recipe, spec = entry.recipe, entry.spec
    if recipe is None or not script.is_file():
        return None
    asked: dict[str, Any] = {
        "design": recipe.design,
        "image_channels": spec.image_channels,
        "image_size": spec.image_size,
    }
    if isinstance(recipe, CifarRecipe):
        return asked | {"padding": recipe.padding}
    return asked | {"patience": recipe.patience or 1, "eigenvalues": words.EIGENVALUES}


def with_paper(entry: Entry, answers: Mapping[str, Any] | None) -> list[Row]:
    """The section's recipe | the spec's | what train.py does, by what asking.ask answers.

    Without a recipe there are no rows, and without answers there is one.
    """
    recipe, spec = entry.recipe, entry.spec
    if recipe is None:
        return []
    if answers is None:
        section = f"section {training.section(spec.design).section}"
        return [_row("recipe", section, recipe.name, NO_SCRIPT, Verdict.EXPLAINED, NO_SCRIPT_WHY)]
    printed = training.printed(spec)
    ours, theirs = words.of_spec(recipe, spec), words.of_code(answers, recipe)
    rows = []
    for key in ours:
        verdict, why = judge(key, recipe, spec)
        if ours[key] != theirs[key]:
            verdict, why = Verdict.DIFFERS, CHANGED
        rows.append(_row(key, printed.get(key, ""), ours[key], theirs[key], verdict, why))
    return rows


def with_network(entry: Entry, answers: Mapping[str, Any] | None, other: Entry) -> list[Row]:
    """The recipe of `other` | the spec's | what train.py does."""
    recipe = entry.recipe
    left = words.of_spec(other.recipe, other.spec) if other.recipe else {}
    ours = words.of_spec(recipe, entry.spec) if recipe else {}
    theirs = words.of_code(answers, recipe) if recipe and answers else {}
    rows = []
    for key in words.ordered({**left, **ours}):
        said, meant = left.get(key, MISSING), ours.get(key, MISSING)
        built = theirs.get(key, MISSING if answers or not recipe else NO_SCRIPT)
        changed = bool(answers) and built != meant
        verdict = Verdict.DIFFERS if changed or said != meant else Verdict.EQUAL
        rows.append(_row(key, said, meant, built, verdict, CHANGED if changed else ""))
    return rows


def heading(spec: NetworkSpec) -> str:
    """What stands above the rows."""
    if spec.design not in DEFAULT_RECIPES:
        return "recipe"
    return f"recipe, section {training.section(spec.design).section}"


def _row(key: str, left: str, spec: str, right: str, verdict: Verdict, why: str) -> Row:
    what = LABELS.get(key, key)
    return Row(what, left, spec, right, verdict, why, f"recipe.{key}", Part.RECIPE)


def judge(key: str, recipe: AnyRecipe, spec: NetworkSpec) -> tuple[Verdict, str]:
    """Whether the spec's recipe is the section's in this row, and if not, why."""
    if key == "warmup":
        return _judge_warmup(recipe, spec)
    paper = training.meant(recipe.design)
    changed = [
        f"{line}: {_written(getattr(recipe, line))}"
        for line in LINES.get(key, [key])
        if line in paper and getattr(recipe, line) != paper[line]
    ]
    if key == "colour" and isinstance(recipe, ImagenetRecipe) and not recipe.colour:
        changed = ["colour: 0"]
    if changed:
        return Verdict.DIFFERS, _departure(spec, f"the spec's recipe sets {' and '.join(changed)}")
    if key in ("crop", "shorter_side"):
        size = spec.image_size
        if not training.section(spec.design).crop.startswith(f"{size}×"):
            return Verdict.DIFFERS, _departure(spec, f"the spec sets image_size: {size}")
    if key == "learning_rate" and isinstance(recipe, ImagenetRecipe) and not recipe.patience:
        return Verdict.DIFFERS, _departure(spec, NO_PLATEAU)
    if why := OPEN.get((recipe.design, key)):
        return Verdict.EXPLAINED, why
    return Verdict.EQUAL, ""


def _judge_warmup(recipe: AnyRecipe, spec: NetworkSpec) -> tuple[Verdict, str]:
    found = recipe.warmup if isinstance(recipe, CifarRecipe) else None
    paper = training.meant(recipe.design)["warmup"]
    if found is None:
        if training.is_warmed_up(spec):
            return Verdict.DIFFERS, _departure(spec, "the spec's recipe has no warm-up")
        return Verdict.EQUAL, ""
    if found.model_dump() != paper:
        what = f"the spec's recipe sets warmup: {_written(found)}"
        return Verdict.DIFFERS, _departure(spec, what)
    if training.is_warmed_up(spec):
        return Verdict.EQUAL, ""
    return Verdict.EXPLAINED, "section 4.2 warms up at 110 layers, and trains 1202 as it describes"


def _departure(spec: NetworkSpec, what: str) -> str:
    return f"{what}; section {training.section(spec.design).section} has another value"


def _written(value: Any) -> str:
    """A line's value as YAML has it."""
    if hasattr(value, "model_dump"):
        pairs = value.model_dump().items()
        return f"{{{', '.join(f'{key}: {words.number(each)}' for key, each in pairs)}}}"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return words.number(value) if isinstance(value, float) else str(value)
