"""What the paper claims of two networks, and what the runs say of it, in words.

A claim is *shown* where each side has three seeds or more and Welch's 95% interval of the
difference lies wholly on the claimed side of zero. It was *seen once* where the means differ as
claimed and that is all: fewer seeds, or an interval that reaches zero. Otherwise these runs do not
show it; where the means differ the other way, that is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from resnet_gen.experiments.definitions import Claim
from resnet_gen.report.groups import Group
from resnet_gen.report.networks import identity
from resnet_gen.report.statistics import ENOUGH, Difference, difference, is_shown, summary

WORDS = {
    "train_error": "training error",
    "val_error": "validation error",
    "test_error": "test error",
    "responses": "mean response",
}


class Verdict(StrEnum):
    """How sure the runs make a claim."""

    SHOWN = "shown"
    SEEN_ONCE = "seen once"
    NOT_SHOWN = "not shown by these runs"


@dataclass(frozen=True)
class Finding:
    """A claim, and what these runs say of it."""

    claim: Claim
    verdict: Verdict
    contrary: bool  # the means differ, and the other way
    contrary_is_shown: bool  # by seeds enough, and an interval clear of zero
    evidence: str  # sentences with the numbers
    conditions: str  # 4,000 of 64,000 iterations on CIFAR-10, in a sentence; or empty
    papers_own: bool  # whether both were run at the paper's size
    values: tuple[tuple[float, ...], tuple[float, ...]]  # of the seeds: greater, less
    difference: Difference | None

    @property
    def heading(self) -> str:
        """The verdict as a heading: Seen once; Not shown by these runs, rather the contrary."""
        if self.contrary_is_shown:
            return "The contrary is shown"
        text = str(self.verdict).capitalize()
        return f"{text}, rather the contrary" if self.contrary else text


def judge_all(claims: Iterable[Claim], groups: Sequence[Group]) -> list[Finding]:
    """Each claim, once for all conditions under which both of its networks were run."""
    return [finding for claim in claims for finding in judge(claim, groups)]


def applying(claims: Iterable[Claim], groups: Sequence[Group]) -> list[Claim]:
    """The claims whose networks are both there and have what is compared, each once."""
    found: dict[tuple[str, str, str], Claim] = {}
    for claim in claims:
        sides = [
            any(
                g.identity.network == name and g.summary(claim.figure) and not g.began
                for g in groups
            )
            for name in (claim.greater, claim.less)
        ]
        if all(sides):
            found.setdefault((claim.figure, claim.greater, claim.less), claim)
    return list(found.values())


def judge(claim: Claim, groups: Sequence[Group]) -> list[Finding]:
    """The findings of one claim; one that says what is missing where nothing can be compared.

    A claim is of networks that began with random weights.
    """
    greater, less = (
        [g for g in groups if g.identity.network == name and g.finished and not g.began]
        for name in (claim.greater, claim.less)
    )
    titles = identity(claim.greater).title, identity(claim.less).title
    missing = [t for t, found in zip(titles, (greater, less), strict=True) if not found]
    if missing:
        ending = "has no finished run" if len(missing) == 1 else "have no finished run"
        return [_nothing(claim, f"{' and '.join(missing)} {ending} here.")]
    without = [
        title
        for title, found in zip(titles, (greater, less), strict=True)
        if not any(g.values(claim.figure) for g in found)
    ]
    if without:
        what = WORDS[claim.figure]
        return [_nothing(claim, f"The {what} of {' and '.join(without)} was not measured.")]
    pairs = [(a, b) for a in greater for b in less if a.alike == b.alike and a.size == b.size]
    pairs = [(a, b) for a, b in pairs if a.values(claim.figure) and b.values(claim.figure)]
    if not pairs:
        lengths = [
            f"{title} ({'; '.join(dict.fromkeys(map(_how, found)))})"
            for title, found in zip(titles, (greater, less), strict=True)
        ]
        return [_nothing(claim, f"{' and '.join(lengths)} were not trained alike.")]
    return [_compare(claim, *pair) for pair in pairs]


def _compare(claim: Claim, greater: Group, less: Group) -> Finding:
    ours, theirs = greater.values(claim.figure), less.values(claim.figure)
    found = difference(ours, theirs)
    enough = is_shown(found, len(ours), len(theirs))
    if found.mean > 0:
        verdict = Verdict.SHOWN if enough else Verdict.SEEN_ONCE
    else:
        verdict = Verdict.NOT_SHOWN
    sides = [
        f"{group.identity.title} {of_seeds(values, claim.figure)}"
        for group, values in ((greater, ours), (less, theirs))
    ]
    unit = " points" if claim.figure != "responses" else ""
    more = "more" if found.mean >= 0 else "less"
    text = [
        f"{WORDS[claim.figure].capitalize()}: {sides[0]}, {sides[1]}; "
        f"{number(abs(found.mean), claim.figure)}{unit} {more}{_interval(found, claim.figure)}."
    ]
    if not found.mean:
        text.append("There is no difference.")
    elif not enough:
        text.append(_why_not(found, len(ours), len(theirs)))
    parts = [f"{greater.scale} on {greater.data}" if greater.data else greater.scale]
    other = [d for d in dict.fromkeys(greater.departures + less.departures) if "on " not in d[:3]]
    return Finding(
        claim,
        verdict,
        found.mean < 0,
        found.mean < 0 and enough,
        " ".join(text),
        _sentence(", ".join(parts + other)),
        greater.papers_own and less.papers_own,
        (tuple(ours), tuple(theirs)),
        found,
    )


def of_seeds(values: Sequence[float], figure: str = "") -> str:
    """A figure in words: `8.75% ± 0.16 (3 seeds)`, or `8.75% (one seed)`."""
    found = summary(values)
    if found is None:
        return "not measured"
    text = f"{number(found.mean, figure)}{'' if figure == 'responses' else '%'}"
    if found.std is None:
        return f"{text} (one seed)"
    return f"{text} ± {number(found.std, figure)} ({found.n} seeds)"


def number(value: float, figure: str) -> str:
    """Errors in percent to two decimals; responses to three, or as powers of ten: they may grow."""
    if figure != "responses":
        return f"{value:.2f}"
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.3g}"


def _interval(found: Difference, figure: str) -> str:
    if found.interval is None:
        return ""
    low, high = (number(value, figure).replace("-", "−") for value in found.interval)
    return f", 95% interval {low} to {high}"


def _why_not(found: Difference, n_greater: int, n_less: int) -> str:
    if found.interval is None:
        return "A lone seed on a side leaves no interval."
    if min(n_greater, n_less) < ENOUGH:
        return f"There are fewer than {ENOUGH} seeds on a side."
    return "The interval reaches zero."


def _how(group: Group) -> str:
    return ", ".join([group.scale, *group.departures])


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _nothing(claim: Claim, why: str) -> Finding:
    return Finding(claim, Verdict.NOT_SHOWN, False, False, why, "", False, ((), ()), None)
