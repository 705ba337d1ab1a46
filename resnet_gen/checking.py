"""All that can be wrong with specs, recipes, tables, layouts and experiments, found at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from resnet_gen.errors import Failure, Problem
from resnet_gen.experiments import definitions
from resnet_gen.paper import tables
from resnet_gen.read import library
from resnet_gen.read.all_specs import detector_problems
from resnet_gen.read.detectors import read_detector
from resnet_gen.read.folders import kind_of, network_files
from resnet_gen.read.recipes import read_recipe, recipe_problems
from resnet_gen.read.yaml_source import yaml_files
from resnet_gen.weights import layouts


def problems(names: Sequence[str]) -> list[Problem]:
    """What is wrong with networks, files, and the files of folders; without names, with all."""
    if not names:
        found = library.read_networks(network_files().values())[1]
        found += recipe_problems() + tables.problems() + layouts.problems()
        return found + definitions.problems() + detector_problems()
    networks: list[str | Path] = []
    found = []
    for name in names:
        path = Path(name)
        inner = path / "specs" if (path / "specs").is_dir() else path
        for file in yaml_files(inner, below=True) or [path]:
            if kind_of(file) in READERS:
                found += _problems_of(file)
        if kind_of(path) not in READERS and path.name not in READERS:
            networks.append(name)
    return library.read_networks(networks)[1] + found


def _problems_of(file: Path) -> list[Problem]:
    try:
        READERS[kind_of(file)](file)
    except Failure as failure:
        return failure.problems
    return []


READERS: dict[str, Callable[[Path], object]] = {
    "recipes": read_recipe,
    "paper": tables.read_table,
    "weights": layouts.read_layout,
    "experiments": definitions.read,
    "detection": read_detector,
}
