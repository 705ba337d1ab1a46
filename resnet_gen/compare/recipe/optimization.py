"""What one and two training steps do to weights: the loss, the momentum, the weight decay."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_gen.compare.recipe.rehearsal import Rehearsal

RATE = 0.125  # exact in float32 too, which some optimizers keep it in
SAME = 1e-6  # relative; the weights are float64, the images and scores float32


def measured(rehearsal: Rehearsal, batch: tuple[Any, ...]) -> dict[str, Any]:
    """Two steps of the script's trainer on a batch, and which momentum and decays they show.

    `plain`: whether they are v ← momentum·v + gradient + decay·w and w ← w − rate·v. `decays` are
    by the name of the parameter; one that no step moves is in `still`.
    """
    trainer = rehearsal.trainer
    network, seen = trainer.model, list[Tensor]()
    trainer.optimizer.state.clear()  # of steps that were taken for another purpose
    hook = network.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    names = [name for name, _ in network.named_parameters()]
    weights, gradients, loss = [_weights(network)], [], True
    for _ in range(2):
        set_rate(trainer, RATE)
        reference = copy.deepcopy(network)
        trainer.train_step(*batch)
        expected = _gradients(reference, seen[-1], batch, rehearsal.design)
        found = [expected[k] if p.grad is None else p.grad for k, p in _numbered(network)]
        loss = loss and all(map(_close, found, expected))
        gradients.append([gradient.detach().clone() for gradient in found])
        weights.append(_weights(network))
    hook.remove()
    moved = [[(b - a) / -RATE for a, b in zip(*pair, strict=True)] for pair in _pairs(weights)]
    still = [name for k, name in enumerate(names) if not (moved[0][k].any() or moved[1][k].any())]
    trained = [k for k, name in enumerate(names) if name not in still]
    decays = [_along(moved[0][k] - gradients[0][k], weights[0][k]) for k in range(len(names))]
    rest = [moved[1][k] - gradients[1][k] - decays[k] * weights[1][k] for k in trained]
    before = [moved[0][k] for k in trained]
    momentum = _along(torch.cat([*map(torch.flatten, rest)]), _flat(before)) if trained else 0.0
    plain = all(
        _close(moved[0][k], gradients[0][k] + decays[k] * weights[0][k])
        and _close(
            moved[1][k], momentum * moved[0][k] + gradients[1][k] + decays[k] * weights[1][k]
        )
        for k in trained
    )
    groups = trainer.optimizer.param_groups
    return {
        "class": type(trainer.optimizer).__name__,
        "nesterov": any(group.get("nesterov", False) for group in groups),
        "plain": plain,
        "momentum": momentum if plain else float(groups[0].get("momentum", 0)),
        "decays": {names[k]: decays[k] for k in trained} if plain else _of_groups(network, groups),
        "still": still,
        "loss": loss,
    }


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


def _numbered(network: nn.Module) -> list[tuple[int, nn.Parameter]]:
    return list(enumerate(network.parameters()))


def _pairs(weights: list[list[Tensor]]) -> list[tuple[list[Tensor], list[Tensor]]]:
    return list(pairwise(weights))


def _flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])
