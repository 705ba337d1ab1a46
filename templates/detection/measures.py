"""Average precision of detections: PASCAL VOC's, in both of its versions, and COCO's own.

Boxes are in continuous pixels: left, top, right, bottom of 0 to width and height. VOC's pixels are
counted, the last one included, so that its overlaps are the same.
"""

import contextlib
import io
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import box_iou

from distributed import fail

OVERLAP = 0.5  # VOC: IoU from which a detection may be right
COCO_FIGURES = {  # places in COCOeval's list of statistics
    "ap": 0, "ap50": 1, "ap75": 2, "ap_small": 3, "ap_medium": 4, "ap_large": 5
}  # fmt: skip


class Objects(NamedTuple):
    """The objects of a picture, as annotated."""

    boxes: Tensor  # (N, 4)
    labels: Tensor  # (N,), from 1
    ignored: Tensor  # bool (N,): VOC's difficult ones, COCO's crowds
    areas: Tensor  # (N,), of their outlines


class Detections(NamedTuple):
    """The objects of a picture, as detected."""

    boxes: Tensor  # (N, 4)
    labels: Tensor  # (N,), from 1
    scores: Tensor  # (N,)


def voc(
    detected: Sequence[Detections],
    annotated: Sequence[Objects],
    classes: Sequence[str],
    *,
    eleven_points: bool,
) -> dict[str, float]:
    """The AP of each class in percent; NaN where no object of it is annotated.

    Best first, each detection is right if the object of its class that it overlaps most with is not
    taken yet and overlaps by half; if that object is difficult, it is neither right nor wrong.
    """
    found = {}
    for label, name in enumerate(classes, start=1):
        scores, right, counted = [torch.empty(0)], [torch.empty(0)], [torch.empty(0)]
        positives = 0
        for detections, objects in zip(detected, annotated, strict=True):
            of_class = objects.labels == label
            positives += int((of_class & ~objects.ignored).sum())
            mine = detections.labels == label
            if not mine.any():
                continue
            score, order = detections.scores[mine].sort(descending=True, stable=True)
            judged = match(
                detections.boxes[mine][order], objects.boxes[of_class], objects.ignored[of_class]
            )
            scores.append(score)
            right.append((judged == 1).float())
            counted.append((judged != 0).float())
        order = torch.cat(scores).argsort(descending=True, stable=True)
        taken = torch.cat(counted)[order].bool()
        precision = average_precision(torch.cat(right)[order][taken], positives, eleven_points)
        found[name] = 100 * precision
    return found


def match(boxes: Tensor, objects: Tensor, ignored: Tensor) -> Tensor:
    """Of boxes (N, 4) of one picture and class, best first: 1 right, -1 wrong, 0 not counted."""
    judged = torch.full((len(boxes),), -1)
    if not len(objects):
        return judged
    overlaps, nearest = box_iou(boxes.double(), objects.double()).max(dim=1)
    taken = set[int]()
    for k, (overlap, which) in enumerate(zip(overlaps.tolist(), nearest.tolist(), strict=True)):
        if overlap >= OVERLAP and ignored[which]:
            judged[k] = 0
        elif overlap >= OVERLAP and which not in taken:
            taken.add(which)
            judged[k] = 1
    return judged


def average_precision(right: Tensor, positives: int, eleven_points: bool) -> float:
    """The AP of detections, best first, of which some are right; NaN without positives.

    The mean of the precision at eleven recalls (VOC 2007), or the area below it (from VOC 2010 on);
    the precision at a recall is the greatest at that recall or a higher one.
    """
    if not positives:
        return float("nan")
    found = right.double().cumsum(0)
    recall = found / positives
    precision = found / torch.arange(1, len(right) + 1)
    precision = precision.flip(0).cummax(0).values.flip(0)
    if eleven_points:
        reached = [precision[recall >= k / 10] for k in range(11)]
        return sum(float(each[0]) if len(each) else 0.0 for each in reached) / 11
    return float((right.double() * precision).sum() / positives)


def coco(
    detected: Sequence[Detections],
    annotated: Sequence[Objects],
    sizes: Sequence[tuple[int, int]],
    classes: Sequence[str],
) -> dict[str, float]:
    """COCO's figures in percent, by its own package; `sizes` are widths and heights of pictures.

    What is ignored counts as a crowd does: what falls into it is neither right nor wrong.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        fail("COCO's measure needs pycocotools: pip install 'resnet-gen[detection]'", exit_code=4)
    categories = [{"id": k, "name": name} for k, name in enumerate(classes, start=1)]
    images = [{"id": k, "width": w, "height": h} for k, (w, h) in enumerate(sizes)]
    objects = [
        {"image_id": k, "category_id": int(label), "bbox": [x, y, right - x, bottom - y],
         "area": float(area), "iscrowd": int(ignored)}
        for k, each in enumerate(annotated)
        for (x, y, right, bottom), label, ignored, area in zip(
            each.boxes.tolist(), each.labels, each.ignored, each.areas, strict=True
        )
    ]  # fmt: skip
    found = [
        {"image_id": k, "category_id": int(label), "bbox": [x, y, right - x, bottom - y],
         "score": score}
        for k, (boxes, labels, scores) in enumerate(detected)
        for (x, y, right, bottom), label, score in zip(
            boxes.tolist(), labels, scores.tolist(), strict=True
        )
    ]  # fmt: skip
    if not found:
        return dict.fromkeys(COCO_FIGURES, 0.0)
    truth = COCO()
    truth.dataset = {"images": images, "categories": categories, "annotations": [
        {"id": k, **each} for k, each in enumerate(objects, start=1)
    ]}  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):  # it tells a person what it does
        truth.createIndex()
        measured = COCOeval(truth, truth.loadRes(found), "bbox")
        measured.evaluate()
        measured.accumulate()
        measured.summarize()
    shown = {name: 100 * float(measured.stats[k]) for name, k in COCO_FIGURES.items()}
    return {name: value for name, value in shown.items() if value >= 0}  # -1: no such objects
