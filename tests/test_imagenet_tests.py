"""The paper's ways of testing, each against a slow and obvious version on real pictures."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision.transforms.functional as T
from PIL import Image, ImageOps
from torch import Tensor, nn

import photographs
from conftest import READING, folder, generate_tiny, load


@pytest.fixture(scope="module")
def script(tiny: Path) -> ModuleType:
    return load(tiny / "train.py")


def untrained(path: Path, seed: int, classes: int = 4) -> nn.Module:
    """Random weights, statistics of real pictures, scores of their own for each: to be compared."""
    torch.manual_seed(seed)
    module = load(path / "model.py")
    model: nn.Module = getattr(module, module.__all__[0])(num_classes=classes)
    numbers, size = random.Random(0), 64
    seen = []
    for source in photographs.PHOTOGRAPHS.values():
        with Image.open(source) as image:
            photograph = image.convert("RGB")
        pieces = (photographs.piece(photograph, numbers, size) for _ in range(4))
        seen += [T.pil_to_tensor(T.center_crop(piece, [size])) for piece in pieces]
    images = torch.stack(seen).float() - 120
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        model(images)
        scores = model.eval()(images)
        fc = model.get_submodule("fc")
        fc.bias -= scores.mean(0)
        fc.weight /= scores.std()
        fc.bias /= scores.std()
    return model


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
    script: ModuleType, tiny: Path, pictures: Path, test: str
) -> None:
    """The scores of each image; and the counts, with each class in turn as the right one."""
    mean = torch.tensor(script.MEAN)[:, None, None]
    model = untrained(tiny, seed=1, classes=7)
    network = script.Classifier(model, mean, "fp32")
    samples = script.open_folder(pictures).validation.samples
    expected = torch.stack([SLOW[test](model, photograph(path), mean) for path, _ in samples])
    shown = [script.views(script.read_image(path), test) for path, _ in samples]
    made = torch.stack([
        torch.stack([network.probabilities(view).mean(0) for view in of_image]).mean(0)
        for of_image in shown
    ])  # fmt: skip
    assert torch.allclose(made, expected, atol=1e-4)
    assert len(set(expected.argmax(1).tolist())) > 1
    for label in range(7):
        relabelled = [(path, label) for path, _ in samples]
        top1, top5 = script.errors([network], relabelled, test, [], READING)
        ranks = expected.argsort(1, descending=True)
        wrong, not_in_five = (ranks[:, 0] != label).sum(), (ranks[:, :5] != label).all(1).sum()
        assert top1 == 100 * int(wrong) / len(samples)
        assert top5 == 100 * int(not_in_five) / len(samples)


@torch.inference_mode()
def test_one_window_is_the_network_itself() -> None:
    """ResNet-50 at 224×224: fully convolutional is the same as forward()."""
    s = load(folder("resnet50_b") / "train.py")
    model = untrained(folder("resnet50_b"), seed=0, classes=11)
    mean = torch.tensor(s.MEAN)[:, None, None]
    pixels = torch.randint(256, (2, 3, 224, 224), dtype=torch.uint8)
    made = s.Classifier(model, mean, "fp32").probabilities(pixels)
    expected = model(pixels - mean).softmax(1)
    assert torch.allclose(made, expected, atol=1e-5)


def test_top_5_of_fewer_classes_is_never_wrong(
    script: ModuleType, tiny: Path, pictures: Path
) -> None:
    network = script.Classifier(untrained(tiny, 0), torch.zeros(3, 1, 1), "fp32")
    samples = script.open_folder(pictures).validation.samples
    assert script.errors([network], samples, "1-crop", [], READING)[1] == 0


def test_testing_leaves_the_network_in_training_and_its_statistics_alone(
    script: ModuleType, tiny: Path, pictures: Path
) -> None:
    network = script.Classifier(untrained(tiny, 0).train(), torch.zeros(3, 1, 1), "fp32")
    before = {key: value.clone() for key, value in network.model.state_dict().items()}
    script.errors(
        [network], script.open_folder(pictures).validation.samples, "10-crop", [], READING
    )
    assert network.model.training
    assert all(torch.equal(v, before[k]) for k, v in network.model.state_dict().items())


def test_a_per_pixel_mean_is_subtracted_where_it_fits(script: ModuleType, tiny: Path) -> None:
    mean = torch.rand(3, 64, 64) * 255
    network = script.Classifier(untrained(tiny, 0), mean, "fp32")
    pixels = torch.randint(256, (1, 3, 64, 64), dtype=torch.uint8)
    assert torch.allclose(network.centred(pixels), pixels - mean)
    larger = torch.randint(256, (1, 3, 73, 90), dtype=torch.uint8)
    of_channels = mean.mean(dim=(1, 2), keepdim=True)
    assert torch.allclose(network.centred(larger), larger - of_channels)


def evaluate(path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, path / "train.py", "--device", "cpu", "--workers", "0"]
    command += ["--precision", "fp32", *arguments]
    return subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=240, check=False
    )


def test_an_ensemble_of_different_networks_in_one_command(
    script: ModuleType, pictures: Path, tmp_path: Path
) -> None:
    """Table 5: the mean of their softmax scores; each network's code stands beside this one's."""
    paths = [generate_tiny(tmp_path, "tiny"), generate_tiny(tmp_path, "larger", blocks=2)]
    mean = torch.tensor(script.MEAN)[:, None, None]
    classes = ["cat", "coffee", "flower", "temple"]
    scores = []
    samples = script.open_folder(pictures).validation.samples
    for seed, path in enumerate(paths):
        model = untrained(path, seed + 3)
        content = {"network": path.name, "classes": classes, "mean": mean}
        torch.save({**content, "model": model.state_dict()}, tmp_path / f"{path.name}.pt")
        with torch.inference_mode():
            scores.append(torch.stack([ten_crop(model, photograph(p), mean) for p, _ in samples]))
    labels = torch.tensor([label for _, label in samples])
    expected = 100 * ((scores[0] + scores[1]).argmax(1) != labels).float().mean()
    both = [tmp_path / "tiny.pt", tmp_path / "larger.pt"]
    done = evaluate(paths[0], "--data", pictures, "--test", "10-crop", "--evaluate", *both)
    assert done.stdout == f"10-crop error {expected:.2f}% top-1, 0.00% top-5: tiny + larger\n"
    alone = evaluate(paths[0], "--data", pictures, "--test", "10-crop", "--evaluate", both[1])
    expected = 100 * (scores[1].argmax(1) != labels).float().mean()
    assert f"error {expected:.2f}% top-1" in alone.stdout

    only_test = shutil.copytree(pictures / "val", tmp_path / "data/test")  # no train/ is needed
    (only_test / "cat/broken.jpg").write_bytes(b"")
    flags = ["--data", tmp_path / "data", "--test", "10-crop", "--evaluate", both[1]]
    again = evaluate(paths[0], *flags, "--skip-bad-images")
    assert again.stdout == alone.stdout.replace(" top-5:", " top-5, 1 left out:")
    assert "broken.jpg does not decode" in evaluate(paths[0], *flags).stderr

    (paths[1] / "model.py").unlink()
    done = evaluate(paths[0], "--data", pictures, "--evaluate", *both)
    assert done.returncode == 2 and "a checkpoint is of larger, and there is no " in done.stderr
    torch.save({**content, "classes": ["dog", "cat"]}, both[1])
    done = evaluate(paths[0], "--data", pictures, "--evaluate", *both)
    assert done.returncode == 2 and "was trained on other classes" in done.stderr
    both[1].write_bytes(b"no checkpoint")
    done = evaluate(paths[0], "--data", pictures, "--evaluate", *both)
    assert done.returncode == 2 and "cannot be read (" in done.stderr
