"""Where specs are found, and a network's name or path turned into its validated spec.

A `specs/` folder of the user's own comes before the one that ships with the package, file by file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from resnet_gen.errors import Failure, Problem, did_you_mean, quoted
from resnet_gen.read import network_spec as specs
from resnet_gen.read.network_spec import DEFAULT_RECIPES, DESIGNS, ImagenetSpec, NetworkSpec
from resnet_gen.read.recipe import RECIPES, CifarRecipe, ImagenetRecipe, RecipeOverride
from resnet_gen.read.validation import read_document, validate
from resnet_gen.read.yaml_source import Document

NOT_NETWORKS = {"recipes", "paper", "schema", "experiments"}


AnyRecipe = CifarRecipe | ImagenetRecipe


@dataclass(frozen=True)
class Entry:
    """One network: its spec, the recipe that trains it, and where it was read."""

    spec: NetworkSpec
    recipe: AnyRecipe | None  # None where images have not the channels that ImageNet's have
    label: str  # the spec's path as headers print it: specs/cifar/resnet20.yaml

    @property
    def name(self) -> str:
        """The network's name."""
        return self.spec.name

    @property
    def folder(self) -> Path:
        """Where its code stands below the output folder: cifar/resnet20."""
        return Path(self.spec.design, self.spec.name)

    @property
    def sha256(self) -> str:
        """Hash of the canonical spec."""
        return specs.sha256(self.spec, self.recipe)

    @property
    def canonical(self) -> dict[str, Any]:
        """The spec with every default written out."""
        return specs.canonical(self.spec, self.recipe)


def package_folder(name: str) -> Path:
    """`specs` or `templates` as installed with the package, or beside it in a checkout."""
    here = Path(__file__).resolve().parents[1]
    installed = here / name
    return installed if installed.is_dir() else here.parent / name


def folders(name: str) -> list[Path]:
    """The user's folder first, then the package's; the same folder only once."""
    own, shipped = Path(name), package_folder(name)
    if not own.is_dir() or own.resolve() == shipped:
        return [shipped]
    return [own, shipped]


def find(pattern: str) -> dict[str, Path]:
    """Files of the specs folders by their path below them; the user's own win."""
    found: dict[str, Path] = {}
    for folder in reversed(folders("specs")):
        for path in sorted(folder.glob(pattern)):
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = path
    return found


def network_files() -> dict[str, Path]:
    """Every network's spec by its path below `specs/`.

    A shipped one gives way to a user's file of the same name, wherever that stands.
    """
    files = {
        key: path
        for key, path in sorted(find("**/*.yaml").items())
        if key.split("/")[0] not in NOT_NETWORKS
    }
    shipped = package_folder("specs")
    own = {key for key, path in files.items() if shipped not in path.resolve().parents}
    own_stems = {Path(key).stem for key in own}
    return {
        key: path for key, path in files.items() if key in own or Path(key).stem not in own_stems
    }


def label_of(path: Path) -> str:
    """The path as headers print it, the same on every machine: from its `specs` folder on.

    Of a spec outside such a folder, the path from here, or its name where it is elsewhere.

    Raises:
        Failure: the name would be more than a comment there.
    """
    parts, here = path.parts, Path.cwd()
    if "specs" in parts[:-1]:
        start = len(parts) - 1 - parts[::-1].index("specs")
        label = "/".join(parts[start:])
    elif path.absolute().is_relative_to(here) and ".." not in parts:
        label = path.absolute().relative_to(here).as_posix()
    else:
        label = path.name
    if not re.fullmatch(r"[\w ./+@=,~()-]+", label):
        message = "this file's name cannot stand in the header of generated code"
        raise Failure(Problem("file", message, "rename it: letters, digits, - and _", label))
    return label


def read_network(path: Path) -> Entry:
    """One spec with its recipe.

    Raises:
        Failure: with every problem of the file (exit code 2).
    """
    document = read_document(path, path.as_posix())
    design, problems = _settle_design(document)
    other = next(key for key in DESIGNS if key != design)
    elsewhere = {key: f"it belongs to `design: {other}`" for key in DESIGNS[other].model_fields}
    what = "an imagenet network" if design == "imagenet" else "a cifar network"
    network, found = validate(document, DESIGNS[design], what, elsewhere)
    problems += found
    recipe, found = _recipe(document, design)
    problems += [p for p in found if p not in problems]
    if isinstance(network, ImagenetSpec) and network.image_channels != 3:
        recipe = None
    if network is None or problems:
        raise Failure(sorted(problems, key=lambda p: (p.line, p.column)))
    return Entry(network, recipe, label_of(path))


