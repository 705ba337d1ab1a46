"""Section 1's constructed networks in a report: what each computes, and what it was trained to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resnet_gen.experiments import continued
from resnet_gen.experiments.continued import Outcome
from resnet_gen.experiments.definitions import Experiment
from resnet_gen.report.evidence import Evidence
from resnet_gen.report.findings import of_seeds
from resnet_gen.report.networks import identity
from resnet_gen.report.views import NONE

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class ConstructionRow:
    """A deeper network that was made of a shallower run; errors are of training, in percent."""

    network: str  # plain-56 made of plain-20
    seed: str
    scores: str  # to the bit; to 4·10⁻⁷
    errors: tuple[str, ...]  # shallower, as made, after training, fresh
    length: str  # 4,000 iterations


def found_in(runs: Sequence[Evidence], experiment: Experiment) -> list[Outcome]:
    """What came of the experiment's constructed networks, beside these runs.

    Raises:
        Failure: a file of theirs cannot be read (exit code 2).
    """
    if not experiment.deepen or not runs:
        return []
    seeds = 1 + max(run.seed or 0 for run in runs)
    planned = continued.continued(experiment.networks, dict.fromkeys(experiment.networks, seeds))
    folders = dict.fromkeys(run.run.path.parent for run in runs)
    return [one for folder in folders for one in continued.outcomes(planned, folder)]


def rows(found: Sequence[Outcome]) -> list[ConstructionRow]:
    """A row for each pair of networks and each seed, in this order."""
    ordered = sorted(found, key=lambda one: (one.run.deeper, one.run.shallower, one.run.seed))
    return [
        ConstructionRow(
            _title(one),
            str(one.run.seed),
            _equal([one]),
            (
                _number(one.shallower),
                _number(one.compared.errors[1]),
                _number(one.continued),
                _number(one.fresh),
            ),
            NONE if one.iterations is None else f"{one.iterations:,}",
        )
        for one in ordered
    ]


def sentences(found: Sequence[Outcome]) -> list[str]:
    """What is found of each pair of networks, over its seeds."""
    by_pair: dict[str, list[Outcome]] = {}
    for one in found:
        by_pair.setdefault(_title(one), []).append(one)
    told = []
    for title, of in by_pair.items():
        shallower = identity(of[0].run.shallower).title
        text = f"{title} has {shallower}'s scores {_equal(of)}"
        trained = [one.continued for one in of if one.continued is not None]
        if trained:
            text += f"; trained from there, its training error ends at {of_seeds(trained)}"
        for name, values in (
            ("trained from random weights", [one.fresh for one in of]),
            (f"that of {shallower}", [one.shallower for one in of]),
        ):
            if known := [value for value in values if value is not None]:
                text += f", {name} at {of_seeds(known)}"
        told.append(f"{text[:1].upper()}{text[1:]}.")
    return told


def images(found: Sequence[Outcome]) -> str:
    """On how many images the scores were compared."""
    return " or ".join(f"{count:,}" for count in sorted({one.compared.images for one in found}))


def _title(one: Outcome) -> str:
    return f"{identity(one.run.deeper).title} made of {identity(one.run.shallower).title}"


def _equal(found: Sequence[Outcome]) -> str:
    """How equal the scores are, at the worst, of the largest score."""
    if all(one.compared.to_the_bit for one in found):
        return "to the bit"
    worst = max(one.compared.apart / one.compared.largest for one in found)
    mantissa, _, exponent = f"{worst:.0e}".partition("e")
    return f"to {mantissa}·10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def _number(error: float | None) -> str:
    return NONE if error is None else f"{error:.2f}"
