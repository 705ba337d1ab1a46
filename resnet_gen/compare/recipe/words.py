"""A recipe in words, the same for what a spec means and for what a train.py was seen to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from resnet_gen.compare.recipe import planted
from resnet_gen.read.network_spec import NetworkSpec
from resnet_gen.read.recipe import EVALUATE_EVERY, CifarRecipe, ImagenetRecipe
from resnet_gen.read.recipes import AnyRecipe

LABELS = {  # the rows of both designs in their order, by their keys
    "iterations": "iterations",
    "batch_size": "batch size",
    "learning_rate": "learning rate",
    "warmup": "warm-up",
    "optimizer": "optimizer",
    "momentum": "momentum",
    "weight_decay": "weight decay",
    "loss": "loss",
    "evaluate_every": "validation",
    "held_out": "held out",
    "mean": "mean subtracted",
    "shorter_side": "shorter side",
    "padding": "padding",
    "crop": "crop",
    "flip": "mirrored",
    "colour": "colour",
}
# AlexNet's colour augmentation by fb.resnet.torch's constants, for RGB of 0 to 1; components are
# rows here. The mean is torchvision's.
EIGENVALUES = (0.2175, 0.0188, 0.0045)
COMPONENTS = (
    (-0.5675, -0.5808, -0.5836),
    (0.7192, -0.0045, -0.6948),
    (0.4009, -0.8140, 0.4203),
)
MEAN = tuple(255 * value for value in (0.485, 0.456, 0.406))
TABLE_1_SIZE = 224
PLAIN, LOSS = "SGD, plain momentum", "mean cross-entropy"
NONE, HALF = "none", "half of the images"
DRAWN = 0.04  # how far a share or a deviation of thousands of random numbers may be off


def of_spec(recipe: AnyRecipe, spec: NetworkSpec) -> dict[str, str]:
    """What the recipe means for that network, by the keys of LABELS."""
    size = square(spec.image_size)
    words = {
        "iterations": f"{recipe.iterations:,}",
        "batch_size": f"{recipe.batch_size:,}",
        "optimizer": PLAIN,
        "momentum": number(recipe.momentum),
        "weight_decay": f"{number(recipe.weight_decay)} on every parameter",
        "loss": LOSS,
        "evaluate_every": f"every {EVALUATE_EVERY[recipe.design]:,} iterations",
        "crop": f"{size}, anywhere",
        "flip": HALF if recipe.flip else NONE,
    }
    starts = [0, *(recipe.drops or [])]
    words["learning_rate"] = schedule(
        [(first, recipe.learning_rate / 10**k) for k, first in enumerate(starts)]
    )
    if isinstance(recipe, CifarRecipe):
        words |= {
            "warmup": NONE,
            "held_out": f"{recipe.validation:,} images",
            "mean": "per pixel",
            "padding": padding(recipe.padding),
        }
        if recipe.warmup:
            error = recipe.warmup.until_training_error
            words["warmup"] = warmup(recipe.warmup.learning_rate, error)
        return ordered(words)
    low, high = (round(side * spec.image_size / TABLE_1_SIZE) for side in recipe.shorter_side)
    words |= {
        "mean": ", ".join(map(number, MEAN)),
        "shorter_side": f"{low} to {high}",
        "colour": colour(recipe.colour),
    }
    if recipe.patience:
        words["learning_rate"] = plateau(recipe.learning_rate, recipe.patience)
    return ordered(words)


def of_code(facts: Mapping[str, Any], recipe: AnyRecipe) -> dict[str, str]:
    """What train.py was seen to do: the answers of asking.ask, by the same keys.

    The recipe says what a random quantity is expected to be.
    """
    images, steps = facts["images"], facts["steps"]
    words = {
        "iterations": f"{facts['iterations']:,}",
        "batch_size": f"{facts['batch_size']:,}",
        "learning_rate": _rates(facts, recipe),
        "optimizer": _optimizer(steps),
        "momentum": number(round(steps["momentum"], 12)),
        "weight_decay": _decays(steps["decays"]),
        "loss": LOSS if steps["loss"] else f"gradients that are not the {LOSS}'s",
        "evaluate_every": f"every {facts['evaluate_every']:,} iterations",
        "flip": _mirrored(images["mirrored"]),
    }
    if isinstance(recipe, CifarRecipe):
        words |= {
            "warmup": warmup(*facts["warmup"]) if facts["warmup"] else NONE,
            "held_out": f"{images['held_out']:,} images",
            "mean": images["mean"],
            "padding": _padding(images),
            "crop": _crop(images),
        }
    else:
        words |= _of_imagenet(images, recipe)
    return ordered(words)


def ordered(words: Mapping[str, str]) -> dict[str, str]:
    """The words in the order of LABELS."""
    return {key: words[key] for key in LABELS if key in words}


def number(value: float) -> str:
    """A number with six digits at most: 0.1, 0.0001, 80."""
    return f"{value + 0.0:.6g}"  # 0 for -0


def square(size: int) -> str:
    """A size in pixels: 224×224."""
    return f"{size}×{size}"


def padding(pixels: int) -> str:
    """What surrounds an image before the crop."""
    return f"{pixels} on each side, zeros" if pixels else NONE


def warmup(rate: float, error: float | None) -> str:
    """The first rate, and the training error in percent that ends it; None, if none does."""
    if error is None:
        return f"{number(rate)} without end"
    return f"{number(rate)} until the training error is below {number(error)}%"


def plateau(rate: float, patience: int) -> str:
    """A rate that drops when the error does not."""
    return f"{number(rate)}, divided by 10 at a plateau ({patience} validations)"


def schedule(pieces: Sequence[tuple[int, float]]) -> str:
    """A rate that drops as planned, from its first iterations and its rates."""
    rates = [rate for _, rate in pieces]
    tenths = all(abs(10 * b - a) <= 1e-6 * a for a, b in pairwise(rates))
    if len(pieces) > 1 and tenths:
        places = " and ".join(f"{first:,}" for first, _ in pieces[1:])
        return f"{number(rates[0])}, divided by 10 at {places}"
    return "; ".join(
        [number(rates[0]), *(f"{number(rate)} from {first:,}" for first, rate in pieces[1:])]
    )


def colour(deviation: float) -> str:
    """AlexNet's colour augmentation, by the deviation of the factor of each eigenvalue."""
    return f"AlexNet's, deviation {number(deviation)}" if deviation else NONE


