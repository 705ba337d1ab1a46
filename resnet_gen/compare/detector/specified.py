"""What a detector's spec means, in the form in which its code answers (see asking.py)."""

from __future__ import annotations

from typing import Any

from resnet_gen.network.detector import STRIDE, of_an_image, shared_convolutions
from resnet_gen.network.layers import Operation
from resnet_gen.read.detector_recipe import DetectionRecipe
from resnet_gen.read.detectors import DetectorEntry

SIZES = ((300, 400), (100, 1000))  # heights and widths of images that are resized
LEAST_SCORE, AT_MOST = 0.05, 100  # of the detections of an image, as in Fast R-CNN's code
BEFORE_NMS = 6_000  # proposals of a test, as in Faster R-CNN's code
VOTERS = 0.5  # overlap from which boxes vote (Gidaris & Komodakis 2015)
DEVIATIONS = (10.0, 10.0, 5.0, 5.0)  # what a region's offsets are multiplied by (Fast R-CNN)


def answers(entry: DetectorEntry) -> dict[str, Any]:
    """All that the code is asked, but for the numbers, which are compared where they are made."""
    spec, network, recipe = entry.spec, of_an_image(entry), entry.recipe
    layers = [*network.trunk.layers, *network.region.layers]
    norms = sum(layer.operation is Operation.BATCH_NORM for layer in layers)
    testing = spec.testing
    return {
        "shared_convolutions": shared_convolutions(network.trunk.layers),
        "stride": [STRIDE, STRIDE],
        "parameters": network.parameters,
        "batch_norms": [norms, norms],
        "anchors": [spec.anchors.sizes, spec.anchors.ratios],
        "proposals": [BEFORE_NMS, spec.proposals],
        "rpn": _sampling(recipe.anchors, 0.5, 0.7, 0.3, 0.7),
        "regions": _sampling(recipe.regions, 0.25, 0.5, 0.5, testing.nms),
        "deviations": list(DEVIATIONS),
        "siblings": [spec.classes + 1, 4 * (spec.classes + 1)],
        "detections": [LEAST_SCORE, AT_MOST],
        "resized": [_resized(entry, *size) for size in SIZES],
        "testing": {
            "voters": VOTERS if testing.refine else None,
            "scales": testing.scales or [spec.shorter_side],
            "region": testing.region if testing.scales else None,
        },
        "recipe": {
            "steps": 4 if recipe.steps == "alternating" else 1,
            "iterations": _steps(recipe) * recipe.iterations,
            "batch_size": recipe.batch_size,
            "rpn_batch_size": recipe.rpn_batch_size or recipe.batch_size,
            "proposals": recipe.proposals,
            "pieces": _pieces(recipe),
            "momentum": recipe.momentum,
            "nesterov": False,
            "weight_decay": recipe.weight_decay,
            "flips": 0.5 if recipe.flip else 0.0,
        },
    }


def _steps(recipe: DetectionRecipe) -> int:
    return 4 if recipe.steps == "alternating" else 1


def _sampling(
    images: int, share: float, positive: float, negative: float, nms: float
) -> dict[str, float]:
    return {
        "images": images, "share": share, "positive": positive, "negative": negative, "nms": nms,
    }  # fmt: skip


def _resized(entry: DetectorEntry, height: int, width: int) -> list[int]:
    """Height and width: as large as both limits allow, in whole pixels."""
    shorter, longer = min(height, width), max(height, width)
    scale = min(entry.spec.shorter_side / shorter, entry.spec.longer_side / longer)
    return [int(height * scale), int(width * scale)]


def _pieces(recipe: DetectionRecipe) -> list[list[float]]:
    """The iterations at which the learning rate changes, and what it is from there on."""
    rates = [recipe.learning_rate / 10**k for k in range(len(recipe.drops) + 1)]
    starts = [0, *recipe.drops]
    pieces: list[list[float]] = []
    for step in range(_steps(recipe)):
        first = step * recipe.iterations
        pieces += [[first + k, rate] for k, rate in zip(starts, rates, strict=True)]
    if not recipe.warmup:
        return pieces
    rising = [[k, rates[0] * (k + 1) / recipe.warmup] for k in range(recipe.warmup)]
    return [*rising, *pieces[1:]]
