"""Whole runs of an ImageNet script on real pictures: resumed, moved, stopped, diverged."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import photographs
from resnet_gen.generate.loading import load_folder
from tiny_runs import FLAGS, last_line, runner
from training import equal, lines, results, state

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def script(tiny: Path) -> Any:
    return load_folder(tiny)


@pytest.fixture
def run(script: Any, monkeypatch: pytest.MonkeyPatch, signals: None) -> Callable[..., int]:
    return runner(script, monkeypatch)


def test_a_run_and_what_it_leaves(
    run: Callable, script: Any, pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out"
    flags = ["--data", pictures, "--out", out, "--iterations", 300, "--batch-size", 8]
    assert run(*flags) == 0
    found = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in found] == [30, 50, 60, 90, 100, 120, 150, 180, 200, 210, 240,
                                                250, 270, 300]  # fmt: skip
    assert found[-1]["train_error"] < 40 and found[-1]["test_error"] < 50  # chance has 75
    made = json.loads((out / "results.json").read_text())
    keys = "network data iterations test_error best_val_error seconds images_per_second device "
    keys += "precision seed spec_sha256 torch tested_on validation_decided trained_on ranks"
    assert set(keys.split()) <= made.keys()
    assert (made["network"], made["tested_on"], made["trained_on"]) == ("tiny", "val", 24)
    assert made["test_error"] == found[-1]["test_error"] == found[-1]["val_error"]
    assert made["best_val_error"] == min(line.get("val_error", 100) for line in found)
    best = state(out, "best.pt")
    assert best["progress"]["best"] == made["best_val_error"]
    assert best.keys() >= script.checkpoint.KEYS | {"optimizer", "sums", "bad_images", "versions"}
    assert state(out)["val_errors"] == [line["val_error"] for line in found if "val_error" in line]
    first, *_, last = capsys.readouterr().err.splitlines()
    parts = "24 training, 12 validation and 12 test images, the validation images again"
    assert first == f"{parts}, of 4 classes" and last.startswith("step 300/300  lr ")
    assert run("--data", pictures, "--evaluate", out / "checkpoint.pt") == 0
    assert capsys.readouterr().out.startswith(f"1-crop error {made['test_error']:.2f}% top-1, ")


def stop_at(script: Any, monkeypatch: pytest.MonkeyPatch, step: int) -> Callable[[], None]:
    """Sends this process a signal within a step; what undoes that."""
    train_step, calls = script.train.Trainer.train_step, [0]

    def counted(*batch: object) -> None:
        train_step(*batch)
        calls[0] += 1
        if calls[0] == step:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(script.train.Trainer, "train_step", counted)
    return lambda: monkeypatch.setattr(script.train.Trainer, "train_step", train_step)


def assert_same_run(one: Path, other: Path) -> None:
    assert lines(one) == lines(other)
    states = [state(one), state(other)]
    for saved in states:
        for key in [key for key in saved["progress"] if key.startswith("metrics")]:
            del saved["progress"][key]  # speeds' digits
    assert equal(*states)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # where there is one core
@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_is_uninterrupted_bit_for_bit(
    run: Callable, script: Any, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    workers: int,
) -> None:  # fmt: skip
    flags = ["--data", pictures, "--workers", workers, "--out"]
    assert run(*flags, tmp_path / "whole") == 0
    part = tmp_path / "part"
    go_on = stop_at(script, monkeypatch, 17)
    assert run(*flags, part) == 143
    assert state(part)["progress"]["step"] == 17
    go_on()
    assert run(*flags, part, "--resume") == 0
    assert results(part) == results(tmp_path / "whole")
    assert_same_run(part, tmp_path / "whole")


def test_data_may_be_spelt_otherwise_or_be_a_copy(
    run: Callable, script: Any, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:  # fmt: skip
    """With a bad image, which is the same one at each place; the mean per pixel is kept too."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pictures, "photos")
    (tmp_path / "photos/train/cat/plain4.jpg").write_bytes(b"?")
    shutil.copytree("photos", "elsewhere/copy")
    more = ["--skip-bad-images", "--pixel-mean", "mean.pt", "--iterations", 20, "--out"]
    assert run("--data", "photos", *more, "whole") == 0
    for k, data in enumerate(("photos/", tmp_path / "photos", "elsewhere/copy")):
        go_on = stop_at(script, monkeypatch, 11)
        assert run("--data", "photos", *more, f"out{k}") == 143
        go_on()
        Path("mean.pt").unlink()  # the checkpoint has it
        assert run("--data", data, *more, f"out{k}", "--resume") == 0
        assert not Path("mean.pt").exists()
        assert_same_run(Path(f"out{k}"), Path("whole"))
        assert json.loads(Path(f"out{k}/results.json").read_text())["bad_images"] == 1
        torch.save(state(Path("whole"))["mean"], "mean.pt")
    assert state(Path("whole"))["bad_images"] == ["train/cat/plain4.jpg"]
    go_on = stop_at(script, monkeypatch, 3)
    assert run("--data", "photos", *more, "other") == 143
    go_on()
    for part in ("train", "val"):
        Path("photos", part, "cat").rename(Path("photos", part, "dog"))
    assert run("--data", "photos", *more, "other", "--resume") == 2
    assert last_line(capsys).endswith("is of a run with classes cat, not dog")


