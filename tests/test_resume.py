"""Checkpoints: a run that was stopped, killed or hindered, and then resumed, is the same run."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from conftest import folder, load
from training import DIGITS, command, equal, files, lines, main, results, state, wait_for

ITERATIONS = 60  # a line at 6, 12, ..., 48, 50, 54, 60; a checkpoint at every multiple of 6
FLAGS = [*DIGITS, "--iterations", ITERATIONS]
SCRIPT = folder("resnet20") / "train.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load(SCRIPT)


@pytest.fixture
def run(script: ModuleType) -> Callable[..., int]:
    """Runs train.py in this process; gives its exit code."""
    return lambda *arguments: main(script, *FLAGS, *arguments)


def started(out: Path, *arguments: str, **how: object) -> subprocess.Popen:
    return subprocess.Popen(command(SCRIPT, *FLAGS, "--out", out, *arguments), **how)


def assert_same_run(out: Path, whole: Path) -> None:
    assert lines(out) == lines(whole)
    assert results(out) == results(whole)
    assert equal(state(out), state(whole))
    size = state(out)["progress"]["metrics_bytes"]
    assert size == (out / "metrics.jsonl").stat().st_size
    assert equal(state(out, "best.pt")["model"], state(whole, "best.pt")["model"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run without an interruption."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert main(load(SCRIPT), *FLAGS, "--out", out) == 0
    assert [line["step"] for line in lines(out)] == sorted({*range(6, 61, 6), 50})
    return out


def stop_at(script: ModuleType, monkeypatch: pytest.MonkeyPatch, steps: int, how: int) -> None:
    """Sends this process a signal in the middle of the given step."""
    step, count = script.Trainer.train_step, [0]

    def counted(*args: object) -> None:
        step(*args)
        count[0] += 1
        if count[0] == steps:
            os.kill(os.getpid(), how)

    monkeypatch.setattr(script.Trainer, "train_step", counted)


@pytest.mark.parametrize(
    ("steps", "how", "code"),
    [(30, signal.SIGTERM, 143), (28, signal.SIGINT, 130), (1, signal.SIGINT, 130)],
    ids=["half, at a line", "between lines", "at once"],
)
def test_stopped_and_resumed_is_bit_for_bit_the_same(
    script: ModuleType,
    run: Callable[..., int],
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    steps: int,
    how: int,
    code: int,
) -> None:
    with monkeypatch.context() as patch:
        stop_at(script, patch, steps, how)
        assert run("--out", tmp_path) == code
    assert f"stopped at step {steps}" in capfd.readouterr().err
    assert state(tmp_path)["progress"]["step"] == steps
    assert not (tmp_path / "results.json").exists()
    assert run("--out", tmp_path, "--resume") == 0
    assert f"resuming at step {steps}" in capfd.readouterr().err
    assert_same_run(tmp_path, whole)


def test_lines_after_the_last_checkpoint_are_written_anew(
    script: ModuleType,
    run: Callable[..., int],
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ended by a crash after the line of step 50, it goes on from the checkpoint of step 48."""
    step, count = script.Trainer.train_step, [0]

    def crashing(*args: object) -> None:
        step(*args)
        count[0] += 1
        if count[0] == 51:
            raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(script.Trainer, "train_step", crashing)
        with pytest.raises(ZeroDivisionError):
            run("--out", tmp_path)
    assert [line["step"] for line in lines(tmp_path)] == [*range(6, 49, 6), 50]
    with (tmp_path / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"step": 54, "lr"')  # torn, as a kill leaves it
    assert run("--out", tmp_path, "--resume") == 0
    assert_same_run(tmp_path, whole)


def test_a_finished_run_stays_as_it_is(run: Callable[..., int], whole: Path) -> None:
    before = [lines(whole), results(whole), state(whole)]
    assert run("--out", whole, "--resume") == 0
    assert equal(before, [lines(whole), results(whole), state(whole)])


def test_killed_again_and_again(whole: Path, tmp_path: Path) -> None:
    """kill -9 at moments that nothing is prepared for: before, in and after checkpoints."""
    generator = torch.Generator().manual_seed(0)
    kills = 0
    for _ in range(2):
        process = started(tmp_path, "--resume", stderr=subprocess.DEVNULL)
        lines_before = (tmp_path / "metrics.jsonl").exists() and len(lines(tmp_path))
        while process.poll() is None:  # until it trains
            if (tmp_path / "metrics.jsonl").exists() and len(lines(tmp_path)) > lines_before:
                break
            time.sleep(0.05)
        time.sleep(torch.rand((), generator=generator).item())
        process.kill()
        kills += process.wait() == -signal.SIGKILL
    assert kills
    assert started(tmp_path, "--resume").wait() == 0
    assert_same_run(tmp_path, whole)


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_from_outside(tmp_path: Path, how: int, code: int) -> None:
    process = started(tmp_path, stderr=subprocess.PIPE, text=True)
    wait_for(tmp_path / "metrics.jsonl", process, lines=1)
    process.send_signal(how)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code
    assert told.splitlines()[-1].startswith("train.py: stopped at step "), told
    assert "Traceback" not in told
    assert state(tmp_path)["progress"]["step"] < ITERATIONS


def test_checkpoint_says_what_it_is(whole: Path) -> None:
    found = state(whole)
    assert (found["network"], found["progress"]["step"]) == ("resnet20", ITERATIONS)
    assert found["spec_sha256"] == load(SCRIPT).SPEC_SHA256
    assert found["versions"]["torch"] == torch.__version__
    assert found["same"]["seed"] == 0 and found["same"]["iterations"] == ITERATIONS
    assert found["same"]["MILESTONES"] == (32_000, 48_000)
    assert found["network_sha256"] == load(SCRIPT).NETWORK_SHA256
    assert found["classes"] == [str(k) for k in range(10)]
    momentum = found["optimizer"]["state"][0]["momentum_buffer"]
    assert momentum.shape == found["model"]["conv1.weight"].shape
    best = state(whole, "best.pt")
    steps = [line["step"] for line in lines(whole)
             if line.get("val_error") == results(whole)["best_val_error"]]  # fmt: skip
    assert best["progress"]["step"] == steps[0]


def refused(
    run: Callable[..., int], out: Path, capfd: pytest.CaptureFixture[str], *flags: str
) -> str:
    """What a resumed run says that must not start, and must leave every file as it is."""
    before = files(out)
    capfd.readouterr()
    assert run("--out", out, "--resume", *flags) == 2
    assert before == files(out)
    images, *told = capfd.readouterr().err.splitlines()
    assert images.endswith("test images of 10 classes")
    assert len(told) == 1 and told[0].startswith("train.py: "), told
    return told[0]


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    for path in whole.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "results.json").unlink()
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--iterations", "200"], "is of a run with iterations 60, not 200"),
        (["--batch-size", "16"], "is of a run with batch_size 8, not 16"),
        (["--seed", "1"], "is of a run with seed 0, not 1"),
        (["--full-train"], "is of a run with full_train False, not True"),
        (["--precision", "bf16"], "is of a run with precision fp32, not bf16"),
    ],
)
def test_another_run_is_not_resumed(
    run: Callable[..., int],
    copy: Path,
    capfd: pytest.CaptureFixture[str],
    flags: list[str],
    words: str,
) -> None:
    assert words in refused(run, copy, capfd, *flags)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    """A limit on the size of files refuses a write as a full disk does."""
    process = started(tmp_path, stderr=subprocess.DEVNULL)
    wait_for(tmp_path / "checkpoint.pt", process)
    process.terminate()
    assert process.wait(timeout=60) == 143
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2))

    done = started(tmp_path, "--resume", stderr=subprocess.PIPE, text=True, preexec_fn=limit)
    _, told = done.communicate(timeout=120)
    assert done.returncode == 2 and "Traceback" not in told
    assert told.splitlines()[-1].startswith(f"train.py: cannot write {tmp_path}/"), told
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))
