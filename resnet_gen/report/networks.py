"""Which of the paper's networks a run is of, and what the paper says of that network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from resnet_gen.errors import Failure
from resnet_gen.paper import says, training
from resnet_gen.paper.says import Reported
from resnet_gen.read.library import Entry, network

PAPER_DATA = {"cifar": "cifar10", "imagenet": "imagenet"}


@dataclass(frozen=True)
class Identity:
    """A network as far as it is known here; one without a spec has its name alone."""

    network: str
    title: str  # ResNet-20
    design: str  # cifar, imagenet; empty where it is not known
    depth: int | None
    shortcut: str  # A, B, C; none for a plain network; empty where it is not known
    iterations: int | None  # of the paper's training
    batch_size: int | None
    reported: Reported | None  # the paper's error
    departs: tuple[str, ...]  # what of spec and recipe is not the paper's
    sha256: str  # of the canonical spec

    @property
    def is_plain(self) -> bool:
        """Whether it has no shortcuts; a network without a spec is judged by its name."""
        return self.shortcut == "none" or (not self.shortcut and "plain" in self.network)

    @property
    def order(self) -> tuple[bool, int, str]:
        """Plain networks first, then by depth."""
        return not self.is_plain, self.depth or 0, self.network


@cache
def identity(name: str) -> Identity:
    """The network called `name`."""
    try:
        entry = network(name)
    except Failure:  # a run tells its network's name, whether or not there is a spec of it here
        depth = re.search(r"\d+", name)
        found = int(depth[0]) if depth else None
        return Identity(name, name, "", found, "", None, None, None, (), "")
    return _known(entry)


def _known(entry: Entry) -> Identity:
    spec, recipe = entry.spec, entry.recipe
    departs = says.departures(spec) + (says.recipe_departures(recipe) if recipe else [])
    paper = training.meant(spec.design) if spec.design in PAPER_DATA else {}
    return Identity(
        spec.name,
        says.title_of(spec),
        spec.design,
        spec.depth,
        spec.shortcut,
        paper.get("iterations"),
        paper.get("batch_size"),
        says.reported(spec),
        tuple(departs),
        entry.sha256,
    )
