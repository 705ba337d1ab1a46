"""What a detector's train.py says: final words and numbers for its template."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from resnet_gen.generate.train_view import milestones, number
from resnet_gen.paper.says import title_of
from resnet_gen.read.detector_recipe import DetectionRecipe
from resnet_gen.read.detectors import DetectorEntry
from resnet_gen.read.network_spec import class_name

STEPS = 4  # of alternating training
EVALUATE_EVERY = 20_000  # iterations; not the paper's choice


@dataclass(frozen=True)
class DetectionRecipeView:
    """A recipe's numbers as Python writes them."""

    alternating: bool
    iterations: str
    batch_size: str
    rpn_batch_size: str  # nothing where it is the same
    learning_rate: str
    milestones: str
    warmup: str  # nothing where there is none
    momentum: str
    weight_decay: str
    flip: str
    evaluate_every: str


@dataclass(frozen=True)
class DetectionTrainView:
    """All that such a train.py says."""

    title: str
    usage: tuple[str, ...]
    summary: tuple[str, ...]
    rooms: tuple[str, ...]
    name: str
    spec_sha256: str
    network_sha256: str
    backbone: str
    backbone_class: str
    backbone_sha256: str
    backbone_size: int
    classes: int
    has_testing: bool
    ensemble: bool
    recipe: DetectionRecipeView


def detection_train_view(entry: DetectorEntry) -> DetectionTrainView:
    """The view of the train.py of this spec."""
    spec, recipe, backbone = entry.spec, entry.recipe, entry.backbone
    data = "VOCdevkit" if recipe.name.startswith("voc") else "coco"
    return DetectionTrainView(
        title=f"Trains Faster R-CNN on {title_of(backbone.spec)} by appendix A of He et al. 2015 "
        "(arXiv:1512.03385).",
        usage=(
            f"python train.py --data {data} --backbone {backbone.name}.safetensors",
            f"torchrun --nproc_per_node 8 train.py --data {data} --backbone "
            f"{backbone.name}.safetensors",
            f"python train.py --data {data} --evaluate checkpoint.pt",
            "python train.py --predict photo.jpg --evaluate checkpoint.pt",
        ),
        summary=tuple(textwrap.wrap(_summary(entry), 98)),
        rooms=tuple(textwrap.wrap(_rooms(entry), 98)),
        name=entry.name,
        spec_sha256=entry.sha256,
        network_sha256=entry.network_sha256,
        backbone=backbone.name,
        backbone_class=class_name(backbone.name),
        backbone_sha256=backbone.network_sha256,
        backbone_size=entry.backbone_spec.image_size,
        classes=spec.classes,
        has_testing=spec.testing.adds,
        ensemble=spec.testing.ensemble,
        recipe=_recipe(recipe),
    )


def _summary(entry: DetectorEntry) -> str:
    """The recipe in sentences."""
    spec, recipe = entry.spec, entry.recipe
    drops = " and ".join(f"{drop:,}" for drop in recipe.drops)
    rate = f"learning rate {number(recipe.learning_rate)}"
    rate += f", divided by 10 at {drops}" if drops else ""
    rate += f", after a rise over {recipe.warmup} iterations" if recipe.warmup else ""
    how = f"{recipe.iterations:,} iterations of {recipe.batch_size} images"
    if recipe.steps == "alternating":
        rpn = recipe.rpn_batch_size
        how = f"The four steps of Ren et al. 2015, each {how}"
        how += f" ({rpn} where the RPN is trained)" if rpn and rpn != recipe.batch_size else ""
        why = "Both papers train so; joint training, in one run, is what `training: joint` does."
    else:
        how = f"{how}, in which the RPN and the regions are trained together"
        why = (
            "The paper alternates between the two in four steps, as `training: coco-paper` does; "
            "gradients of a region's place are left out, so that both are approximations."
        )
    mirrored = ", mirrored with probability 1/2" if recipe.flip else ""
    return (
        f"{how}; SGD with momentum {number(recipe.momentum)} and weight decay "
        f"{number(recipe.weight_decay)}; {rate}. {why} Images are resized to a shorter side of "
        f"{spec.shorter_side}, or a longer one of {spec.longer_side}{mirrored}. A trained "
        f"{title_of(entry.backbone.spec)} is needed to begin with (--backbone), whose batch norms "
        "are frozen; --statistics takes their means and variances anew over the images that it was "
        "trained on, as the appendix does. Needs torch 2.9 or newer."
    )


def _rooms(entry: DetectorEntry) -> str:
    """What is in which file."""
    alternating = entry.recipe.steps == "alternating"
    return (
        "This file is the recipe. detector.py is the network, of model.py's layers, "
        + "alternating.py what its four steps train, " * alternating
        + "testing.py what appendix B adds to tests, " * entry.spec.testing.adds
        + "annotations.py and data.py read the pictures, evaluate.py and measures.py say how right "
        "detections are, backbone.py takes a classifier's weights. The others are those of "
        "classifiers."
    )


def _recipe(recipe: DetectionRecipe) -> DetectionRecipeView:
    alternating = recipe.steps == "alternating"
    times = STEPS if alternating else 1
    rpn = recipe.rpn_batch_size or recipe.batch_size
    return DetectionRecipeView(
        alternating=alternating,
        iterations=f"{recipe.iterations * times:_}",
        batch_size=f"{recipe.batch_size:_}",
        rpn_batch_size=f"{rpn:_}" if alternating and rpn != recipe.batch_size else "",
        learning_rate=number(recipe.learning_rate),
        milestones=milestones(recipe.drops),
        warmup=f"{recipe.warmup:_}" if recipe.warmup else "",
        momentum=number(recipe.momentum),
        weight_decay=number(recipe.weight_decay),
        flip=str(recipe.flip),
        evaluate_every=f"{EVALUATE_EVERY:_}",
    )
