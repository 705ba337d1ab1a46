"""The training scripts: section 4.2's constants, schedule, data and protocol, by their effects."""

from __future__ import annotations

import math
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torchvision.transforms.functional as T

from conftest import CIFAR, folder, load
from resnet_gen.generate.loading import load_folder

DEVICE = torch.device("cpu")
TEN = [str(k) for k in range(10)]


@pytest.fixture(scope="module")
def net() -> Any:
    """All modules of ResNet-20's folder."""
    return load_folder(folder("resnet20"))


@pytest.fixture(scope="module")
def script(net: Any) -> ModuleType:
    return net.train


@pytest.fixture(scope="module")
def warmup_script() -> ModuleType:
    return load(folder("resnet110") / "train.py")


@pytest.mark.parametrize("name", CIFAR)
def test_constants_are_section_4_2(name: str) -> None:
    s = load(folder(name) / "train.py")
    assert (s.ITERATIONS, s.BATCH_SIZE, s.LEARNING_RATE) == (64_000, 128, 0.1)
    assert (s.MILESTONES, s.MOMENTUM, s.WEIGHT_DECAY) == ((32_000, 48_000), 0.9, 1e-4)
    assert (4, True, 5_000, name) == (s.PADDING, s.FLIP, s.VALIDATION, s.NETWORK)
    if name in ("resnet110", "resnet1202"):
        assert (s.WARMUP_LEARNING_RATE, s.WARMUP_UNTIL) == (0.01, 80)
    assert s.__doc__ and s.__doc__.startswith("Trains ") and "64,000 iterations of 128" in s.__doc__


def test_the_schedule_at_every_one_of_its_64_000_steps(script: ModuleType) -> None:
    rates = [script.learning_rate(step) for step in range(64_000)]
    assert rates == [0.1] * 32_000 + [0.01] * 16_000 + [0.001] * 16_000


def test_a_shorter_run_keeps_the_proportions(script: ModuleType) -> None:
    for iterations in (4, 400, 2_000, 10_000):
        rates = [script.learning_rate(step, iterations) for step in range(iterations)]
        half, quarter = iterations // 2, iterations // 4
        assert rates == [0.1] * half + [0.01] * quarter + [0.001] * quarter


def test_the_warm_up_comes_before_the_schedule(warmup_script: ModuleType) -> None:
    rate = warmup_script.learning_rate
    assert rate(0, warming_up=True) == 0.01 and rate(400, warming_up=False) == 0.1
    assert [rate(step) for step in (0, 32_000, 48_000)] == [0.1, 0.01, 0.001]


def test_optimizer_is_plain_momentum_on_every_parameter(script: ModuleType) -> None:
    trainer = script.Trainer(TEN, torch.zeros(3, 32, 32), "fp32")
    (group,) = trainer.optimizer.param_groups
    assert group["lr"] is trainer.lr and isinstance(trainer.lr, torch.Tensor) and group["fused"]
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.9, 1e-4, False)
    assert group["dampening"] == 0
    assert len(group["params"]) == len(list(trainer.model.parameters()))


def test_two_steps_are_sgd_as_the_paper_writes_it(script: ModuleType) -> None:
    """v := 0.9 v + (gradient + 1e-4 w), w := w - rate v, by hand, on the same crops."""
    torch.manual_seed(0)
    trainer = script.Trainer(TEN, torch.full((3, 32, 32), 100.0), "fp32")
    reference = load(folder("resnet20") / "model.py").ResNet20()
    reference.load_state_dict(trainer.model.state_dict())
    reference.to(memory_format=torch.channels_last)
    velocity = {key: torch.zeros_like(p) for key, p in reference.named_parameters()}
    start = {key: p.clone() for key, p in reference.named_parameters()}
    pixels = torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8)
    labels = torch.arange(8)
    for rate in (0.1, 0.05):
        state = torch.get_rng_state()
        trainer.lr.fill_(rate)
        trainer.sums.zero_()
        trainer.train_step(script.Images(pixels, labels), torch.arange(8), flip=True)
        loss, error = trainer.sums
        torch.set_rng_state(state)
        scores = reference(script.augment(pixels.float() - 100, flip=True))
        expected = torch.nn.functional.cross_entropy(scores, labels)
        reference.zero_grad()
        expected.backward()
        with torch.no_grad():
            for key, p in reference.named_parameters():
                velocity[key] = 0.9 * velocity[key] + p.grad + 1e-4 * p
                p.sub_(rate * velocity[key])
        assert math.isclose(loss, expected.detach(), rel_tol=1e-5)
        assert error == (scores.argmax(1) != labels).float().mean()
        for key, p in trainer.model.named_parameters():
            expected_p = dict(reference.named_parameters())[key]
            moved = (expected_p - start[key]).norm()
            assert (p - expected_p).norm() < 1e-2 * moved, key


def test_augmentation_is_torchvisions_pad_crop_flip(script: ModuleType) -> None:
    """Each image comes out as one of the 81 crops or its mirror image, and all of them occur."""
    torch.manual_seed(0)
    image = torch.rand(3, 32, 32)
    padded = T.pad(image, [4])
    crops = {}
    for top in range(9):
        for left in range(9):
            crop = T.crop(padded, top, left, 32, 32)
            crops[crop.numpy().tobytes()] = (top, left, False)
            crops[T.hflip(crop).numpy().tobytes()] = (top, left, True)
    made = script.augment(image.expand(4_000, 3, 32, 32), flip=True)
    found = Counter(crops[m.contiguous().numpy().tobytes()] for m in made)
    assert len(found) == 162 and max(found.values()) < 60  # 25 of each are expected
    mirrored = sum(count for (_, _, flipped), count in found.items() if flipped)
    assert abs(mirrored - 2_000) < 200
    plain = script.augment(image.expand(500, 3, 32, 32), flip=False)
    assert not any(crops[m.contiguous().numpy().tobytes()][2] for m in plain)


