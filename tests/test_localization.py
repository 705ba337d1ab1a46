"""Localization (appendix C): a per-class RPN, its crops and anchors, the R-CNN, and the error."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import cards
import detection_by_hand as by_hand
from conftest import folder, load
from resnet_gen.generate.loading import load_folder
from resnet_gen.network.localizer import of_a_crop
from resnet_gen.read.detectors import LocalizerEntry, detector
from training import equal, lines, main, results, state

NAME = "localizer_small"


@pytest.fixture(scope="module")
def code() -> Any:
    return load_folder(folder(NAME))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = cards.make(tmp_path_factory.mktemp("data"), train=80, val=6, crops=300)
    net = load(folder("resnet18_small") / "train.py")
    flags = ["--data", "crops", "--root", root, "--batch-size", 8, "--workers", 0]
    assert main(net, *flags, "--iterations", 2, "--out", root / "backbone") == 0
    return root


@pytest.mark.parametrize("name", [NAME, "localizer_resnet101"])
def test_both_networks_have_the_parameters_of_the_arithmetic(name: str) -> None:
    module = load(folder(name) / "localizer.py")
    entry = detector(name)
    assert isinstance(entry, LocalizerEntry)
    network = of_a_crop(entry)
    with torch.device("meta"):
        built = [module.PerClassRPN(), module.RegionNetwork()]
    counts = [sum(p.numel() for p in each.parameters()) for each in built]
    trunk = network.trunk.parameters
    assert counts == [
        trunk + network.rpn.parameters,
        network.region.parameters + network.siblings.parameters,
    ]


def test_a_class_is_computed_as_all_would_be(code: Any) -> None:
    """At each anchor of each place, the scores and offsets of 1×1 convolutions for all classes."""
    torch.manual_seed(0)
    rpn = code.localizer.PerClassRPN(num_classes=4).eval()
    images, classes = torch.randn(2, 3, 64, 96), torch.tensor([[1, 3], [0, 1]])
    with torch.no_grad():
        for layer in (rpn.cls, rpn.reg):
            layer.bias.normal_()
        scores, offsets = rpn(images, classes)
        x = F.relu(rpn.conv(rpn.maps(images)))
        anchors = code.localizer.ANCHORS
        all_scores = rpn.cls(x).unflatten(1, (4, anchors))  # (N, class, anchor, row, column)
        all_offsets = rpn.reg(x).unflatten(1, (4, anchors, 4))
    assert x.shape[2:] == (2, 3) and scores.shape == (2, 2, 6 * anchors)
    for n in range(2):
        for k in range(2):
            label = int(classes[n, k])
            for row in range(2):
                for column in range(3):
                    for a in range(anchors):
                        place = (row * 3 + column) * anchors + a
                        one = all_scores[n, label, a, row, column]
                        torch.testing.assert_close(scores[n, k, place], one)
                        four = all_offsets[n, label, a, :, row, column]
                        torch.testing.assert_close(offsets[n, k, place], four)


def test_anchors_stand_32_pixels_apart(code: Any) -> None:
    """On images whose sides 32 does not divide, too."""
    module = code.localizer
    rpn = module.PerClassRPN(num_classes=2)
    for height, width in ((64, 64), (75, 130), (96, 500)):
        found = rpn.anchors(torch.zeros(1, 3, height, width))
        rows, columns = -(-height // 32), -(-width // 32)
        found = found.reshape(rows, columns, module.ANCHORS, 4)
        for place in ((0, 0), (rows - 1, columns - 1)):
            expected = by_hand.anchors(place, 32, module.ANCHOR_SIZES, module.ANCHOR_RATIOS)
            np.testing.assert_array_equal(found[place], expected)


def test_as_many_anchors_of_background_as_of_objects(
    code: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight of an image at most; the best anchor is one of an object even below the threshold."""
    module = code.localizer
    rpn = module.PerClassRPN(num_classes=3)
    seen: list[tuple[int, int]] = []
    entropy = F.binary_cross_entropy_with_logits

    def watched(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.append((int(targets.sum()), len(targets)))
        return entropy(scores, targets)

    monkeypatch.setattr(module.F, "binary_cross_entropy_with_logits", watched)
    images, labels = torch.randn(1, 3, 64, 64), torch.tensor([2])
    for box in ((5.0, 8.0, 9.0, 12.0), (4.0, 4.0, 60.0, 60.0)):
        losses = rpn.losses(images, labels, [torch.tensor([box])])
        assert all(loss > 0 for loss in losses)
    for objects, count in seen:
        assert 1 <= objects <= module.SAMPLED // 2 and count == 2 * objects


def test_a_crop_has_its_objects_where_they_are_seen(code: Any, tmp_path: Path) -> None:
    """A card is white where its box says, in crops of any scale and place, mirrored or not."""
    picture = Image.new("RGB", (120, 90), "black")
    box = (30, 20, 80, 60)
    picture.paste((255, 255, 255), box)
    picture.save(tmp_path / "a.png")
    obj = code.annotations.Object("x", tuple(map(float, box)), False, 0.0, "a.xml:1")
    whole = code.annotations.Picture(str(tmp_path / "a.png"), (120, 90), [obj], "a.xml:1")
    crops = code.pictures.Crops(
        [(whole, 0)], 64, code.train.draw, lambda rng: rng.random() < 0.5, 0
    )
    areas = set()
    for index in range(40):
        example = crops.example(index)
        (left, top, right, bottom) = example.boxes[0].round().int().tolist()
        white = example.pixels.float().mean(0)
        inside = white[top + 2 : bottom - 2, left + 2 : right - 2]
        assert inside.min() > 200
        outside = white.clone()
        outside[max(top - 2, 0) : bottom + 2, max(left - 2, 0) : right + 2] = 0
        assert outside.max() < 60
        areas.add((left, top, right, bottom))
    assert len(areas) > 20


def test_an_object_that_no_crop_has_is_looked_for(code: Any, tmp_path: Path) -> None:
    """At the corner of a long picture, where ten crops drawn at random may miss it."""
    picture = Image.new("RGB", (900, 60), "black")
    picture.paste((255, 255, 255), (890, 50, 900, 60))
    picture.save(tmp_path / "a.png")
    obj = code.annotations.Object("x", (890.0, 50.0, 900.0, 60.0), False, 0.0, "a.xml:1")
    whole = code.annotations.Picture(str(tmp_path / "a.png"), (900, 60), [obj], "a.xml:1")
    draw = lambda rng: code.pictures.Draw(100, 0.0, 0.0)  # noqa: E731  (never at the corner)
    example = code.pictures.Crops([(whole, 0)], 64, draw, lambda _: False, 0).example(0)
    left, top, right, bottom = example.boxes[0].round().int().tolist()
    assert (right, bottom) == (64, 64)
    assert example.pixels[:, top + 1 : bottom - 1, left + 1 : right - 1].min() > 200


def test_the_error_counts_a_box_of_the_right_class_that_overlaps_by_half(
    code: Any, tmp_path: Path
) -> None:
    """As Table 13 does: any of five guesses, each a class with its best box."""
    pictures = []
    for k in range(4):
        Image.new("RGB", (50, 50)).save(tmp_path / f"{k}.png")
        obj = code.annotations.Object("x", (10.0, 10.0, 30.0, 30.0), False, 0.0, "")
        place = code.annotations.Picture(str(tmp_path / f"{k}.png"), (50, 50), [obj], "")
        pictures.append((place, k))
    boxes = torch.tensor([[10.0, 10, 30, 30], [12.0, 10, 32, 30], [24.0, 10, 44, 30]])

    def locate(pixels: torch.Tensor, classes: torch.Tensor) -> Any:
        """Each class's best box is right for 0 and 1, half right for 2 and wrong for 3."""
        of = {0: 0, 1: 1, 2: 2, 3: 2}
        best = torch.stack([boxes[of.get(int(c), 2)] for c in classes])
        two = torch.stack([boxes[2].expand(len(classes), 4), best], dim=1)
        return code.locating.Located(two, torch.tensor([[0.1, 0.9]] * len(classes)))

    device = torch.device("cpu")
    assert code.locating.error(locate, pictures, None, device) == 50
    guess = {"classes": torch.tensor([1, 5, 6, 7, 8])}
    found = code.locating.error(locate, pictures, lambda _: guess["classes"], device)
    assert found == 75  # only the picture of class 1 has its class among the guesses
    guess["classes"] = torch.tensor([5, 6, 7, 8, 9, 0, 1, 2, 3])  # the sixth is one too many
    assert code.locating.error(locate, pictures, lambda _: guess["classes"], device) == 100


def test_boxes_come_back_to_the_pictures_pixels(code: Any) -> None:
    """From the centre crop, and from every scale."""
    target = torch.tensor([20.0, 30.0, 60.0, 70.0])  # in a picture of 100×120
    asked: list[tuple[int, int]] = []

    class Knowing:
        """An RPN that knows where the object is."""

        def propose(self, image: torch.Tensor, classes: torch.Tensor, most: int) -> Any:
            asked.append((image.shape[1], image.shape[2]))
            if image.shape[1:] == (64, 64):  # the centre of an image of 73×88
                box = target * 0.73 - torch.tensor([12.0, 4.0, 12.0, 4.0])
            else:
                box = target * min(image.shape[1:]) / 100
            return box.expand(1, most, 4), torch.ones(1, most)

    pixels, classes = torch.zeros(3, 100, 120), torch.tensor([0])
    mean = torch.zeros(3, 1, 1)
    one = code.locating.one_crop(Knowing(), mean, 64, 1)(pixels, classes)
    torch.testing.assert_close(one.boxes[0, 0], target, atol=0.5, rtol=0)
    many = code.locating.dense(Knowing(), mean, (80, 96, 200), 2)(pixels, classes)
    torch.testing.assert_close(many.boxes[0, 0], target)
    assert asked[1:] == [(80, 96), (96, 115), (200, 240)]


def test_the_r_cnn_sees_warped_regions_and_moves_their_boxes(code: Any) -> None:
    boxes = torch.tensor([[[10.0, 20, 30, 40], [0, 0, 50, 50]]])
    proposed = code.locating.Located(boxes, torch.tensor([[0.9, 0.1]]))
    pixels = torch.zeros(3, 60, 80)
    pixels[:, 20:40, 10:30] = 200  # the first region, and no more

    def network(regions: torch.Tensor, classes: torch.Tensor) -> Any:
        assert regions.shape == (2, 3, 16, 16) and classes.tolist() == [4, 4]
        filled = (regions[:, 0] > 150).float().mean((1, 2))
        offsets = torch.tensor([[0.0, 0, 0, 0], [0.1, 0, 0, 0]])
        return torch.where(filled > 0.8, 2.0, -2.0), offsets

    anew = code.locating.judged(lambda *_: proposed, network, torch.full((3, 1, 1), 10.0), 16)
    found = anew(pixels, torch.tensor([4]))
    assert (found.scores[0] > 0.5).tolist() == [True, False]
    moved = by_hand.decoded([0, 0, 50, 50], [0.1, 0, 0, 0], [1, 1, 1, 1])
    np.testing.assert_allclose(found.boxes[0, 1], by_hand.clipped(moved, 60, 80), rtol=1e-5)
    assert found.boxes[0, 0].tolist() == [10, 20, 30, 40]


def common(root: Path, *more: object) -> list[object]:
    return ["--data", "singles", "--root", root, "--batch-size", 8, "--workers", 0, *more]


def test_both_steps_train_resume_and_are_tested(
    data: Path, code: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    begin = ("--backbone", data / "backbone/checkpoint.pt", "--iterations", 4)
    step = code.train.Trainer.train_step
    made: dict[str, Path] = {}
    for name, more in (
        ("rpn", ()),
        ("regions", ("--step", "regions", "--rpn", tmp_path / "rpn/checkpoint.pt")),
    ):
        out, again = tmp_path / name, tmp_path / f"{name}-resumed"
        flags = common(data, *begin, *more)
        assert main(code.train, *flags, "--out", out) == 0
        count = [0]

        def stopped(*args: object, count: list[int] = count) -> None:
            count[0] += 1
            if count[0] == 3:
                raise KeyboardInterrupt
            step(*args)

        with monkeypatch.context() as patch:
            patch.setattr(code.train.Trainer, "train_step", stopped)
            with pytest.raises(KeyboardInterrupt):
                main(code.train, *flags, "--out", again)
        assert main(code.train, *flags, "--out", again, "--resume") == 0
        assert lines(again) == lines(out) and equal(state(again), state(out))
        assert results(out)["step"] == name and 0 <= results(out)["test_error"] <= 100
        made[name] = out / "checkpoint.pt"
    capsys.readouterr()
    test = common(data, "--evaluate", made["rpn"], made["regions"])
    assert main(code.train, *test, "--classifier", data / "backbone/checkpoint.pt") == 0
    assert "% top-5, dense: localizer_small" in capsys.readouterr().out
    assert main(code.train, *common(data, "--evaluate", made["rpn"], "--test", "1-crop")) == 0
    shown = f"localization error {results(tmp_path / 'rpn')['test_error']:.2f}% with the true class"
    assert shown in capsys.readouterr().out


def test_a_proposal_that_an_edge_cuts_to_a_line_is_a_pixel_wide(code: Any) -> None:
    """Otherwise the logarithm of its width is no number, and so is the loss."""
    a_pixel = code.pictures.a_pixel_at_least
    assert a_pixel([80, 10, 80, 30], (80, 60)) == (79, 10, 80, 30)
    assert a_pixel([0, 60, 40, 60], (80, 60)) == (0, 59, 40, 60)
    assert a_pixel([5, 6, 7, 8], (80, 60)) == (5, 6, 7, 8)


def test_proposals_of_another_rpn_are_not_taken(
    code: Any, data: Path, tmp_path: Path, capsys: Any
) -> None:
    given = [*common(data, "--backbone", data / "backbone/checkpoint.pt"), "--iterations", 1]
    assert main(code.train, *given, "--out", tmp_path / "rpn") == 0
    regions = [*given, "--step", "regions", "--out", tmp_path / "run", "--rpn"]
    assert main(code.train, *regions, tmp_path / "rpn/checkpoint.pt") == 0
    other = state(tmp_path / "rpn")
    other["model"]["conv.bias"] += 1
    torch.save(other, tmp_path / "other.pt")
    kept = tmp_path / "again/proposals.pt"
    kept.parent.mkdir()
    shutil.copy(tmp_path / "run/proposals.pt", kept)
    regions[-2] = kept.parent
    capsys.readouterr()
    assert main(code.train, *regions, tmp_path / "other.pt") == 2
    assert f"{kept} has another RPN's proposals" in capsys.readouterr().err
    assert main(code.train, *regions, tmp_path / "rpn/checkpoint.pt") == 0


def test_a_picture_of_two_classes_is_told(
    code: Any, data: Path, tmp_path: Path, capsys: Any
) -> None:
    flags = common(data, "--backbone", data / "backbone/checkpoint.pt", "--iterations", 1)
    flags[1] = "cards"
    assert main(code.train, *flags, "--out", tmp_path / "run") == 2
    assert "a picture to localize in has objects of one class, not" in capsys.readouterr().err


def test_the_second_step_needs_an_rpn(code: Any, data: Path, capsys: Any) -> None:
    assert main(code.train, *common(data, "--step", "regions")) == 2
    assert "--step regions needs --rpn" in capsys.readouterr().err
