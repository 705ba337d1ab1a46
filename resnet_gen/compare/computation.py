"""The layer list and the code, computed with the same random weights and images, and compared.

In float64, so that what is left between the two is rounding; in float32 where the code casts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose
from typing import Any

import torch
from torch import nn

from resnet_gen.compare.filling import Filled, filled
from resnet_gen.compare.layer_json import layer_of
from resnet_gen.compare.locating import Located, distance, locate
from resnet_gen.compare.matching import match
from resnet_gen.compare.numbers import Finding, Quantity
from resnet_gen.compare.trial import Code, Results, Trial
from resnet_gen.network.initialisation import Distribution
from resnet_gen.network.layers import Layer, has_dropout

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}  # of the largest value of a tensor
NUDGE = {torch.float64: 1e-14, torch.float32: 1e-6}  # of the images: what rounding may do
MARGIN = 100.0  # times what the nudge does to the layer list's own results
HOPELESS = 1e-3  # a tolerance beyond which a comparison of results says nothing
SMALL_GRADIENT = 1e-6  # of the largest: below it, a tensor's gradient is rounding

Build = Callable[[], nn.Module]


@dataclass(frozen=True)
class Outcome:
    """What is found at one size and precision; `names` are the weights' names in the code."""

    findings: list[Finding]
    casts: bool = False  # whether the code computes in another precision than it was given
    names: Mapping[str, str] | None = None


def compare_numbers(
    build: Callable[..., nn.Module], request: Mapping[str, Any], order: Sequence[str]
) -> list[Finding]:
    """Every quantity of numbers.py, for the network that `build(num_classes=...)` makes.

    `order` has the names of the code's modules as they run.
    """

    def make() -> nn.Module:
        return build(num_classes=request["classes"])

    sizes = {int(size): [layer_of(f) for f in fields] for size, fields in request["layers"].items()}
    outcome = Outcome([])
    for number, (size, layers) in enumerate(sizes.items()):
        for dtype in (torch.float64, torch.float32):
            trial = Trial.of(layers, request["channels"], size, dtype)
            again = _at(trial, make, order, scores_first=number > 0)
            outcome = again or outcome
            if again is None or not again.casts:
                break
        if not _scores_differ(outcome.findings):
            break
    found = outcome.findings
    if outcome.names:
        found.append(_initialisation(make, trial.images.shape, request["initial"], outcome.names))
    if request["other"]:
        size, layers = next(iter(sizes.items()))
        trial = Trial.of(layers, request["channels"], size, torch.float64)
        found.append(_other(trial, [layer_of(f) for f in request["other"]], request["other_name"]))
    return found


def _scores_differ(findings: Sequence[Finding]) -> bool:
    scores = (Quantity.OUTPUTS, Quantity.EVALUATION)
    return any(each.quantity in scores and not each.equal for each in findings)


def _at(trial: Trial, build: Build, order: Sequence[str], *, scores_first: bool) -> Outcome | None:
    """What is found at one size and precision.

    With `scores_first`, nothing more is computed where the scores differ here too: None.
    """
    dtype, before = trial.images.dtype, torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        torch.manual_seed(0)
        return _compare(build(), trial, order, scores_first=scores_first)
    except Exception as error:  # of the code, which may be anybody's edit
        message = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        mixed = any(word in message for word in ("dtype", "Float", "Double"))
        failed = Finding(Quantity.OUTPUTS, "computed", message, equal=False)
        return Outcome([failed], mixed and dtype == torch.float64)
    finally:
        torch.set_default_dtype(before)


def _compare(
    model: nn.Module, trial: Trial, order: Sequence[str], *, scores_first: bool
) -> Outcome | None:
    if any(nn.parameter.is_lazy(p) for p in model.parameters()):
        with torch.no_grad():  # a lazy module has no parameters before its first input
            model.eval()(trial.images.clone())
    tensors = {k: v for k, v in model.state_dict().items() if v.is_floating_point()}
    names = match(
        {name: tuple(value.shape) for name, value in trial.weights.items()},
        {name: tuple(value.shape) for name, value in tensors.items()},
        order,
    )
    learned = {name for name, _ in model.named_parameters()}
    left = sorted({*(trial.weights.keys() - names.keys()), *(learned - set(names.values()))})
    if left:
        more = f" and {len(left) - 3} more" if left[3:] else ""
        why = f"without a partner in name and shape: {', '.join(left[:3])}{more}"
        said = "matched", "cannot be matched"
        return Outcome([Finding(Quantity.WEIGHTS, *said, equal=False, why=why)])
    code = Code(model, names)
    if scores_first and not _same_scores(trial, code):
        return None
    comparison = _Comparison(trial, code)
    return Outcome(comparison.findings(), comparison.casts, names)


