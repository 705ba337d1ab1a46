"""What asking a detector and asking a localizer have in common.

Both run in a process of their own, with random weights and made-up images.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from resnet_gen.errors import Failure
from resnet_gen.generate.apart import broken
from resnet_gen.generate.loading import load_folder

DRAWS = 4_000
Net = TypeVar("Net", bound=nn.Module)
Asked = Callable[[Any], dict[str, Any]]  # of the modules of a folder


def answers(path: Path, of_network: Asked, of_script: Asked) -> dict[str, Any]:
    """What the file at `path` and the train.py beside it answer to the two.

    Where either is broken: `{"problem": ..., "exit_code": ...}`.
    """
    running = path
    try:
        torch.manual_seed(0)
        code = load_folder(path.parent)
        document = of_network(code)
        running = path.with_name("train.py")
        return document | {"recipe": of_script(code)}
    except Failure as failure:
        return {"problem": asdict(failure.problems[0]), "exit_code": failure.exit_code}
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        return {"problem": asdict(broken(running, error)), "exit_code": 2}


def recipe(script: Any, trainer: Any) -> dict[str, Any]:
    """A train.py's rates by step, its optimizer's numbers, and how often it mirrors."""
    iterations, rng = script.ITERATIONS, random.Random(0)
    rates = (float(script.learning_rate(step, iterations)) for step in range(iterations))
    pieces = [(rate, next(group)[0]) for rate, group in groupby(enumerate(rates), lambda p: p[1])]
    (group,) = trainer.optimizer.param_groups
    return {
        "steps": 1,
        "iterations": iterations,
        "batch_size": script.BATCH_SIZE,
        "pieces": [[first, rate] for rate, first in pieces],
        "momentum": group["momentum"],
        "nesterov": bool(group["nesterov"]),
        "weight_decay": group["weight_decay"],
        "flips": sum(bool(script.augment(rng)) for _ in range(DRAWS)) / DRAWS,
    }


def lively(net: Net) -> Net:
    """The network with statistics that normalise, so that no layer's numbers explode or vanish."""
    net.train()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    with torch.no_grad():
        net(torch.randn(4, 3, 96, 96))
    for norm in norms:
        norm.momentum = 0.1
    return net.eval()


def apart(one: Tensor, other: Tensor) -> float:
    """How far two results are apart at most, as a share of the largest number."""
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-12))
