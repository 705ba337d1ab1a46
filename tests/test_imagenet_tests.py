"""The paper's ways of testing, each against a slow and obvious version on real pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision.transforms.functional as T
from PIL import Image, ImageOps
from torch import Tensor, nn

from conftest import READING, folder
from resnet_gen.generate.loading import load_folder
from tiny_runs import untrained


@pytest.fixture(scope="module")
def script(tiny: Path) -> Any:
    return load_folder(tiny)


def photograph(path: str) -> Image.Image:
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def centred(image: Image.Image, mean: Tensor) -> Tensor:
    return (T.pil_to_tensor(image).float() - mean)[None]


def one_crop(model: nn.Module, image: Image.Image, mean: Tensor) -> Tensor:
    crop = T.center_crop(T.resize(image, 73), [64])
    return model(centred(crop, mean)).softmax(1)[0]


def ten_crop(model: nn.Module, image: Image.Image, mean: Tensor) -> Tensor:
    """Four corners and the centre, and their mirror images; softmax scores are averaged."""
    resized = T.resize(image, 73)
    width, height = resized.size
    corners = [(x, y) for x in (0, width - 64) for y in (0, height - 64)]
    places = [*corners, (round((width - 64) / 2), round((height - 64) / 2))]
    scores = []
    for x, y in places:
        crop = resized.crop((x, y, x + 64, y + 64))
        for shown in (crop, crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)):
            scores.append(model(centred(shown, mean)).softmax(1)[0])
    return torch.stack(scores).mean(0)


def multi_scale(model: Any, image: Image.Image, mean: Tensor) -> Tensor:
    """Fully convolutional: the pool and the last layer at every place, then averages."""
    of_scales = []
    for side in (64, 73, 110, 137, 183):
        x = centred(T.resize(image, side), mean)
        x = model.maxpool(F.relu(model.bn1(model.conv1(x))))
        maps = model.layer4(model.layer3(model.layer2(model.layer1(x))))[0]
        scores = []
        for top in range(maps.shape[1] - 1):
            for left in range(maps.shape[2] - 1):
                window = maps[:, top : top + 2, left : left + 2].mean(dim=(1, 2))
                scores.append(model.fc(window).softmax(0))
        of_scales.append(torch.stack(scores).mean(0))
    return torch.stack(of_scales).mean(0)


SLOW: dict[str, Callable[..., Tensor]] = {
    "1-crop": one_crop,
    "10-crop": ten_crop,
    "multi-scale": multi_scale,
}


@pytest.mark.parametrize("test", SLOW)
@torch.inference_mode()
def test_errors_are_those_of_the_slow_way(
    script: Any, tiny: Path, pictures: Path, test: str
) -> None:
    """The scores of each image; and the counts, with each class in turn as the right one."""
    mean = torch.tensor(script.train.MEAN)[:, None, None]
    model = untrained(tiny, seed=1, classes=7)
    network = script.evaluate.Classifier(model, mean, 2, "fp32")
    samples = script.data.load(pictures).validation.samples
    expected = torch.stack([SLOW[test](model, photograph(path), mean) for path, _ in samples])
    shown = [script.train.TESTS[test].views(script.folder.read_image(path)) for path, _ in samples]
    made = torch.stack([
        torch.stack([network.probabilities(view).mean(0) for view in of_image]).mean(0)
        for of_image in shown
    ])  # fmt: skip
    assert torch.allclose(made, expected, atol=1e-4)
    assert len(set(expected.argmax(1).tolist())) > 1
    for label in range(7):
        relabelled = [(path, label) for path, _ in samples]
        top1, top5 = script.evaluate.errors(
            [network], relabelled, script.train.TESTS[test], [], READING
        )
        ranks = expected.argsort(1, descending=True)
        wrong, not_in_five = (ranks[:, 0] != label).sum(), (ranks[:, :5] != label).all(1).sum()
        assert top1 == 100 * int(wrong) / len(samples)
        assert top5 == 100 * int(not_in_five) / len(samples)


@torch.inference_mode()
def test_one_window_is_the_network_itself() -> None:
    """ResNet-50 at 224×224: fully convolutional is the same as forward()."""
    s = load_folder(folder("resnet50_b"))
    model = untrained(folder("resnet50_b"), seed=0, classes=11)
    mean = torch.tensor(s.train.MEAN)[:, None, None]
    pixels = torch.randint(256, (2, 3, 224, 224), dtype=torch.uint8)
    made = s.evaluate.Classifier(model, mean, s.train.LAST_SIZE, "fp32").probabilities(pixels)
    expected = model(pixels - mean).softmax(1)
    assert torch.allclose(made, expected, atol=1e-5)


def test_top_5_of_fewer_classes_is_never_wrong(script: Any, tiny: Path, pictures: Path) -> None:
    network = script.evaluate.Classifier(untrained(tiny, 0), torch.zeros(3, 1, 1), 2, "fp32")
    samples = script.data.load(pictures).validation.samples
    assert (
        script.evaluate.errors([network], samples, script.train.TESTS["1-crop"], [], READING)[1]
        == 0
    )


def test_testing_leaves_the_network_in_training_and_its_statistics_alone(
    script: Any, tiny: Path, pictures: Path
) -> None:
    network = script.evaluate.Classifier(
        untrained(tiny, 0).train(), torch.zeros(3, 1, 1), 2, "fp32"
    )
    before = {key: value.clone() for key, value in network.model.state_dict().items()}
    samples, test = script.data.load(pictures).validation.samples, script.train.TESTS["10-crop"]
    script.evaluate.errors([network], samples, test, [], READING)
    assert network.model.training
    assert all(torch.equal(v, before[k]) for k, v in network.model.state_dict().items())


def test_a_per_pixel_mean_is_subtracted_where_it_fits(script: Any, tiny: Path) -> None:
    mean = torch.rand(3, 64, 64) * 255
    network = script.evaluate.Classifier(untrained(tiny, 0), mean, 2, "fp32")
    pixels = torch.randint(256, (1, 3, 64, 64), dtype=torch.uint8)
    assert torch.allclose(network.centred(pixels), pixels - mean)
    larger = torch.randint(256, (1, 3, 73, 90), dtype=torch.uint8)
    of_channels = mean.mean(dim=(1, 2), keepdim=True)
    assert torch.allclose(network.centred(larger), larger - of_channels)