def _same_scores(trial: Trial, code: Code) -> bool:
    values, _ = trial.values(training=True)
    expected = values[trial.layers[-1].name]
    return distance(code.scores(trial, training=True), expected) <= HOPELESS


class _Comparison:
    """Both sides' results, and the verdict on each quantity."""

    def __init__(self, trial: Trial, code: Code) -> None:
        self.trial, self.code = trial, code
        self.expected = trial.results()
        self.settled = trial.settled(self.expected.statistics)
        self.found, self.unchanged = code.results(trial, self.settled)
        self.dtype = trial.images.dtype
        self.casts = False
        self.located: dict[bool, Located] = {}
        self.off = _distances(self.found, self.expected)
        self.tolerance = dict.fromkeys(self.off, TOLERANCE[self.dtype])
        if any(self._differs(what) for what in self.off):
            nudged = _distances(trial.nudged(NUDGE[self.dtype]).results(), self.expected)
            for what, each in nudged.items():
                widened = MARGIN * max(each.values(), default=0.0)
                self.tolerance[what] = max(self.tolerance[what], widened)

    def findings(self) -> list[Finding]:
        found = [self._judged(what) for what in self.off]
        found.append(self._repeatable())
        words = "unchanged", "unchanged" if self.unchanged else "overwritten"
        found.append(Finding(Quantity.UNCHANGED, *words, equal=self.unchanged))
        return found

    def _differs(self, what: Quantity) -> bool:
        return not max(self.off[what].values(), default=0.0) <= self.tolerance[what]

    def _judged(self, what: Quantity) -> Finding:
        off, tolerance = max(self.off[what].values(), default=0.0), self.tolerance[what]
        within = f"within {tolerance:.0e}"
        if tolerance > HOPELESS:
            return self._otherwise(what)
        if not self._differs(what):
            why = self._enlarged(what) if tolerance > TOLERANCE[self.dtype] else ""
            return Finding(what, within, f"{off:.0e}", equal=True, why=why)
        said = f"{off:.1e}" if off < float("inf") else "missing, or not finite"
        return Finding(what, within, said, equal=False, why=self._where(what))

    def _enlarged(self, what: Quantity) -> str:
        nudge = f"{NUDGE[self.dtype]:.0e}"
        return f"a change of the images by {nudge} makes {self.tolerance[what] / MARGIN:.0e} of it"

    def _where(self, what: Quantity) -> str:
        """The operation with which a difference begins."""
        if what in (Quantity.GRADIENTS, Quantity.IMAGES_GRADIENT):
            bad = self._layers_off(Quantity.GRADIENTS, self.tolerance[what])
            return f"{bad[-1]}: differs from here back" if bad else "that of the images alone"
        if what is Quantity.STATISTICS:
            return f"{self._layers_off(what, self.tolerance[what])[0]}: differs from here on"
        located = self._located(training=what is Quantity.OUTPUTS)
        return f"{located.first}: differs from here on" if located.first else ""

    def _layers_off(self, what: Quantity, tolerance: float) -> list[str]:
        """The layers one of whose tensors is off, in the order in which they run."""
        bad = {name.rpartition(".")[0] for name, v in self.off[what].items() if not v <= tolerance}
        return [layer.name for layer in self.trial.layers if layer.name in bad]

    def _located(self, *, training: bool) -> Located:
        if training in self.located:
            return self.located[training]
        trial = self.trial if training else self.settled
        self.code.give(trial)
        values, _ = trial.values(training=training)
        what = Quantity.OUTPUTS if training else Quantity.EVALUATION
        located = locate(
            self.code.model.train(training),
            trial.layers,
            values,
            trial.weights,
            min(self.tolerance[what], HOPELESS),
        )
        self.casts |= located.casts and self.dtype == torch.float64
        self.located[training] = located
        return located

    def _otherwise(self, what: Quantity) -> Finding:
        """Where so deep a network amplifies rounding beyond all sense.

        Each layer is compared by itself, and gradients are those of evaluation, where batch norms
        do not depend on their batch.
        """
        amplified = f"rounding alone changes it by {self.tolerance[what] / MARGIN:.0e}"
        limit = TOLERANCE[self.dtype]
        if what in (Quantity.GRADIENTS, Quantity.IMAGES_GRADIENT):
            found, _ = self.code.backward(self.settled, training=False)
            off = _gradients_off(found, self.settled.backward(training=False))
            worst = max(off[what].values(), default=0.0)
            why = f"{amplified} in training: compared in evaluation"
            return Finding(what, f"within {limit:.0e}", f"{worst:.0e}", worst <= limit, why)
        located = self._located(training=what is not Quantity.EVALUATION)
        why = f"{amplified}: each layer was compared by itself"
        right = located.local <= limit
        return Finding(what, f"within {limit:.0e} a layer", f"{located.local:.0e}", right, why)

    def _repeatable(self) -> Finding:
        """Whether the code draws random numbers as it runs: dropout, or a noise of its own."""
        off = max(
            distance(
                self.code.scores(trial, training=training, seed=1),
                self.found.outputs if training else self.found.evaluation,
            )
            for trial, training in ((self.trial, True), (self.settled, False))
        )
        same = off <= TOLERANCE[self.dtype]
        said = "the same scores" if same else f"scores differ by {off:.1e}"
        why = self._dropouts_left_out() if same else "the code draws random numbers as it runs"
        return Finding(Quantity.REPEATABLE, "the same scores", said, same, why)

    def _dropouts_left_out(self) -> str:
        left_out = "dropout, whose masks are random, is left out of all numbers"
        return left_out if has_dropout(self.trial.layers) else ""


