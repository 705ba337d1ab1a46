"""What a train.py says: final words and numbers, so that its template decides nothing."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from decimal import Decimal

from resnet_gen.generate.model_view import title_of
from resnet_gen.paper import says
from resnet_gen.read import library
from resnet_gen.read.library import Entry
from resnet_gen.read.network_spec import class_name
from resnet_gen.read.recipe import CifarRecipe


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

    for_cifar: bool
    for_imagenet: bool
    title: str
    usage: tuple[str, ...]
    summary: tuple[str, ...]
    class_name: str
    name: str
    spec_sha256: str
    image_channels: int
    image_size: int
    images_may_not_fit: bool  # 3×32×32 is what every data set can give
    recipe: RecipeView


def train_view(entry: Entry, recipe: CifarRecipe) -> TrainView:
    """The view of a train.py."""
    spec = entry.spec
    changes = _changes(recipe)
    but = f" but for {' and '.join(changes)}" if changes else ""
    paper_error = None if changes else says.reported_error(spec)
    return TrainView(
        for_cifar=True,
        for_imagenet=False,
        title=f"Trains {title_of(spec)} by section 4.2 of He et al. 2015 (arXiv:1512.03385){but}.",
        usage=("python train.py --data cifar10 --root data", "python train.py --data digits"),
        summary=tuple(textwrap.wrap(_summary(recipe, paper_error), 98)),
        class_name=class_name(spec.name),
        name=spec.name,
        spec_sha256=entry.sha256,
        image_channels=spec.image_channels,
        image_size=spec.image_size,
        images_may_not_fit=(spec.image_channels, spec.image_size) != (3, 32),
        recipe=_recipe(recipe),
    )


def _changes(recipe: CifarRecipe) -> list[str]:
    """What the recipe has otherwise than the paper's, with or without warm-up."""
    paper_recipe = library.recipe("cifar-paper")
    with_warmup = library.recipe("cifar-paper-warmup")
    warmup = getattr(with_warmup, "warmup", None)
    keys = [key for key in CifarRecipe.model_fields if key not in ("name", "design", "warmup")]
    changed = [key for key in keys if getattr(recipe, key) != getattr(paper_recipe, key)]
    return changed + (["warmup"] if recipe.warmup not in (None, warmup) else [])


def _summary(recipe: CifarRecipe, paper_error: str | None) -> str:
    """The recipe in sentences."""
    rate = f"learning rate {number(recipe.learning_rate)}"
    if recipe.warmup:
        warm = recipe.warmup
        rate = (
            f"learning rate {number(warm.learning_rate)} until the training error is below "
            f"{number(warm.until_training_error)}%, then {number(recipe.learning_rate)}"
        )
    if recipe.drops:
        rate += f", divided by 10 at {' and '.join(f'{drop:,}' for drop in recipe.drops)}"
    mirrored = " and mirrored with probability 1/2" if recipe.flip else ""
    text = (
        f"{recipe.iterations:,} iterations of {recipe.batch_size:,} images; SGD with momentum "
        f"{number(recipe.momentum)} and weight decay {number(recipe.weight_decay)}; {rate}. The "
        f"per-pixel mean is subtracted; images are padded by {recipe.padding}, cropped at "
        f"random{mirrored}. {recipe.validation:,} of the training images are held out for "
        "validation: the paper names a 45k/5k split, but does not say whether its reported "
        "networks were trained on all 50,000. The test set is evaluated once, after the last "
        "iteration."
    )
    if paper_error:
        text += f" Test error in the paper: {paper_error}."
    return f"{text} Convolutions are in bf16 where the hardware has it. Needs torch 2.9 or newer."


def _recipe(recipe: CifarRecipe) -> RecipeView:
    drops = ", ".join(f"{drop:_}" for drop in recipe.drops)
    warmup = None
    arguments, call = "step: int, iterations: int = ITERATIONS", "progress.step, args.iterations"
    if recipe.warmup:
        rate, until = recipe.warmup.learning_rate, recipe.warmup.until_training_error
        warmup = WarmupView(number(rate), number(until))
        arguments, call = f"{arguments}, warming_up: bool = False", f"{call}, warming_up"
    return RecipeView(
        iterations=f"{recipe.iterations:_}",
        batch_size=f"{recipe.batch_size:_}",
        learning_rate=number(recipe.learning_rate),
        drops=f"({drops},)" if len(recipe.drops) == 1 else f"({drops})",
        momentum=number(recipe.momentum),
        weight_decay=number(recipe.weight_decay),
        padding=str(recipe.padding),
        flip=str(recipe.flip),
        validation=f"{recipe.validation:_}",
        warmup=warmup,
        schedule_arguments=arguments,
        schedule_call=call,
    )


def number(value: float) -> str:
    """A number as Python writes it: 0.1, 80, and 1e-4 rather than 0.0001."""
    if value == int(value):
        return str(int(value))
    return f"{Decimal(repr(value)).normalize():e}" if value < 1e-3 else repr(value)
