"""What a train.py says: final words and numbers, so that its template decides nothing."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from resnet_gen.paper import says
from resnet_gen.paper.says import title_of
from resnet_gen.read.library import Entry
from resnet_gen.read.network_spec import class_name
from resnet_gen.read.recipe import EVALUATE_EVERY, CifarRecipe


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
    milestones: str
    momentum: str
    weight_decay: str
    padding: str
    flip: str
    validation: str
    validation_note: str
    warmup: WarmupView | None
    schedule_arguments: str
    schedule_call: str
    evaluate_every: str


@dataclass(frozen=True)
class TrainView:
    """All that a train.py says."""

    title: str
    usage: tuple[str, ...]
    summary: tuple[str, ...]
    class_name: str
    name: str
    spec_sha256: str
    network_sha256: str
    image_channels: int
    image_size: int
    shape: str  # of a batch
    recipe: RecipeView


def train_view(entry: Entry, recipe: CifarRecipe) -> TrainView:
    """The view of a train.py."""
    spec = entry.spec
    changes = says.recipe_departures(recipe)
    but = f" but for {' and '.join(changes)}" if changes else ""
    paper_error = None if changes else says.reported_error(spec)
    return TrainView(
        title=f"Trains {title_of(spec)} by section 4.2 of He et al. 2015 (arXiv:1512.03385){but}.",
        usage=("python train.py --data cifar10 --root data", "python train.py --data digits"),
        summary=tuple(textwrap.wrap(_summary(recipe, paper_error), 98)),
        class_name=class_name(spec.name),
        name=spec.name,
        spec_sha256=entry.sha256,
        network_sha256=entry.network_sha256,
        image_channels=spec.image_channels,
        image_size=spec.image_size,
        shape=f"N, {spec.image_channels}, {spec.image_size}, {spec.image_size}",
        recipe=_recipe(recipe),
    )


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
    precision = "The forward pass runs in bf16 autocast where the hardware has bf16."
    return f"{text} {precision} Needs torch 2.9 or newer."


def _recipe(recipe: CifarRecipe) -> RecipeView:
    warmup = None
    arguments, call = "step: int, iterations: int = ITERATIONS", "step, args.iterations"
    if recipe.warmup:
        rate, until = recipe.warmup.learning_rate, recipe.warmup.until_training_error
        warmup = WarmupView(number(rate), number(until))
        arguments, call = (
            f"{arguments}, warming_up: bool = False",
            f"{call}, trainer.warmup_steps is None",
        )
    return RecipeView(
        iterations=f"{recipe.iterations:_}",
        batch_size=f"{recipe.batch_size:_}",
        learning_rate=number(recipe.learning_rate),
        milestones=milestones(recipe.drops),
        momentum=number(recipe.momentum),
        weight_decay=number(recipe.weight_decay),
        padding=str(recipe.padding),
        flip=str(recipe.flip),
        validation=f"{recipe.validation:_}",
        validation_note=": the paper's 45k/5k split" if recipe.validation == 5_000 else "",
        warmup=warmup,
        schedule_arguments=arguments,
        evaluate_every=f"{EVALUATE_EVERY[recipe.design]:_}",
        schedule_call=call,
    )


def milestones(drops: Sequence[int]) -> str:
    """The tuple as Python writes it; an empty one says what type its numbers would have."""
    if not drops:
        return "tuple[int, ...]()"
    return f"({', '.join(f'{drop:_}' for drop in drops)}{',' * (len(drops) == 1)})"


def number(value: float) -> str:
    """A number as Python writes it: 0.1, 80, and 1e-4 rather than 0.0001."""
    if value == int(value):
        return str(int(value))
    return f"{Decimal(repr(value)).normalize():e}" if value < 1e-3 else repr(value)
