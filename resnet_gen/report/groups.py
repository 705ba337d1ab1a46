"""Runs that differ in their seeds alone, taken together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from resnet_gen.report.evidence import Evidence
from resnet_gen.report.networks import PAPER_DATA, Identity, identity
from resnet_gen.report.statistics import Summary, summary

DATA_NAMES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "digits": "handwritten digits"}


@dataclass(frozen=True, eq=False)  # told apart as objects: two are never the same
class Group:
    """Runs of one network, of one length on the same data, that began alike: its seeds."""

    identity: Identity
    runs: tuple[Evidence, ...]

    @property
    def size(self) -> str:
        """smoke, short or paper; empty for a user's own runs."""
        return self.runs[0].size

    @property
    def finished(self) -> bool:
        """Whether its runs have ended."""
        return self.runs[0].results is not None

    @property
    def steps(self) -> int:
        """Iterations of each run."""
        return self.runs[0].steps

    @property
    def began(self) -> str:
        """With which weights its runs began, in words; empty if with random ones."""
        return _began(self.runs[0])

    @property
    def data(self) -> str:
        """What was trained on, as people call it: CIFAR-10; no path."""
        return _data_name(self.runs[0])

    @property
    def alike(self) -> tuple[object, ...]:
        """What two networks must have in common to be compared: data, iterations, batch size."""
        results = self.runs[0].results
        return self.finished, self.data, self.steps, results and results.batch_size

    @property
    def on_paper_data(self) -> bool:
        """Whether the images are the paper's; a folder called imagenet is taken for ImageNet."""
        results = self.runs[0].results
        wanted = PAPER_DATA.get(self.identity.design)
        return results is not None and PurePath(results.data).name.lower() == wanted

    @property
    def own_spec(self) -> bool:
        """Whether it was trained by another spec than the one that has its name here."""
        results = self.runs[0].results
        known, recorded = self.identity.sha256, results.spec_sha256 if results else ""
        return bool(known and recorded and known != recorded)

    @property
    def comparable(self) -> bool:
        """Whether the paper's error may stand beside these runs': same network, same images."""
        return self.on_paper_data and not self.own_spec and not self.began

    @property
    def papers_own(self) -> bool:
        """Whether these are the paper's iterations, batch size and recipe, on its images."""
        results = self.runs[0].results
        batch = results.batch_size if results else None
        same = self.steps == self.identity.iterations and batch in (None, self.identity.batch_size)
        return same and self.comparable and not self.identity.departs

    @property
    def scale(self) -> str:
        """How long the runs are beside the paper's: 4,000 of 64,000 iterations."""
        paper = self.identity.iterations
        if not self.finished:
            return f"unfinished, at step {self.steps:,}"
        if paper is None:
            return f"{self.steps:,} iterations"
        if self.steps == paper:
            return f"the paper's {paper:,} iterations"
        return f"{self.steps:,} of {paper:,} iterations"

    @property
    def length(self) -> str:
        """The scale for a column of iterations: 4,000 of 64,000."""
        return self.scale.removesuffix(" iterations")

    @property
    def departures(self) -> list[str]:
        """What else is not the paper's, in words."""
        results = self.runs[0].results
        found = [] if self.on_paper_data or not self.data else [f"on {self.data}"]
        found += [self.began] if self.began else []
        if self.own_spec:
            return [*found, "a spec of its own"]
        batch, paper = results.batch_size if results else None, self.identity.batch_size
        if batch and paper and batch != paper:
            found.append(f"batches of {batch}")
        return found + [f"{name} not the paper's" for name in self.identity.departs]

    def values(self, figure: str) -> list[float]:
        """A figure of each run that has measured it; see `Evidence.figure`."""
        return [v for run in self.runs if (v := run.figure(figure)) is not None]

    def summary(self, figure: str) -> Summary | None:
        """Mean and standard deviation over the seeds; nothing of an unfinished run."""
        return summary(self.values(figure)) if self.finished else None

    @property
    def tests(self) -> list[str]:
        """The tests that all of its runs had after training: 10-crop."""
        return [name for name in self.runs[0].tests if all(name in run.tests for run in self.runs)]


def group(runs: Iterable[Evidence]) -> tuple[list[Group], list[str]]:
    """The groups, plain networks first and by depth, and what had to be left out, in sentences.

    A second run of a seed says nothing new of the spread between seeds, and is left out.
    """
    found: dict[tuple[object, ...], list[Evidence]] = {}
    notes = []
    for run in sorted(runs, key=lambda run: (run.seed is None, run.seed or 0, run.label)):
        same = found.setdefault(_key(run), [])
        twin = next((o for o in same if o.seed == run.seed and run.seed is not None), None)
        if twin:
            notes.append(
                f"{run.label} has the seed of {twin.label}, {run.seed}, and is left out: "
                "it says nothing of the spread between seeds."
            )
        else:
            same.append(run)
    groups = [Group(identity(runs[0].network), tuple(runs)) for runs in found.values()]
    return sorted(
        groups, key=lambda g: (*g.identity.order, g.size, g.data, g.steps, g.began)
    ), notes


def names(groups: Sequence[Group]) -> list[str]:
    """Their networks' titles, each with what tells it from the others of that network."""
    found = []
    for one in groups:
        others = [_aspects(o) for o in groups if o is not one and o.identity == one.identity]
        told = ", ".join(filter(None, telling(_aspects(one), others)))
        if _aspects(one) in others:
            told = one.runs[0].label
        found.append(f"{one.identity.title} ({told})" if told else one.identity.title)
    return found


def telling(own: Sequence[str], others: Sequence[Sequence[str]]) -> list[str]:
    """The fewest of one's aspects, from the first on, that tell it from all others."""
    found, left = [], list(others)
    for index, aspect in enumerate(own):
        still = [other for other in left if other[index] == aspect]
        found += [aspect] if len(still) < len(left) else []
        left = still
    return found


def _aspects(group: Group) -> tuple[str, ...]:
    """What may tell groups of a network apart, in words."""
    results = group.runs[0].results
    if results is None:
        return group.began, "unfinished", group.data, group.size, "", "", ""
    batch = f"batches of {results.batch_size}" if results.batch_size else ""
    images = f"{results.trained_on:,} images" if results.trained_on else ""
    length = f"{group.steps:,} it."
    return group.began, length, group.data, group.size, batch, results.precision, images


def _key(run: Evidence) -> tuple[object, ...]:
    results = run.results
    if results is None:  # runs that go on have no common length
        return run.network, run.label
    return (
        *(run.network, run.size, results.iterations, results.data, results.batch_size),
        *(results.precision, results.trained_on, results.spec_sha256, _began(run)),
    )


def _began(run: Evidence) -> str:
    if run.manifest and run.manifest.init:
        return f"made of {identity(run.manifest.init.network).title}"
    init = run.results.init if run.results else ""
    return f"begun with the weights {init[:8]}" if init else ""


def _data_name(run: Evidence) -> str:
    data = PurePath(run.results.data).name if run.results else ""
    return DATA_NAMES.get(data, data)
