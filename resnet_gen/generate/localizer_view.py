"""What a localizer's localizer.py and train.py say: final words and numbers for their templates."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from resnet_gen.generate.detector_view import PAPER
from resnet_gen.generate.train_view import milestones, number
from resnet_gen.network.layers import Operation
from resnet_gen.network.localizer import STRIDE, LocalizerNetwork, of_a_crop
from resnet_gen.paper.says import title_of
from resnet_gen.read.detectors import LocalizerEntry
from resnet_gen.read.network_spec import class_name

EVALUATE_EVERY = 5_000  # iterations; not the paper's choice
TABLE_1_SIZE = 224
WIDTH_OF_REN = 512  # Ren et al. 2015: filters of the 3×3 layer


@dataclass(frozen=True)
class LocalizerView:
    """All that a localizer.py says."""

    title: str
    table: tuple[str, ...]
    facts: tuple[str, ...]
    backbone_class: str
    classes: int
    anchor_sizes: str
    anchor_ratios: str
    anchors: int
    sampled: int
    proposals: int
    width: int
    is_width_of_ren: bool
    channels: int
    outputs: str
    rpn_parameters: str
    region_parameters: str


@dataclass(frozen=True)
class LocalizationRecipeView:
    """A recipe's numbers as Python writes them."""

    iterations: str
    batch_size: str
    learning_rate: str
    milestones: str
    momentum: str
    weight_decay: str
    shorter_side: str
    flip: str
    evaluate_every: str


@dataclass(frozen=True)
class LocalizationTrainView:
    """All that such a train.py says."""

    title: str
    usage: tuple[str, ...]
    summary: tuple[str, ...]
    name: str
    spec_sha256: str
    network_sha256: str
    backbone: str
    backbone_class: str
    backbone_sha256: str
    size: int
    scales: str
    recipe: LocalizationRecipeView


def localizer_view(entry: LocalizerEntry) -> LocalizerView:
    """The view of the localizer.py of this spec."""
    spec, network = entry.spec, of_a_crop(entry)
    anchors = len(spec.anchors.sizes) * len(spec.anchors.ratios)
    rpn = network.trunk.parameters + network.rpn.parameters
    return LocalizerView(
        title=f"Localization on {title_of(entry.backbone_spec)}: {PAPER}, appendix C.",
        table=_table(network),
        facts=_facts(network),
        backbone_class=class_name(entry.backbone.name),
        classes=spec.classes,
        anchor_sizes=str(tuple(spec.anchors.sizes)),
        anchor_ratios=str(tuple(spec.anchors.ratios)),
        anchors=anchors,
        sampled=entry.recipe.anchors,
        proposals=spec.proposals,
        width=spec.width,
        is_width_of_ren=spec.width == WIDTH_OF_REN,
        channels=network.trunk.layers[-1].out_channels,
        outputs=f"{5 * anchors * spec.classes:,}",
        rpn_parameters=f"{rpn:_}",
        region_parameters=f"{network.region.parameters + network.siblings.parameters:_}",
    )


def localization_train_view(entry: LocalizerEntry) -> LocalizationTrainView:
    """The view of the train.py of this spec."""
    spec, backbone = entry.spec, entry.backbone
    return LocalizationTrainView(
        title=f"Trains localization on {title_of(backbone.spec)} by appendix C of He et al. 2015 "
        "(arXiv:1512.03385).",
        usage=(
            "python train.py --data ILSVRC --backbone resnet.pt --out rpn",
            "python train.py --data ILSVRC --backbone resnet.pt --step regions "
            "--rpn rpn/best.pt --out rcnn",
            "python train.py --data ILSVRC --evaluate rpn/best.pt rcnn/best.pt "
            "--classifier resnet.pt",
        ),
        summary=tuple(textwrap.wrap(_summary(entry), 98)),
        name=entry.name,
        spec_sha256=entry.sha256,
        network_sha256=entry.network_sha256,
        backbone=backbone.name,
        backbone_class=class_name(backbone.name),
        backbone_sha256=backbone.network_sha256,
        size=entry.backbone_spec.image_size,
        scales=_as_tuple(spec.scales),
        recipe=_recipe(entry),
    )


