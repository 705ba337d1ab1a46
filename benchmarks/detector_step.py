"""A training step and a test of detectors: the generated one's, and torchvision's own classes'.

The same trunk, RPN and conv5_x in torchvision's FasterRCNN with RoIAlign, and torchvision's
ResNet-50 with a feature pyramid as it is shipped; pictures and boxes are random and in memory.

    python benchmarks/detector_step.py
    python benchmarks/detector_step.py --detector faster_rcnn_resnet101_voc --batch-size 4
"""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import timing
import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn
from torchvision.ops import MultiScaleRoIAlign

OBJECTS = 8  # in each picture
Step = Callable[[], object]


def pictures(shorter: int, count: int, classes: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Pictures of three to four, with boxes of a fifth to a half of their sides, and labels."""
    height, width = shorter, shorter * 4 // 3
    size = torch.tensor([width, height, width, height])
    found = []
    for _ in range(count):
        corner, extent = torch.rand(OBJECTS, 2) / 2, 0.2 + 0.3 * torch.rand(OBJECTS, 2)
        boxes = torch.cat([corner, corner + extent], dim=1) * size
        labels = torch.randint(1, classes + 1, (OBJECTS,))
        found.append((torch.randint(256, (3, height, width), dtype=torch.uint8), boxes, labels))
    return found


def normalising(net: nn.Module, device: torch.device) -> nn.Module:
    """The network with batch norms' statistics of random images, as if it were trained."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    with torch.no_grad():
        net.to(device).train()(torch.randn(4, 3, 224, 224, device=device) * 64)
    return net


def of_detector(model: Any, batch: list[Any], device: torch.device, precision: str) -> Step:
    """A step of torchvision's training loop; the rate is 0, so that random pictures do no harm."""
    model.to(device).train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(weights, 0.0, momentum=0.9, weight_decay=5e-4)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")

    def step() -> None:
        images = [pixels.to(device).float() for pixels, _, _ in batch]
        objects = [{"boxes": b.to(device), "labels": n.to(device)} for _, b, n in batch]
        with autocast:
            losses = sum(model(images, objects).values())
        optimizer.zero_grad()
        losses.backward()
        optimizer.step()

    return step


def tested(model: Any, picture: Tensor, device: torch.device) -> Step:
    """What a picture takes in evaluation."""

    def test() -> None:
        model.eval()
        with torch.inference_mode():
            model([picture.to(device).float()])
        model.train()

    return test


def generated(code: Any, batch: list[Any], args: Namespace, classes: int) -> tuple[Any, Step]:
    """The generated script's detector, and a step of its trainer's."""
    net = normalising(getattr(code.model, code.model.__all__[0])(), args.device)
    names = [f"class {k}" for k in range(classes)]
    trainer = code.train.Trainer(names, torch.full((3, 1, 1), 127.5), net, args)
    for group in trainer.optimizer.param_groups:
        group["lr"] = 0.0
    examples = [code.data.Example(*each, "") for each in batch]
    return trainer.model, lambda: trainer.train_step(examples)


def assembled(code: Any, classes: int, device: torch.device) -> Any:
    """Torchvision's FasterRCNN on the same layers, with the same sizes."""
    net = normalising(getattr(code.model, code.model.__all__[0])(), device)
    detector = code.detector.Detector(classes, net)
    regions = detector.roi_heads.box_roi_pool

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer4 = regions.layer4

        def forward(self, pooled: Tensor) -> Tensor:
            return self.layer4(pooled).mean(dim=(2, 3))

    proposals, heads = detector.rpn, detector.roi_heads
    convolutions = [m for m in regions.layer4[0].modules() if isinstance(m, nn.Conv2d)]
    size = 7 * max(convolution.stride[0] for convolution in convolutions)  # to 7×7, strided
    return FasterRCNN(
        detector.backbone,
        min_size=code.detector.SHORTER_SIDE,
        max_size=code.detector.LONGER_SIDE,
        image_mean=[127.5] * 3,
        image_std=[1.0] * 3,
        rpn_anchor_generator=proposals.anchor_generator,
        rpn_pre_nms_top_n_train=proposals._pre_nms_top_n["training"],
        rpn_post_nms_top_n_train=proposals._post_nms_top_n["training"],
        rpn_pre_nms_top_n_test=proposals._pre_nms_top_n["testing"],
        rpn_post_nms_top_n_test=proposals._post_nms_top_n["testing"],
        box_roi_pool=MultiScaleRoIAlign(["0"], size, 2),
        box_head=Head(),
        box_predictor=heads.box_predictor,
        box_batch_size_per_image=heads.fg_bg_sampler.batch_size_per_image,
        box_nms_thresh=heads.nms_thresh,
    )


def main() -> None:
    """Measures training and tests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--detector", help="default: faster_rcnn_resnet50 on CUDA, else _small")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each turn, about")
    given = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    small = device.type == "cpu"
    name = given.detector or f"faster_rcnn_{'small' if small else 'resnet50'}"
    args = Namespace(device=device, precision="bf16", measure="coco", seed=0)
    args.batch_size = given.batch_size
    torch.manual_seed(0)
    code = timing.load(name, "detection")
    classes, side = 10, code.detector.SHORTER_SIDE
    batch = pictures(side, given.batch_size, classes)
    model, own_step = generated(code, batch, args, classes)
    same = assembled(code, classes, device)
    pyramid = fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=classes + 1, min_size=side
    )
    networks = {"generated": model, "torchvision's classes": same, "torchvision's R50-FPN": pyramid}
    steps: dict[str, Step] = {"generated": own_step}
    for which in list(networks)[1:]:
        steps[which] = of_detector(networks[which], batch, device, args.precision)
    picture = batch[0][0]
    tests = {which: tested(network, picture, device) for which, network in networks.items()}
    rows = []
    for kind, variants in (("training", steps), ("test", tests)):
        turns = {
            which: timing.timed(work, repeat(work, given.seconds))
            for which, work in variants.items()
        }
        seconds = timing.interleaved(turns, given.rounds)
        for which, values in seconds.items():
            measured = timing.summary(values, seconds["generated"])
            rows.append({"detector": name, "of": kind, "by": which, **measured})
    more = {"batch_size": given.batch_size, "shorter_side": side, "precision": args.precision}
    timing.write(f"detector_step-{device.type}", rows, **more)


def repeat(work: Step, seconds: float) -> int:
    """How often a turn calls `work`, which is called twice before."""
    work()
    timing.synchronize()
    once = timing.timed(work)()
    return max(1, round(seconds / once))


if __name__ == "__main__":
    main()