def test_every_image_of_a_batch_is_cropped_by_itself(script: ModuleType) -> None:
    torch.manual_seed(0)
    images = torch.arange(64.0).view(64, 1, 1, 1).expand(64, 3, 32, 32) + 1
    made = script.augment(images, flip=True)
    assert torch.equal(made.amax(dim=(1, 2, 3)), images[:, 0, 0, 0])  # no pixel of another image


def test_batches_are_full_and_run_through_all_images(script: ModuleType) -> None:
    stream = script.batches(1_000, 128, 3, DEVICE)
    seen = torch.cat([next(stream) for _ in range(125)])  # 16 times all images
    assert len(seen) == 16_000
    for epoch in seen.split(1_000):
        assert sorted(epoch.tolist()) == list(range(1_000))
    assert not torch.equal(seen[:1_000], seen[1_000:2_000])
    assert len(next(script.batches(3, 8, 0, DEVICE))) == 8


def test_45k_and_5k_by_a_fixed_seed(script: ModuleType, net: Any) -> None:
    images = net.data.Images(torch.arange(50_000), torch.arange(50_000))
    data = net.data.Data("cifar10", TEN, images, None, images)
    held_out = script.hold_out(data, script.VALIDATION)
    train, validation = held_out.train.labels, held_out.validation.labels
    assert (len(train), len(validation)) == (45_000, 5_000)
    assert len(set(train.tolist()) | set(validation.tolist())) == 50_000
    torch.manual_seed(99)
    assert torch.equal(script.hold_out(data, 5_000).validation.labels, validation)


def test_small_data_holds_a_tenth_out_and_a_folder_with_val_nothing(net: Any) -> None:
    images, own = (net.data.Images(torch.arange(n), torch.arange(n)) for n in (95, 7))
    data = net.data.Data("folder", TEN, images, None, own)
    held_out = net.data.hold_out(data, 5_000)
    assert (len(held_out.train.labels), len(held_out.validation.labels)) == (86, 9)
    assert net.data.hold_out(data, 0).validation is None
    kept = net.data.hold_out(data._replace(validation=own), 5_000)
    assert (len(kept.train.labels), len(kept.validation.labels)) == (95, 7)


def test_error_is_a_percentage_over_all_images(script: ModuleType) -> None:
    trainer = script.Trainer(TEN, torch.zeros(3, 32, 32), "fp32")
    pixels = torch.randint(256, (1_203, 3, 32, 32), dtype=torch.uint8)
    trainer.model.eval()
    with torch.no_grad():
        answers = torch.cat([trainer.model(part.float()).argmax(1) for part in pixels.split(400)])
    labels = answers.clone()
    labels[:300] = (labels[:300] + 1) % 10
    trainer.model.train()
    error = trainer.error(script.Images(pixels, labels))
    assert math.isclose(error, 100 * 300 / 1_203, abs_tol=0.2)
    assert trainer.model.training


def test_errors_are_of_scores_in_fp32(script: ModuleType) -> None:
    """In bf16, which has three digits, scores tie, and which of them counts is chance."""
    trainer = script.Trainer(TEN, torch.zeros(3, 32, 32), "bf16")
    seen = []
    trainer.model.fc.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    images = script.Images(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.arange(2))
    trainer.error(images)
    trainer.train_step(images, torch.arange(2), True)
    assert seen == [torch.float32, torch.bfloat16]


@pytest.mark.usefixtures("signals")
def test_the_training_set_alone_gives_the_mean_and_the_test_set_is_read_once(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    everything = script.Images(
        torch.randint(256, (300, 3, 32, 32), dtype=torch.uint8), torch.arange(300) % 10
    )
    test = script.Images(
        torch.randint(256, (50, 3, 32, 32), dtype=torch.uint8), torch.arange(50) % 10
    )
    calls: list[tuple[int, int]] = []
    error, step = script.Trainer.error, script.Trainer.train_step
    trainers = []

    def counted_error(self: object, images: object) -> float:
        calls.append((len(images.labels), len(trainers)))
        return error(self, images)

    def counted_step(self: object, *args: object) -> None:
        trainers.append(self)
        step(self, *args)

    data = script.Data("digits", TEN, everything, None, test)
    monkeypatch.setattr(script, "load", lambda *_: data)
    monkeypatch.setattr(script.Trainer, "error", counted_error)
    monkeypatch.setattr(script.Trainer, "train_step", counted_step)
    flags = ["--data", "digits", "--out", str(tmp_path / "run"), "--precision", "fp32"]
    monkeypatch.setattr(
        sys, "argv", ["train.py", *flags, "--iterations", "8", "--batch-size", "16"]
    )
    script.main()
    kept = script.hold_out(data, 5_000).train
    assert torch.allclose(trainers[0].mean, kept.pixels.float().mean(dim=0), atol=1e-3)
    assert [when for size, when in calls if size == 50] == [8]  # after the last step
    assert len([1 for size, _ in calls if size == 30]) == 8
