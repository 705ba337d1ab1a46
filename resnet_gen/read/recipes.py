"""Recipes by their names, and a recipe as a network's spec changes it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from resnet_gen.errors import Failure, Problem, did_you_mean, quoted
from resnet_gen.read.detector_recipe import (
    DEFAULT_DETECTION_RECIPE,
    DEFAULT_LOCALIZATION_RECIPE,
    DETECTION,
    LOCALIZATION,
    DetectionOverride,
    DetectionRecipe,
    LocalizationOverride,
    LocalizationRecipe,
)
from resnet_gen.read.folders import recipe_files
from resnet_gen.read.network_spec import DEFAULT_RECIPES, recipe_by_name
from resnet_gen.read.recipe import RECIPES, CifarRecipe, ImagenetRecipe, RecipeOverride
from resnet_gen.read.validation import read_document, validate
from resnet_gen.read.yaml_source import Document

AnyRecipe = CifarRecipe | ImagenetRecipe
Trained = CifarRecipe | ImagenetRecipe | DetectionRecipe | LocalizationRecipe
KINDS: dict[str, type[BaseModel]] = {
    **RECIPES,
    DETECTION: DetectionRecipe,
    LOCALIZATION: LocalizationRecipe,
}


def recipe(name: str) -> AnyRecipe:
    """The recipe called `name`, of recipes/NAME.yaml, that trains classifiers.

    Raises:
        Failure: there is none, or it is wrong, or trains something else.
    """
    found = _named(name)
    if not isinstance(found, AnyRecipe):
        raise Failure(Problem("training", f"{name} trains detectors", "such as cifar-paper"))
    return found


def read_recipe(path: Path) -> Trained:
    """The recipe in a file, which has its name.

    Raises:
        Failure: with every problem of the file (exit code 2).
    """
    document = read_document(path, path.as_posix())
    design = document.data.get("design", "cifar")
    if design not in list(KINDS):
        message = f"{quoted(design)} is not one of {', '.join(KINDS)}"
        place = document.values.get(("design",))
        raise Failure(document.problem(place, "design", message, did_you_mean(design, KINDS)))
    found, problems = validate(document, KINDS[design], "a recipe")
    if not isinstance(found, Trained) or problems:
        raise Failure(problems)
    if found.name != path.stem:
        message = f"{quoted(found.name)} is not the name of its file"
        place = document.values.get(("name",))
        raise Failure(document.problem(place, "name", message, f"write `name: {path.stem}`"))
    return found


def recipe_problems() -> list[Problem]:
    """What is wrong with any recipe, used or not."""
    problems: list[Problem] = []
    for path in recipe_files().values():
        try:
            read_recipe(path)
        except Failure as failure:
            problems += failure.problems
    return problems


def training_of(document: Document, design: str) -> tuple[AnyRecipe | None, list[Problem]]:
    """The recipe that a network's spec names, with the spec's own changes, and its problems.

    A design that the paper has no recipe for has none.
    """
    if design not in DEFAULT_RECIPES:
        return None, []
    found, problems = _changed(document, design, DEFAULT_RECIPES[design], RecipeOverride)
    return found if isinstance(found, AnyRecipe) else None, problems


def detection_training_of(document: Document) -> tuple[DetectionRecipe | None, list[Problem]]:
    """The same of a detector's spec."""
    found, problems = _changed(document, DETECTION, DEFAULT_DETECTION_RECIPE, DetectionOverride)
    return found if isinstance(found, DetectionRecipe) else None, problems


def localization_training_of(
    document: Document,
) -> tuple[LocalizationRecipe | None, list[Problem]]:
    """The same of a localizer's spec."""
    found, problems = _changed(
        document, LOCALIZATION, DEFAULT_LOCALIZATION_RECIPE, LocalizationOverride
    )
    return found if isinstance(found, LocalizationRecipe) else None, problems


def _named(name: str) -> Trained:
    files = recipe_files()
    if name not in files:
        message = f"there is no recipe called {quoted(name)}"
        raise Failure(Problem("training", message, did_you_mean(name, files)))
    return read_recipe(files[name])


def _changed(
    document: Document,
    design: str,
    default: str,
    overrides: type[RecipeOverride] | type[DetectionOverride] | type[LocalizationOverride],
) -> tuple[BaseModel | None, list[Problem]]:
    """The recipe that `training` names, with the changes that it makes, and its problems."""
    written = document.data.get("training", default)
    try:
        override = overrides.model_validate(recipe_by_name(written))
    except (ValidationError, PydanticCustomError):
        return None, []  # the problem is reported with the rest of the spec
    place = document.values.get(("training", "recipe")) or document.values.get(("training",))
    try:
        base = _named(override.recipe)
    except Failure as failure:
        if any(problem.file for problem in failure.problems):
            return None, failure.problems
        first = failure.problems[0]
        return None, [document.problem(place, first.rule, first.message, first.hint)]
    if base.design != design:
        message = f"{override.recipe} trains networks of the {base.design} design"
        hint = f"such as {default}"
        return None, [document.problem(place, "training", message, hint)]
    changes = override.model_dump(exclude={"recipe"}, exclude_unset=True)
    if not changes:
        return base, []
    merged = Document(document.label, document.lines, {**base.model_dump(), **changes})
    keys = {key: key for key in changes} | {
        "drops": "drops" if "drops" in changes else "iterations"
    }
    for key, written_as in keys.items():
        span = document.values.get(("training", written_as)) or place
        if span:
            merged.values[(key,)] = span
    return validate(merged, type(base), "a recipe")
