"""What hubconf.py says: an entry point for each network that `generate --all` writes."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass

from resnet_gen.network.expansion import expand
from resnet_gen.paper.says import reported_error, title_of
from resnet_gen.read.library import Entry
from resnet_gen.read.network_spec import class_name

# Names that a hubconf.py has for its own, and Python's.
TAKEN = {
    *("dependencies", "importlib", "json", "nn", "pathlib", "sys", "torch", "zipfile", "zlib"),
    *dir(builtins),
}


@dataclass(frozen=True)
class EntryPoint:
    """A function that makes a network."""

    name: str
    docstring: str
    num_classes: int
    folder: str  # of its model.py, below that of hubconf.py
    class_name: str
    network_sha256: str


@dataclass(frozen=True)
class HubView:
    """All that a hubconf.py says."""

    points: tuple[EntryPoint, ...]
    example: str  # a network's name
    left_out: str


def hub_view(entries: Sequence[Entry]) -> HubView:
    """The view of a hubconf.py for these networks.

    A network whose name the file needs for something else, or that torch.hub would not list
    because it begins with an underscore, has no entry point, and the file says so.
    """
    called = [entry for entry in entries if _may_be_called(entry.name)]
    residual = [entry.name for entry in called if entry.spec.shortcut != "none"]
    without = [entry.name for entry in entries if not _may_be_called(entry.name)]
    return HubView(
        points=tuple(map(_point, called)),
        example=next(iter(residual), "NAME"),
        left_out=f"\n\nWithout one, for their names: {', '.join(without)}." if without else "",
    )


def _may_be_called(name: str) -> bool:
    return name not in TAKEN and not name.startswith("_")


def _point(entry: Entry) -> EntryPoint:
    spec = entry.spec
    title = title_of(spec)
    error = reported_error(spec) or "not reported in the paper"
    parameters = f"{expand(spec).parameters:,} parameters"
    return EntryPoint(
        name=spec.name,
        docstring=f"{title[0].upper()}{title[1:]}: {parameters}, error {error}.",
        num_classes=spec.classes,
        folder=entry.folder.as_posix(),
        class_name=class_name(spec.name),
        network_sha256=entry.network_sha256,
    )
