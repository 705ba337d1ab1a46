"""What a generated detector does at test time, against plain versions of each step in numpy."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.detection._utils import BoxCoder

import detection_by_hand as by_hand
from conftest import ROOT
from resnet_gen.generate.loading import load_folder

CODE = ROOT / "generated/detection/faster_rcnn_resnet101_all"


@pytest.fixture(scope="module")
def code() -> Any:
    return load_folder(CODE)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def random_boxes(count: int, size: float = 100.0) -> torch.Tensor:
    corners = torch.rand(count, 2, 2).mul(size).sort(dim=1).values
    return torch.cat([corners[:, 0], corners[:, 1] + 2], dim=1)


class Scored(nn.Module):
    """Sibling layers whose outputs are what features say: scores, then offsets."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.cls_score = SimpleNamespace(in_features=5 * (classes + 1))

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return features[:, : self.classes + 1], features[:, self.classes + 1 :]


def test_nms_and_voting_are_by_hand(code: Any) -> None:
    classes, count = 3, 60
    base = random_boxes(12).repeat_interleave(5, dim=0)
    boxes = base[:, None] + torch.randn(count, classes + 1, 4) * 2
    boxes[..., 2:] = torch.maximum(boxes[..., 2:], boxes[..., :2] + 1)
    scores = torch.rand(count, classes + 1)
    scores[::7] = 0.01  # below the least score: no detection, and no voter
    found = code.testing.suppress(scores, boxes)
    expected = []
    for label in range(1, classes + 1):
        mine = [k for k in range(count) if scores[k, label] > 0.05]
        box, score = boxes[mine, label].tolist(), scores[mine, label].tolist()
        kept = by_hand.kept_by_nms(box, score, 0.3)
        winners = by_hand.voted(box, score, kept, 0.5)
        expected += [(score[k], label, w) for k, w in zip(kept, winners, strict=True)]
    expected = sorted(expected, key=lambda each: -each[0])[: code.testing.AT_MOST]
    assert len(expected) > 10
    assert found["labels"].tolist() == [label for _, label, _ in expected]
    assert found["scores"].tolist() == pytest.approx([score for score, _, _ in expected])
    np.testing.assert_allclose(
        found["boxes"], [box for _, _, box in expected], rtol=1e-4, atol=1e-3
    )


def test_regions_are_pooled_as_fast_rcnn_does(code: Any) -> None:
    """And conv5_x follows, then the mean: here conv5_x is left out."""
    regions = code.detector.Regions(SimpleNamespace(layer4=nn.Identity()))
    maps, size = torch.rand(1, 3, 12, 16), code.detector.STRIDE
    boxes = random_boxes(20, 190)
    pooled = regions.pooled(maps, [boxes])
    for box, features in zip(boxes.tolist(), pooled, strict=True):
        bins = by_hand.pooled(maps[0].numpy(), box, 14, 1 / size)
        np.testing.assert_allclose(features, bins.mean(axis=(1, 2)), rtol=1e-5)


def test_context_is_the_whole_images_and_not_the_batchs(code: Any) -> None:
    """Images of a batch are padded to one size, and each has its own."""
    regions = code.detector.Regions(SimpleNamespace(layer4=nn.Identity()))
    maps, sizes = torch.rand(2, 3, 12, 16), [(180, 150), (100, 250)]
    boxes = [random_boxes(3, 90), random_boxes(2, 90)]
    features = regions({"0": maps}, boxes, sizes)
    assert features.shape == (5, 6)
    for k, (height, width) in enumerate(sizes):
        whole = by_hand.pooled(maps[k].numpy(), (0, 0, width, height), 14, 1 / 16).mean((1, 2))
        rows = slice(0, 3) if k == 0 else slice(3, 5)
        np.testing.assert_allclose(features[rows, 3:], np.tile(whole, (3 - k, 1)), rtol=1e-5)


