"""What a test finds in an image, step by step as appendices A and B have it.

It takes a detector's trunk, RPN, regions and sibling layers as they are, which other rows compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection.transform import (  # type: ignore[import-untyped]
    GeneralizedRCNNTransform,
)
from torchvision.ops import box_iou, clip_boxes_to_image, nms  # type: ignore[import-untyped]

from resnet_gen.compare.detector.specified import AT_MOST, DEVIATIONS, LEAST_SCORE, VOTERS

MOST = 4.135166556742356  # log(1000 / 16): no box grows by more at once (torchvision)


def detections(detector: Any, image: Tensor, given: Mapping[str, Any]) -> dict[str, Tensor]:
    """Boxes (N, 4), labels and scores (N,) of an image (3, H, W) of 0 to 255, best first.

    `given` has `refine`, `scales`, `region`, `nms`, `shorter_side` and `longer_side` of the spec.
    """
    size = (image.shape[1], image.shape[2])
    sides = given["scales"] or [given["shorter_side"]]
    seen = {side: _seen(detector, image, side, given) for side in {*sides, given["shorter_side"]}}
    images, maps = seen[given["shorter_side"]]
    (proposals,), _ = detector.rpn(images, {"0": maps})

    def judged(boxes: Tensor) -> tuple[Tensor, Tensor]:
        features = _features(detector, boxes, [seen[side] for side in sides], size, given["region"])
        scores, offsets = detector.roi_heads.box_predictor(features)
        moved = _moved(boxes, offsets.unflatten(1, (-1, 4)))
        return scores.softmax(dim=1), clip_boxes_to_image(moved, size)

    scores, boxes = judged(_scaled(proposals, images.image_sizes[0], size))
    if given["refine"]:
        likeliest = scores[:, 1:].argmax(dim=1) + 1
        again = judged(boxes[torch.arange(len(boxes)), likeliest])
        scores, boxes = torch.cat([scores, again[0]]), torch.cat([boxes, again[1]])
    found: list[tuple[float, int, Tensor]] = []
    for label in range(1, scores.shape[1]):
        likely = scores[:, label] > LEAST_SCORE
        score, box = scores[likely, label], boxes[likely, label]
        for k in nms(box, score, given["nms"]).tolist():
            winner = box[k]
            if given["refine"]:
                voters = box_iou(winner[None], box)[0] >= VOTERS
                winner = (score[voters, None] * box[voters]).sum(dim=0) / score[voters].sum()
            found.append((float(score[k]), label, winner))
    found = sorted(found, key=lambda each: -each[0])[:AT_MOST]
    return {
        "boxes": torch.stack([box for _, _, box in found]) if found else torch.empty(0, 4),
        "labels": torch.tensor([label for _, label, _ in found]),
        "scores": torch.tensor([score for score, _, _ in found]),
    }


def _seen(detector: Any, image: Tensor, side: int, given: Mapping[str, Any]) -> tuple[Any, Tensor]:
    """The image with this shorter side, padded, and the shared maps of it."""
    longer = round(given["longer_side"] * side / given["shorter_side"])
    resize = detector.transform
    resized = GeneralizedRCNNTransform(side, longer, resize.image_mean, resize.image_std)
    images, _ = resized.eval()([image])
    return images, detector.backbone(images.tensors)


def _features(
    detector: Any,
    boxes: Tensor,
    seen: Sequence[tuple[Any, Tensor]],
    size: tuple[int, int],
    region: int,
) -> Tensor:
    """Of each box, the maxima over the two adjacent scales around that of region² pixels."""
    of_scales = []
    for images, maps in seen:
        (to,) = images.image_sizes
        pool = detector.roi_heads.box_roi_pool
        of_scales.append(pool({"0": maps}, [_scaled(boxes, size, to)], [to]))
    if len(of_scales) == 1:
        return detector.roi_heads.box_head(of_scales[0])  # type: ignore[no-any-return]
    areas = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3).prod(dim=1)
    rows = []
    for k, area in enumerate(areas):
        at_scales = [float(area) * (min(i.image_sizes[0]) / min(size)) ** 2 for i, _ in seen]
        larger = [j for j, each in enumerate(at_scales) if each > region**2]
        upper = min(max(larger[0] if larger else len(seen) - 1, 1), len(seen) - 1)
        rows.append(torch.maximum(of_scales[upper - 1][k], of_scales[upper][k]))
    return detector.roi_heads.box_head(torch.stack(rows))  # type: ignore[no-any-return]


def _scaled(boxes: Tensor, of: tuple[int, int], to: tuple[int, int]) -> Tensor:
    """Boxes in an image of one height and width as boxes in another."""
    down, across = to[0] / of[0], to[1] / of[1]
    return boxes * boxes.new_tensor([across, down, across, down])


def _moved(boxes: Tensor, offsets: Tensor) -> Tensor:
    """The boxes (R, C, 4) that offsets (R, C, 4) make of boxes (R, 4) (R-CNN)."""
    dx, dy, dw, dh = (offsets / offsets.new_tensor(DEVIATIONS)).unbind(dim=2)
    sides = (boxes[:, 2:] - boxes[:, :2])[:, None]
    centres = boxes[:, None, :2] + sides / 2
    centres = centres + sides * torch.stack([dx, dy], dim=2)
    half = sides * torch.stack([dw, dh], dim=2).clamp(max=MOST).exp() / 2
    return torch.cat([centres - half, centres + half], dim=2)
