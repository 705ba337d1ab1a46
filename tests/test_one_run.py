"""A folder holds one run: one process writes it, nothing in it is lost, no NaN is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import folder
from resnet_gen.generate.loading import load_folder
from training import DIGITS, command, files, lines, main, state, wait_for

Capture = pytest.CaptureFixture[str]
SCRIPT = folder("resnet20") / "train.py"
FLAGS = (*DIGITS, "--iterations", 20)  # a validation every second step


@pytest.fixture(scope="module")
def net() -> Any:
    return load_folder(folder("resnet20"))


def interrupt(
    net: Any, monkeypatch: pytest.MonkeyPatch, out: Path, at: int, when: str = "train_step"
) -> None:
    """A run that breaks off in some call of a method of the trainer, as a kill would end it."""
    method, calls = getattr(net.train.Trainer, when), []

    def breaking(*args: object) -> object:
        calls.append(args)
        if len(calls) == at:
            raise ZeroDivisionError
        return method(*args)

    with monkeypatch.context() as patch:
        patch.setattr(net.train.Trainer, when, breaking)
        with pytest.raises(ZeroDivisionError):
            main(net.train, *FLAGS, "--out", out)


def refused(net: Any, out: Path, capsys: Capture, *flags: object) -> str:
    """The sentence that ends a run that must not start; no file has changed."""
    before = files(out)
    capsys.readouterr()
    assert main(net.train, *FLAGS, "--out", out, *flags) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if "test images of" not in line]
    assert len(told) == 1 and told[0].startswith("train.py: "), told
    assert files(out) == before
    return told[0]


# ---- One process (T3) ----------------------------------------------------------------------------


def test_a_second_process_is_told_and_a_killed_one_leaves_no_lock(
    net: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    flags = (*DIGITS, "--iterations", 1_000, "--out", tmp_path)
    first = subprocess.Popen(command(SCRIPT, *flags), stderr=subprocess.DEVNULL)
    try:
        wait_for(tmp_path / "metrics.jsonl", first)  # which is the lock's file
        same = main(net.train, *flags), capsys.readouterr().err
        resuming = main(net.train, *flags, "--resume"), capsys.readouterr().err
        assert first.poll() is None
    finally:
        first.kill()
        first.wait()
    assert (same[0], resuming[0]) == (2, 2)
    words = f"train.py: another process is training into {tmp_path}: name another --out\n"
    assert resuming[1].endswith(words)
    holds = f"train.py: {tmp_path} holds a run already: go on with --resume, or name another --out"
    assert same[1].endswith(words) or same[1].splitlines()[-1] == holds

    monkeypatch.setattr(
        net.train.Trainer, "train_step", lambda *_: os.kill(os.getpid(), signal.SIGTERM)
    )
    assert main(net.train, *flags, "--resume") == 143  # the first left no lock behind
    assert "; --resume goes on" in capsys.readouterr().err


def test_the_lock_is_taken_before_anything_is_written(net: Any, tmp_path: Path) -> None:
    """Where the first has taken the folder and written nothing yet, the second leaves it alone."""
    holder = "import fcntl, sys; f = open(sys.argv[1], 'ab'); fcntl.lockf(f, fcntl.LOCK_EX)"
    holder += "; print('held', flush=True); sys.stdin.read()"
    path = tmp_path / "metrics.jsonl"
    process = subprocess.Popen(
        [*command(Path("-c"))[:1], "-c", holder, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout and process.stdout.readline() == "held\n"
    try:
        assert main(net.train, *FLAGS, "--out", tmp_path) == 2
        assert files(tmp_path) == {"metrics.jsonl": b""}
    finally:
        process.communicate("")
    assert main(net.train, *FLAGS, "--out", tmp_path) == 0


def test_where_there_are_no_locks_it_trains(
    net: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk over the network without a lock service."""
    import fcntl

    def without(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", without)
    with (tmp_path / "file").open("ab") as file:
        assert net.checkpoint.lock(file)
    monkeypatch.setattr(fcntl, "lockf", lambda *_: (_ for _ in ()).throw(BlockingIOError()))
    with (tmp_path / "file").open("ab") as file:
        assert not net.checkpoint.lock(file)


# ---- Nothing is trained over (T6, T16) -----------------------------------------------------------


@pytest.fixture(scope="module")
def finished(net: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished")
    assert main(net.train, *FLAGS, "--out", out) == 0
    return out


@pytest.fixture
def unfinished(finished: Path, tmp_path: Path) -> Path:
    for name, content in files(finished).items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "results.json").unlink()
    return tmp_path


@pytest.mark.parametrize(
    ("lost", "has"),
    [
        (("checkpoint.pt",), "best.pt and validations in metrics.jsonl"),
        (("checkpoint.pt", "best.pt"), "validations in metrics.jsonl"),
        (("checkpoint.pt", "metrics.jsonl"), "best.pt"),
    ],
)
def test_a_run_without_its_checkpoint_is_not_begun_anew(
    net: Any, unfinished: Path, capsys: Capture, lost: tuple[str, ...], has: str
) -> None:
    for name in lost:
        (unfinished / name).unlink()
    (unfinished / "metrics.jsonl").touch()  # which a refused run would make, empty
    told = refused(net, unfinished, capsys, "--resume")
    assert f"{unfinished} has {has}, but no checkpoint.pt to resume from" in told
    assert "name another --out, or delete what is there" in told


def test_results_without_a_checkpoint_are_kept(
    net: Any, finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    for name in ("metrics.jsonl", "results.json"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    assert "has results.json and validations in metrics" in refused(
        net, tmp_path, capsys, "--resume"
    )


def test_before_its_first_checkpoint_a_restart_begins_anew(
    net: Any, finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    """As SLURM's restarts and torchrun's need."""
    (tmp_path / "metrics.jsonl").write_text('{"step": 50, "lr": 0.1}\n')
    assert main(net.train, *FLAGS, "--out", tmp_path, "--resume") == 0
    assert f"no {tmp_path}/checkpoint.pt yet: starting at step 0" in capsys.readouterr().err
    assert lines(tmp_path) == lines(finished)


@pytest.mark.parametrize("when", ["in the validation", "in best.pt", "in checkpoint.pt"])
def test_ended_at_its_first_validation_a_run_can_be_resumed(
    net: Any, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Wherever a kill comes: a validation is written only when there is a checkpoint."""
    if when == "in the validation":
        interrupt(net, monkeypatch, tmp_path, at=1, when="error")
    else:
        write, name = net.checkpoint.save, when.rsplit(maxsplit=1)[-1]
        made: list[Path] = []

        def breaking(path: Path, *args: object) -> None:
            made.append(path)
            if path.name == name and len(made) > 1:
                raise ZeroDivisionError
            write(path, *args)

        with monkeypatch.context() as patch:
            patch.setattr(net.checkpoint, "save", breaking)
            with pytest.raises(ZeroDivisionError):
                main(net.train, *FLAGS, "--out", tmp_path)
    assert state(tmp_path)["progress"]["step"] == 1
    assert main(net.train, *FLAGS, "--out", tmp_path, "--resume") == 0
    assert lines(tmp_path) == lines(finished)


def edited(text: str) -> str:
    """The same length, another first loss."""
    first = json.loads(text.splitlines()[0])["loss"]
    return text.replace(f'"loss": {first}', f'"loss": {str(first)[:-1]}X', 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: '{"step": 0}\n' + text,
        edited,
        lambda text: text.replace('"step": 20', '"step": 21'),
        lambda text: text[:-30],
        lambda text: text[text.index("\n") + 1 :],
        lambda _: "",
    ],
    ids=["a line in front", "a line edited", "the last edited", "cut", "a line less", "empty"],
)
def test_metrics_that_are_not_the_runs_are_not_cut(
    net: Any, unfinished: Path, capsys: Capture, change: Callable[[str], str]
) -> None:
    path = unfinished / "metrics.jsonl"
    before = path.read_text()
    path.write_text(change(before))
    assert path.read_text() != before
    told = refused(net, unfinished, capsys, "--resume")
    assert f"{path} was changed since the checkpoint beside it was written" in told


def test_lost_metrics_are_told(net: Any, unfinished: Path, capsys: Capture) -> None:
    (unfinished / "metrics.jsonl").unlink()
    assert main(net.train, *FLAGS, "--out", unfinished, "--resume") == 2
    assert "was changed since" in capsys.readouterr().err


# ---- Divergence (T13) ----------------------------------------------------------------------------


def plant(net: Any, monkeypatch: pytest.MonkeyPatch, step: int, where: str) -> None:
    """Puts NaN into the weights or the loss in the given step, after its loss was counted."""
    train_step, calls = net.train.Trainer.train_step, []

    def planting(self: Any, *args: object) -> None:
        train_step(self, *args)
        calls.append(step)
        if len(calls) == step:
            with torch.no_grad():
                {
                    "loss": self.sums,
                    "weights": self.model.fc.weight,
                    "statistics": self.model.bn1.running_var,
                }[where].view(-1)[0] = torch.nan

    monkeypatch.setattr(net.train.Trainer, "train_step", planting)


@pytest.mark.parametrize("where", ["loss", "weights", "statistics"])
def test_what_diverged_in_the_last_step_before_a_validation_is_not_saved(
    net: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, where: str
) -> None:
    """A finite loss says nothing of the weights that its step has made."""
    plant(net, monkeypatch, 4, where)
    assert main(net.train, *FLAGS, "--out", tmp_path) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("train.py: training diverged: ") and "step 4" in told
    assert [line["step"] for line in lines(tmp_path)] == [2]
    for name in ("checkpoint.pt", "best.pt"):
        assert state(tmp_path, name)["progress"]["step"] == 2
        assert net.checkpoint.is_finite(state(tmp_path, name))


def test_a_run_of_one_step_that_diverges_tests_nothing(
    net: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    plant(net, monkeypatch, 1, "weights")
    assert main(net.train, *DIGITS, "--iterations", 1, "--out", tmp_path) == 1
    told = capsys.readouterr()
    assert "training diverged" in told.err and not told.out
    assert files(tmp_path).keys() == {"metrics.jsonl", "checkpoint.pt"}
    assert state(tmp_path)["progress"]["step"] == 0


def test_a_signal_saves_nothing_that_diverged(
    net: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    import os

    plant(net, monkeypatch, 3, "loss")
    step = net.train.Trainer.train_step
    calls: list[object] = []

    def signalled(self: Any, *args: object) -> None:
        step(self, *args)
        calls.append(args)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(net.train.Trainer, "train_step", signalled)
    assert main(net.train, *FLAGS, "--out", tmp_path) == 1
    assert "training diverged" in capsys.readouterr().err
    assert state(tmp_path)["progress"]["step"] == 2