def test_each_box_is_seen_at_the_two_scales_around_its_own(code: Any) -> None:
    """And the larger of the two features is taken, one by one."""
    testing = code.testing
    view = object.__new__(testing.View)
    view.size, view.scales = (300, 400), list(testing.SCALES)
    heads = SimpleNamespace(box_predictor=Scored(classes=2))
    view.detector = SimpleNamespace(roi_heads=heads)
    asked: dict[int, list[list[float]]] = {}
    features = {side: torch.randn(50, 15) for side in testing.SCALES}
    boxes = torch.cat([random_boxes(40, 290), torch.tensor([[0.0, 0, 2, 2], [0, 0, 299, 399]])])

    def pooled(side: int, chosen: torch.Tensor) -> torch.Tensor:
        asked[side] = chosen.tolist()
        rows = [boxes.tolist().index(box) for box in chosen.tolist()]
        return features[side][rows]

    view._pooled = pooled
    merged = view.features(boxes)
    for k, box in enumerate(boxes.tolist()):
        pair = by_hand.adjacent_scales(box, view.size, testing.SCALES, testing.REGION)
        assert [side for side in testing.SCALES if box in asked.get(side, [])] == list(pair)
        expected = torch.maximum(features[pair[0]][k], features[pair[1]][k])
        assert torch.equal(merged[k], expected)


def test_boxes_are_regressed_and_clipped_by_hand(code: Any) -> None:
    testing, classes = code.testing, 2
    view = object.__new__(testing.View)
    view.size = (80, 100)
    coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
    heads = SimpleNamespace(box_predictor=Scored(classes), box_coder=coder)
    view.detector = SimpleNamespace(roi_heads=heads)
    boxes, features = random_boxes(9, 70), torch.randn(9, 15) * 2
    view.features = lambda _: features
    scores, regressed = view.classify(boxes)
    np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-5)
    for k in range(9):
        for label in range(classes + 1):
            offsets = features[k, 3 + 4 * label : 7 + 4 * label].tolist()
            moved = by_hand.decoded(boxes[k].tolist(), offsets, (10, 10, 5, 5))
            expected = by_hand.clipped(moved, *view.size)
            np.testing.assert_allclose(regressed[k, label], expected, rtol=1e-4, atol=1e-3)


def test_the_anchors_stand_16_pixels_apart(code: Any) -> None:
    """On images whose sides 16 does not divide too, since they are padded to a multiple of 32."""
    detector = code.detector
    generator = detector.AnchorGenerator((detector.ANCHOR_SIZES,), (detector.ANCHOR_RATIOS,))
    resize = detector.GeneralizedRCNNTransform(600, 1000, [0.0] * 3, [1.0] * 3).eval()
    for height, width in ((600, 800), (375, 500), (600, 1000), (333, 500), (1000, 600)):
        images, _ = resize([torch.zeros(3, height, width)])
        rows, columns = (-(-side // 16) for side in images.tensors.shape[2:])
        (found,) = generator(images, [torch.zeros(1, 1, rows, columns)])
        found = found.reshape(rows, columns, 9, 4)
        for place in ((0, 0), (1, 0), (rows - 1, columns - 1)):
            expected = by_hand.anchors(place, 16, detector.ANCHOR_SIZES, detector.ANCHOR_RATIOS)
            np.testing.assert_array_equal(found[place], expected)


def test_an_ensemble_of_one_network_twice_is_that_network(code: Any, tmp_path: Path) -> None:
    testing = code.testing

    class Fixed:
        """A view that always finds the same."""

        def __init__(self, detector: int, image: torch.Tensor) -> None:
            self.proposals = boxes[:7] if detector == 0 else boxes[7:]
            self.detector = detector

        def classify(self, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            torch.manual_seed(int(seen.sum()) % 1000)
            scores = torch.stack([torch.sin(seen.sum(1) * k) for k in range(4)], dim=1)
            return scores.softmax(dim=1), seen[:, None].expand(-1, 4, -1) + 0.5

    boxes = random_boxes(12)
    view, testing.View = testing.View, Fixed
    try:
        alone = testing.detect([0], torch.zeros(3, 9, 9))
        twice = testing.detect([0, 0], torch.zeros(3, 9, 9))
        both = testing.detect([0, 1], torch.zeros(3, 9, 9))
    finally:
        testing.View = view
    assert len(alone["boxes"]) > 2
    for key, value in alone.items():
        torch.testing.assert_close(twice[key], value)
    assert len(both["boxes"]) > len(alone["boxes"])  # the other's proposals are taken too
