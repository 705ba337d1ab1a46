"""What a train.py says: final words and numbers, so that its template decides nothing."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from decimal import Decimal

from resnet_gen import paper
from resnet_gen.library import Entry
from resnet_gen.model_view import title_of
from resnet_gen.recipe import Recipe
from resnet_gen.spec import class_name


@dataclass(frozen=True)
class WarmupView:
    """Its numbers as Python writes them."""

    learning_rate: str
    until: str


@dataclass(frozen=True)
class RecipeView:
    """A recipe's numbers as Python writes them."""

    iterations: str
    batch_size: str
    learning_rate: str
    drops: str
    momentum: str
    weight_decay: str
    padding: str
    flip: str
    validation: str
    warmup: WarmupView | None
    schedule_arguments: str
    schedule_call: str


@dataclass(frozen=True)
class TrainView:
    """All that a train.py says."""

    title: str
    usage: tuple[str, ...]
    summary: tuple[str, ...]
    class_name: str
    name: str
    spec_sha256: str
    image_channels: int
    image_size: int
    recipe: RecipeView


def train_view(entry: Entry, recipe: Recipe) -> TrainView:
    """The view of a train.py."""
    spec = entry.spec
    r = _recipe(recipe)
    rate = f"learning rate {r.learning_rate}"
    if recipe.warmup:
        warm = f"{recipe.warmup.until_training_error:g}%"
        rate = (
            f"learning rate {r.warmup.learning_rate if r.warmup else ''} until the training error "
            f"is below {warm}, then {r.learning_rate}"
        )
    if recipe.drops:
        rate += f", divided by 10 at {' and '.join(f'{drop:,}' for drop in recipe.drops)}"
    error = paper.reported_error(spec)
    mirrored = ", half of them mirrored" if recipe.flip else ""
    text = (
        f"{recipe.iterations:,} iterations of {recipe.batch_size} images; SGD with momentum "
        f"{r.momentum} and weight decay {r.weight_decay}; {rate}. Images lose the per-pixel mean, "
        f"are padded by {recipe.padding} and cropped at random{mirrored}. "
        f"{recipe.validation:,} training images are kept aside for validation; the test images are "
        "read once, at the end."
    )
    if error:
        text += f" The paper's test error: {error}."
    return TrainView(
        title=f"Trains {title_of(spec)} as in He et al. 2015 (arXiv:1512.03385), section 4.2.",
        usage=("python train.py --data cifar10 --root data", "python train.py --data digits"),
        summary=tuple(textwrap.wrap(text, 98)),
        class_name=class_name(spec.name),
        name=spec.name,
        spec_sha256=entry.sha256,
        image_channels=spec.image_channels,
        image_size=spec.image_size,
        recipe=r,
    )


def _recipe(recipe: Recipe) -> RecipeView:
    drops = ", ".join(f"{drop:_}" for drop in recipe.drops)
    warmup = None
    arguments, call = "step: int, iterations: int = ITERATIONS", "step, args.iterations"
    if recipe.warmup:
        rate, until = recipe.warmup.learning_rate, recipe.warmup.until_training_error
        warmup = WarmupView(_number(rate), _number(until))
        arguments, call = f"{arguments}, warming_up: bool = False", f"{call}, warming_up"
    return RecipeView(
        iterations=f"{recipe.iterations:_}",
        batch_size=f"{recipe.batch_size:_}",
        learning_rate=_number(recipe.learning_rate),
        drops=f"({drops},)" if len(recipe.drops) == 1 else f"({drops})",
        momentum=_number(recipe.momentum),
        weight_decay=_number(recipe.weight_decay),
        padding=str(recipe.padding),
        flip=str(recipe.flip),
        validation=f"{recipe.validation:_}",
        warmup=warmup,
        schedule_arguments=arguments,
        schedule_call=call,
    )


def _number(value: float) -> str:
    """0.1, 80, and 1e-4 rather than 0.0001."""
    if value == int(value):
        return str(int(value))
    return f"{Decimal(repr(value)).normalize():e}" if value < 1e-3 else repr(value)