def plateau_rates(rate: float, patience: int, errors: Sequence[float]) -> list[float]:
    """The rate before any validation and after each: a tenth after `patience` without a record."""
    rates, since, best = [rate], 0, float("inf")
    for error in errors:
        since = since + 1 if error >= best else 0
        best = min(best, error)
        drop = since == patience
        since = 0 if drop else since
        rates.append(rates[-1] / 10 if drop else rates[-1])
    return rates


def _rates(facts: Mapping[str, Any], recipe: AnyRecipe) -> str:
    pieces = [(first, rate) for first, rate in facts["pieces"]]
    words = schedule(pieces)
    if facts["number_of_pieces"] > len(pieces):
        words += f"; {facts['number_of_pieces']:,} rates in all"
    if "plateau" in facts and isinstance(recipe, ImagenetRecipe):
        words = _plateau(pieces[0][1], facts["plateau"], recipe.patience or 1, words)
    for step, rate in facts["applied"][:1]:
        words += f"; but the loop sets {number(rate)} at iteration {step:,}"
    return words


def _plateau(first: float, found: list[list[float]], patience: int, planned: str) -> str:
    """Which patience explains the rates that the planted errors brought about."""
    series = planted.series(patience)
    constant = all(rate == first for rates in found for rate in rates)
    for guess in [patience, *([] if constant else range(1, 41))]:
        rates = [plateau_rates(first, guess, errors) for errors in series]
        expected = [
            [rates[k][n] for n in planted.asked_after(errors, patience)]
            for k, errors in enumerate(series)
        ]
        if all(
            abs(a - b) <= 1e-6 * b
            for ours, theirs in zip(found, expected, strict=True)
            for a, b in zip(ours, theirs, strict=True)
        ):
            words = plateau(first, guess)
            return words if planned == number(first) else f"{words}; and without errors {planned}"
    if constant:
        return f"{planned}, whatever the errors"
    return f"{planned}; errors lower it, but not after so many without a lower one"


