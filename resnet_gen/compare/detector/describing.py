"""A detector's answers in words: the same for what its spec means and for what its code does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

FRACTIONS = {"none": 0.0, "half": 0.5, "all": 1.0}
LEAST = 1e-9  # rates that differ by less are the same


def words(has: Mapping[str, Any]) -> dict[str, str]:
    """The right side of each row, by its key."""
    recipe, regions, testing = has["recipe"], has["regions"], has["testing"]
    norms, frozen = has["batch_norms"]
    before, after = has["proposals"]
    least, most = has["detections"]
    lengths, rates, warmup = schedule(recipe)
    return {
        "shared.convolutions": f"{has['shared_convolutions']}",
        "shared.stride": stride(has["stride"]),
        "batch_norm": "fixed" if norms == frozen else f"{frozen} of {norms} fixed",
        "anchors": anchors(*has["anchors"]),
        "proposals": f"{after}",
        "proposals.before": f"{before:,}",
        "siblings": siblings(has["siblings"]),
        "siblings.deviations": numbers(has["deviations"]),
        "parameters": f"{has['parameters']:,}",
        "shorter_side": f"{min(has['resized'][0])}",
        "longer_side": f"{max(has['resized'][1])}",
        "rpn": _sampled(has["rpn"]),
        "regions": _sampled(regions),
        "rpn.nms": f"{has['rpn']['nms']:g}",
        "nms": f"{regions['nms']:g}",
        "detections": f"{most}, of scores above {least:g}",
        "refinement": "none" if testing["voters"] is None
        else f"boxes of overlap {testing['voters']:g} vote",
        "scales": numbers(testing["scales"]),
        "scales.region": "" if testing["region"] is None else f"{testing['region']}²",
        "recipe.steps": f"{recipe['steps']}",
        "recipe.images": f"{recipe['rpn_batch_size']} for the RPN, "
        f"{recipe['batch_size']} for the regions",
        "recipe.proposals": f"{recipe['proposals']:,}",
        "recipe.iterations": lengths,
        "recipe.learning_rates": rates,
        "recipe.warmup": warmup,
        "recipe.momentum": momentum(recipe),
        "recipe.weight_decay": f"{recipe['weight_decay']:g}",
        "recipe.flip": share(recipe["flips"]),
    }  # fmt: skip


def anchors(sizes: Sequence[float], ratios: Sequence[float]) -> str:
    """128², 256²; 0.5, 1."""
    return f"{', '.join(f'{size:g}²' for size in sizes)}; {numbers(ratios)}"


def schedule(recipe: Mapping[str, Any]) -> tuple[str, str, str]:
    """How long each rate lasts, the rates, and the warm-up, of each step where steps differ."""
    of_step = recipe["iterations"] // recipe["steps"]
    ends = [*(first for first, _ in recipe["pieces"][1:]), recipe["iterations"]]
    pieces = [(first, end, rate) for (first, rate), end in zip(recipe["pieces"], ends, strict=True)]
    lengths, rates, warmups = [], [], []
    for step in range(recipe["steps"]):
        start, stop = step * of_step, (step + 1) * of_step
        spans = [
            (min(end, stop) - max(first, start), rate)
            for first, end, rate in pieces
            if first < stop and end > start
        ]
        rising, spans = _rising(spans)
        lengths.append(" and ".join(_thousands(length) for length, _ in spans))
        rates.append(" and ".join(f"{rate:g}" for _, rate in spans))
        warmups.append(_warmup(rising, spans[0][1] if spans else 0.0))
    return _once(lengths), _once(rates), _once(warmups)


def _rising(
    spans: list[tuple[int, float]],
) -> tuple[list[float], list[tuple[int, float]]]:
    """The rates of a warm-up, and the spans after it, the first of which it is counted to."""
    rates = list[float]()
    rest = spans
    while len(rest) > 1 and rest[0][1] < rest[1][1]:
        rates += [rest[0][1]] * rest[0][0]
        rest = rest[1:]
    length, rate = rest[0]
    return rates, [(length + len(rates), rate), *rest[1:]]


def _warmup(rising: list[float], then: float) -> str:
    if not rising:
        return "none"
    steps = [after - before for before, after in pairwise([*rising, then])]
    even = max(steps) - min(steps) <= LEAST + 1e-6 * then
    return f"{len(rising) + 1} iterations from {rising[0]:g}{'' if even else ', in uneven steps'}"


def _once(texts: Sequence[str]) -> str:
    return texts[0] if len(set(texts)) == 1 else "; ".join(texts)


def stride(sides: Sequence[int]) -> str:
    """The stride, or both where they differ."""
    return " and ".join(f"{side}" for side in dict.fromkeys(sides))


def siblings(outputs: Sequence[int]) -> str:
    """Two sibling layers by the numbers of their outputs."""
    return f"{outputs[0]} scores, {outputs[1] / 4:g} boxes"


def momentum(recipe: Mapping[str, Any]) -> str:
    """Momentum, and whether it is Nesterov's."""
    return f"{recipe['momentum']:g}{', Nesterov' * recipe['nesterov']}"


def numbers(values: Sequence[float]) -> str:
    """Some numbers in a row."""
    return ", ".join(f"{value:g}" for value in values)


def _sampled(has: Mapping[str, float]) -> str:
    overlaps = numbers(list(dict.fromkeys([has["positive"], has["negative"]])))
    return f"{has['images']}, of overlap {overlaps}, {has['share']:.0%} objects"


def share(measured: float) -> str:
    """A share that was measured on many draws."""
    near = (word for word, of in FRACTIONS.items() if abs(measured - of) < 0.05)
    return next(near, f"{measured:.0%}")


def _thousands(count: int) -> str:
    return f"{count // 1000}k" if count % 1000 == 0 and count else f"{count:,}"