def _distances(found: Results, expected: Results) -> dict[Quantity, dict[str, float]]:
    """How far each tensor is off, relative to its largest value, by what it is."""
    statistics = {
        name: distance(found.statistics.get(name), value)
        for name, value in expected.statistics.items()
    }
    return {
        Quantity.OUTPUTS: {"scores": distance(found.outputs, expected.outputs)},
        **_gradients_off(found, expected),
        **({Quantity.STATISTICS: statistics} if statistics else {}),
        Quantity.EVALUATION: {"scores": distance(found.evaluation, expected.evaluation)},
    }


def _gradients_off(found: Results, expected: Results) -> dict[Quantity, dict[str, float]]:
    largest = max(g.abs().max().item() for g in expected.gradients.values() if g is not None)
    gradients = {
        name: distance(found.gradients.get(name), value, SMALL_GRADIENT * largest)
        for name, value in expected.gradients.items()
    }
    images = distance(found.images_gradient, expected.images_gradient)
    return {Quantity.IMAGES_GRADIENT: {"images": images}, Quantity.GRADIENTS: gradients}


def _initialisation(
    build: Build,
    images: Sequence[int],
    initial: Mapping[str, Sequence[Any]],
    names: Mapping[str, str],
) -> Finding:
    """What the weights begin as, read from the calls that fill them."""
    begin, bad = filled(build, images), []
    for name, values in initial.items():
        expected, made = Distribution(*values), begin.get(names[name], "nothing")
        if not _same(expected, made):
            bad.append((name, str(expected), str(made)))
    if not bad:
        count = f"{len(initial)} tensors"
        return Finding(Quantity.INITIALISATION, count, count, equal=True)
    name, said, built = bad[0]
    more = f" and {len(bad) - 1} more" if bad[1:] else ""
    return Finding(Quantity.INITIALISATION, said, built, equal=False, why=f"{name}{more}")


def _same(expected: Distribution, made: Filled) -> bool:
    return (
        isinstance(made, Distribution)
        and made.kind == expected.kind
        and isclose(made.first, expected.first, rel_tol=1e-12)
        and isclose(made.second, expected.second, rel_tol=1e-12)
    )


def _other(trial: Trial, layers: Sequence[Layer], name: str) -> Finding:
    """Whether another network computes the same with these weights, where they fit it."""
    rival = Trial.of(layers, trial.images.shape[1], trial.images.shape[2], torch.float64)
    shapes = [{k: v.shape for k, v in side.weights.items()} for side in (trial, rival)]
    expected = f"as {name} computes it"
    if shapes[0] != shapes[1]:
        odd = sorted(k for k in shapes[0] | shapes[1] if shapes[0].get(k) != shapes[1].get(k))
        why = f"{len(odd)} of their weights differ in name or shape, {odd[0]} first"
        return Finding(Quantity.OTHER, expected, "its weights do not fit", equal=False, why=why)
    rival = replace(rival, weights=trial.weights)
    off = _distances(rival.results(), trial.results())
    worst = max(each for found in off.values() for each in found.values())
    same = worst <= TOLERANCE[torch.float64]
    said = expected if same else f"up to {worst:.1g} of the largest value away"
    why = "" if same else "the weights fit both networks, which compute something else with them"
    return Finding(Quantity.OTHER, expected, said, same, why)
