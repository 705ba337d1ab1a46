"""Runs that began from weights (--init), stopped and resumed."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import folder
from resnet_gen.generate.loading import load_folder
from training import equal, files, lines, main, results, state
from weight_files import images
from weights_in_training import BRIEF, Capture, evaluated, refused, sha256, whole


@pytest.fixture(scope="module")
def net() -> Any:
    return load_folder(folder("resnet20"))


@pytest.fixture(scope="module")
def trained(net: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A brief run, whose weights others begin from."""
    out = tmp_path_factory.mktemp("trained") / "run"
    assert main(net.train, *BRIEF, "--out", out) == 0
    return out


@pytest.fixture(scope="module")
def learned(trained: Path) -> dict[str, Any]:
    return state(trained)


@pytest.fixture(scope="module")
def tuned(net: Any, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that begins from them and that nobody stops."""
    out = tmp_path_factory.mktemp("tuned") / "run"
    assert main(net.train, *BRIEF, "--out", out, "--init", trained / "checkpoint.pt") == 0
    return out


def stopped(net: Any, out: Path, monkeypatch: pytest.MonkeyPatch, *flags: object) -> None:
    """A run of six steps that a signal has ended after the third."""
    step, calls = net.train.Trainer.train_step, []

    def signalled(*arguments: Any) -> None:
        step(*arguments)
        calls.append(arguments)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(net.train.Trainer, "train_step", signalled)
        assert main(net.train, *BRIEF, "--out", out, *flags) == 143


@pytest.fixture
def halfway(
    net: Any, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """A run that has stopped, and what it began from."""
    init = Path(shutil.copy(trained / "checkpoint.pt", tmp_path / "began.pt"))
    stopped(net, tmp_path / "run", monkeypatch, "--init", init)
    return tmp_path / "run", init


@pytest.mark.parametrize("again", ["without --init", "with it", "with it, and it is gone"])
def test_a_resumed_run_is_the_uninterrupted_one(
    net: Any, tuned: Path, halfway: tuple[Path, Path], capsys: Capture, again: str
) -> None:
    out, init = halfway
    flags = ["--init", init] if "with it" in again else []
    if again != "with it":
        init.unlink()
    capsys.readouterr()
    assert main(net.train, *BRIEF, "--out", out, *flags, "--resume") == 0
    said = "resuming at step 3" + ": --init is where the run began, and is not read again" * bool(
        flags
    )
    assert said in capsys.readouterr().err.splitlines()
    assert lines(out) == lines(tuned) and results(out) == results(tuned)
    assert equal(state(out), state(tuned))


def test_a_run_is_not_resumed_as_one_that_began_elsewhere(
    net: Any, learned: dict, halfway: tuple[Path, Path], tmp_path: Path, capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    out, init = halfway
    before, other = files(out), whole(net, tmp_path / "net.safetensors", learned)
    resume = (*BRIEF, "--out", out, "--resume")
    told = refused(net, capsys, *resume, "--init", other)
    assert f"is of a run with init {sha256(init)}, not {sha256(other)}" in told
    told = refused(net, capsys, *resume, "--init", init, "--new-head")
    assert "is of a run with new_head False, not True" in told
    assert files(out) == before
    stopped(net, tmp_path / "scratch", monkeypatch)
    told = refused(net, capsys, *BRIEF, "--out", tmp_path / "scratch", "--resume", "--init", init)
    assert f"is of a run with init nothing, not {sha256(init)}" in told


def test_a_restart_before_the_first_checkpoint_begins_from_the_weights(
    net: Any, trained: Path, tuned: Path, tmp_path: Path, capsys: Capture
) -> None:
    """As torchrun and SLURM restart: by the same command."""
    flags = (*BRIEF, "--out", tmp_path, "--init", trained / "checkpoint.pt", "--resume")
    assert main(net.train, *flags) == 0
    told = capsys.readouterr().err
    assert "starting at step 0" in told and "beginning with the weights of" in told
    assert lines(tmp_path) == lines(tuned) and equal(state(tmp_path), state(tuned))


def test_the_mean_of_the_weights_lasts(
    net: Any, learned: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Stopped and resumed, evaluated: always the file's, here of each channel."""
    mean = [120.0, 110.0, 100.0]
    path = whole(net, tmp_path / "net.safetensors", learned, input=images(mean, [1.0] * 3))
    out = tmp_path / "run"
    stopped(net, out, monkeypatch, "--init", path)
    assert state(out)["mean"].flatten().tolist() == mean
    assert main(net.train, *BRIEF, "--out", out, "--resume") == 0
    assert state(out)["mean"].flatten().tolist() == mean
    assert state(out)["images_mean"].shape == (3, 32, 32)
    said = json.loads((out / "results.json").read_text())["test_error"]
    assert evaluated(net, out / "checkpoint.pt", capsys).startswith(f"test error {said:.2f}%: ")


def test_ranks_that_have_other_files_are_told(
    net: Any, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    gathered: Callable = net.weights.gathered
    monkeypatch.setattr(net.weights, "gathered", lambda value: [*gathered(value), {"init": "0"}])
    told = refused(net, capsys, *BRIEF, "--out", tmp_path, "--init", trained / "best.pt")
    assert told.endswith("is not the same file on all machines")
