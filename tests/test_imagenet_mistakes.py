"""What people get wrong with an ImageNet script: a sentence for each, and exit code 2."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import photographs
from conftest import folder, generate_tiny
from resnet_gen.generate.loading import load_folder
from test_rooms import NOT_COMPARED, recipe
from tiny_runs import last_line, runner
from training import files

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def script(tiny: Path) -> Any:
    return load_folder(tiny)


@pytest.fixture
def run(script: Any, monkeypatch: pytest.MonkeyPatch, signals: None) -> Callable[..., int]:
    return runner(script, monkeypatch)


@pytest.fixture(scope="module")
def trained(tiny: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps."""
    out = tmp_path_factory.mktemp("trained") / "out"
    with pytest.MonkeyPatch.context() as patch:
        run = runner(load_folder(tiny), patch)
        assert run("--data", pictures, "--out", out, "--iterations", 2) == 0
    return out


CONSTANTS = sorted({"IMAGE_SIZE", *recipe(folder("resnet50_b") / "train.py")} - NOT_COMPARED)


@pytest.mark.parametrize("constant", CONSTANTS)
def test_an_edited_constant_is_named_with_both_values(
    tiny: Path, trained: Path, pictures: Path, tmp_path: Path, capsys: Capture,
    monkeypatch: pytest.MonkeyPatch, signals: None, constant: str,
) -> None:  # fmt: skip
    old = getattr(load_folder(tiny).train, constant)
    new = (not old) if isinstance(old, bool) else 2 * old
    if isinstance(old, tuple):
        new = old[::-1]
    copy = shutil.copytree(tiny, tmp_path / "tiny")
    text = (copy / "train.py").read_text()
    value = r"\((?:.|\n)*?^\)" if constant == "EIGENVECTORS" else r"[^#\n]*"
    edited = re.sub(rf"(?m)^{constant} = {value}", f"{constant} = {new!r}  ", text, count=1)
    assert ast.literal_eval(recipe_and_size(edited)[constant]) == new
    (copy / "train.py").write_text(edited)
    edited_run, before = runner(load_folder(copy), monkeypatch), files(trained)
    flags = ["--data", pictures, "--out", trained, "--iterations", 2, "--resume"]
    assert edited_run(*flags) == 2
    words = f"{trained / 'checkpoint.pt'} is of a run with {constant} {old}, not {new}"
    assert last_line(capsys) == f"train.py: {words}"
    assert files(trained) == before


def recipe_and_size(text: str) -> dict[str, str]:
    """The constants of a train.py, with the text of their values."""
    return {
        target.id: ast.unparse(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def test_edited_milestones_are_named_too(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signals: None, capsys: Capture
) -> None:
    planned = load_folder(generate_tiny(tmp_path, more="training: imagenet-30-60-90\n"))
    run = runner(planned, monkeypatch)
    flags = ["--data", pictures, "--out", tmp_path / "out", "--iterations", 2]
    assert run(*flags) == 0
    monkeypatch.setattr(planned.train, "MILESTONES", (150_000, 300_000))
    assert run(*flags, "--resume") == 2
    assert "with MILESTONES (150137, 300273), not (150000, 300000)" in last_line(capsys)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--batch-size", 0], "at least 1"),
        (["--seed", 2**32], "--seed 0 to 2**32 - 1"),
        (["--workers", -1], "--workers must be at least 0"),
        (["--decode", "gpu"], "--decode gpu needs --device cuda"),
        (["--lr", 0.1], "--lr: set LEARNING_RATE in the recipe at the top of train.py"),
        (["--learning-rate", 0.1], "set LEARNING_RATE in the recipe at the top of train.py"),
        (["--weight-decay", 0.1], "set WEIGHT_DECAY in the recipe"),
        (["--epochs", 90], "the paper counts iterations: --iterations is"),
        (["--data", "nowhere"], "--data takes a folder of images; there is neither"),
    ],
)
def test_flags_that_cannot_be_are_one_line(
    run: Callable, pictures: Path, tmp_path: Path, capsys: Capture, flags: list, words: str
) -> None:
    assert run("--data", pictures, "--out", tmp_path / "out", *flags) == 2
    assert words in last_line(capsys)
    assert not (tmp_path / "out").exists()


def test_help_begins_with_commands_to_copy(run: Callable, capsys: Capture) -> None:
    assert run("--help") == 0
    title, _, *commands = capsys.readouterr().out.strip().splitlines()[:5]
    assert title.startswith("Trains Tiny by section 3.4 of He et al. 2015")
    assert commands == [
        "    python train.py --data imagenet",
        "    torchrun --nproc_per_node 8 train.py --data imagenet",
        "    python train.py --data imagenet --evaluate best.pt --test 10-crop",
    ]


def test_another_run_is_not_resumed(
    run: Callable, trained: Path, pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    before, flags = files(trained), ["--out", trained, "--iterations", 2]
    mean = tmp_path / "mean.pt"
    assert run(*flags, "--data", pictures) == 2
    assert "holds a run already" in last_line(capsys)
    other = photographs.make(tmp_path / "other", train=6, validation=1)
    for part in ("train", "val"):
        (other / part / "cat").rename(other / part / "dog")
    fewer = photographs.make(tmp_path / "fewer", train=5, validation=1)
    for data, more, words in (
        (pictures, ["--pixel-mean", mean], "of a run with pixel_mean False, not True"),
        (pictures, ["--batch-size", 8], "with batch_size 4, not 8"),
        (pictures, ["--seed", 1], "with seed 0, not 1"),
        (other, [], "with classes cat, not dog"),
        (fewer, [], "with training images 24, not 20"),
    ):
        assert run(*flags, "--data", data, "--resume", *more) == 2
        assert words in last_line(capsys)
    assert not mean.exists() and files(trained) == before


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("mean", 5, "it has no mean of red, green and blue, or of their pixels"),
        ("mean", torch.zeros(1, 1, 1), "it has no mean of red, green and blue"),
        ("bad_images", [1], "its bad images are no paths"),
        ("val_errors", ["x"], "could not convert string to float"),
        ("val_errors", 5, "is not iterable"),
    ],
)
def test_a_changed_checkpoint_is_not_resumed(
    run: Callable, trained: Path, pictures: Path, tmp_path: Path, capsys: Capture,
    key: str, value: object, words: str,
) -> None:  # fmt: skip
    out = shutil.copytree(trained, tmp_path / "out")
    checkpoint = torch.load(out / "checkpoint.pt", weights_only=True)
    torch.save({**checkpoint, key: value}, out / "checkpoint.pt")
    before = files(out)
    assert run("--out", out, "--iterations", 2, "--data", pictures, "--resume") == 2
    message = last_line(capsys)
    assert "checkpoint.pt cannot be resumed: " in message and words in message
    assert files(out) == before