def test_a_test_folder_is_tested_on_once(
    run: Callable, script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = photographs.make(tmp_path / "data", train=2, validation=1, test=2)
    tested: list[object] = []
    errors = script.evaluate.errors
    monkeypatch.setattr(
        script.train,
        "errors",
        lambda n, samples, *rest: tested.append(samples) or errors(n, samples, *rest),
    )
    assert run("--data", data, "--out", tmp_path / "out", "--iterations", 10) == 0
    assert [len(samples) for samples in tested] == [4] * 10 + [8]
    made = json.loads((tmp_path / "out/results.json").read_text())
    assert (made["validated_on"], made["tested_on"]) == ("val", "test")
    shutil.rmtree(data / "val")
    assert run("--data", data, "--out", tmp_path / "other", "--iterations", 10) == 0
    made = json.loads((tmp_path / "other/results.json").read_text())
    assert (made["validated_on"], made["tested_on"]) == ("test", "test")


@pytest.mark.parametrize(
    ("step", "iterations", "what"),
    [(1, 1, "weights"), (4, 40, "weights"), (6, 40, "loss"), (39, 40, "weights")],
    ids=["one step", "at a validation", "between", "before the last"],
)
def test_divergence_is_seen_before_anything_is_saved(
    run: Callable, script: Any, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: Capture, step: int, iterations: int, what: str,
) -> None:  # fmt: skip
    """Validations are every 4 steps. In that step a weight, or the loss, becomes no number."""
    train_step, calls = script.train.Trainer.train_step, [0]

    def diverging(trainer: Any, *batch: object) -> None:
        train_step(trainer, *batch)
        calls[0] += 1
        if calls[0] == step:
            spoilt = trainer.model.fc.weight.data if what == "weights" else trainer.sums
            spoilt.view(-1)[0] = float("nan")

    monkeypatch.setattr(script.train.Trainer, "train_step", diverging)
    out = tmp_path / "out"
    assert run("--data", pictures, "--out", out, "--iterations", iterations) == 1
    assert "train.py: training diverged: " in last_line(capsys)
    assert not (out / "results.json").exists()
    for name in ("best.pt", "checkpoint.pt"):
        if (out / name).exists():
            saved = state(out, name)
            assert saved["progress"]["step"] < step
            assert script.checkpoint.is_finite(saved)
    assert all(line["step"] < max(step, 2) for line in lines(out))


def test_a_signal_after_divergence_saves_nothing(
    run: Callable, script: Any, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_at(script, monkeypatch, 7)
    spoil = script.train.Trainer.train_step

    def diverging(trainer: Any, *batch: object) -> None:
        spoil(trainer, *batch)
        trainer.model.fc.bias.data[0] = float("inf")

    monkeypatch.setattr(script.train.Trainer, "train_step", diverging)
    out = tmp_path / "out"
    assert run("--data", pictures, "--out", out, "--iterations", 1_000) == 1
    assert not (out / "checkpoint.pt").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_save_and_end_though_workers_get_them_too(
    tiny: Path, pictures: Path, tmp_path: Path, number: int, code: int
) -> None:
    flags = ["--data", pictures, *FLAGS.split(), "--iterations", 10**6, "--workers", 2]
    command = [sys.executable, tiny / "train.py", *flags, "--out", tmp_path / "out"]
    process = subprocess.Popen(
        [*map(str, command)], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    metrics, deadline = tmp_path / "out/metrics.jsonl", time.time() + 120
    while not (metrics.exists() and metrics.stat().st_size) and time.time() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    step = state(tmp_path / "out")["progress"]["step"]
    assert f"stopped at step {step:,}; --resume goes on" in error and "Traceback" not in error
