"""Checkpoints: a run that was stopped, killed or hindered, and then resumed, is the same run."""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from conftest import folder, load

ITERATIONS = 130  # a line at 13, 26, 39, 50, 52, ...; a checkpoint at every multiple of 13
FLAGS = ["--data", "digits", "--iterations", str(ITERATIONS), "--batch-size", "8"]
EXACT = ["--eager", "--precision", "fp32", "--device", "cpu"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load(folder("resnet20") / "train.py")


@pytest.fixture
def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, signals: None) -> Callable[..., int]:
    """Runs train.py in this process; gives its exit code."""

    def main(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["train.py", *FLAGS, *EXACT, *map(str, arguments)])
        try:
            script.main()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return main


def command(out: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(folder("resnet20") / "train.py"), *FLAGS, *EXACT, "--out", str(out),
            *arguments]  # fmt: skip


def lines(out: Path) -> list[dict[str, float]]:
    """metrics.jsonl but for the speed."""
    found = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "images_per_second"} for line in found]


def results(out: Path) -> dict[str, object]:
    """results.json but for the speed and the memory."""
    found = json.loads((out / "results.json").read_text())
    return {k: v for k, v in found.items() if k not in ("seconds", "images_per_second")
            and k != "peak_memory_gib"}  # fmt: skip


def state(out: Path, name: str = "checkpoint.pt") -> dict:
    return torch.load(out / name, weights_only=True)


def equal(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        same_keys = one.keys() == other.keys()
        return same_keys and all(equal(one[k], other[k]) for k in one if "second" not in str(k))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other) and one.stride() == other.stride()
    return one == other


