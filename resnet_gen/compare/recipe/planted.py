"""The errors that a train.py is shown, to see which learning rates it answers with."""

from __future__ import annotations

import random
from functools import cache

CIFAR_IMAGES = 50_000  # training images of CIFAR-10
# Training errors of one run in percent, falling: the warm-up ends somewhere on the way.
TRAINING_ERRORS = [(1_000 - k) / 10 for k in range(1_001)]
LONGEST = 10_000  # validations; no more patience than that is waited for


@cache
def series(patience: int) -> list[tuple[float, ...]]:
    """Validation errors of several runs, with ties and plateaus of many lengths.

    The last one never falls, for long enough to end a wait of `patience` validations twice.
    """
    numbers, found = random.Random(0), []
    for k in range(40):
        length = numbers.randint(5, 40)
        found.append(tuple(float(numbers.randint(0, 3 + k % 9)) for _ in range(length)))
    return [*found, (50.0,) * (2 * min(patience, LONGEST) + 3)]


def asked_after(errors: tuple[float, ...], patience: int) -> list[int]:
    """After how many of these validations the rate is asked for: around each drop of long ones."""
    if len(errors) <= 60:
        return list(range(len(errors) + 1))
    waits = (min(patience, LONGEST), 2 * min(patience, LONGEST))
    return sorted({*range(60), *(wait + k for wait in waits for k in range(3))})