def read_networks(names: Iterable[str | Path]) -> tuple[list[Entry], list[Problem]]:
    """Every readable spec, and all problems of all the others; a name may stand only once."""
    entries: list[Entry] = []
    problems: list[Problem] = []
    seen: dict[str, Path] = {}
    read: set[Path] = set()
    for name in names:
        try:
            path = name if isinstance(name, Path) else locate(name)
            if path.absolute() in read:
                continue
            read.add(path.absolute())
            entry = read_network(path)
        except Failure as failure:
            problems += failure.problems
            continue
        if entry.name in seen:
            document = read_document(path, path.as_posix())
            message = f"`{entry.name}` is the name of another spec too"
            hint = f"{seen[entry.name].as_posix()} has it already: rename one of them"
            problems.append(document.problem(document.values.get(("name",)), "name", message, hint))
            continue
        seen[entry.name] = path
        entries.append(entry)
    return entries, problems


def networks(names: Iterable[str | Path]) -> list[Entry]:
    """The networks of these names or paths.

    Raises:
        Failure: with all problems of all of them.
    """
    entries, problems = read_networks(names)
    if problems:
        raise Failure(problems)
    return entries


def all_networks() -> list[Entry]:
    """Every network of the specs folders, in the order of their files.

    Raises:
        Failure: with all problems of all files.
    """
    return networks(network_files().values())


def network(name: str) -> Entry:
    """The network called `name`, or the spec at that path.

    Raises:
        Failure: there is none, or its spec is wrong.
    """
    return read_network(locate(name))


def locate(name: str) -> Path:
    """The spec's file for a network's name, or for a path.

    Raises:
        Failure: no spec has that name.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return Path(name)
    files = network_files()
    paths = sorted(files.values(), key=lambda path: path.stem != name)
    for path in paths:
        try:
            if read_network(path).name == name:
                return path
        except Failure:
            if path.stem == name:
                return path
    if Path(name).exists():
        return Path(name)
    known = [path.stem for path in paths]
    message = f"there is no network called {quoted(name)}"
    raise Failure(Problem("name", message, did_you_mean(name, known)))


def recipe(name: str) -> AnyRecipe:
    """The recipe called `name`, of recipes/NAME.yaml.

    Raises:
        Failure: there is none, or it is wrong.
    """
    files = find("recipes/*.yaml")
    path = files.get(f"recipes/{name}.yaml")
    if path is None:
        known = [Path(key).stem for key in files]
        message = f"there is no recipe called {quoted(name)}"
        raise Failure(Problem("training", message, did_you_mean(name, known)))
    document = read_document(path, path.as_posix())
    design = document.data.get("design", "cifar")
    if design not in list(RECIPES):
        message = f"{quoted(design)} is not one of {', '.join(RECIPES)}"
        place = document.values.get(("design",))
        raise Failure(document.problem(place, "design", message, did_you_mean(design, RECIPES)))
    found, problems = validate(document, RECIPES[design], "a recipe")
    if found is None or problems:
        raise Failure(problems)
    if found.name != name:
        message = f"{quoted(found.name)} is not the name of its file"
        problem = Problem("name", message, f"write `name: {name}`", path.as_posix())
        raise Failure(problem)
    return found


def recipe_problems() -> list[Problem]:
    """What is wrong with any recipe, used or not."""
    problems: list[Problem] = []
    for key in find("recipes/*.yaml"):
        try:
            recipe(Path(key).stem)
        except Failure as failure:
            problems += failure.problems
    return problems


def _recipe(document: Document, design: str) -> tuple[AnyRecipe | None, list[Problem]]:
    """The recipe that the spec names, with the spec's own changes."""
    written = document.data.get("training", DEFAULT_RECIPES[design])
    try:
        override = RecipeOverride.model_validate(specs.recipe_by_name(written))
    except (ValidationError, PydanticCustomError):
        return None, []  # reported with the rest of the spec
    place = document.values.get(("training", "recipe")) or document.values.get(("training",))
    try:
        base = recipe(override.recipe)
    except Failure as failure:
        if any(problem.file for problem in failure.problems):
            return None, failure.problems
        first = failure.problems[0]
        return None, [document.problem(place, first.rule, first.message, first.hint)]
    if base.design != design:
        message = f"{override.recipe} trains networks of the {base.design} design"
        hint = f"such as {DEFAULT_RECIPES[design]}"
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


def _settle_design(document: Document) -> tuple[str, list[Problem]]:
    """The design, or where it is wrong the one that was probably meant, to check the rest by."""
    data = document.data
    misspelt = [key for key in data if did_you_mean(key, ["design"]).startswith("did")]
    design = data.get("design", data[misspelt[0]] if misspelt else None)
    if isinstance(design, str) and design in DESIGNS:
        data["design"] = design
        return design, []
    problems = []
    if "design" in data:
        message = f"{quoted(design)} is not one of {', '.join(DESIGNS)}"
        place = document.values.get(("design",))
        problems.append(document.problem(place, "design", message, did_you_mean(design, DESIGNS)))
    elif not misspelt:  # else it is reported as an unknown key
        hint = "cifar (6n+2 layers, section 4.2) or imagenet (Table 1)"
        place = document.values.get(())
        problems.append(document.problem(place, "missing-key", "`design` is missing", hint))
    near = did_you_mean(design, ["imagenet"]).startswith("did")
    data["design"] = "imagenet" if near or {"block", "blocks"} & data.keys() else "cifar"
    return data["design"], problems
