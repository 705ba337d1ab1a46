"""A detector's rows: what appendix A prints | what the spec means | what the code does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resnet_gen.compare.detector import describing, specified
from resnet_gen.compare.rows import CHANGED, Comparison, Part, Row, Verdict
from resnet_gen.errors import Failure, Problem
from resnet_gen.generate import apart
from resnet_gen.paper.appendix import Appendix
from resnet_gen.paper.tables import load
from resnet_gen.read.detectors import DetectorEntry

ASK, TIME_LIMIT = "resnet_gen.compare.detector.asking:ask", 300
CLOSE = 1e-4  # of the largest number: more than two orders of the same sums differ by
PARTS = {
    Part.NUMBERS: "numbers, with random weights, against the backbone's own layers",
    Part.RECIPE: "recipe, appendix A",
}
LABELS = {
    "shared.convolutions": "shared convolutions",
    "shared.stride": "their stride",
    "batch_norm": "batch norm",
    "anchors": "anchors",
    "proposals": "proposals of a test",
    "proposals.before": "those before NMS, at most",
    "siblings": "sibling layers",
    "siblings.deviations": "offsets are multiplied by",
    "parameters": "parameters",
    "shorter_side": "shorter side",
    "longer_side": "longer side, at most",
    "rpn": "anchors learned from",
    "regions": "regions learned from",
    "rpn.nms": "NMS of proposals",
    "nms": "NMS of detections",
    "detections": "detections of a test, at most",
    "refinement": "box refinement",
    "scales": "shorter sides of a test",
    "scales.region": "area that chooses two of them",
    "numbers.trunk": "shared maps",
    "numbers.regions": "regions' features",
    "numbers.mean": "images less their mean",
    "numbers.detections": "detections in an image",
    "recipe.steps": "alternating steps",
    "recipe.images": "images an iteration",
    "recipe.proposals": "proposals that regions are of",
    "recipe.iterations": "iterations of a step",
    "recipe.learning_rates": "learning rates",
    "recipe.warmup": "warm-up",
    "recipe.momentum": "momentum",
    "recipe.weight_decay": "weight decay",
    "recipe.flip": "mirrored",
}
PART_OF = {"numbers": Part.NUMBERS, "recipe": Part.RECIPE}
OTHER_SPEC = "the spec sets {line}; the paper has another value"


def compare(entry: DetectorEntry, code: Path) -> Comparison:
    """The detector's code (its detector.py) against its spec and the paper.

    Raises:
        Failure: there is no such file, or it does not run (exit code 2); torch is missing (4).
    """
    answers = answers_of(entry.name, code, ASK, given(entry))
    does = describing.words(answers)
    does |= {f"numbers.{key}": closeness(by) for key, by in answers["numbers"].items()}
    return Comparison("paper: appendix A", code.as_posix(), tuple(rows(entry, does)), True, PARTS)


def answers_of(name: str, code: Path, ask: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the code answers to the function `ask`, in a process of its own.

    Raises:
        Failure: as `compare`.
    """
    if not code.is_file():
        hint = f"make it with `resnet-gen generate {name}`"
        raise Failure(Problem("file", "there is no such file", hint, code.as_posix()))
    apart.require_torch()
    answers = apart.ask(ask, code, dict(given), TIME_LIMIT)
    if failure := apart.failed(answers):
        raise failure
    return answers


def given(entry: DetectorEntry) -> dict[str, Any]:
    """What of the spec decides how its code is asked."""
    spec = entry.spec
    return {
        "pool": spec.roi.kind == "pool",
        "size": spec.roi.size,
        "context": spec.context,
        "classes": spec.classes,
        "shorter_side": spec.shorter_side,
        "longer_side": spec.longer_side,
        **spec.testing.model_dump(include={"nms", "refine", "scales", "region"}),
    }


def rows(entry: DetectorEntry, does: Mapping[str, str]) -> list[Row]:
    """All rows; `does` is what the code does, in words, by the keys of LABELS."""
    means = dict.fromkeys((key for key in LABELS if key.startswith("numbers.")), "equal")
    means |= describing.words(specified.answers(entry))
    return judged(LABELS, printed(entry), means, does, lines_of(entry))


