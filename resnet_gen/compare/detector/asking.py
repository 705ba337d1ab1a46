"""A generated detector, asked what it does: its layers, sizes, thresholds, numbers and recipe.

This runs in a process of its own, with random weights and made-up images.
"""

from __future__ import annotations

import random
from argparse import Namespace
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import (  # type: ignore[import-untyped]
    FrozenBatchNorm2d,
    roi_align,
    roi_pool,
)

from resnet_gen.errors import Failure, Problem
from resnet_gen.generate.apart import broken
from resnet_gen.generate.loading import load_folder

IMAGE = (160, 224)  # height and width in pixels, which every stride divides
BOXES = ((3.0, 5.0, 90.0, 70.0), (40.0, 8.0, 200.0, 150.0), (0.0, 0.0, 224.0, 160.0))
CLOSE = 1e-4  # of the largest number: what two orders of the same sums differ by, and no more
DRAWS = 4_000


def ask(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """What the detector.py at `path` does, or `{"problem": ..., "exit_code": ...}`.

    `given` has `pool`, `size` and `context` of the spec's regions, and `classes`.
    """
    running = path
    try:
        torch.manual_seed(0)
        code = load_folder(path.parent)
        document = _of_detector(code, given)
        running = path.with_name("train.py")
        return document | {"recipe": _of_script(code, given["classes"])}
    except Failure as failure:
        return {"problem": asdict(failure.problems[0]), "exit_code": failure.exit_code}
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        return {"problem": asdict(broken(running, error)), "exit_code": 2}


def _of_detector(code: Any, given: dict[str, Any]) -> dict[str, Any]:
    (name,) = code.model.__all__
    build = getattr(code.model, name)
    net = _lively(build())
    reference = build()
    reference.load_state_dict(net.state_dict())
    reference.eval()
    detector: Any = code.detector.Detector(given["classes"], net)
    modules: dict[str, nn.Module] = dict(detector.backbone.named_modules())
    convolutions = [key for key, module in modules.items() if isinstance(module, nn.Conv2d)]
    rpn, heads, resize = detector.rpn, detector.roi_heads, detector.transform
    detector.eval()
    with torch.no_grad():
        images = torch.randn(1, 3, *IMAGE)
        maps = detector.backbone(images)
    norms = [m for m in detector.modules() if isinstance(m, nn.BatchNorm2d | FrozenBatchNorm2d)]
    return {
        "shared_convolutions": sum("downsample" not in key for key in convolutions),
        "stride": [IMAGE[0] // maps.shape[2], IMAGE[1] // maps.shape[3]],
        "channels": maps.shape[1],
        "parameters": sum(p.numel() for p in detector.parameters() if p.requires_grad),
        "batch_norms": [len(norms), sum(isinstance(m, FrozenBatchNorm2d) for m in norms)],
        "anchors": [
            [float(size) for size in rpn.anchor_generator.sizes[0]],
            [float(ratio) for ratio in rpn.anchor_generator.aspect_ratios[0]],
        ],
        "proposals": rpn.post_nms_top_n(),
        "rpn": _sampling(rpn),
        "regions": _sampling(heads),
        "siblings": [
            heads.box_predictor.cls_score.out_features,
            heads.box_predictor.bbox_pred.out_features,
        ],
        "resized": [_resized(resize, 300, 400), _resized(resize, 100, 1000)],
        "numbers": _numbers(detector, reference, images, given),
    }


def _lively(net: nn.Module) -> nn.Module:
    """The network with statistics that normalise, so that no layer's numbers explode or vanish."""
    net.train()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None
        net(torch.randn(4, 3, 96, 96))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return net.eval()


def _sampling(part: Any) -> dict[str, float]:
    """What of an image is looked at in training, and what NMS drops."""
    return {
        "images": part.fg_bg_sampler.batch_size_per_image,
        "share": part.fg_bg_sampler.positive_fraction,
        "positive": part.proposal_matcher.high_threshold,
        "negative": part.proposal_matcher.low_threshold,
        "nms": part.nms_thresh,
    }


def _resized(resize: Any, height: int, width: int) -> list[int]:
    images, _ = resize([torch.zeros(3, height, width)])
    return list(images.image_sizes[0])


def _numbers(
    detector: Any, reference: Any, images: Tensor, given: dict[str, Any]
) -> dict[str, float]:
    """How far trunk and regions are from the backbone's own layers, of the largest number."""
    boxes = torch.tensor(BOXES)
    with torch.no_grad():
        x = torch.relu(reference.bn1(reference.conv1(images)))
        x = reference.layer3(reference.layer2(reference.layer1(reference.maxpool(x))))
        maps = detector.backbone(images)
        pool = roi_pool if given["pool"] else _aligned
        if given["size"] == 7:
            for module in reference.layer4[0].modules():
                if isinstance(module, nn.Conv2d):
                    module.stride = (1, 1)
        regions = _regions(reference, pool(maps, [boxes], given["size"], 1 / 16))
        if given["context"]:
            whole = torch.tensor([[0.0, 0.0, IMAGE[1], IMAGE[0]]])
            context = _regions(reference, pool(maps, [whole], given["size"], 1 / 16))
            regions = torch.cat([regions, context.expand(len(boxes), -1)], dim=1)
        found = detector.roi_heads.box_head(
            detector.roi_heads.box_roi_pool({"0": maps}, [boxes], [IMAGE])
        )
        mean = torch.tensor(detector.transform.image_mean)[:, None, None]
        grey = torch.full((3, 600, 600), 100.0)
        prepared = detector.transform([grey])[0].tensors[0, :, 0, 0]
        shown = (grey - mean)[:, 0, 0]
    return {
        "trunk": _apart(maps, x),
        "regions": _apart(found, regions) if found.shape == regions.shape else float("inf"),
        "mean": _apart(prepared, shown),
    }


def _aligned(maps: Tensor, boxes: list[Tensor], size: int, scale: float) -> Tensor:
    features: Tensor = roi_align(maps, boxes, size, scale, aligned=True)
    return features


def _regions(reference: Any, pooled: Tensor) -> Tensor:
    features: Tensor = reference.layer4(pooled).mean(dim=(2, 3))
    return features


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-12))


def _of_script(code: Any, classes: int) -> dict[str, Any]:
    """The recipe as train.py has it: rates by step, its optimizer's numbers, and mirroring."""
    script = code.train
    iterations = script.ITERATIONS
    rates = (float(script.learning_rate(step, iterations)) for step in range(iterations))
    pieces = [(rate, next(group)[0]) for rate, group in groupby(enumerate(rates), lambda p: p[1])]
    device = torch.device("cpu")
    args = Namespace(device=device, measure="coco", precision="fp32", seed=0, batch_size=2)
    (name,) = code.model.__all__
    names = [f"class {k}" for k in range(classes)]
    trainer = script.Trainer(names, torch.zeros(3, 1, 1), getattr(code.model, name)(), args)
    (group,) = trainer.optimizer.param_groups
    rng = random.Random(0)
    return {
        "steps": code.alternating.STEPS if hasattr(code, "alternating") else 1,
        "iterations": iterations,
        "batch_size": script.BATCH_SIZE,
        "rpn_batch_size": getattr(script, "RPN_BATCH_SIZE", script.BATCH_SIZE),
        "pieces": [[first, rate] for rate, first in pieces],
        "optimizer": type(trainer.optimizer).__name__,
        "momentum": group["momentum"],
        "nesterov": bool(group["nesterov"]),
        "weight_decay": group["weight_decay"],
        "flips": sum(bool(script.augment(rng)) for _ in range(DRAWS)) / DRAWS,
    }
