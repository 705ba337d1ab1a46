"""The ImageNet training scripts: section 3.4's constants, crops, colours and steps, by effect."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision.transforms.functional as T

from conftest import BLOCKS, CIFAR, folder, generate_tiny
from resnet_gen.generate.loading import load, load_folder
from resnet_gen.read import library, recipes
from resnet_gen.read.network_spec import class_name
from test_imagenet_images import batch
from tiny_runs import reading, runner

IMAGENET = [name for name in BLOCKS if name not in CIFAR]


@pytest.fixture(scope="module")
def tiny_script(tiny: Path) -> Any:
    return load_folder(tiny)


@pytest.mark.parametrize("name", IMAGENET)
def test_constants_are_section_3_4(name: str) -> None:
    s = load(folder(name) / "train.py")
    assert (s.ITERATIONS, s.BATCH_SIZE, s.LEARNING_RATE) == (60 * 10**4, 256, 0.1)
    assert (s.MOMENTUM, s.WEIGHT_DECAY, s.PATIENCE) == (0.9, 1e-4, 5)
    assert (s.SHORTER_SIDE, s.IMAGE_SIZE, s.FLIP) == ((256, 480), 224, True)
    assert s.TEST_SIDES == (224, 256, 384, 480, 640) and s.TEST_SIDE == 256
    assert name == s.NETWORK and not hasattr(s, "MILESTONES")
    assert s.__doc__ and "600,000 iterations of 256 images" in s.__doc__
    assert load(folder(name) / "model.py").__all__ == [class_name(name)]


def test_the_recipe_of_those_who_followed(tmp_path: Path) -> None:
    path = generate_tiny(tmp_path, more="training: imagenet-30-60-90\n")
    s = load(path / "train.py")
    epochs = [k * 256 / 1_281_167 for k in (*s.MILESTONES, s.ITERATIONS)]
    assert [round(epoch, 3) for epoch in epochs] == [30, 60, 90] and not hasattr(s, "PATIENCE")
    first, second = s.MILESTONES
    rates = [s.learning_rate(step) for step in (0, first - 1, first, second)]
    assert rates == [0.1, 0.1, 0.01, 0.001]
    short = [s.learning_rate(step, 90) for step in range(90)]
    assert short == [0.1] * 31 + [0.01] * 29 + [0.001] * 30  # 150,137 is a little over a third
    assert s.__doc__ and "but for iterations and drops." in s.__doc__.splitlines()[0]


def test_other_sizes_keep_the_papers_proportions(tiny_script: Any) -> None:
    s = tiny_script.train
    assert s.IMAGE_SIZE == 64 and s.SHORTER_SIDE == (73, 137) and s.TEST_SIDE == 73
    assert s.TEST_SIDES == (64, 73, 110, 137, 183)


def test_no_script_where_images_have_other_channels(tmp_path: Path, cli: Callable) -> None:
    path = generate_tiny(tmp_path, more="image_channels: 4\n")
    assert (path / "model.py").is_file() and not (path / "train.py").exists()
    code, _, err = cli("train", tmp_path / "tiny.yaml")
    assert code == 2 and "would read colour images, not 4 channels" in err


def test_the_rate_drops_after_five_validations_without_a_lower_error(
    tiny_script: Any, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signals: None
) -> None:
    errors = [50, 40, *[41, 40, 40, 40, 40], 39, 39, 38.5, *[40, 40, 40, 40, 40], 37]
    train = tiny_script.train
    shown = iter(errors)
    monkeypatch.setattr(train, "errors", lambda *_: (next(shown), 0.0))
    monkeypatch.setattr(train, "EVALUATE_EVERY", 1)
    monkeypatch.setattr(train.Trainer, "train_step", lambda self, *batch: None)
    flags = ["--data", pictures, "--iterations", len(errors), "--out", tmp_path]
    assert runner(tiny_script, monkeypatch)(*flags) == 0
    found = [json.loads(li)["lr"] for li in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert found == [0.1] * 7 + [0.01] * 8 + [0.001]


def test_the_plateau_is_torchs(tiny_script: Any) -> None:
    """The rate at each step, of many series with ties, is ReduceLROnPlateau's."""
    s, numbers = tiny_script.train, random.Random(0)
    drops = 0
    for series in range(300):
        errors = [float(numbers.randint(0, 3 + series % 9)) for _ in range(numbers.randint(1, 40))]
        optimizer = torch.optim.SGD([torch.zeros(1)], s.LEARNING_RATE)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, patience=s.PATIENCE - 1, threshold=0, eps=0
        )
        for n, error in enumerate(errors):
            assert s.learning_rate(n, 40, errors[:n]) == pytest.approx(plateau.get_last_lr()[0])
            plateau.step(error)
        drops += plateau.get_last_lr()[0] < s.LEARNING_RATE
    assert 100 < drops < 300


def test_pixels_are_mirrored_centred_and_coloured(tiny_script: Any) -> None:
    pixels = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    mean, colour = torch.rand(3, 64, 64), torch.tensor([[1.0, -2.0, 3.0], [0.0, 0.0, 0.0]])
    made = tiny_script.train.augment(pixels, torch.tensor([False, True]), colour, mean)
    assert torch.equal(made[0], pixels[0] - mean + colour[0][:, None, None])
    assert torch.equal(made[1], T.hflip(pixels[1]) - mean)