def assert_same_run(out: Path, whole: Path) -> None:
    assert lines(out) == lines(whole)
    assert results(out) == results(whole)
    mine, theirs = state(out), state(whole)
    for checkpoint in (mine, theirs):
        checkpoint["progress"].pop("metrics_bytes")  # the speeds have different lengths
    assert equal(mine, theirs)
    assert equal(state(out, "best.pt")["model"], state(whole, "best.pt")["model"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run without an interruption."""
    out = tmp_path_factory.mktemp("whole") / "run"
    subprocess.run(command(out), check=True, capture_output=True)
    assert [line["step"] for line in lines(out)] == sorted({*range(13, 131, 13), 50, 100})
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
    [(65, signal.SIGTERM, 143), (61, signal.SIGINT, 130), (1, signal.SIGINT, 130)],
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
    """Ended by a crash after the line of step 50, it goes on from the checkpoint of step 39."""
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
    assert [line["step"] for line in lines(tmp_path)] == [13, 26, 39, 50]
    with (tmp_path / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"step": 52, "lr"')  # torn, as a kill leaves it
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
    for _ in range(3):
        process = subprocess.Popen(command(tmp_path, "--resume"), stderr=subprocess.DEVNULL)
        lines_before = (tmp_path / "metrics.jsonl").exists() and len(lines(tmp_path))
        while process.poll() is None:  # until it trains
            if (tmp_path / "metrics.jsonl").exists() and len(lines(tmp_path)) > lines_before:
                break
            time.sleep(0.05)
        time.sleep(torch.rand((), generator=generator).item())
        process.kill()
        kills += process.wait() == -signal.SIGKILL
    assert kills
    subprocess.run(command(tmp_path, "--resume"), check=True, capture_output=True)
    assert_same_run(tmp_path, whole)


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_from_outside(tmp_path: Path, how: int, code: int) -> None:
    process = subprocess.Popen(command(tmp_path), stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "metrics.jsonl").exists():
        time.sleep(0.05)
    process.send_signal(how)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code
    assert told.splitlines()[-1].startswith("resnet20: stopped at step "), told
    assert "Traceback" not in told
    assert state(tmp_path)["progress"]["step"] < ITERATIONS


def test_checkpoint_says_what_it_is(whole: Path) -> None:
    found = state(whole)
    assert (found["network"], found["progress"]["step"]) == ("resnet20", ITERATIONS)
    assert found["spec_sha256"] == load(folder("resnet20") / "train.py").SPEC_SHA256
    assert found["versions"]["torch"] == torch.__version__
    assert found["run"]["seed"] == "0" and found["run"]["iterations"] == str(ITERATIONS)
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
    before = {path: path.read_bytes() for path in out.iterdir()}
    capfd.readouterr()
    assert run("--out", out, "--resume", *flags) == 2
    assert before == {path: path.read_bytes() for path in out.iterdir()}
    told = capfd.readouterr().err
    assert told.startswith("resnet20: ") and len(told.splitlines()) == 1, told
    return told


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    for path in whole.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "results.json").unlink()
    return tmp_path


class Harm:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("harm"),)


def changed(checkpoint: Path, **entries: object) -> None:
    torch.save({**torch.load(checkpoint, weights_only=True), **entries}, checkpoint)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes()[:-1000]),
            "cannot be read (",
        ),
        (lambda path: path.write_bytes(b""), "cannot be read ("),
        (lambda path: path.write_text("checkpoint"), "cannot be read ("),
        (lambda path: path.write_bytes(pickle.dumps(Harm())), "cannot be read ("),
        (lambda path: torch.save({"fc.bias": torch.zeros(10)}, path), "no checkpoint of resnet20"),
        (lambda path: torch.save([1, 2], path), "no checkpoint of resnet20"),
        (lambda path: changed(path, network="resnet32"), "no checkpoint of resnet20"),
        (lambda path: changed(path, spec_sha256="0" * 64), "by another spec"),
        (lambda path: changed(path, run={"data": "digits"}), "by another version of resnet-gen"),
        (lambda path: path.with_name("metrics.jsonl").write_text(""), "lacks lines"),
        (lambda path: path.with_name("metrics.jsonl").unlink(), "lacks lines"),
    ],
)
def test_wrong_checkpoints(
    run: Callable[..., int],
    copy: Path,
    capfd: pytest.CaptureFixture[str],
    damage: Callable[[Path], object],
    words: str,
) -> None:
    damage(copy / "checkpoint.pt")
    assert words in refused(run, copy, capfd)
    assert not Path("harm").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--iterations", "200"], "with iterations 130, not 200"),
        (["--batch-size", "16"], "with batch_size 8, not 16"),
        (["--seed", "1"], "with seed 0, not 1"),
        (["--full-train"], "with full_train False, not True"),
        (["--precision", "bf16"], "with precision fp32, not bf16"),
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


def test_results_without_a_checkpoint_are_not_trained_over(
    run: Callable[..., int], whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("metrics.jsonl", "results.json"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    assert "no checkpoint.pt to resume from" in refused(run, tmp_path, capfd)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    """A limit on the size of files refuses a write as a full disk does."""
    process = subprocess.Popen(command(tmp_path), stderr=subprocess.DEVNULL)
    while not (tmp_path / "checkpoint.pt").exists():
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=60) == 143
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2))

    done = subprocess.run(
        command(tmp_path, "--resume"), capture_output=True, text=True, preexec_fn=limit, check=False
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"resnet20: cannot write into {tmp_path}: ")
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_a_diverged_run_keeps_its_last_checkpoint(
    script: ModuleType,
    run: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    step, count = script.Trainer.train_step, [0]

    def diverging(self: object, *args: object) -> None:
        step(self, *args)
        count[0] += 1
        if count[0] == 30:
            self.sums.fill_(torch.nan)
            os.kill(os.getpid(), signal.SIGTERM)  # even where it is asked to save and stop

    monkeypatch.setattr(script.Trainer, "train_step", diverging)
    assert run("--out", tmp_path) == 1
    assert "training diverged: the loss is nan at step 30" in capfd.readouterr().err
    assert state(tmp_path)["progress"]["step"] == 26