def _optimizer(steps: Mapping[str, Any]) -> str:
    words = PLAIN
    if steps["nesterov"]:
        words = f"{steps['class']}, Nesterov's momentum"
    elif not steps["plain"]:
        words = f"{steps['class']}, whose steps are not those of SGD with plain momentum"
    return words + (f", not on {_some(steps['still'])}" if steps["still"] else "")


def _decays(decays: Mapping[str, float]) -> str:
    named: dict[float, list[str]] = {}
    for name, value in decays.items():
        named.setdefault(float(number(round(value, 12))), []).append(name)
    if not named:
        return NONE
    largest, *others = sorted(named, reverse=True)
    if not others:
        return f"{number(largest)} on every parameter"
    parts = [f"{number(other)} on {_some(named[other])}" for other in others[:2]]
    return f"{number(largest)}, but {' and '.join(parts)}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more


def _mirrored(share: float) -> str:
    if share == 0:
        return NONE
    return HALF if abs(share - 0.5) < DRAWN else f"{share:.0%} of the images"


def _padding(images: Mapping[str, Any]) -> str:
    (top, bottom), (left, right) = images["rows"], images["columns"]
    if -top == bottom == -left == right:
        words = padding(bottom)
    else:
        words = f"{-top} above, {bottom} below, {-left} left, {right} right"
    if images["outside"] != [0.0]:
        words = words.replace(", zeros", f", {', '.join(map(number, images['outside']))}")
    return words


def _crop(images: Mapping[str, Any]) -> str:
    height, width = images["size"]
    words = f"{height}×{width}"
    if images["unknown"] > DRAWN or not images["exact"]:
        return f"{words}, not a part of the padded image"
    if not images["everywhere"]:
        return f"{words}, at {images['places']} places"
    return f"{words}, anywhere" if images["evenly"] else f"{words}, not everywhere as often"


def _of_imagenet(images: Mapping[str, Any], recipe: ImagenetRecipe) -> dict[str, str]:
    low, high = images["sides"]
    sizes = ", ".join(map(square, images["size"]))
    words = {
        "shorter_side": f"{low} to {high}" + ("" if images["every_side"] else ", not evenly"),
        "crop": f"{sizes}, {'anywhere' if images['anywhere'] else 'not anywhere in the image'}",
        "mean": ", ".join(number(round(value, 3)) for value in images["mean"]),
        "flip": _mirrored(images["mirrored"]),
        "colour": _colour(images, recipe.colour),
    }
    if not images["only_mean"]:
        words["mean"] = "more than a mean of each channel"
    elif not images["mirror"] and words["flip"] != NONE:
        words["flip"] += ", but not left to right"
    return words


def _colour(images: Mapping[str, Any], expected: float) -> str:
    spread = images["spread"]
    if not any(spread):
        return NONE
    same = all(
        abs(found - known) < 1e-4
        for row, component in zip(images["components"], COMPONENTS, strict=True)
        for found, known in zip(row, component, strict=True)
    )
    if not same:
        return "not along AlexNet's components"
    if all(abs(value - expected) < DRAWN * expected for value in spread):
        return colour(expected)
    if max(spread) - min(spread) < DRAWN * max(spread):
        return f"AlexNet's, deviation {sum(spread) / len(spread):.2g}"
    return f"AlexNet's, deviations {', '.join(f'{value:.2g}' for value in spread)}"
