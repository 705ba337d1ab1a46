"""What seeds say together: mean, sample standard deviation, and how far two means are apart."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

CONFIDENCE = 0.95  # of the interval of a difference
ENOUGH = 3  # seeds a side, for a difference to be called shown


class Summary(NamedTuple):
    """The figure of some runs that differ in their seeds alone."""

    n: int
    mean: float
    std: float | None  # the sample's, which divides by n - 1; a lone seed has none
    least: float


class Difference(NamedTuple):
    """How much greater the mean of one sample is than that of another."""

    mean: float
    interval: tuple[float, float] | None  # Welch's, of 95%; a lone seed on a side leaves none


def summary(values: Sequence[float]) -> Summary | None:
    """Mean and sample standard deviation; nothing of nothing."""
    if not values:
        return None
    return Summary(len(values), fmean(values), _std(values), min(values))


def difference(greater: Sequence[float], less: Sequence[float]) -> Difference:
    """The mean of `greater` minus that of `less`, with Welch's interval (unequal variances).

    Values that do not vary on either side leave an interval without width.
    """
    mean = fmean(greater) - fmean(less)
    if min(len(greater), len(less)) < 2:
        return Difference(mean, None)
    if stdev(greater) == stdev(less) == 0:
        return Difference(mean, (mean, mean))
    from scipy.stats import ttest_ind  # type: ignore[import-untyped]  # noqa: PLC0415  (slow)

    found = ttest_ind(greater, less, equal_var=False).confidence_interval(CONFIDENCE)
    return Difference(mean, (float(found.low), float(found.high)))


def is_shown(found: Difference, n_greater: int, n_less: int) -> bool:
    """Whether there are seeds enough, and the interval is clear of zero in either direction."""
    if found.interval is None or min(n_greater, n_less) < ENOUGH:
        return False
    low, high = found.interval
    return low > 0 or high < 0


def _std(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None
