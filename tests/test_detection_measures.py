"""Average precision of the generated detectors, against the devkit's rules written plainly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from conftest import ROOT, load
from detection_by_hand import overlap, random_boxes, voc_ap

CODE = ROOT / "generated/detection/faster_rcnn_resnet101"
CLASSES = ["cat", "dog"]


@pytest.fixture(scope="module")
def measures() -> Any:
    return load(CODE / "measures.py")


def drawn(numbers: np.random.Generator, pictures: int) -> tuple[list[Any], list[Any]]:
    """Objects and detections of some pictures: many near an object, some twice, some nowhere."""
    objects, detections = [], []
    for _ in range(pictures):
        count = int(numbers.integers(0, 5))
        boxes = random_boxes(numbers, count, 40)
        labels = numbers.integers(1, 3, count)
        objects.append((boxes, labels, numbers.random(count) < 0.2))
        near = boxes[numbers.integers(0, count, 6)] if count else np.empty((0, 4))
        near = near + numbers.integers(-4, 5, near.shape)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2])
        found = np.concatenate([near, random_boxes(numbers, 3, 40)])
        which = numbers.integers(1, 3, len(found))
        detections.append((found, which, numbers.permutation(len(found)) / 100))
    unlike = [(boxes, which, s + k / 10_000) for k, (boxes, which, s) in enumerate(detections)]
    return objects, unlike


@pytest.mark.parametrize("eleven_points", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_voc_is_the_devkits(measures: Any, seed: int, eleven_points: bool) -> None:
    objects, detections = drawn(np.random.default_rng(seed), 12)
    inside = np.array([0, 0, 1, 1])  # the last pixel is inside: continuous boxes end after it
    annotated = [
        measures.Objects(
            *map(torch.tensor, (boxes + inside, labels, difficult)), torch.zeros(len(boxes))
        )
        for boxes, labels, difficult in objects
    ]
    detected = [
        measures.Detections(*map(torch.tensor, (boxes + inside, labels, scores)))
        for boxes, labels, scores in detections
    ]
    found = measures.voc(detected, annotated, CLASSES, eleven_points=eleven_points)
    for label, name in enumerate(CLASSES, start=1):
        by_hand = voc_ap(
            [
                (str(k), score, box)
                for k, (boxes, labels, scores) in enumerate(detections)
                for box, which, score in zip(boxes, labels, scores, strict=True)
                if which == label
            ],
            {
                str(k): [
                    (box, bool(is_difficult))
                    for box, which, is_difficult in zip(boxes, labels, difficult, strict=True)
                    if which == label
                ]
                for k, (boxes, labels, difficult) in enumerate(objects)
            },
            eleven_points,
        )
        assert found[name] == pytest.approx(100 * by_hand, abs=1e-9, nan_ok=True)
        assert 0 < by_hand < 1


def test_what_the_measures_give_at_their_ends(measures: Any) -> None:
    box, one = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([1])
    objects = measures.Objects(box, one, torch.tensor([False]), torch.tensor([100.0]))
    none = measures.Detections(torch.empty(0, 4), torch.empty(0, dtype=torch.long), torch.empty(0))
    right = measures.Detections(box, one, torch.tensor([0.9]))
    for eleven_points in (True, False):
        shown = measures.voc([right], [objects], CLASSES, eleven_points=eleven_points)
        assert shown["cat"] == 100 and math.isnan(shown["dog"])
        assert measures.voc([none], [objects], CLASSES, eleven_points=eleven_points)["cat"] == 0
    difficult = objects._replace(ignored=torch.tensor([True]))
    assert math.isnan(measures.voc([right], [difficult], CLASSES, eleven_points=True)["cat"])


def test_coco_is_pycocotools_and_crowds_do_not_count(measures: Any) -> None:
    pytest.importorskip("pycocotools", reason="needs pip install 'resnet-gen[detection]'")
    size, label = (100, 100), torch.tensor([1])
    box = torch.tensor([[10.0, 10, 50, 50]])
    objects = measures.Objects(box, label, torch.tensor([False]), torch.tensor([1600.0]))
    shifted = torch.tensor([[10.0, 10, 50, 40]])  # IoU 0.75: right at 6 of COCO's 10 overlaps
    assert overlap(box[0].tolist(), shifted[0].tolist()) == 0.75
    found = measures.Detections(shifted, label, torch.tensor([0.5]))
    shown = measures.coco([found], [objects], [size], CLASSES)
    assert shown["ap"] == pytest.approx(60) and shown["ap50"] == pytest.approx(100)
    assert shown["ap_medium"] == pytest.approx(60) and "ap_small" not in shown
    crowd = measures.Objects(*(torch.cat([each, each]) for each in objects))
    crowd = crowd._replace(ignored=torch.tensor([False, True]), boxes=torch.cat([box, box + 45]))
    within = measures.Detections(
        torch.cat([box, box + 45, box + 46]), label.repeat(3), torch.tensor([0.5, 0.9, 0.8])
    )
    assert measures.coco([within], [crowd], [size], CLASSES)["ap"] == pytest.approx(100)
    none = measures.Detections(torch.empty(0, 4), label[:0], torch.empty(0))
    assert measures.coco([none], [objects], [size], CLASSES)["ap"] == 0