def test_two_steps_are_sgd_on_the_papers_images(tiny_script: Any, tiny: Path) -> None:
    """Mirrored, coloured, centred, and moved by v := 0.9 v + (gradient + 1e-4 w), all by hand."""
    s = tiny_script.train
    torch.manual_seed(0)
    mean = torch.tensor(s.MEAN)[:, None, None]
    trainer = s.Trainer(["a", "b", "c"], mean, "fp32")
    reference = load(tiny / "model.py").Tiny(num_classes=3)
    reference.load_state_dict(trainer.model.state_dict())
    reference.to(memory_format=torch.channels_last)
    velocity = {key: torch.zeros_like(p) for key, p in reference.named_parameters()}
    start = {key: p.clone() for key, p in reference.named_parameters()}
    pixels = torch.randint(256, (4, 3, 64, 64), dtype=torch.uint8)
    labels, mirrored = torch.tensor([0, 1, 2, 0]), torch.tensor([True, False, True, False])
    alphas = 0.1 * torch.randn(4, 3) * torch.tensor(s.EIGENVALUES)
    crops = [s.Crop("", 0, 64, 100, 0, 0, False, alpha.tolist()) for alpha in alphas]
    colour = batch(tiny_script, crops).colour
    images = torch.empty(4, 3, 64, 64)
    for k in range(4):
        image = pixels[k].float()
        if mirrored[k]:
            image = T.hflip(image)
        for channel in range(3):
            shift = sum(s.EIGENVECTORS[channel][j] * alphas[k, j] for j in range(3))
            images[k, channel] = image[channel] + 255 * shift - s.MEAN[channel]
    (group,) = trainer.optimizer.param_groups
    assert group["fused"] and not group["nesterov"]
    for rate in (0.1, 0.05):
        group["lr"] = rate
        trainer.sums.zero_()
        trainer.train_step(pixels, labels, mirrored, colour)
        loss, error = trainer.sums
        scores = reference(images.contiguous(memory_format=torch.channels_last))
        expected = torch.nn.functional.cross_entropy(scores, labels)
        reference.zero_grad()
        expected.backward()
        with torch.no_grad():
            for key, p in reference.named_parameters():
                velocity[key] = 0.9 * velocity[key] + p.grad + 1e-4 * p
                p.sub_(rate * velocity[key])
        assert math.isclose(loss, expected.detach(), rel_tol=1e-4)
        assert error == (scores.argmax(1) != labels).float().mean()
        for key, p in trainer.model.named_parameters():
            expected_p = dict(reference.named_parameters())[key]
            assert (p - expected_p).norm() < 1e-2 * (expected_p - start[key]).norm(), key


def test_the_per_pixel_mean_is_made_once_and_kept(
    tiny_script: Any, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    s, path = tiny_script, tmp_path / "means/mean.pt"
    samples, test = s.data.load(pictures).train.samples, s.train.TESTS["1-crop"]
    args = reading(data=str(pictures))
    made = s.evaluate.pixel_mean(path, 64, samples, test, [], args)
    total = torch.zeros(3, 64, 64)
    for sample, _ in samples:
        image = T.center_crop(T.resize(s.folder.read_image(sample), 73), [64])
        total += T.pil_to_tensor(image)
    assert torch.allclose(made, total / len(samples), atol=1e-3)
    assert "is kept in" in capsys.readouterr().err
    assert torch.equal(s.evaluate.pixel_mean(path, 64, [], test, [], args), made)  # read, not made
    for wrong, words in (
        (torch.zeros(3, 8, 8), "is no per-pixel mean of 64×64"),
        (None, "damaged"),
    ):
        path.write_bytes(b"?") if wrong is None else torch.save(wrong, path)
        with pytest.raises(SystemExit) as stop:
            s.evaluate.pixel_mean(path, 64, samples, test, [], args)
        assert stop.value.code == 2 and words in capsys.readouterr().err


def test_recipes_belong_to_their_design(tmp_path: Path) -> None:
    paper = recipes.recipe("imagenet-paper")
    follow = recipes.recipe("imagenet-30-60-90")
    assert paper.design == follow.design == "imagenet"
    same = {"name", "iterations", "drops", "patience"}
    assert paper.model_dump(exclude=same) == follow.model_dump(exclude=same)
    for more, words in (
        ("training: cifar-paper\n", "trains networks of the cifar design"),
        ("training: {recipe: imagenet-paper, drops: [10]}\n", "not both"),
        ("training: {recipe: imagenet-paper, shorter_side: [480, 256]}\n", "do not rise"),
        ("training: {recipe: imagenet-paper, shorter_side: [200, 256]}\n", "at least 224"),
        ("training: {recipe: imagenet-paper, padding: 4}\n", "`padding` is not a key"),
    ):
        with pytest.raises(library.Failure) as failure:
            generate_tiny(tmp_path, more=more)
        assert words in failure.value.problems[0].message
    path = generate_tiny(
        tmp_path, more="training: {recipe: imagenet-paper, patience: null, drops: [10]}\n"
    )
    assert load(path / "train.py").MILESTONES == (10,)


def test_a_mean_of_nothing_is_not_kept(
    tiny_script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    skipping, test = reading(data=tmp_path, skip_bad_images=True), tiny_script.train.TESTS["1-crop"]
    with pytest.raises(SystemExit) as stop:
        samples = [(str(tmp_path / "empty.jpg"), 0)]
        tiny_script.evaluate.pixel_mean(tmp_path / "mean.pt", 64, samples, test, [], skipping)
    assert stop.value.code == 2 and "no image to take the mean of" in capsys.readouterr().err
    assert not (tmp_path / "mean.pt").exists()
