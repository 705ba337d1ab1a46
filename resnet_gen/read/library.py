"""A network's name or path turned into its validated spec and its recipe."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_gen.errors import Failure, Problem, did_you_mean, quoted
from resnet_gen.read import network_spec as specs
from resnet_gen.read.folders import network_files, networks_in
from resnet_gen.read.network_spec import DESIGNS, NetworkSpec, in_words, keys_elsewhere
from resnet_gen.read.recipes import AnyRecipe, training_of
from resnet_gen.read.validation import read_document, validate
from resnet_gen.read.yaml_source import SUFFIXES, Document


@dataclass(frozen=True)
class Entry:
    """One network: its spec, the recipe that trains it, and where it was read."""

    spec: NetworkSpec
    recipe: AnyRecipe | None  # None where there is no train.py: spec.why_no_script says why
    label: str  # the spec's path as headers print it: specs/cifar/resnet20.yaml

    @property
    def name(self) -> str:
        """The network's name."""
        return self.spec.name

    @property
    def folder(self) -> Path:
        """The folder of its code, below the output folder: cifar/resnet20."""
        return Path(self.spec.family, self.spec.name)

    @property
    def sha256(self) -> str:
        """Hash of the canonical spec."""
        return specs.sha256(self.spec, self.recipe)

    @property
    def network_sha256(self) -> str:
        """Hash of what the network is: of the canonical spec without its recipe and name."""
        return specs.network_sha256(self.spec)

    @property
    def canonical(self) -> dict[str, Any]:
        """The spec with every default written out."""
        return specs.canonical(self.spec, self.recipe)


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
    elsewhere = {
        key: f"it belongs to {' or '.join(f'`design: {other}`' for other in others)}"
        for key, others in keys_elsewhere(design).items()
    }
    network, found = validate(document, DESIGNS[design], in_words(design), elsewhere)
    problems += found
    recipe, found = training_of(document, design)
    problems += [p for p in found if p not in problems]
    if network is not None and network.why_no_script:
        recipe = None
    if network is None or problems:
        raise Failure(sorted(problems, key=lambda p: (p.line, p.column)))
    return Entry(network, recipe, label_of(path))


def read_networks(names: Iterable[str | Path]) -> tuple[list[Entry], list[Problem]]:
    """Every readable spec, and all problems of all the others; a name may stand only once.

    A folder stands for the networks in it.
    """
    paths, problems = _files(names)
    entries: dict[str, tuple[Entry, Path]] = {}  # keys are in lower case: some disks ignore case
    for path in paths:
        try:
            entry = read_network(path)
        except Failure as failure:
            problems += failure.problems
            continue
        if entry.name.lower() in entries:
            problems.append(_taken(entry, path, *entries[entry.name.lower()]))
        else:
            entries[entry.name.lower()] = entry, path
    return [entry for entry, _ in entries.values()], problems


def _files(names: Iterable[str | Path]) -> tuple[list[Path], list[Problem]]:
    """The files of these names, paths and folders, each once, and the problems of the others."""
    found: dict[Path, Path] = {}
    problems: list[Problem] = []
    for name in names:
        try:
            path = name if isinstance(name, Path) else locate(name)
        except Failure as failure:
            problems += failure.problems
            continue
        paths = networks_in(path) if path.is_dir() else [path]
        if not paths:
            message = "there is no network's spec in this folder"
            hint = "the names of specs end in .yaml or .yml"
            problems.append(Problem("file", message, hint, path.as_posix()))
        for each in paths:
            found.setdefault(each.absolute(), each)
    return list(found.values()), problems


def _taken(entry: Entry, path: Path, other: Entry, first: Path) -> Problem:
    """The problem of a spec at `path` whose name another one has, which was read before."""
    message = f"`{entry.name}` is the name of another spec too"
    hint = f"{first.as_posix()} has it already: rename one of them"
    if other.name != entry.name:
        message = f"`{entry.name}` and `{other.name}` would share a folder on some disks"
        hint = f"they ignore case, and {first.as_posix()} has `{other.name}`: rename one of them"
    document = read_document(path, path.as_posix())
    return document.problem(document.values.get(("name",)), "name", message, hint)


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
    if name.endswith(SUFFIXES) or "/" in name:
        return Path(name)
    known: list[str] = []
    paths = sorted(network_files().values(), key=lambda path: path.stem != name)
    for path in paths:
        try:
            found = read_network(path).name
        except Failure:
            found = path.stem
        if found == name:
            return path
        known.append(found)
    if os.path.exists(name):  # noqa: PTH110  (False for too long a name)
        return Path(name)
    hint = did_you_mean(name, known, "`resnet-gen list` shows them all")
    if paths and paths[0].stem == name:
        hint = f"the one in {paths[0].as_posix()} is called {known[0]}"
    raise Failure(Problem("name", f"there is no network called {quoted(name)}", hint))


def _settle_design(document: Document) -> tuple[str, list[Problem]]:
    """The design and its problems; for a wrong one, the design that was probably meant."""
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
    elif not misspelt:  # a misspelt one is reported as an unknown key
        hint = "cifar (6n+2 layers, section 4.2), imagenet (Table 1) or vgg (Figure 3, left)"
        place = document.values.get(())
        problems.append(document.problem(place, "missing-key", "`design` is missing", hint))
    near = [each for each in DESIGNS if did_you_mean(design, [each]).startswith("did")]
    likely = "imagenet" if {"block", "blocks"} & data.keys() else "cifar"
    data["design"] = near[0] if near else likely
    return data["design"], problems
