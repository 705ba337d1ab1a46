"""A generated detector, asked what it does: its layers, sizes, thresholds, numbers and recipe."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import (  # type: ignore[import-untyped]
    FrozenBatchNorm2d,
    roi_align,
    roi_pool,
)

from resnet_gen.compare.detector import reference
from resnet_gen.compare.detector.probing import answers, apart, lively, recipe
from resnet_gen.compare.detector.specified import SIZES

IMAGE = (160, 224)  # height and width in pixels, which every stride divides
BOXES = ((3.0, 5.0, 90.0, 70.0), (40.0, 8.0, 200.0, 150.0), (0.0, 0.0, 224.0, 160.0))
ENOUGH = 40  # proposals in which detections are looked for


def ask(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """What the detector.py at `path` does, or `{"problem": ..., "exit_code": ...}`.

    `given` has what of the spec decides how it is asked: see `given` of comparing.py.
    """
    return answers(
        path,
        lambda code: _of_detector(code, given),
        lambda code: _of_script(code, given["classes"]),
    )


def _of_detector(code: Any, given: dict[str, Any]) -> dict[str, Any]:
    (name,) = code.model.__all__
    build = getattr(code.model, name)
    net = lively(build())
    plain = build()
    plain.load_state_dict(net.state_dict())
    plain.eval()
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
        "parameters": sum(p.numel() for p in detector.parameters() if p.requires_grad),
        "batch_norms": [len(norms), sum(isinstance(m, FrozenBatchNorm2d) for m in norms)],
        "anchors": [
            [float(size) for size in rpn.anchor_generator.sizes[0]],
            [float(ratio) for ratio in rpn.anchor_generator.aspect_ratios[0]],
        ],
        "proposals": [rpn.pre_nms_top_n(), rpn.post_nms_top_n()],
        "rpn": _sampling(rpn),
        "regions": _sampling(heads),
        "deviations": [float(each) for each in heads.box_coder.weights],
        "siblings": [
            heads.box_predictor.cls_score.out_features,
            heads.box_predictor.bbox_pred.out_features,
        ],
        "detections": [heads.score_thresh, heads.detections_per_img],
        "resized": [_resized(resize, *size) for size in SIZES],
        "testing": _testing(code, resize.min_size),
        "numbers": _numbers(detector, plain, images, given) | _found(code, build(), given),
    }


def _sampling(part: Any) -> dict[str, float]:
    """What of an image is looked at in training, and what NMS drops."""
    return {
        "images": part.fg_bg_sampler.batch_size_per_image,
        "share": part.fg_bg_sampler.positive_fraction,
        "positive": part.proposal_matcher.high_threshold,
        "negative": part.proposal_matcher.low_threshold,
        "nms": part.nms_thresh,
    }


def _testing(code: Any, shorter_sides: Sequence[int]) -> dict[str, Any]:
    """The constants of testing.py, if there is one."""
    testing = getattr(code, "testing", None)
    return {
        "voters": getattr(testing, "VOTERS", None),
        "scales": list(getattr(testing, "SCALES", shorter_sides)),
        "region": getattr(testing, "REGION", None),
    }


def _resized(resize: Any, height: int, width: int) -> list[int]:
    images, _ = resize([torch.zeros(3, height, width)])
    return list(images.image_sizes[0])


def _numbers(detector: Any, plain: Any, images: Tensor, given: dict[str, Any]) -> dict[str, float]:
    """How far trunk and regions are from the backbone's own layers, of the largest number."""
    boxes = torch.tensor(BOXES)
    with torch.no_grad():
        x = torch.relu(plain.bn1(plain.conv1(images)))
        x = plain.layer3(plain.layer2(plain.layer1(plain.maxpool(x))))
        maps = detector.backbone(images)
        pool = roi_pool if given["pool"] else _aligned
        if given["size"] == 7:
            for module in plain.layer4[0].modules():
                if isinstance(module, nn.Conv2d):
                    module.stride = (1, 1)
        regions = _regions(plain, pool(maps, [boxes], given["size"], 1 / 16))
        if given["context"]:
            whole = torch.tensor([[0.0, 0.0, IMAGE[1], IMAGE[0]]])
            context = _regions(plain, pool(maps, [whole], given["size"], 1 / 16))
            regions = torch.cat([regions, context.expand(len(boxes), -1)], dim=1)
        found = detector.roi_heads.box_head(
            detector.roi_heads.box_roi_pool({"0": maps}, [boxes], [IMAGE])
        )
        mean = torch.tensor(detector.transform.image_mean)[:, None, None]
        grey = torch.full((3, 600, 600), 100.0)
        prepared = detector.transform([grey])[0].tensors[0, :, 0, 0]
        shown = (grey - mean)[:, 0, 0]
    return {
        "trunk": apart(maps, x),
        "regions": apart(found, regions) if found.shape == regions.shape else float("inf"),
        "mean": apart(prepared, shown),
    }


@torch.no_grad()
def _found(code: Any, net: Any, given: dict[str, Any]) -> dict[str, float]:
    """How far the detections in an image are from those of reference.py, of its largest number.

    The stages have a block each, which is enough for numbers that differ from place to place, and
    the siblings are such that about every proposal is of some class.
    """
    for name in ("layer1", "layer2", "layer3", "layer4"):
        setattr(net, name, getattr(net, name)[:1])
    detector: Any = code.detector.Detector(given["classes"], lively(net)).eval()
    detector.rpn._post_nms_top_n = {"testing": ENOUGH}
    siblings = detector.roi_heads.box_predictor
    image = torch.rand(3, *IMAGE).mul(255)
    features = detector.roi_heads.box_roi_pool.pooled(
        detector.backbone(image[None] - 127.5), [torch.tensor(BOXES)]
    )
    for layer, spread in ((siblings.cls_score, 4.0), (siblings.bbox_pred, 1.0)):
        nn.init.normal_(layer.weight, std=spread / float(features.norm(dim=1).mean()))
    if hasattr(code, "testing"):
        found = code.testing.detect([detector], image)
    else:
        (found,) = detector([image])
    expected = reference.detections(detector, image, given)
    keys = ("labels", "scores", "boxes")
    if any(found[key].shape != expected[key].shape for key in keys) or not len(found["labels"]):
        return {"detections": float("inf")}
    return {"detections": max(apart(found[key].float(), expected[key].float()) for key in keys)}


def _aligned(maps: Tensor, boxes: list[Tensor], size: int, scale: float) -> Tensor:
    features: Tensor = roi_align(maps, boxes, size, scale, aligned=True)
    return features


def _regions(plain: Any, pooled: Tensor) -> Tensor:
    features: Tensor = plain.layer4(pooled).mean(dim=(2, 3))
    return features


def _of_script(code: Any, classes: int) -> dict[str, Any]:
    """The recipe as train.py has it."""
    script = code.train
    device = torch.device("cpu")
    args = Namespace(device=device, measure="coco", precision="fp32", seed=0, batch_size=2)
    (name,) = code.model.__all__
    names = [f"class {k}" for k in range(classes)]
    trainer = script.Trainer(names, torch.zeros(3, 1, 1), getattr(code.model, name)(), args)
    return recipe(script, trainer) | {
        "steps": code.alternating.STEPS if hasattr(code, "alternating") else 1,
        "rpn_batch_size": getattr(script, "RPN_BATCH_SIZE", script.BATCH_SIZE),
        "proposals": trainer.model.rpn._post_nms_top_n["training"],
    }
