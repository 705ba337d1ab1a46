"""Runs of the CIFAR scripts: what they print, write, apply, and refuse."""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import folder, image_folder, load
from resnet_gen.generate.loading import load_folder
from training import lines, main, run

Capture = pytest.CaptureFixture[str]
DEVICE = torch.device("cpu")


@pytest.fixture(scope="module")
def net() -> Any:
    return load_folder(folder("resnet20"))


def test_a_short_run_on_digits(net: Any, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "run"
    arguments = ("--data", "digits", "--out", out, "--batch-size", 32)
    done = run("resnet20", *arguments, "--iterations", 60)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in found] == [6, 12, 18, 24, 30, 36, 42, 48, 50, 54, 60]
    rates = {line["step"]: line["lr"] for line in found}
    assert all(rates[s] == (0.1 if s <= 30 else 0.01 if s <= 45 else 0.001) for s in rates)
    keys = {"step", "lr", "loss", "train_error", "images_per_second"}
    assert all(set(line) >= keys for line in found)
    assert [line["step"] for line in found if "val_error" in line] == [*range(6, 61, 6)]
    results = json.loads((out / "results.json").read_text())
    assert set(results) == {
        *("network", "data", "iterations", "test_error", "best_val_error", "seconds"),
        *("images_per_second", "device", "precision", "seed", "spec_sha256", "torch"),
        *("batch_size", "eager", "full_train", "peak_memory_gib", "trained_on", "ranks"),
        *("validation_decided", "test_decided"),
    }
    assert (results["network"], results["data"], results["iterations"]) == (
        "resnet20",
        "digits",
        60,
    )
    assert results["test_error"] == found[-1]["test_error"] < 70  # chance is 90
    assert results["best_val_error"] == min(line.get("val_error", 100) for line in found)
    told = f"test error {results['test_error']:.2f}%, written to {out}/results.json\n"
    assert done.stdout == told
    first, *steps = done.stderr.splitlines()
    assert first == "1,294 training, 143 validation and 360 test images of 10 classes"
    assert len(steps) == 10 and all("images/s" in step for step in steps)
    assert steps[0].startswith("step 6/60  lr 0.1  loss ")
    assert steps[-1].startswith("step 60/60  lr 0.001  loss ") and "\r" not in done.stderr
    assert (results["trained_on"], results["full_train"]) == (1_294, False)
    assert results["validation_decided"] == "best.pt and nothing else"
    assert re.search(r"images/s  val error [\d.]+%  \d\.\d GiB  0:0\d:\d\d left", steps[0])

    assert main(net.train, *arguments) == 2
    assert "holds a run already: go on with --resume" in capsys.readouterr().err
    checkpoint = out / "checkpoint.pt"
    assert main(net.train, "--data", "digits", "--evaluate", checkpoint) == 0
    told = f"test error {results['test_error']:.2f}%: resnet20 after 60 iterations\n"
    assert capsys.readouterr().out == told
    state = torch.load(checkpoint, weights_only=True)
    load(folder("resnet20") / "model.py").ResNet20().load_state_dict(state["model"], strict=True)


class Pretended:
    """A trainer that computes nothing: what each step would have found is given."""

    best_by = ("val_error", "least")

    def __init__(self, errors: Iterator[float]) -> None:
        self.mean, self.lr, self.sum = torch.zeros(1), torch.tensor(0.1), 0.0
        self.model = torch.nn.Linear(1, 1)
        self.errors = errors
        self.warmup_steps: int | None = None

    def train_step(self, *_: object) -> None:
        self.sum += next(self.errors)

    def figures(self, steps: int) -> dict[str, float]:
        error, self.sum = 100 * self.sum / steps, 0.0
        return {"loss": 1.0, "train_error": round(error, 3)}

    def rate(self) -> float:
        return self.lr.item()

    def error(self, images: object) -> float:
        return 50.0

    def state_dict(self) -> dict:
        return {"rate": self.lr}


def pretended_run(net: Any, out: Path, errors: Iterator[float]) -> tuple[list[dict], Any, Any]:
    """What metrics.jsonl has after 64,000 steps that compute nothing; trainer and progress."""
    args = argparse.Namespace(
        **{"data": "cifar10", "iterations": 64_000, "batch_size": 8, "seed": 0, "out": out},
        **{"precision": "fp32", "full_train": False, "eager": True, "tensorboard": False},
        **{"resume": False, "device": DEVICE, "init": None},
    )
    images = net.data.Images(torch.zeros(64, 3, 32, 32, dtype=torch.uint8), torch.zeros(64))
    trainer, run = Pretended(errors), net.run.Run(args)
    run.open(trainer, {"network": "pretended"}, {})
    net.train.train(trainer, net.data.Data("folder", ["0"], images, images, images), run)
    return lines(out), trainer, run.progress


@pytest.mark.usefixtures("signals")
def test_the_rate_that_is_applied_in_all_of_64_000_steps(net: Any, tmp_path: Path) -> None:
    """As the optimizer has it at each line: the paper's, from the first step to the last."""
    found, _, progress = pretended_run(net, tmp_path, itertools.repeat(0.5))
    assert [line["step"] for line in found] == list(range(50, 64_001, 50))
    for line in found:
        step = line["step"]  # the rate at the last of its 50 steps
        rate = 0.1 if step <= 32_000 else 0.01 if step <= 48_000 else 0.001
        assert line["lr"] == pytest.approx(rate, rel=1e-6)
    assert progress.step == 64_000 and progress.line["test_error"] == 50


