"""A detector's rows: what appendix A prints | what the spec means | what the code does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from resnet_gen.compare.rows import CHANGED, Comparison, Part, Row, Verdict
from resnet_gen.errors import Failure, Problem
from resnet_gen.generate import apart
from resnet_gen.network.detector import STRIDE, of_an_image, shared_convolutions
from resnet_gen.paper.appendix import Appendix
from resnet_gen.paper.tables import load
from resnet_gen.read.detectors import DetectorEntry

ASK, TIME_LIMIT = "resnet_gen.compare.detector.asking:ask", 300
CLOSE = 1e-4  # of the largest number
PARTS = {
    Part.NUMBERS: "numbers, with random weights, against the backbone's own layers",
    Part.RECIPE: "recipe, appendix A",
}
OTHER_SPEC = "the spec sets {line}; the paper has another value"


class Words(NamedTuple):
    """A row before it is judged."""

    what: str
    paper: str  # nothing where the paper does not say
    spec: str
    code: str
    line: str = ""  # of the spec, which another value than the paper's hangs on
    part: Part = Part.STRUCTURE


def compare(entry: DetectorEntry, code: Path) -> Comparison:
    """The detector's code (its detector.py) against its spec and the paper.

    Raises:
        Failure: there is no such file, or it does not run (exit code 2); torch is missing (4).
    """
    if not code.is_file():
        hint = f"make it with `resnet-gen generate {entry.name}`"
        raise Failure(Problem("file", "there is no such file", hint, code.as_posix()))
    apart.require_torch()
    spec = entry.spec
    given = {"pool": spec.roi.kind == "pool", "size": spec.roi.size, "context": spec.context}
    answers = apart.ask(ASK, code, given | {"classes": spec.classes}, TIME_LIMIT)
    if failure := apart.failed(answers):
        raise failure
    rows = [_row(key, words) for key, words in all_words(entry, answers).items()]
    return Comparison("paper: appendix A", code.as_posix(), tuple(rows), True, PARTS)


def all_words(entry: DetectorEntry, answers: Mapping[str, Any]) -> dict[str, Words]:
    """Every row, by its key."""
    return {
        **_structure(entry, answers),
        **_numbers(answers["numbers"]),
        **_recipe(entry, answers["recipe"]),
    }


def _row(key: str, words: Words) -> Row:
    what, paper, spec, code, line, part = words
    verdict, why = Verdict.EQUAL, ""
    if spec != code:
        verdict, why = Verdict.DIFFERS, CHANGED
    elif paper and paper != spec and line:
        verdict, why = Verdict.DIFFERS, OTHER_SPEC.format(line=line)
    return Row(what, paper, spec, code, verdict, why, key, part)


def _structure(entry: DetectorEntry, has: Mapping[str, Any]) -> dict[str, Words]:
    paper, spec, network = load("appendix", Appendix), entry.spec, of_an_image(entry)
    ren, printed = paper.faster_rcnn, paper.shared_convolutions
    convolutions = shared_convolutions(network.trunk.layers)
    own = printed.printed if entry.backbone.name == printed.network else ""
    batch_norms = has["batch_norms"]
    frozen = (
        "fixed" if batch_norms[0] == batch_norms[1] else "{1} of {0} fixed".format(*batch_norms)
    )
    outputs = spec.classes + 1
    return {
        "shared.convolutions": Words(
            "shared convolutions", own, f"{convolutions}", f"{has['shared_convolutions']}"
        ),
        "shared.stride": Words(
            "their stride", paper.stride, f"{STRIDE}", _one_or_both(has["stride"])
        ),
        "batch_norm": Words("batch norm", paper.batch_norm, "fixed", frozen),
        "anchors": Words(
            "anchors",
            _anchors_as_printed(ren.anchors.areas, ren.anchors.ratios),
            _anchors(spec.anchors.sizes, spec.anchors.ratios),
            _anchors(*has["anchors"]),
            f"anchors: {{sizes: {spec.anchors.sizes}, ratios: {spec.anchors.ratios}}}",
        ),
        "proposals": Words(
            "proposals of a test", paper.proposals, f"{spec.proposals}", f"{has['proposals']}",
            f"proposals: {spec.proposals}",
        ),
        "siblings": Words(
            "sibling layers", "", f"{outputs} scores, {outputs} boxes", _siblings(has["siblings"])
        ),
        "parameters": Words(
            "parameters", "", f"{network.parameters:,}", f"{has['parameters']:,}"
        ),
        "shorter_side": Words(
            "shorter side", paper.shorter_side, f"{spec.shorter_side}", _shorter(has["resized"]),
            f"shorter_side: {spec.shorter_side}",
        ),
        "longer_side": Words(
            "longer side, at most", "", f"{spec.longer_side}", f"{max(has['resized'][1])}"
        ),
        "rpn": Words(
            "anchors learned from",
            _sampled(ren.rpn.anchors, ren.rpn.positive, ren.rpn.negative, "50%"),
            _sampled(entry.recipe.anchors, 0.7, 0.3, "50%"),
            _sampled_by(has["rpn"]),
            f"anchors: {entry.recipe.anchors}",
        ),
        "regions": Words(
            "regions learned from",
            _sampled(
                ren.regions.images, ren.regions.positive, ren.regions.positive, ren.regions.share
            ),
            _sampled(entry.recipe.regions, 0.5, 0.5, "25%"),
            _sampled_by(has["regions"]),
            f"regions: {entry.recipe.regions}",
        ),
        "rpn.nms": Words("NMS of proposals", ren.rpn.nms, "0.7", f"{has['rpn']['nms']:g}"),
        "nms": Words(
            "NMS of detections", paper.refinement.nms, f"{spec.testing.nms:g}",
            f"{has['regions']['nms']:g}", f"nms: {spec.testing.nms:g}",
        ),
    }  # fmt: skip


def _numbers(apart_by: Mapping[str, float]) -> dict[str, Words]:
    labels = {
        "trunk": "shared maps",
        "regions": "regions' features",
        "mean": "images less their mean",
    }
    return {
        f"numbers.{key}": Words(label, "", "equal", _closeness(apart_by[key]), part=Part.NUMBERS)
        for key, label in labels.items()
    }


def _recipe(entry: DetectorEntry, does: Mapping[str, Any]) -> dict[str, Words]:
    paper, recipe = load("appendix", Appendix), entry.recipe
    ren, of_coco = paper.faster_rcnn, recipe.name.startswith("coco")
    steps = 4 if recipe.steps == "alternating" else 1
    rpn = recipe.rpn_batch_size or recipe.batch_size
    coco = paper.coco
    rates = [recipe.learning_rate / 10**k for k in range(len(recipe.drops) + 1)]
    starts = [0, *recipe.drops]
    planned = [
        [step * recipe.iterations + start, rate]
        for step in range(steps)
        for start, rate in zip(starts, rates, strict=True)
    ]
    measured = does["pieces"]
    if recipe.warmup:  # whose rates are compared one by one
        planned = _warmed_up(planned, recipe.warmup, recipe.learning_rate)
    images = f"{coco.images_of_rpn} for the RPN, {coco.images_of_regions} for the regions"
    lengths = [b - a for a, b in zip(starts, [*recipe.drops, recipe.iterations], strict=True)]
    rows = {
        "steps": Words(
            "alternating steps", ren.steps, f"{steps}", f"{does['steps']}",
            f"steps: {recipe.steps}",
        ),
        "images": Words(
            "images an iteration", images if of_coco else "",
            f"{rpn} for the RPN, {recipe.batch_size} for the regions",
            f"{does['rpn_batch_size']} for the RPN, {does['batch_size']} for the regions",
            f"batch_size: {recipe.batch_size}",
        ),
        "iterations": Words(
            "iterations of a step", coco.iterations if of_coco else "",
            " and ".join(_thousands(length) for length in lengths),
            _lengths(measured, planned, does["iterations"], steps, lengths),
            f"iterations: {recipe.iterations}",
        ),
        "learning_rates": Words(
            "learning rates", coco.learning_rates if of_coco else "",
            " and ".join(f"{rate:g}" for rate in rates),
            " and ".join(f"{rate:g}" for rate in _distinct(measured, recipe.warmup or 0)),
            f"learning_rate: {recipe.learning_rate:g}",
        ),
        "momentum": Words(
            "momentum", ren.momentum, f"{recipe.momentum:g}",
            f"{does['momentum']:g}{', Nesterov' * does['nesterov']}",
            f"momentum: {recipe.momentum:g}",
        ),
        "weight_decay": Words(
            "weight decay", ren.weight_decay, f"{recipe.weight_decay:g}",
            f"{does['weight_decay']:g}", f"weight_decay: {recipe.weight_decay:g}",
        ),
        "flip": Words(
            "mirrored", "", "half" if recipe.flip else "none", _share(does["flips"]),
        ),
    }  # fmt: skip
    return {f"recipe.{key}": words._replace(part=Part.RECIPE) for key, words in rows.items()}


def _one_or_both(strides: list[int]) -> str:
    return f"{strides[0]}" if strides[0] == strides[1] else f"{strides[0]} and {strides[1]}"


def _anchors(sizes: Sequence[float], ratios: Sequence[float]) -> str:
    return f"{', '.join(f'{s:g}²' for s in sizes)}; {', '.join(f'{r:g}' for r in ratios)}"


def _anchors_as_printed(areas: str, ratios: str) -> str:
    """The ratios, which are printed as 2:1, as heights over widths."""
    values = []
    for pair in ratios.split(", "):
        one, other = (float(part) for part in pair.split(":"))
        values.append(one / other)
    return f"{areas}; {', '.join(f'{value:g}' for value in sorted(values))}"


def _siblings(outputs: list[int]) -> str:
    return f"{outputs[0]} scores, {outputs[1] / 4:g} boxes"


def _shorter(resized: list[list[int]]) -> str:
    return f"{min(resized[0])}"


def _sampled(count: object, positive: object, negative: object, share: str) -> str:
    one, other = (f"{float(str(value)):g}" for value in (positive, negative))
    overlaps = f"{one}" if one == other else f"{one}, {other}"
    return f"{count}, of overlap {overlaps}, {share} objects"


def _sampled_by(has: Mapping[str, float]) -> str:
    return _sampled(has["images"], has["positive"], has["negative"], f"{has['share']:.0%}")


def _closeness(apart_by: float) -> str:
    return "equal" if apart_by <= CLOSE else f"{apart_by:.1g} of the largest apart"


def _share(share: float) -> str:
    known = {"none": 0.0, "half": 0.5, "all": 1.0}
    return next((word for word, of in known.items() if abs(share - of) < 0.05), f"{share:.0%}")


def _thousands(count: int) -> str:
    return f"{count // 1000}k" if count % 1000 == 0 and count else f"{count:,}"


def _warmed_up(planned: list[list[float]], over: int, rate: float) -> list[list[float]]:
    rising = [[step, rate * (step + 1) / over] for step in range(over - 1)]
    return [*rising, [over - 1, rate], *planned[1:]]


def _distinct(pieces: list[list[float]], warmup: int) -> list[float]:
    """The rates in the order in which they fall, without those of a warm-up."""
    return sorted({rate for first, rate in pieces if first >= warmup - 1}, reverse=True)


def _lengths(
    measured: list[list[float]],
    planned: list[list[float]],
    iterations: int,
    steps: int,
    lengths: list[int],
) -> str:
    """The lengths of a step as the code has them, if its rates change where the spec's do."""
    same = len(measured) == len(planned) and all(
        one[0] == other[0] and abs(one[1] - other[1]) <= 1e-9 * other[1]
        for one, other in zip(measured, planned, strict=True)
    )
    if same and iterations == steps * sum(lengths):
        return " and ".join(_thousands(length) for length in lengths)
    changes = ", ".join(f"{rate:g} from {int(first):,}" for first, rate in measured[:6])
    return f"{changes}; {iterations:,} in all"
