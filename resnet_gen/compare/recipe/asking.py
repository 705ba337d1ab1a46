"""A generated train.py, asked what it does: the rates it sets, its steps, its images.

This runs in the process that measures model.py, where torch is imported anyway.
"""

from __future__ import annotations

import inspect
from argparse import Namespace
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from resnet_gen.compare.recipe import augmentation, optimization, planted
from resnet_gen.compare.recipe.rehearsal import Rehearsal

SMALL = 8  # height and width of the images of a step, in pixels
PIECES = 12  # parts of a schedule that are told apart


def ask(path: Path, questions: Mapping[str, Any]) -> dict[str, Any]:
    """What the train.py at `path` does, in numbers that JSON has.

    The questions are those of compare.recipe.rows.questions.

    Raises:
        CannotAsk: it has been edited so that it cannot be asked.
        Exception: whatever the script raises; it is somebody's code, maybe edited.
    """
    asked = Namespace(**questions)
    backends = torch.backends.cudnn
    before = backends.benchmark, backends.allow_tf32
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            shape = (asked.image_channels, SMALL, SMALL)
            return _answers(Rehearsal(path, asked.design, shape), asked)
        finally:
            backends.benchmark, backends.allow_tf32 = before


def _answers(rehearsal: Rehearsal, asked: Namespace) -> dict[str, Any]:
    args = rehearsal.args
    rates = _rates(rehearsal, asked)
    if asked.design == "imagenet":
        images = augmentation.of_imagenet(rehearsal, asked.eigenvalues)
        batch: tuple[Any, ...] = augmentation.batch_of_imagenet(rehearsal)
    else:
        step = augmentation.step_of_cifar(rehearsal)
        images = augmentation.of_cifar(rehearsal, step, asked.padding, asked.image_size)
        batch = step.batch
        images["held_out"] = planted.CIFAR_IMAGES - len(rehearsal.data.train.labels)
    return {
        "iterations": args.iterations,
        "batch_size": args.batch_size,
        "evaluate_every": rehearsal.run.evaluate_every,
        **rates,
        "steps": optimization.measured(rehearsal, batch),
        "images": images,
    }


def _rates(rehearsal: Rehearsal, asked: Namespace) -> dict[str, Any]:
    """The schedule of learning_rate, and whether the loop applies it.

    `pieces` are its first steps and rates; `plateau` the rates after each of the planted errors,
    for a rate that errors decide; `warmup` the rate and the error, in percent, that ends it, for
    one that the loop begins with (no error where none does); `applied` steps where the loop sets
    another rate.
    """
    rate, iterations = rehearsal.script.learning_rate, rehearsal.args.iterations
    rates = [float(rate(step, iterations)) for step in range(iterations)]
    pieces = [(value, next(group)[0]) for value, group in groupby(enumerate(rates), lambda p: p[1])]
    found: dict[str, Any] = {
        "pieces": [[first, value] for value, first in pieces[:PIECES]],
        "number_of_pieces": len(pieces),
    }
    starts = [first for _, first in pieces[:PIECES]]
    around = sorted({0, iterations - 1, *starts, *(max(0, first - 1) for first in starts)})
    if asked.design == "imagenet":
        takes_errors = len(inspect.signature(rate).parameters) > 2
        if takes_errors:
            found["plateau"] = [
                [float(rate(n, iterations, errors[:n])) for n in counts]
                for errors in planted.series(asked.patience)
                for counts in [planted.asked_after(errors, asked.patience)]
            ]
        return found | _of_imagenets_loop(rehearsal, around, takes_errors)
    return found | _of_cifars_loop(rehearsal, around, rates)


def _of_imagenets_loop(
    rehearsal: Rehearsal, around: Sequence[int], takes_errors: bool
) -> dict[str, Any]:
    rate, iterations = rehearsal.script.learning_rate, rehearsal.args.iterations
    errors = planted.series(1)[0] + (50.0,) * 40
    steps = [around[k % len(around)] for k in range(len(errors))]
    applied = rehearsal.loop(list(zip(steps, errors, strict=True)))
    said = [
        float(rate(step, iterations, errors[:k]) if takes_errors else rate(step, iterations))
        for k, step in enumerate(steps)
    ]
    return {"applied": _unlike(steps, applied, said)}


def _of_cifars_loop(
    rehearsal: Rehearsal, around: Sequence[int], rates: Sequence[float]
) -> dict[str, Any]:
    errors = planted.TRAINING_ERRORS
    planned: list[tuple[int, float | None]] = [(0, error) for error in errors]
    applied = rehearsal.loop([*planned, *((step, None) for step in around)])
    first, later = applied[: len(errors)], applied[len(errors) :]
    warm = sum(1 for _ in next(group for _, group in groupby(first)))
    warmup = None
    if not _same(first[0], rates[0]):
        warmup = [first[0], errors[warm - 2] if 1 < warm < len(errors) else None]
    else:
        warm = 0
    steps = [0] * (len(errors) - warm) + list(around)
    return {
        "warmup": warmup,
        "applied": _unlike(steps, first[warm:] + later, [rates[step] for step in steps]),
    }


def _unlike(
    steps: Sequence[int], applied: Sequence[float], said: Sequence[float]
) -> list[list[float]]:
    """Steps for which the loop sets another rate than learning_rate says, and that rate."""
    triples = zip(steps, applied, said, strict=True)
    return [[step, rate] for step, rate, expected in triples if not _same(rate, expected)][:3]


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-6 * abs(other)
