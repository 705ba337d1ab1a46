"""What one and two training steps do to weights: the loss, the momentum, the weight decay."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_gen.compare.recipe.rehearsal import Rehearsal

RATE = 0.125  # exact in float32 too, which some optimizers keep it in
SAME = 1e-6  # relative; the weights are float64, the images and scores float32


class Fit(NamedTuple):
    """SGD's numbers that come nearest to two steps with given gradients."""

    momentum: float
    decays: list[float]  # of each parameter
    plain: bool  # whether they are v ← momentum·v + gradient + decay·w and w ← w − rate·v


def measured(rehearsal: Rehearsal, batch: tuple[Any, ...]) -> dict[str, Any]:
    """Two steps of the script's trainer on a batch, and which momentum and decays they show.

    `loss`: whether the steps follow the gradients of the mean cross-entropy, by torch; `plain`:
    whether they are SGD's by these gradients, or else by those that the script leaves behind.
    `decays` are by the name of the parameter; those that no step moves are in `still`.
    """
    trainer = rehearsal.trainer
    network, seen = trainer.model, list[Tensor]()
    trainer.optimizer.state.clear()  # of steps that were taken for another purpose
    hook = network.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    weights, expected, left = [_weights(network)], list[list[Tensor]](), list[list[Tensor]]()
    for _ in range(2):
        set_rate(trainer, RATE)
        reference = copy.deepcopy(network)
        trainer.train_step(*batch)
        expected.append(_gradients(reference, seen[-1], batch, rehearsal.design))
        left.append([_left(parameter) for parameter in network.parameters()])
        weights.append(_weights(network))
    hook.remove()
    moved = [[(a - b) / RATE for a, b in zip(*pair, strict=True)] for pair in pairwise(weights)]
    names = [name for name, _ in network.named_parameters()]
    trained = [k for k in range(len(names)) if moved[0][k].any() or moved[1][k].any()]
    fit = _fit(moved, expected, weights, trained)
    loss = fit.plain or all(_close(left[n][k], expected[n][k]) for n in range(2) for k in trained)
    if not fit.plain:
        fit = _fit(moved, left, weights, trained)
    groups = trainer.optimizer.param_groups
    return {
        "class": type(trainer.optimizer).__name__,
        "nesterov": any(group.get("nesterov", False) for group in groups),
        "plain": fit.plain,
        "momentum": fit.momentum if fit.plain else float(groups[0].get("momentum", 0)),
        "decays": {names[k]: fit.decays[k] for k in trained}
        if fit.plain
        else _of_groups(network, groups),
        "still": [name for k, name in enumerate(names) if k not in trained],
        "loss": loss,
    }


def _fit(
    moved: list[list[Tensor]],
    gradients: list[list[Tensor]],
    weights: list[list[Tensor]],
    trained: list[int],
) -> Fit:
    """The first step shows the decays, the second the momentum; both say whether that is all."""
    decays = [_along(m - g, w) for m, g, w in zip(moved[0], gradients[0], weights[0], strict=True)]
    first = [gradients[0][k] + decays[k] * weights[0][k] for k in trained]
    second = [gradients[1][k] + decays[k] * weights[1][k] for k in trained]
    rest = [moved[1][k] - step for k, step in zip(trained, second, strict=True)]
    momentum = _along(_flat(rest), _flat([moved[0][k] for k in trained])) if trained else 0.0
    plain = all(
        _close(moved[0][k], one) and _close(moved[1][k], momentum * moved[0][k] + other)
        for k, one, other in zip(trained, first, second, strict=True)
    )
    return Fit(momentum, decays, plain)


def set_rate(trainer: Any, rate: float) -> None:
    """Gives the optimizer a learning rate, in the tensor that it reads where it has one."""
    for group in trainer.optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def _gradients(
    network: nn.Module, inputs: Tensor, batch: tuple[Any, ...], design: str
) -> list[Tensor]:
    """Of the mean cross-entropy, by torch."""
    labels = batch[1] if design == "imagenet" else batch[0].labels[batch[1]]
    loss = F.cross_entropy(network(inputs).float(), labels)
    return list(torch.autograd.grad(loss, list(network.parameters())))


def _of_groups(network: nn.Module, groups: list[dict[str, Any]]) -> dict[str, float]:
    """The weight decay that each parameter's group names."""
    decays = {id(p): float(g.get("weight_decay", 0)) for g in groups for p in g["params"]}
    return {name: decays.get(id(p), 0.0) for name, p in network.named_parameters()}


def _along(vector: Tensor, direction: Tensor) -> float:
    """How many times `direction` is in `vector`, by least squares."""
    square = (direction * direction).sum()
    return float((vector * direction).sum() / square) if square > 0 else 0.0


def _close(one: Tensor, other: Tensor) -> bool:
    size = max(float(one.norm()), float(other.norm()))
    return float((one - other).norm()) <= SAME * size + 1e-12


def _weights(network: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in network.parameters()]


def _left(parameter: nn.Parameter) -> Tensor:
    """The gradient that a step leaves behind."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()


def _flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])
