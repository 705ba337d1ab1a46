"""What an ImageNet network's train.py says: final words and numbers for its template."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from resnet_gen.generate.train_view import milestones, number
from resnet_gen.network.expansion import expand
from resnet_gen.network.layers import Operation
from resnet_gen.paper import says
from resnet_gen.paper.says import title_of
from resnet_gen.read.library import Entry
from resnet_gen.read.network_spec import class_name
from resnet_gen.read.recipe import EVALUATE_EVERY, ImagenetRecipe

TRAINING_IMAGES = 1_281_167  # of ImageNet's 1000 classes
TABLE_1_SIZE = 224
TEST_SIDE, TEST_SIDES = 256, (224, 256, 384, 480, 640)  # the authors' README; section 3.4


@dataclass(frozen=True)
class ImagenetRecipeView:
    """A recipe's numbers as Python writes them."""

    iterations: str
    epochs: str
    batch_size: str
    learning_rate: str
    patience: int | None
    milestones: str | None  # where no patience decides
    momentum: str
    weight_decay: str
    shorter_side: str
    flip: str
    colour: str
    schedule_call: str
    evaluate_every: str
    schedule_constant: str


@dataclass(frozen=True)
class ImagenetTrainView:
    """All that such a train.py says."""

    title: str
    usage: tuple[str, ...]
    summary: tuple[str, ...]
    class_name: str
    name: str
    spec_sha256: str
    network_sha256: str
    image_size: int
    classes: int
    window: int  # side of the last stage's maps, of an image of that size
    test_side: int
    test_sides: str
    validation_decided: str
    recipe: ImagenetRecipeView


def imagenet_train_view(entry: Entry, recipe: ImagenetRecipe) -> ImagenetTrainView:
    """The view of a train.py for networks of Table 1."""
    spec = entry.spec
    changes = says.recipe_departures(recipe)
    but = f" but for {' and '.join(changes)}" if changes else ""
    error = None if changes else says.reported_error(spec)
    size = spec.image_size
    return ImagenetTrainView(
        title=f"Trains {title_of(spec)} by section 3.4 of He et al. 2015 (arXiv:1512.03385){but}.",
        usage=(
            "python train.py --data imagenet",
            "torchrun --nproc_per_node 8 train.py --data imagenet",
            "python train.py --data imagenet --evaluate best.pt --test 10-crop",
        ),
        summary=tuple(textwrap.wrap(_summary(recipe, size, error), 98)),
        class_name=class_name(spec.name),
        name=spec.name,
        spec_sha256=entry.sha256,
        network_sha256=entry.network_sha256,
        image_size=size,
        classes=spec.classes,
        window=[
            la.output_size for la in expand(spec).layers if la.operation == Operation.CONVOLUTION
        ][-1],
        test_side=_scaled(TEST_SIDE, size),
        test_sides=str(tuple(_scaled(side, size) for side in TEST_SIDES)),
        validation_decided=(
            '"best.pt, and when the learning rate drops"'
            if recipe.patience
            else '"best.pt and nothing else"'
        ),
        recipe=_recipe(recipe, size),
    )


def _summary(recipe: ImagenetRecipe, size: int, error: str | None) -> str:
    """The recipe in sentences."""
    rate = f"learning rate {number(recipe.learning_rate)}"
    if recipe.patience:
        rate += (
            f", divided by 10 after {recipe.patience} validations without a lower error (the "
            '"plateau" of the paper, which names no number)'
        )
    elif recipe.drops:
        rate += f", divided by 10 at {' and '.join(f'{drop:,}' for drop in recipe.drops)}"
    low, high = (_scaled(side, size) for side in recipe.shorter_side)
    mirrored = ", mirrored with probability 1/2" if recipe.flip else ""
    colour = ", with AlexNet's colour augmentation" if recipe.colour else ""
    text = (
        f"{recipe.iterations:,} iterations of {recipe.batch_size:,} images; SGD with momentum "
        f"{number(recipe.momentum)} and weight decay {number(recipe.weight_decay)}; {rate}. "
        f"Of each image, resized to a shorter side of {low} to {high}, {size}×{size} are cropped "
        f"at random{mirrored}{colour}; the mean is subtracted, per channel or, as in the paper, "
        "per pixel (--pixel-mean). val/ is validated on; test/, or val/ again where there is none, "
        "is tested on after the last iteration."
    )
    if error:
        text += f" Error in the paper: {error}."
    precision = "The forward pass runs in bf16 autocast where the hardware has bf16."
    return f"{text} {precision} Needs torch 2.9 or newer."


def _recipe(recipe: ImagenetRecipe, size: int) -> ImagenetRecipeView:
    low, high = (_scaled(side, size) for side in recipe.shorter_side)
    return ImagenetRecipeView(
        iterations=f"{recipe.iterations:_}",
        epochs=f"{recipe.iterations * recipe.batch_size / TRAINING_IMAGES:.0f}",
        batch_size=f"{recipe.batch_size:_}",
        learning_rate=number(recipe.learning_rate),
        patience=recipe.patience,
        milestones=None if recipe.patience else milestones(recipe.drops or []),
        momentum=number(recipe.momentum),
        weight_decay=number(recipe.weight_decay),
        shorter_side=f"({low}, {high})",
        flip=str(recipe.flip),
        colour=number(recipe.colour),
        schedule_constant="PATIENCE" if recipe.patience else "MILESTONES",
        evaluate_every=f"{EVALUATE_EVERY[recipe.design]:_}",
        schedule_call="step, args.iterations" + ", trainer.val_errors" * bool(recipe.patience),
    )


def _scaled(side: int, size: int) -> int:
    """A length that the paper gives for images of 224×224, for ones of another size."""
    return round(side * size / TABLE_1_SIZE)