def _table(network: LocalizerNetwork) -> tuple[str, ...]:
    spec, side = network.spec, network.trunk.layers[-1].output_size
    channels = network.trunk.layers[-1].out_channels
    anchors = len(spec.anchors.sizes) * len(spec.anchors.ratios)
    convolutions = sum(la.operation == Operation.CONVOLUTION for la in network.trunk.layers)
    rows = (
        ("conv1 to conv5_x", f"{side}×{side}, {channels}-d", f"stride {STRIDE}: "
         f"{convolutions} convolutions"),
        ("per-class RPN", f"3×3, {spec.width}",
         f"then for each class and each of {anchors} anchors a score and a box"),
        ("R-CNN", f"{network.size}×{network.size}",
         f"{spec.proposals} warped boxes of a class, each to a new score and box"),
    )  # fmt: skip
    return tuple(f"{name:17} {what:14} {how}" for name, what, how in rows)


def _facts(network: LocalizerNetwork) -> tuple[str, ...]:
    rpn = network.trunk.parameters + network.rpn.parameters
    region = network.region.parameters + network.siblings.parameters
    crop = network.trunk.multiply_adds + network.rpn.multiply_adds
    return (
        f"parameters     {rpn:,} of the RPN and {region:,} of the R-CNN, all classes' included",
        f"multiply-adds  {crop:,} of the RPN for a crop of {network.size}×{network.size}, with the "
        "boxes of all classes",
    )


def _summary(entry: LocalizerEntry) -> str:
    recipe, spec = entry.recipe, entry.spec
    low, high = (_scaled(side, entry) for side in recipe.shorter_side)
    size = entry.backbone_spec.image_size
    drops = " and ".join(f"{drop:,}" for drop in recipe.drops)
    rate = f"learning rate {number(recipe.learning_rate)}"
    rate += f", divided by 10 at {drops}" if drops else ""
    mirrored = ", mirrored with probability 1/2" if recipe.flip else ""
    return (
        f"Two steps of {recipe.iterations:,} iterations each; SGD with momentum "
        f"{number(recipe.momentum)} and weight decay {number(recipe.weight_decay)}; {rate}. How "
        f"long and at which rates the paper does not say. First the RPN, on {recipe.batch_size} "
        f"crops of {size}×{size} from images with a shorter side of {low} to {high}{mirrored}, of "
        f"each {recipe.anchors} anchors, objects and background 1:1. Then the R-CNN, on "
        f"{recipe.batch_size} regions of as many images, drawn from the {spec.proposals} best "
        "boxes that the RPN proposes of an image's class. Tested with the true class, or with the "
        "five likeliest of a classifier (--classifier); on the centre of an image or densely, at "
        "several scales. Needs torch 2.9 or newer."
    )


def _recipe(entry: LocalizerEntry) -> LocalizationRecipeView:
    recipe = entry.recipe
    low, high = (_scaled(side, entry) for side in recipe.shorter_side)
    return LocalizationRecipeView(
        iterations=f"{recipe.iterations:_}",
        batch_size=f"{recipe.batch_size:_}",
        learning_rate=number(recipe.learning_rate),
        milestones=milestones(recipe.drops),
        momentum=number(recipe.momentum),
        weight_decay=number(recipe.weight_decay),
        shorter_side=f"({low}, {high})",
        flip=str(recipe.flip),
        evaluate_every=f"{EVALUATE_EVERY:_}",
    )


def _scaled(side: int, entry: LocalizerEntry) -> int:
    """A length that the paper gives for crops of 224×224, for ones of another size."""
    return round(side * entry.backbone_spec.image_size / TABLE_1_SIZE)


def _as_tuple(sides: list[int]) -> str:
    return str(tuple(sides))
