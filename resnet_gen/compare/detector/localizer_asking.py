"""A generated localizer, asked what it does: its layers, sizes, numbers and recipe."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_gen.compare.detector.probing import DRAWS, answers, apart, lively, recipe


def ask(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """What the localizer.py at `path` does, or `{"problem": ..., "exit_code": ...}`.

    `given` has the number of `classes`.
    """
    classes = given["classes"]
    return answers(
        path, lambda code: _of_localizer(code, classes), lambda code: _of_script(code, classes)
    )


def _of_localizer(code: Any, classes: int) -> dict[str, Any]:
    """What localizer.py builds, with random weights and made-up crops."""
    (name,) = code.model.__all__
    build = getattr(code.model, name)
    nets = [lively(build()) for _ in range(2)]
    plain = [build().eval() for _ in range(2)]
    for one, other in zip(plain, nets, strict=True):
        one.load_state_dict(other.state_dict())
    rpn = code.localizer.PerClassRPN(classes, nets[0]).eval()
    regions = code.localizer.RegionNetwork(classes, nets[1]).eval()
    size = code.train.SIZE
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        maps = rpn.maps(images)
        numbers = {
            "maps": apart(maps, _maps(plain[0], images)),
            "rpn": _of_rpn(rpn, images, maps, classes),
            "regions": _of_regions(regions, images, _maps(plain[1], images)),
        }
    modules: dict[str, nn.Module] = dict(plain[0].named_modules())
    trunk = [module for key, module in modules.items() if "downsample" not in key]
    each = len(rpn.anchors(images)) // (maps.shape[2] * maps.shape[3])
    return {
        "convolutions": sum(isinstance(module, nn.Conv2d) for module in trunk),
        "stride": [size // maps.shape[2], size // maps.shape[3]],
        "anchors": [
            [float(side) for side in rpn.anchor_generator.sizes[0]],
            [float(ratio) for ratio in rpn.anchor_generator.aspect_ratios[0]],
        ],
        "outputs": [rpn.cls.out_channels // each, rpn.reg.out_channels // each],
        "of_regions": [regions.cls.out_features, regions.reg.out_features],
        "parameters": [sum(p.numel() for p in part.parameters()) for part in (rpn, regions)],
        "crop": size,
        "sampled": code.localizer.SAMPLED,
        "proposals": code.localizer.PROPOSALS,
        "sides": list(code.train.TEST_SIDES),
        "numbers": numbers,
    }


def _maps(net: Any, images: Tensor) -> Tensor:
    """conv1 to conv5_x."""
    x = net.maxpool(torch.relu(net.bn1(net.conv1(images))))
    x = net.layer4(net.layer3(net.layer2(net.layer1(x))))
    return x  # type: ignore[no-any-return]


def _of_rpn(rpn: Any, images: Tensor, maps: Tensor, classes: int) -> float:
    """Scores and offsets of a few classes, against those of all classes at all places."""
    few = torch.randint(classes, (len(images), min(classes, 3)))
    scores, offsets = rpn(images, few)
    x = torch.relu(F.conv2d(maps, rpn.conv.weight, rpn.conv.bias, padding=1))
    every, moved = (F.conv2d(x, layer.weight, layer.bias) for layer in (rpn.cls, rpn.reg))
    count, (rows, columns) = len(images), maps.shape[2:]
    every = every.view(count, classes, -1, rows, columns)
    moved = moved.view(count, classes, -1, 4, rows, columns)
    which = torch.arange(count)[:, None]
    expected = every[which, few].permute(0, 1, 3, 4, 2).flatten(2)
    boxes = moved[which, few].permute(0, 1, 4, 5, 2, 3).flatten(2, 4)
    if scores.shape != expected.shape or offsets.shape != boxes.shape:
        return float("inf")
    return max(apart(scores, expected), apart(offsets, boxes))


def _of_regions(regions: Any, images: Tensor, maps: Tensor) -> float:
    """Scores and offsets of one class of each region."""
    features = maps.mean(dim=(2, 3))
    which = torch.randint(regions.cls.out_features, (len(images),))
    row = torch.arange(len(images))
    scores, offsets = regions(images, which)
    moved = regions.reg(features).unflatten(1, (-1, 4))[row, which]
    return max(apart(scores, regions.cls(features)[row, which]), apart(offsets, moved))


def _of_script(code: Any, classes: int) -> dict[str, Any]:
    """The recipe as train.py has it."""
    script, rng = code.train, random.Random(0)
    names = [f"class {k}" for k in range(classes)]
    network = code.localizer.PerClassRPN(classes)
    trainer = script.Trainer(names, torch.zeros(3, 1, 1), network, "fp32")
    sides = [script.draw(rng)[0] for _ in range(DRAWS)]
    return recipe(script, trainer) | {"sides": [min(sides), max(sides)]}
