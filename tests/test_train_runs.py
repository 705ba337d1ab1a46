"""Runs of the CIFAR scripts: what they print, write, apply, and refuse."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from conftest import folder, image_folder, load

Capture = pytest.CaptureFixture[str]
DEVICE = torch.device("cpu")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load(folder("resnet20") / "train.py")


@pytest.fixture(scope="module")
def warmup_script() -> ModuleType:
    return load(folder("resnet110") / "train.py")


def run(name: str, *arguments: object, timeout: int = 240) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, folder(name) / "train.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def lines(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_a_short_run_on_digits(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ("--data", "digits", "--out", out, "--batch-size", 32, "--precision", "fp32")
    done = run("resnet20", *arguments, "--iterations", 60)
    assert done.returncode == 0, done.stderr
    found = lines(out)
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
    assert f"test error {results['test_error']:.2f}%" in done.stdout
    assert "step 60/60" in done.stderr and "images/s" in done.stderr and "\r" not in done.stderr

    assert (results["trained_on"], results["full_train"]) == (1_294, False)
    assert results["validation_decided"] == "best.pt and nothing else"
    assert re.search(r"images/s  \d+\.\d GiB  0:00:0\d left", done.stderr)

    again = run("resnet20", *arguments)
    assert again.returncode == 2 and "holds a run already: go on with --resume" in again.stderr
    checkpoint = out / "checkpoint.pt"
    evaluated = run("resnet20", "--data", "digits", "--evaluate", checkpoint, "--precision", "fp32")
    assert evaluated.stdout == (
        f"test error {results['test_error']:.2f}%: resnet20 after 60 iterations\n"
    )
    other = run("resnet32", "--data", "digits", "--evaluate", checkpoint)
    assert other.returncode == 2 and "no checkpoint of resnet32" in other.stderr
    foreign = run("resnet20", "--data", "cifar10", "--evaluate", checkpoint)
    assert foreign.returncode == 2 and "was trained on digits, not on cifar10" in foreign.stderr
    state = torch.load(checkpoint, weights_only=True)
    load(folder("resnet20") / "model.py").ResNet20().load_state_dict(state["model"], strict=True)


class Pretended:
    """A trainer that computes nothing: what each step would have found is given."""

    def __init__(self, errors: Iterator[float]) -> None:
        weight = torch.zeros(1, requires_grad=True)
        rate = torch.tensor(0.1)
        self.model = torch.nn.Linear(1, 1)
        self.optimizer = torch.optim.SGD([weight], rate, 0.9, fused=True)
        self.mean, self.sums = torch.zeros(1), torch.zeros(2)
        self.errors = errors

    def train_step(self, *_: object) -> None:
        self.sums += torch.tensor([1.0, next(self.errors)])

    def error(self, images: object) -> float:
        return 50.0


def pretended_run(
    script: ModuleType, out: Path, errors: Iterator[float], iterations: int
) -> tuple[list[dict], object]:
    """What metrics.jsonl has after a run that computes nothing, and how far the run came."""
    args = argparse.Namespace(
        **{"data": "cifar10", "iterations": iterations, "batch_size": 8, "seed": 0, "out": out},
        **{"precision": "fp32", "full_train": False, "eager": True, "tensorboard": False},
        device=DEVICE,
    )
    images = script.Images(torch.zeros(64, 3, 32, 32, dtype=torch.uint8), torch.zeros(64))
    progress = script.Progress()
    with contextlib.suppress(RuntimeError, StopIteration):  # the errors run out
        script.train(Pretended(errors), images, images, images, progress, args)
    return lines(out), progress


@pytest.mark.usefixtures("signals")
def test_the_rate_that_is_applied_in_all_of_64_000_steps(
    script: ModuleType, tmp_path: Path
) -> None:
    """As the optimizer has it at each line: the paper's, from the first step to the last."""
    found, progress = pretended_run(script, tmp_path, itertools.repeat(0.5), 64_000)
    assert [line["step"] for line in found] == list(range(50, 64_001, 50))
    for line in found:
        step = line["step"]  # the rate at the last of its 50 steps
        assert line["lr"] == (0.1 if step <= 32_000 else 0.01 if step <= 48_000 else 0.001)
    assert progress.step == 64_000 and progress.line["test_error"] == 50


@pytest.mark.usefixtures("signals")
def test_the_warm_up_ends_below_80_percent(warmup_script: ModuleType, tmp_path: Path) -> None:
    """The rate that is applied: 0.01 as long as the errors measured stay above it, then 0.1."""
    errors = itertools.chain([0.9] * 350, [0.85] * 50, [0.79] * 50, itertools.repeat(0.95, 63_550))
    found, progress = pretended_run(warmup_script, tmp_path, errors, 64_000)
    assert progress.warmup_steps == 450  # when the last 50 had 79%
    for line in found:
        step = line["step"]
        rate = 0.01 if step <= 450 else 0.1
        assert line["lr"] == (rate if step <= 32_000 else 0.01 if step <= 48_000 else 0.001)
    assert len(found) == 1_280


def test_full_train_holds_nothing_out(tmp_path: Path) -> None:
    data, out = image_folder(tmp_path / "pets"), tmp_path / "run"
    arguments = ("--data", data, "--out", out, "--iterations", 3, "--batch-size", 4)
    done = run("plain20", *arguments, "--full-train")
    assert done.returncode == 0, done.stderr
    results = json.loads((out / "results.json").read_text())
    assert (results["full_train"], results["trained_on"]) == (True, 12)
    assert results["validation_decided"] == "nothing" and results["best_val_error"] is None
    assert not any("val_error" in line for line in lines(out)) and "test_error" in lines(out)[-1]
    assert (out / "checkpoint.pt").exists() and not (out / "best.pt").exists()


def test_tensorboard_gets_the_same_numbers(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    data, out = image_folder(tmp_path / "pets"), tmp_path / "run"
    arguments = ("--data", data, "--out", out, "--iterations", 3, "--batch-size", 4)
    done = run("plain20", *arguments, "--tensorboard")
    assert done.returncode == 0, done.stderr
    events = EventAccumulator(str(out))
    events.Reload()
    for key in ("lr", "loss", "train_error", "val_error"):
        written = {event.step: event.value for event in events.Scalars(key)}
        assert written == pytest.approx({line["step"]: line[key] for line in lines(out)})


def test_without_tensorboard_it_says_what_to_install(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(SystemExit) as stop:
        script.tensorboard(tmp_path, 0)
    assert stop.value.code == 4 and "pip install tensorboard" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["--data", "cifar11"], "--data takes cifar10, cifar100, digits, or a folder", 2),
        (["--data", "digits", "--iterations", "0"], "must be at least 1", 2),
        (["--data", "digits", "--seed", "-1"], "--seed 0 to 2**32 - 1", 2),
        (["--data", "digits", "--iterations", "many"], "invalid int value", 2),
        (["--data", "digits", "--device", "cuda"], "there is no cuda device here", 4),
        (["--data", "digits", "--evaluate", "nothing.pt"], "cannot be read (", 2),
        (["--data", "digits", "--evaluate", __file__], "cannot be read (", 2),
        (["--data", "digits", "--out", __file__], "cannot write into", 2),
        ([], "--data", 2),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, code: int) -> None:
    if "cuda" in arguments and torch.cuda.is_available():
        arguments, words, code = ["--data", "digits", "--device", "mps"], "there is no mps", 4
    done = run("resnet20", *arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr and "Traceback" not in done.stderr
