"""Images that do not decode, in whole runs of an ImageNet script; and a system that fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import photographs
from resnet_gen.generate.loading import load_folder
from test_folder import huge_png
from tiny_runs import FLAGS, last_line, reading, runner, untrained
from training import environment, state

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def script(tiny: Path) -> Any:
    return load_folder(tiny)


@pytest.fixture
def run(script: Any, monkeypatch: pytest.MonkeyPatch, signals: None) -> Callable[..., int]:
    return runner(script, monkeypatch)


@pytest.mark.parametrize("content", ["cut", "huge"])
def test_a_bad_image_stops_the_run_and_is_named(
    run: Callable, pictures: Path, tmp_path: Path, capsys: Capture, content: str
) -> None:
    """One that is cut off, and one whose header says 50,000×50,000."""
    data = shutil.copytree(pictures, tmp_path / "data")
    victim = data / "train/cat/plain4.jpg"
    victim.write_bytes(huge_png() if content == "huge" else victim.read_bytes()[:2_000])
    assert run("--data", data, "--out", tmp_path / "out") == 2
    message = last_line(capsys)
    assert message.startswith(f"train.py: {victim} does not decode (")
    assert {"huge": "decompression bomb", "cut": "truncated"}[content] in message
    assert message.endswith("--skip-bad-images goes on without such files")
    (data / "val/temple/plain0.jpg").write_text("not a picture")
    (data / "val/temple/plain1.jpg").write_bytes(b"")
    assert run("--data", data, "--out", tmp_path / "on", "--skip-bad-images") == 0
    error = capsys.readouterr().err
    assert error.count("skipping ") == 3 and error.count(f"skipping {victim}: ") == 1
    assert json.loads((tmp_path / "on/results.json").read_text())["bad_images"] == 3
    bad = ["train/cat/plain4.jpg", "val/temple/plain0.jpg", "val/temple/plain1.jpg"]
    assert state(tmp_path / "on")["bad_images"] == bad


def test_images_that_do_not_decode_are_not_counted_as_wrong(
    script: Any, tiny: Path, pictures: Path, tmp_path: Path
) -> None:
    args = reading(data=tmp_path, skip_bad_images=True)
    mean = torch.tensor(script.train.MEAN)[:, None, None]
    network = script.evaluate.Classifier(untrained(tiny, 0), mean, 2, "fp32")
    samples, test = script.data.load(pictures).validation.samples, script.train.TESTS["10-crop"]
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff")
    bad: list[str] = []
    errors, with_broken = script.evaluate.errors, [samples[0], (str(broken), 1), *samples[1:]]
    expected = errors([network], samples, test, [], args)
    assert errors([network], with_broken, test, bad, args) == expected
    assert bad == ["broken.jpg"]


def test_a_bad_image_is_left_out_of_the_loss(script: Any, pictures: Path, tmp_path: Path) -> None:
    samples = list(script.data.load(pictures).train.samples[:4])
    samples[2] = (str(tmp_path / "nothing.jpg"), 0)
    batch = script.data.Crops(samples, script.train.draw, reading())[range(4)]
    left = batch.labels != script.data.BAD
    assert left.sum() == 3 and batch.pixels[~left].unique().tolist() == [128]
    trainer = script.train.Trainer(["a", "b", "c", "d"], torch.zeros(3, 1, 1), "fp32")
    trainer.model.eval()  # batch norm alone would see it
    colour = 255 * batch.colour @ torch.tensor(script.train.EIGENVECTORS).T
    with torch.no_grad():
        scores = trainer.model((trainer.centred(batch.pixels) + colour[:, :, None, None])[left])
    trainer.train_step(batch.pixels, batch.labels, torch.zeros(4, dtype=torch.bool), batch.colour)
    loss, wrong = trainer.sums.tolist()
    expected = torch.nn.functional.cross_entropy(scores, batch.labels[left])
    assert loss == pytest.approx(float(expected), rel=1e-4)
    assert wrong == pytest.approx(int((scores.argmax(1) != batch.labels[left]).sum()) / 3)


def test_a_batch_of_bad_files_ends_the_run(run: Callable, tmp_path: Path, capsys: Capture) -> None:
    data = photographs.make(tmp_path / "data", train=2, validation=1)
    for path in (data / "train").glob("*/*"):
        path.write_bytes(b"")
    assert run("--data", data, "--out", tmp_path / "out", "--skip-bad-images") == 2
    assert "no image of a batch decodes" in capsys.readouterr().err


def test_a_failing_disk_is_no_bad_image(
    run: Callable, script: Any, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:  # fmt: skip
    opened = script.folder.Image.open

    def failing(path: str) -> object:
        if "flower" in path:
            raise OSError(5, "Input/output error", path)
        return opened(path)

    monkeypatch.setattr(script.folder.Image, "open", failing)
    assert run("--data", pictures, "--out", tmp_path / "out", "--skip-bad-images") == 2
    said = capsys.readouterr().err
    assert "train.py: cannot read images with --workers 0: [Errno 5] Input/output error: '" in said
    assert "skipping" not in said and not (tmp_path / "out/results.json").exists()


@pytest.mark.parametrize("files", [20, 44])
def test_too_many_open_files_are_told_of_reading(
    tiny: Path, pictures: Path, tmp_path: Path, files: int
) -> None:
    """While workers are started, and while they hand over images: neither may hang at the end."""
    flags = [*FLAGS.split(), "--data", pictures, "--workers", 4, "--skip-bad-images"]
    command = [sys.executable, "-W", "ignore", tiny / "train.py", *flags, "--out", tmp_path / "out"]
    done = subprocess.run(
        ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *map(str, command)],
        capture_output=True, text=True, timeout=60, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    (told,) = (line for line in done.stderr.splitlines() if line.startswith("train.py: "))
    assert told.startswith("train.py: cannot read images with --workers 4: ")
    assert "Too many open files" in told
    assert "skipping" not in done.stderr and "cannot write" not in done.stderr
