"""The ImageNet training scripts: section 3.4's constants, crops, colours and steps, by effect."""

from __future__ import annotations

import json
import math
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torchvision.transforms.functional as T

from conftest import CIFAR, NAMES, READING, folder, generate_tiny, load
from resnet_gen.read import library
from resnet_gen.read.network_spec import class_name
from test_imagenet_images import batch

IMAGENET = [name for name in NAMES if name not in CIFAR]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load(folder("resnet50_b") / "train.py")


@pytest.fixture(scope="module")
def tiny_script(tiny: Path) -> ModuleType:
    return load(tiny / "train.py")


@pytest.mark.parametrize("name", IMAGENET)
def test_constants_are_section_3_4(name: str) -> None:
    s = load(folder(name) / "train.py")
    assert (s.ITERATIONS, s.BATCH_SIZE, s.LEARNING_RATE) == (60 * 10**4, 256, 0.1)
    assert (s.MOMENTUM, s.WEIGHT_DECAY, s.PATIENCE) == (0.9, 1e-4, 5)
    assert (s.SHORTER_SIDE, s.IMAGE_SIZE, s.FLIP) == ((256, 480), 224, True)
    assert s.TEST_SIDES == (224, 256, 384, 480, 640) and s.TEST_SIDE == 256
    assert name == s.NETWORK and not hasattr(s, "DROPS")
    assert s.__doc__ and "600,000 iterations of 256 images" in s.__doc__
    assert load(folder(name) / "model.py").__all__ == [class_name(name)]


def test_the_recipe_of_those_who_followed(tmp_path: Path) -> None:
    path = generate_tiny(tmp_path, more="training: imagenet-30-60-90\n")
    s = load(path / "train.py")
    epochs = [k * 256 / 1_281_167 for k in (*s.DROPS, s.ITERATIONS)]
    assert [round(epoch, 3) for epoch in epochs] == [30, 60, 90] and not hasattr(s, "PATIENCE")
    rates = [s.learning_rate(step) for step in (0, s.DROPS[0] - 1, s.DROPS[0], s.DROPS[1])]
    assert rates == [0.1, 0.1, 0.01, 0.001]
    short = [s.learning_rate(step, 90) for step in range(90)]
    assert short == [0.1] * 31 + [0.01] * 29 + [0.001] * 30  # 150,137 is a little over a third
    assert s.__doc__ and "but for iterations and drops." in s.__doc__.splitlines()[0]


def test_other_sizes_keep_the_papers_proportions(tiny_script: ModuleType) -> None:
    s = tiny_script
    assert s.IMAGE_SIZE == 64 and s.SHORTER_SIDE == (73, 137) and s.TEST_SIDE == 73
    assert s.TEST_SIDES == (64, 73, 110, 137, 183)


def test_no_script_where_images_have_other_channels(tmp_path: Path, cli: Callable) -> None:
    path = generate_tiny(tmp_path, more="image_channels: 4\n")
    assert (path / "model.py").is_file() and not (path / "train.py").exists()
    code, _, err = cli("train", tmp_path / "tiny.yaml")
    assert code == 2 and "would read colour images, not 4 channels" in err


def test_the_rate_drops_after_five_validations_without_a_lower_error(
    tiny_script: ModuleType, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [50, 40, *[41, 40, 40, 40, 40], 39, 39, 38.5, *[40, 40, 40, 40, 40], 37]
    s = tiny_script
    shown = iter(errors)
    monkeypatch.setattr(s, "errors", lambda *_: (next(shown), 0.0))
    monkeypatch.setattr(s, "EVALUATE_EVERY", 1)
    monkeypatch.setattr(s.Trainer, "train_step", lambda self, *batch: None)
    flags = f"train.py --data {pictures} --iterations {len(errors)} --batch-size 2 --workers 0"
    monkeypatch.setattr("sys.argv", [*flags.split(), "--out", str(tmp_path)])
    s.main()
    found = [json.loads(li)["lr"] for li in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert found == [0.1] * 7 + [0.01] * 8 + [0.001]


def test_two_steps_are_sgd_on_the_papers_images(tiny_script: ModuleType, tiny: Path) -> None:
    """Mirrored, coloured, centred, and moved by v := 0.9 v + (gradient + 1e-4 w), all by hand."""
    s = tiny_script
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
    crops = [s.Crop("", 0, 300, 0, 0, False, alpha.tolist()) for alpha in alphas]
    colour = batch(s, crops, "cpu").colour
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
    tiny_script: ModuleType, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    s, path = tiny_script, tmp_path / "means/mean.pt"
    samples = s.open_folder(pictures).train.samples
    made = s.pixel_mean(path, samples, [], READING)
    total = torch.zeros(3, 64, 64)
    for sample, _ in samples:
        image = T.center_crop(T.resize(s.read_image(sample), 73), [64])
        total += T.pil_to_tensor(image)
    assert torch.allclose(made, total / len(samples), atol=1e-3)
    assert "is kept in" in capsys.readouterr().err
    assert torch.equal(s.pixel_mean(path, [], [], READING), made)  # read, not made
    path.write_bytes(b"something else")
    with pytest.raises(SystemExit) as stop:
        s.pixel_mean(path, samples, [], READING)
    assert stop.value.code == 2 and "cannot be read (" in capsys.readouterr().err


def test_recipes_belong_to_their_design(tmp_path: Path) -> None:
    paper = library.recipe("imagenet-paper")
    follow = library.recipe("imagenet-30-60-90")
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
    assert load(path / "train.py").DROPS == (10,)


def test_a_mean_of_nothing_is_not_kept(
    tiny_script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    skipping = Namespace(**{**vars(READING), "skip_bad_images": True})
    with pytest.raises(SystemExit) as stop:
        samples = [(str(tmp_path / "empty.jpg"), 0)]
        tiny_script.pixel_mean(tmp_path / "mean.pt", samples, [], skipping)
    assert stop.value.code == 2 and "no image to take the mean of" in capsys.readouterr().err
    assert not (tmp_path / "mean.pt").exists()
