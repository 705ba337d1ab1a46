"""What detectors are measured and tested by, written as slowly and plainly as it is described.

Boxes are lists of left, top, right and bottom. Nothing here is shared with the generated code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Box = Sequence[float]


def overlap(one: Box, other: Box, pixel: float = 0.0) -> float:
    """Intersection over union; with `pixel` 1 the last pixel of a box is inside of it."""
    width = min(one[2], other[2]) - max(one[0], other[0]) + pixel
    height = min(one[3], other[3]) - max(one[1], other[1]) + pixel
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((b[2] - b[0] + pixel) * (b[3] - b[1] + pixel) for b in (one, other))
    return width * height / (areas - width * height)


def voc_ap(
    detections: Sequence[tuple[str, float, Box]],
    objects: dict[str, list[tuple[Box, bool]]],
    eleven_points: bool,
) -> float:
    """The AP of one class as the devkit's VOCevaldet has it, of 0 to 1.

    `detections` are (picture, score, box), `objects` (box, difficult) by picture; boxes are whole
    pixels, the last one inside.
    """
    positives = sum(not difficult for each in objects.values() for _, difficult in each)
    if not positives:
        return math.nan
    found = {picture: [False] * len(each) for picture, each in objects.items()}
    right, wrong = [], []
    for picture, _, box in sorted(detections, key=lambda each: -each[1]):
        best, which = -math.inf, -1
        for k, (other, _) in enumerate(objects.get(picture, [])):
            iou = overlap(box, other, 1)
            if iou > best:
                best, which = iou, k
        is_right = is_wrong = False
        if best >= 0.5:
            if not objects[picture][which][1]:
                is_right = not found[picture][which]
                is_wrong = not is_right
                found[picture][which] = True
        else:
            is_wrong = True
        right.append(is_right)
        wrong.append(is_wrong)
    if not right:
        return 0.0
    hits, misses = np.cumsum(right), np.cumsum(wrong)
    counted = np.maximum(hits + misses, 1e-300)
    recall, precision = hits / positives, hits / counted
    if eleven_points:
        levels = [k / 10 for k in range(11)]
        return float(sum(max(precision[recall >= t], default=0.0) for t in levels) / 11)
    recall = np.concatenate([[0], recall, [1]])
    precision = np.concatenate([[0], precision, [0]])
    for k in range(len(precision) - 2, -1, -1):
        precision[k] = max(precision[k], precision[k + 1])
    steps = [k for k in range(1, len(recall)) if recall[k] != recall[k - 1]]
    return float(sum((recall[k] - recall[k - 1]) * precision[k] for k in steps))


def pooled(maps: np.ndarray, box: Box, size: int, scale: float) -> np.ndarray:
    """RoI pooling (Fast R-CNN): maxima (C, size, size) of the bins of a box, on maps (C, H, W)."""
    left, top, right, bottom = (int(round_half_away(edge * scale)) for edge in box)
    height, width = max(bottom - top + 1, 1), max(right - left + 1, 1)
    out = np.zeros((maps.shape[0], size, size), maps.dtype)
    for i in range(size):
        for j in range(size):
            rows = (top + math.floor(i * height / size), top + math.ceil((i + 1) * height / size))
            columns = (
                left + math.floor(j * width / size),
                left + math.ceil((j + 1) * width / size),
            )
            y0, y1 = (min(max(edge, 0), maps.shape[1]) for edge in rows)
            x0, x1 = (min(max(edge, 0), maps.shape[2]) for edge in columns)
            if y1 > y0 and x1 > x0:
                out[:, i, j] = maps[:, y0:y1, x0:x1].max(axis=(1, 2))
    return out


def round_half_away(value: float) -> float:
    """As C's round does."""
    return math.floor(abs(value) + 0.5) * (1 if value >= 0 else -1)


def decoded(box: Box, offsets: Sequence[float], weights: Sequence[float]) -> list[float]:
    """A box moved and resized by a regression's output (R-CNN)."""
    width, height = box[2] - box[0], box[3] - box[1]
    x, y = box[0] + width / 2, box[1] + height / 2
    dx, dy, dw, dh = (offset / weight for offset, weight in zip(offsets, weights, strict=True))
    limit = math.log(1000 / 16)  # torchvision's, against overflow
    x, y = x + dx * width, y + dy * height
    width, height = width * math.exp(min(dw, limit)), height * math.exp(min(dh, limit))
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def clipped(box: Box, height: float, width: float) -> list[float]:
    """The part of a box within an image."""
    return [
        *(min(max(box[0], 0), width), min(max(box[1], 0), height)),
        *(min(max(box[2], 0), width), min(max(box[3], 0), height)),
    ]


def kept_by_nms(boxes: Sequence[Box], scores: Sequence[float], threshold: float) -> list[int]:
    """The places of boxes that no better one overlaps by more than the threshold."""
    kept: list[int] = []
    for k in sorted(range(len(boxes)), key=lambda k: -scores[k]):
        if all(overlap(boxes[k], boxes[other]) <= threshold for other in kept):
            kept.append(k)
    return kept


def voted(
    boxes: Sequence[Box], scores: Sequence[float], kept: Sequence[int], threshold: float
) -> list[list[float]]:
    """Each box that was kept as the mean of all that overlap with it, by their scores."""
    winners = []
    for k in kept:
        voters = [j for j in range(len(boxes)) if overlap(boxes[j], boxes[k]) >= threshold]
        weight = sum(scores[j] for j in voters)
        winners.append([sum(scores[j] * boxes[j][e] for j in voters) / weight for e in range(4)])
    return winners


def adjacent_scales(
    box: Box, image: tuple[int, int], scales: Sequence[int], side: float
) -> tuple[int, int]:
    """The two adjacent shorter sides of the image around that at which the box is side² large."""
    areas = []
    for scale in scales:
        factor = scale / min(image)
        areas.append((box[2] - box[0]) * factor * (box[3] - box[1]) * factor)
    for k in range(len(scales) - 1):
        if areas[k + 1] > side**2 or k == len(scales) - 2:
            return scales[k], scales[k + 1]
    raise AssertionError(areas)


def anchors(
    place: tuple[int, int], stride: int, sizes: Sequence[int], ratios: Sequence[float]
) -> list[list[float]]:
    """The anchors at a place (row, column) of the maps, in torchvision's order."""
    found: list[list[float]] = []
    y, x = (stride * index for index in place)
    for ratio in ratios:
        for size in sizes:
            height, width = size * math.sqrt(ratio), size / math.sqrt(ratio)
            corners = (-width / 2, -height / 2, width / 2, height / 2)
            edges = [float(round(corner)) for corner in corners]
            found.append([x + edges[0], y + edges[1], x + edges[2], y + edges[3]])
    return found


def random_boxes(numbers: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Whole-pixel boxes (count, 4) within a picture of this size, the last pixel inside."""
    corners: Any = np.sort(numbers.integers(0, size, (count, 2, 2)), axis=1)
    return corners.reshape(count, 4).astype(float)