def judged(
    labels: Mapping[str, str],
    paper: Mapping[str, str],
    means: Mapping[str, str],
    does: Mapping[str, str],
    lines: Mapping[str, str],
) -> list[Row]:
    """The rows: what the paper says, what the spec means and what the code does, by key.

    Where spec and code agree and the paper has another value, the line of the spec is told.
    """
    found = []
    for key, label in labels.items():
        if not means[key] and not does[key]:
            continue
        part = PART_OF.get(key.partition(".")[0], Part.STRUCTURE)
        verdict, why = Verdict.EQUAL, ""
        if means[key] != does[key]:
            verdict, why = Verdict.DIFFERS, CHANGED
        elif paper.get(key, means[key]) != means[key] and key in lines:
            verdict, why = Verdict.DIFFERS, OTHER_SPEC.format(line=lines[key])
        row = Row(label, paper.get(key, ""), means[key], does[key], verdict, why, key, part)
        found.append(row)
    return found


def printed(entry: DetectorEntry) -> dict[str, str]:
    """What the paper, or Faster R-CNN where it refers to that, has, by key."""
    paper, recipe, spec = load("appendix", Appendix), entry.recipe, entry.spec
    ren, coco = paper.faster_rcnn, paper.coco
    found = {
        "shared.stride": paper.stride,
        "batch_norm": paper.batch_norm,
        "anchors": _anchors(ren.anchors.areas, ren.anchors.ratios),
        "proposals": paper.proposals,
        "shorter_side": paper.shorter_side,
        "rpn": f"{ren.rpn.anchors}, of overlap {ren.rpn.positive}, {ren.rpn.negative}, 50% objects",
        "regions": f"{ren.regions.images}, of overlap {ren.regions.positive}, "
        f"{ren.regions.share} objects",
        "rpn.nms": ren.rpn.nms,
        "nms": paper.refinement.nms,
        "recipe.steps": ren.steps,
        "recipe.momentum": ren.momentum,
        "recipe.weight_decay": ren.weight_decay,
    }
    if entry.backbone.name == paper.shared_convolutions.network:
        found["shared.convolutions"] = paper.shared_convolutions.printed
    if spec.testing.scales:
        found["scales"] = paper.scales.strip("{}")
    if recipe.name.startswith("coco"):
        found |= {
            "recipe.images": f"{coco.images_of_rpn} for the RPN, "
            f"{coco.images_of_regions} for the regions",
            "recipe.iterations": coco.iterations,
            "recipe.learning_rates": coco.learning_rates,
        }
    return found


def lines_of(entry: DetectorEntry) -> dict[str, str]:
    """The line of the spec that a row hangs on, by key."""
    spec, recipe = entry.spec, entry.recipe
    return {
        "anchors": f"anchors: {{sizes: {spec.anchors.sizes}, ratios: {spec.anchors.ratios}}}",
        "proposals": f"proposals: {spec.proposals}",
        "shorter_side": f"shorter_side: {spec.shorter_side}",
        "rpn": f"anchors: {recipe.anchors}",
        "regions": f"regions: {recipe.regions}",
        "nms": f"nms: {spec.testing.nms:g}",
        "scales": f"scales: {spec.testing.scales}",
        "recipe.steps": f"steps: {recipe.steps}",
        "recipe.images": f"batch_size: {recipe.batch_size}",
        "recipe.iterations": f"iterations: {recipe.iterations}, drops: {list(recipe.drops)}",
        "recipe.learning_rates": f"learning_rate: {recipe.learning_rate:g}",
        "recipe.momentum": f"momentum: {recipe.momentum:g}",
        "recipe.weight_decay": f"weight_decay: {recipe.weight_decay:g}",
    }


def closeness(apart_by: float) -> str:
    """How far numbers are from what they should be, in words."""
    return "equal" if apart_by <= CLOSE else f"{apart_by:.1g} of the largest apart"


def _anchors(areas: str, ratios: str) -> str:
    """Anchors as describing.py has them; ratios are printed as 2:1."""
    pairs = [pair.split(":") for pair in ratios.split(", ")]
    values = sorted(float(one) / float(other) for one, other in pairs)
    return f"{areas}; {', '.join(f'{value:g}' for value in values)}"