@pytest.mark.usefixtures("signals")
def test_the_warm_up_ends_below_80_percent(tmp_path: Path) -> None:
    """The rate that is applied: 0.01 as long as the errors measured stay above it, then 0.1."""
    errors = itertools.chain([0.9] * 350, [0.85] * 50, [0.79] * 50, itertools.repeat(0.95, 63_550))
    found, trainer, _ = pretended_run(load_folder(folder("resnet110")), tmp_path, errors)
    assert trainer.warmup_steps == 450  # when the last 50 had 79%
    for line in found:
        step = line["step"]
        rate = 0.01 if step <= 450 else 0.1
        rate = rate if step <= 32_000 else 0.01 if step <= 48_000 else 0.001
        assert line["lr"] == pytest.approx(rate, rel=1e-6)
    assert len(found) == 1_280


@pytest.fixture(scope="module")
def plain() -> Any:
    return load_folder(folder("plain20")).train


def test_full_train_holds_nothing_out(plain: Any, tmp_path: Path) -> None:
    data, out = image_folder(tmp_path / "pets"), tmp_path / "run"
    arguments = ("--data", data, "--out", out, "--iterations", 3, "--batch-size", 4)
    assert main(plain, *arguments, "--full-train") == 0
    results = json.loads((out / "results.json").read_text())
    assert (results["full_train"], results["trained_on"]) == (True, 12)
    assert results["validation_decided"] == "nothing" and results["best_val_error"] is None
    assert not any("val_error" in line for line in lines(out)) and "test_error" in lines(out)[-1]
    assert (out / "checkpoint.pt").exists() and not (out / "best.pt").exists()


def test_tensorboard_gets_the_same_numbers(plain: Any, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    data, out = image_folder(tmp_path / "pets"), tmp_path / "run"
    arguments = ("--data", data, "--out", out, "--iterations", 3, "--batch-size", 4)
    assert main(plain, *arguments, "--tensorboard") == 0
    events = EventAccumulator(str(out))
    events.Reload()
    for key in ("lr", "loss", "train_error", "val_error"):
        written = {event.step: event.value for event in events.Scalars(key)}
        assert written == pytest.approx({line["step"]: line[key] for line in lines(out)})


def test_without_tensorboard_it_says_what_to_install(
    net: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(SystemExit) as stop:
        net.run.tensorboard(tmp_path, 0)
    assert stop.value.code == 4 and "pip install tensorboard" in capsys.readouterr().err


RECIPE = "in the recipe at the top of train.py, or under `training` in the network's spec"


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["--data", "cifar11"], "there is neither a folder data/cifar11 nor cifar11 from here", 2),
        (["--data", "digits", "--iterations", "0"], "must be at least 1", 2),
        (["--data", "digits", "--seed", "-1"], "--seed 0 to 2**32 - 1", 2),
        (["--data", "digits", "--iterations", "many"], "invalid int value", 2),
        (["--data", "digits", "--device", "cuda"], "there is no cuda device here", 4),
        (["--data", "digits", "--evaluate", "nothing.pt"], "cannot be read: No such file", 2),
        (["--data", "digits", "--evaluate", __file__], "it is damaged, or no checkpoint", 2),
        (["--data", "digits", "--out", __file__], f"cannot write {__file__}", 2),
        ([], "--data", 2),
        (["--data", "digits", "--lr", "0.1"], f"--lr: set LEARNING_RATE {RECIPE}", 2),
        (["--learning-rate=0.1"], f"--learning-rate: set LEARNING_RATE {RECIPE}", 2),
        (["--momentum", "0"], f"--momentum: set MOMENTUM {RECIPE}", 2),
        (["--weight-decay=0"], f"--weight-decay: set WEIGHT_DECAY {RECIPE}", 2),
        (["--wd"], f"--wd: set WEIGHT_DECAY {RECIPE}", 2),
        (["--epochs", "9"], "--iterations is epochs × images / --batch-size", 2),
        (["--workers", "4"], "--workers: there are none to set: all images are in memory", 2),
        (["-j8"], "-j: there are none to set: all images are in memory", 2),
        (["--iter", "5"], "unrecognized arguments: --iter", 2),
    ],
)
def test_wrong_usage_ends_with_one_sentence(
    net: Any, capsys: Capture, arguments: list[str], words: str, code: int
) -> None:
    if "cuda" in arguments and torch.cuda.is_available():
        arguments, words, code = ["--data", "digits", "--device", "mps"], "there is no mps", 4
    if "--iter" in arguments:
        arguments = ["--data", "digits", *arguments]
    assert main(net.train, *arguments) == code
    told = capsys.readouterr().err
    last = told.splitlines()[-1]
    assert last.startswith("train.py: ") and words in last, told


def test_help_begins_with_commands_to_copy(net: Any, capsys: Capture) -> None:
    assert main(net.train, "--help") == 0
    title, commands, options = capsys.readouterr().out.split("\n\n")[:3]
    assert title == "Trains ResNet-20 by section 4.2 of He et al. 2015 (arXiv:1512.03385)."
    assert [line.strip() for line in commands.splitlines()] == [
        "python train.py --data cifar10 --root data",
        "python train.py --data digits",
    ]
    assert options.startswith("options:")
    assert not re.search("--(lr|epochs|momentum|weight-decay|workers)", options)
