"""Classifiers and detectors together, for the commands that take either."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from resnet_gen.errors import Failure, Problem
from resnet_gen.read import library
from resnet_gen.read.detectors import (
    DetectorEntry,
    LocalizerEntry,
    all_detectors,
    read_detector,
)
from resnet_gen.read.folders import detector_files, kind_of, networks_in
from resnet_gen.read.library import Entry
from resnet_gen.read.yaml_source import yaml_files

AnyEntry = Entry | DetectorEntry | LocalizerEntry


def everything() -> list[AnyEntry]:
    """Every network and every detector of the specs folders.

    Raises:
        Failure: with all problems of all files.
    """
    return [*library.all_networks(), *all_detectors()]


def named(names: Iterable[str]) -> list[AnyEntry]:
    """The networks and detectors of these names, paths and folders.

    Raises:
        Failure: with all problems of all of them.
    """
    files: list[Path] = []
    networks: list[str] = []
    for name in names:
        own = detector_paths(name)
        files += own
        if not own or (Path(name).is_dir() and networks_in(Path(name))):
            networks.append(name)
    found, problems = library.read_networks(networks)
    entries: list[AnyEntry] = [*found]
    for path in dict.fromkeys(files):
        try:
            entries.append(read_detector(path))
        except Failure as failure:
            problems += failure.problems
    if problems:
        raise Failure(problems)
    return entries


def one(name: str) -> AnyEntry:
    """The network or detector called `name`, or the spec at that path.

    Raises:
        Failure: there is none, or its spec is wrong.
    """
    if paths := detector_paths(name):
        return read_detector(paths[0])
    return library.network(name)


def detector_paths(name: str) -> list[Path]:
    """The specs of detectors that a name, a path or a folder stands for."""
    path, files = Path(name), detector_files()
    if name in files:
        return [files[name]]
    if path.is_dir():
        return [file for file in yaml_files(path, below=True) if kind_of(file) == "detection"]
    return [path] if kind_of(path) == "detection" else []


def detector_problems() -> list[Problem]:
    """What is wrong with any detector's spec."""
    try:
        all_detectors()
    except Failure as failure:
        return failure.problems
    return []
