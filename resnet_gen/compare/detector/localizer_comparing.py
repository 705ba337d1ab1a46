"""A localizer's rows: what appendix C prints | what the spec means | what the code does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resnet_gen.compare.detector import describing
from resnet_gen.compare.detector.comparing import PARTS, answers_of, closeness, judged
from resnet_gen.compare.rows import Comparison, Part, Row
from resnet_gen.network import layers as op
from resnet_gen.network.localizer import STRIDE, of_a_crop
from resnet_gen.paper.appendix import Appendix
from resnet_gen.paper.tables import load
from resnet_gen.read.detectors import LocalizerEntry

ASK = "resnet_gen.compare.detector.localizer_asking:ask"
LABELS = {
    "convolutions": "convolutions, conv1 to conv5_x",
    "stride": "their stride",
    "anchors": "anchors",
    "outputs": "outputs of the RPN at each",
    "sampled": "anchors of an image learned from",
    "proposals": "proposals of a class",
    "of_regions": "outputs of the R-CNN",
    "crop": "crops, and warped regions",
    "parameters": "parameters of the RPN and the R-CNN",
    "sides": "shorter sides of dense tests",
    "numbers.maps": "maps",
    "numbers.rpn": "the RPN's scores and offsets",
    "numbers.regions": "the R-CNN's",
    "recipe.images": "images an iteration",
    "recipe.iterations": "iterations of a step",
    "recipe.learning_rates": "learning rates",
    "recipe.momentum": "momentum",
    "recipe.weight_decay": "weight decay",
    "recipe.sides": "shorter sides",
    "recipe.flip": "mirrored",
}


def compare(entry: LocalizerEntry, code: Path) -> Comparison:
    """The localizer's code (its localizer.py) against its spec and the paper.

    Raises:
        Failure: there is no such file, or it does not run (exit code 2); torch is missing (4).
    """
    answers = answers_of(entry.name, code, ASK, {"classes": entry.spec.classes})
    does = words(answers)
    does |= {f"numbers.{key}": closeness(by) for key, by in answers["numbers"].items()}
    headings = {**PARTS, Part.RECIPE: "recipe, appendix C and section 3.4"}
    return Comparison(
        "paper: appendix C", code.as_posix(), tuple(rows(entry, does)), True, headings
    )


def rows(entry: LocalizerEntry, does: Mapping[str, str]) -> list[Row]:
    """All rows; `does` is what the code does, in words, by the keys of LABELS."""
    means = dict.fromkeys((key for key in LABELS if key.startswith("numbers.")), "equal")
    means |= words(specified(entry))
    spec, recipe = entry.spec, entry.recipe
    lines = {
        "outputs": f"classes: {spec.classes}",
        "of_regions": f"classes: {spec.classes}",
        "sampled": f"anchors: {recipe.anchors}",
        "proposals": f"proposals: {spec.proposals}",
        "crop": f"backbone: {spec.backbone}",
        "recipe.images": f"batch_size: {recipe.batch_size}",
    }
    return judged(LABELS, printed(), means, does, lines)


def printed() -> dict[str, str]:
    """What appendix C has, by key."""
    paper = load("appendix", Appendix).localization
    return {
        "outputs": paper.outputs,
        "of_regions": paper.outputs,
        "sampled": f"{paper.anchors}, {paper.share} objects",
        "proposals": paper.proposals,
        "crop": paper.crop,
        "recipe.images": paper.images,
    }


def specified(entry: LocalizerEntry) -> dict[str, Any]:
    """What the spec means, in the form in which its code answers (see localizer_asking.py)."""
    spec, recipe, network = entry.spec, entry.recipe, of_a_crop(entry)
    scale = network.size / 224  # of the shorter sides that a recipe has for crops of 224
    rates = [recipe.learning_rate / 10**k for k in range(len(recipe.drops) + 1)]
    return {
        "convolutions": op.depth(network.trunk.layers),
        "stride": [STRIDE, STRIDE],
        "anchors": [spec.anchors.sizes, spec.anchors.ratios],
        "outputs": [spec.classes, 4 * spec.classes],
        "of_regions": [spec.classes, 4 * spec.classes],
        "parameters": [
            network.trunk.parameters + network.rpn.parameters,
            network.region.parameters + network.siblings.parameters,
        ],
        "crop": network.size,
        "sampled": recipe.anchors,
        "proposals": spec.proposals,
        "sides": spec.scales,
        "recipe": {
            "steps": 1,
            "iterations": recipe.iterations,
            "batch_size": recipe.batch_size,
            "pieces": [[k, rate] for k, rate in zip([0, *recipe.drops], rates, strict=True)],
            "momentum": recipe.momentum,
            "nesterov": False,
            "weight_decay": recipe.weight_decay,
            "flips": 0.5 if recipe.flip else 0.0,
            "sides": [round(side * scale) for side in recipe.shorter_side],
        },
    }


def words(has: Mapping[str, Any]) -> dict[str, str]:
    """The right side of each row, by its key."""
    recipe = has["recipe"]
    lengths, rates, _ = describing.schedule(recipe)
    return {
        "convolutions": f"{has['convolutions']}",
        "stride": describing.stride(has["stride"]),
        "anchors": describing.anchors(*has["anchors"]),
        "outputs": describing.siblings(has["outputs"]),
        "sampled": f"{has['sampled']}, 50% objects",
        "proposals": f"{has['proposals']}",
        "of_regions": describing.siblings(has["of_regions"]),
        "crop": f"{has['crop']}",
        "parameters": " and ".join(f"{count:,}" for count in has["parameters"]),
        "sides": describing.numbers(has["sides"]),
        "recipe.images": f"{recipe['batch_size']}",
        "recipe.iterations": lengths,
        "recipe.learning_rates": rates,
        "recipe.momentum": describing.momentum(recipe),
        "recipe.weight_decay": f"{recipe['weight_decay']:g}",
        "recipe.sides": "{} to {}".format(*recipe["sides"]),
        "recipe.flip": describing.share(recipe["flips"]),
    }
