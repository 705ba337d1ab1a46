"""Whole runs of an ImageNet script on real pictures: resumed, stopped, hindered, misused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

import photographs
from conftest import READING, load
from test_resume import equal, lines, results, state

FLAGS = "--iterations 40 --batch-size 4 --device cpu --precision fp32"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def script(tiny: Path) -> ModuleType:
    return load(tiny / "train.py")


@pytest.fixture
def run(
    script: ModuleType, pictures: Path, monkeypatch: pytest.MonkeyPatch, signals: None
) -> Callable[..., int]:
    """Runs train.py in this process; gives its exit code."""

    def main(*arguments: object, data: Path = pictures, workers: int = 0) -> int:
        given = [*FLAGS.split(), "--workers", workers, "--data", data, *arguments]
        monkeypatch.setattr(sys, "argv", ["train.py", *map(str, given)])
        try:
            script.main()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return main


def test_a_run_and_what_it_leaves(run: Callable, tmp_path: Path, capsys: Capture) -> None:
    assert run("--out", tmp_path / "out", "--iterations", 300, "--batch-size", 8) == 0
    found = [json.loads(line) for line in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in found] == [30, 50, 60, 90, 100, 120, 150, 180, 200, 210, 240,
                                                250, 270, 300]  # fmt: skip
    assert found[-1]["train_error"] < 40 and found[-1]["test_error"] < 50  # chance has 75
    made = json.loads((tmp_path / "out/results.json").read_text())
    keys = "network data iterations test_error best_val_error seconds images_per_second device "
    keys += "precision seed spec_sha256 torch tested_on validation_decided trained_on ranks"
    assert set(keys.split()) <= made.keys()
    assert (made["network"], made["tested_on"], made["trained_on"]) == ("tiny", "val", 24)
    assert made["test_error"] == found[-1]["test_error"] == found[-1]["val_error"]
    assert made["best_val_error"] == min(line.get("val_error", 100) for line in found)
    assert (
        state(tmp_path / "out", "best.pt")["progress"]["best_val_error"] == made["best_val_error"]
    )
    assert "step 300/300" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # where there is one core
@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_is_uninterrupted_bit_for_bit(
    run: Callable, script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    assert run("--out", tmp_path / "whole") == 0
    part = tmp_path / "part"
    steps = script.Trainer.train_step

    def stop_at_17(trainer: object, *batch: object) -> None:
        steps(trainer, *batch)
        stop_at_17.calls += 1  # type: ignore[attr-defined]
        if stop_at_17.calls == 17:  # type: ignore[attr-defined]
            os.kill(os.getpid(), signal.SIGTERM)

    stop_at_17.calls = 0  # type: ignore[attr-defined]
    monkeypatch.setattr(script.Trainer, "train_step", stop_at_17)
    assert run("--out", part, workers=workers) == 143
    assert state(part)["progress"]["step"] == 17
    monkeypatch.setattr(script.Trainer, "train_step", steps)
    assert run("--out", part, "--resume", workers=workers) == 0
    assert lines(part) == lines(tmp_path / "whole") and results(part) == results(tmp_path / "whole")
    whole, resumed = state(tmp_path / "whole"), state(part)
    del whole["progress"]["metrics_bytes"], resumed["progress"]["metrics_bytes"]  # speeds' digits
    assert equal(whole, resumed)


def test_a_bad_image_stops_the_run_and_is_named(
    run: Callable, pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    data = shutil.copytree(pictures, tmp_path / "data")
    victim = data / "train/cat/plain4.jpg"
    victim.write_bytes(victim.read_bytes()[:2_000])
    assert run("--out", tmp_path / "out", data=data) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith(f"tiny: {victim} does not decode (") and "truncated" in message
    assert message.endswith("--skip-bad-images goes on without such files")
    (data / "val/temple/plain0.jpg").write_text("not a picture")
    (data / "val/temple/plain1.jpg").write_bytes(b"")
    assert run("--out", tmp_path / "on", "--skip-bad-images", data=data) == 0
    error = capsys.readouterr().err
    assert error.count("skipping ") == 3 and error.count(f"skipping {victim}") == 1
    assert json.loads((tmp_path / "on/results.json").read_text())["bad_images"] == 3
    saved = state(tmp_path / "on")["progress"]["bad_images"]
    assert len(saved) == 3 and str(victim) in saved


def test_images_that_do_not_decode_are_not_counted_as_wrong(
    script: ModuleType, tiny: Path, pictures: Path, tmp_path: Path
) -> None:
    from test_imagenet_tests import untrained

    args = Namespace(**{**vars(READING), "skip_bad_images": True})
    mean = torch.tensor(script.MEAN)[:, None, None]
    network = script.Classifier(untrained(tiny, 0), mean, "fp32")
    samples = script.open_folder(pictures).validation.samples
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff")
    bad: list[str] = []
    with_broken = [samples[0], (str(broken), 1), *samples[1:]]
    assert script.errors([network], with_broken, "10-crop", bad, args) == script.errors(
        [network], samples, "10-crop", [], args
    )
    assert bad == [str(broken)]


def test_a_bad_image_is_left_out_of_the_loss(
    script: ModuleType, pictures: Path, tmp_path: Path
) -> None:
    samples = list(script.open_folder(pictures).train.samples[:4])
    samples[2] = (str(tmp_path / "nothing.jpg"), 0)
    batch = script.Crops(samples, 0, "cpu")[range(4)]
    left = batch.labels != script.BAD
    assert left.sum() == 3 and batch.pixels[~left].unique().tolist() == [128]
    trainer = script.Trainer(["a", "b", "c", "d"], torch.zeros(3, 1, 1), "fp32")
    trainer.model.eval()  # batch norm alone would see it
    with torch.no_grad():
        scores = trainer.model(
            (trainer.centred(batch.pixels) + batch.colour[:, :, None, None])[left]
        )
    trainer.train_step(batch.pixels, batch.labels, torch.zeros(4, dtype=torch.bool), batch.colour)
    loss, wrong = trainer.sums.tolist()
    expected = torch.nn.functional.cross_entropy(scores, batch.labels[left])
    assert loss == pytest.approx(float(expected), rel=1e-4)
    assert wrong == pytest.approx(int((scores.argmax(1) != batch.labels[left]).sum()) / 3)


def test_mistakes_are_one_line(
    run: Callable, pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    def message(*arguments: object, data: Path = pictures, code: int = 2) -> str:
        assert run("--out", tmp_path / "out", *arguments, data=data) == code
        return capsys.readouterr().err.strip().splitlines()[-1]

    assert "one folder a class" in message(data=tmp_path / "nothing")
    only_train = tmp_path / "only"
    shutil.copytree(pictures / "train", only_train / "train")
    assert "neither val/ nor test/" in message(data=only_train)
    shutil.copytree(pictures / "val", only_train / "val")
    shutil.rmtree(only_train / "val/cat")
    assert "train/, val/ in " in message(data=only_train)
    (only_train / "test").mkdir()  # ImageNet's has images without classes
    (only_train / "test/1.jpg").write_bytes(b"")
    assert "do not have the same classes" in message(data=only_train)
    assert "at least 1" in message("--batch-size", 0)
    assert "--seed 0 to 2**32 - 1" in message("--seed", 2**32)
    assert "--workers must be" in message("--workers", -1)
    assert "--decode gpu needs --device cuda" in message("--decode", "gpu")
    assert not (tmp_path / "out").exists()
    assert run("--out", tmp_path / "out", "--iterations", 2) == 0
    assert "holds a run already" in message("--iterations", 2)
    mean = tmp_path / "mean.pt"
    found = message("--iterations", 2, "--resume", "--pixel-mean", mean)
    assert "is of a run with pixel_mean None" in found and not mean.exists()
    other = photographs.make(tmp_path / "other", train=2, validation=1)
    (other / "train/cat").rename(other / "train/dog")
    (other / "val/cat").rename(other / "val/dog")
    moved = tmp_path / "moved"
    (pictures.rename(moved), other.rename(pictures))
    try:
        found = message("--iterations", 2, "--resume")
    finally:
        (pictures.rename(other), moved.rename(pictures))
    assert "is of a run on other classes" in found


def test_a_test_folder_is_tested_on_once(
    run: Callable, script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = photographs.make(tmp_path / "data", train=2, validation=1, test=2)
    tested: list[object] = []
    errors = script.errors
    monkeypatch.setattr(
        script,
        "errors",
        lambda n, samples, *rest: tested.append(samples) or errors(n, samples, *rest),
    )
    assert run("--out", tmp_path / "out", "--iterations", 10, data=data) == 0
    sizes = [len(samples) for samples in tested]
    assert sizes == [4] * 10 + [8]
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert (results["validated_on"], results["tested_on"]) == ("val", "test")
    shutil.rmtree(data / "val")
    assert run("--out", tmp_path / "other", "--iterations", 10, data=data) == 0
    results = json.loads((tmp_path / "other/results.json").read_text())
    assert (results["validated_on"], results["tested_on"]) == ("test", "test")


def test_a_batch_of_bad_files_ends_the_run(run: Callable, tmp_path: Path, capsys: Capture) -> None:
    data = photographs.make(tmp_path / "data", train=2, validation=1)
    for path in (data / "train").glob("*/*"):
        path.write_bytes(b"")
    assert run("--out", tmp_path / "out", "--skip-bad-images", data=data) == 2
    assert "no image of a batch decodes" in capsys.readouterr().err


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
