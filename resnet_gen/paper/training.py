"""What sections 3.4 and 4.2 print about training: as text, and as the recipe that it means."""

from __future__ import annotations

from typing import Any

from resnet_gen.paper.tables import CifarTraining, ImagenetTraining, Training, load
from resnet_gen.read.network_spec import NetworkSpec

Section = CifarTraining | ImagenetTraining


def section(design: str) -> Section:
    """Section 4.2 for `cifar`, 3.4 for `imagenet`."""
    found = load("training", Training)
    sections: dict[str, Section] = {"cifar": found.cifar, "imagenet": found.imagenet}
    return sections[design]


def printed(spec: NetworkSpec) -> dict[str, str]:
    """What the section prints, by the keys of a comparison's rows; the unprinted are not there."""
    paper = section(spec.design)
    text = {
        "iterations": paper.iterations,
        "batch_size": paper.batch_size,
        "momentum": paper.momentum,
        "weight_decay": paper.weight_decay,
        "mean": paper.mean,
        "crop": f"{paper.crop}, at random",
        "flip": paper.flip,
    }
    if isinstance(paper, ImagenetTraining):
        text |= {
            "learning_rate": f"{paper.learning_rate}, divided by 10 {paper.drops}",
            "optimizer": paper.optimizer,
            "shorter_side": paper.shorter_side,
            "colour": paper.colour,
        }
        return text
    text |= {
        "learning_rate": f"{paper.learning_rate}, divided by 10 at {paper.drops}",
        "held_out": f"{paper.split} split",
        "padding": f"{paper.padding} on each side",
    }
    if is_warmed_up(spec):
        text["warmup"] = (
            f"{paper.warmup.learning_rate} until the training error is below "
            f"{paper.warmup.training_error}%"
        )
    return text


def is_warmed_up(spec: NetworkSpec) -> bool:
    """Whether section 4.2 begins the network's training with a smaller rate."""
    paper = section(spec.design)
    residual = spec.shortcut != "none"
    return isinstance(paper, CifarTraining) and residual and spec.depth == paper.warmup.depth


def meant(design: str) -> dict[str, Any]:
    """The printed text as a recipe's lines, without those that it leaves open.

    The warm-up is that of the depth that has one.
    """
    paper = section(design)
    lines: dict[str, Any] = {
        "iterations": count(paper.iterations),
        "batch_size": count(paper.batch_size),
        "learning_rate": float(paper.learning_rate),
        "momentum": float(paper.momentum),
        "weight_decay": float(paper.weight_decay),
        "flip": bool(paper.flip),
    }
    if isinstance(paper, ImagenetTraining):
        low, high = paper.shorter_side.strip("[]").split(", ")
        return lines | {"drops": None, "shorter_side": [int(low), int(high)]}
    return lines | {
        "drops": [count(drop) for drop in paper.drops.split(" and ")],
        "padding": count(paper.padding),
        "validation": count(paper.split.split("/")[1]),
        "warmup": {
            "learning_rate": float(paper.warmup.learning_rate),
            "until_training_error": float(paper.warmup.training_error),
        },
    }


def count(text: str) -> int:
    """A printed count: 128, 64k, 60×10^4."""
    if text.endswith("k"):
        return 1_000 * int(text[:-1])
    factor, _, power = text.partition("×10^")
    return int(factor + "0" * int(power or 0))
