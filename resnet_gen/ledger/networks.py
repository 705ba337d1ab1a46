"""The paper's networks among the specs, what they amount to, and what training them costs."""

from __future__ import annotations

from collections.abc import Sequence

from resnet_gen.compare.rows import Row
from resnet_gen.compare.with_paper import compare
from resnet_gen.errors import Failure, Problem, did_you_mean
from resnet_gen.experiments.definitions import Experiment
from resnet_gen.network.expansion import Network, expand
from resnet_gen.paper import says
from resnet_gen.read.library import Entry
from resnet_gen.read.network_spec import CifarSpec

BACKWARD_TOO = 3  # a training step costs about three forward passes: two of them go backward
TEXT_FILE = "specs/paper/text.yaml"
DATA = {"cifar": "cifar10", "imagenet": "imagenet"}  # the paper's, as train.py's --data has them
ARGUMENTS = {"cifar": "--data cifar10 --root data", "imagenet": "--data imagenet"}


class Networks:
    """All networks of the specs folders; each is expanded once, when it is first asked for."""

    def __init__(self, entries: Sequence[Entry], experiments: Sequence[Experiment]) -> None:
        self._entries = {entry.name: entry for entry in entries}
        self._experiments = {experiment.experiment: experiment for experiment in experiments}
        self._expanded: dict[str, Network] = {}
        self._rows: dict[str, dict[str, Row]] = {}

    def named(self, name: str) -> Entry:
        """The network that text.yaml calls so.

        Raises:
            Failure: there is none (exit code 2).
        """
        if name not in self._entries:
            message, hint = f"there is no network called {name}", did_you_mean(name, self._entries)
            raise Failure(Problem("network", message, hint, TEXT_FILE))
        return self._entries[name]

    def of_paper(self, design: str, depth: int, shortcut: str) -> Entry | None:
        """The network that the paper has of this kind; nothing, where no spec is exactly that."""
        for entry in self._entries.values():
            spec = entry.spec
            kind = (spec.design, spec.depth, spec.shortcut) == (design, depth, shortcut)
            as_printed = isinstance(spec, CifarSpec) or says.table1_column(spec) is not None
            if kind and as_printed and not says.departures(spec):
                return entry
        return None

    def expanded(self, entry: Entry) -> Network:
        """The network with its layers."""
        if entry.name not in self._expanded:
            self._expanded[entry.name] = expand(entry.spec)
        return self._expanded[entry.name]

    def rows(self, entry: Entry) -> dict[str, Row]:
        """The comparison of what is printed with what the spec means, by the keys of its rows.

        The generated code has no part in it: `diff` sets that beside them.
        """
        if entry.name not in self._rows:
            network = self.expanded(entry)
            rows = compare(network, network.layers, entry.label).rows
            self._rows[entry.name] = {row.key: row for row in rows}
        return self._rows[entry.name]

    def cost(self, entry: Entry) -> str:
        """What training it as the paper did takes, in a sentence."""
        if entry.recipe is None:
            return ""
        images = entry.recipe.iterations * entry.recipe.batch_size
        work = BACKWARD_TOO * images * self.expanded(entry).multiply_adds
        return (
            f"{entry.recipe.iterations:,} iterations of {entry.recipe.batch_size} images, "
            f"about {_power(work)} multiply-adds"
        )

    def command(self, entry: Entry, place: str) -> str:
        """The command that measures a number of that place, at the paper's size.

        It is the experiment of the place itself, or else the smallest one that trains the network,
        or else its training alone.
        """
        fitting = [e for e in self._experiments.values() if entry.name in e.networks]
        fitting.sort(key=lambda e: (e.place != place, len(e.networks), e.experiment))
        if fitting:
            return reproducing(fitting[0].experiment)
        return f"resnet-gen train {entry.name} -- {ARGUMENTS[entry.spec.design]}"

    def command_of(self, place: str) -> str:
        """The command of the place's own experiment; nothing, where it has none."""
        found = [e.experiment for e in self._experiments.values() if e.place == place]
        return reproducing(found[0]) if found else ""


def reproducing(experiment: str) -> str:
    """The command that runs an experiment as the paper did."""
    return f"resnet-gen reproduce {experiment} --size paper"


def _power(count: int) -> str:
    digits, _, exponent = f"{count:.1e}".partition("e+")
    return f"{digits}×10^{int(exponent)}"
