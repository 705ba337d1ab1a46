"""A printed number as a value, and whether another value is that, or rounds to it."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

from resnet_gen.compare.rows import Verdict

UNITS = {"billion": 10**9, "million": 10**6, "M": 10**6, "k": 10**3}
NUMBER = re.compile(
    r"(?P<digits>\d+(\.\d+)?)(×10\^(?P<power>\d+)| ?(?P<unit>billion|million|M|k)\b)?"
)


def value_of(printed: str) -> Decimal:
    """The number: 3.57 of `3.57%`, 19,600,000,000 of `19.6 billion`, 6.61 of `6.61±0.16`.

    Raises:
        ValueError: there is no number in it.
    """
    digits, unit = _parts(printed)
    return Decimal(digits) * unit


def verdict_on(printed: str, value: Decimal) -> Verdict | None:
    """EQUAL or ROUNDS, as the value is the printed number or rounds half up to it; else None."""
    digits, unit = _parts(printed)
    if value == Decimal(digits) * unit:
        return Verdict.EQUAL
    rounded = (value / unit).quantize(Decimal(digits), ROUND_HALF_UP)
    return Verdict.ROUNDS if rounded == Decimal(digits) else None


def _parts(printed: str) -> tuple[str, int]:
    """The digits, and what one of them counts."""
    found = NUMBER.search(printed)
    if found is None:
        raise ValueError(f"there is no number in {printed!r}")
    unit = 10 ** int(found["power"]) if found["power"] else UNITS.get(found["unit"] or "", 1)
    return found["digits"], unit
