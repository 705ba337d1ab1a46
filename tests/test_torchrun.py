"""Two ranks on the CPU, started by torchrun: the same training as one process that splits its
batches, the same tests, and one run through signals, deaths and restarts."""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from conftest import ROOT, folder
from resnet_gen.generate.loading import load_folder
from tiny_runs import reading
from training import environment, equal, lines, main, results, state

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
EXACT = ["--device", "cpu", "--precision", "fp32"]
DIGITS = ["--data", "digits", "--batch-size", "16"]
CIFAR_SCRIPT = folder("resnet20") / "train.py"


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("", 0))
        return str(listener.getsockname()[1])


def start(script: Path, *arguments: object, ranks: bool = True, **how: object) -> subprocess.Popen:
    launch = (
        [*TORCHRUN, "--master_port", free_port(), *how.pop("launch", ())]
        if ranks
        else [sys.executable]
    )
    command = [*map(str, [*launch, script, *EXACT, *arguments])]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        start_new_session=True, **how,
    )  # fmt: skip


def finish(process: subprocess.Popen, code: int | None = 0) -> tuple[str, str]:
    try:
        out, err = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun ends its ranks, by force after 30 seconds
        process.communicate()
        raise
    assert code is None or process.returncode == code, err[-3_000:]
    return out, err


def wait_for(metrics: Path, count: int, process: subprocess.Popen) -> None:
    """Until metrics.jsonl of a run that goes on has so many lines."""
    deadline = time.time() + 120
    while not metrics.exists() or metrics.read_text().count("\n") < count:
        if time.time() > deadline or process.poll() is not None:
            os.killpg(process.pid, signal.SIGTERM)
            raise AssertionError(f"no {count} lines in {metrics}:\n{process.communicate()[1]}")
        time.sleep(0.05)


def split_step(
    model: nn.Module, halves: list[tuple[Tensor, Tensor]], velocity: dict[str, Tensor], rate: float
) -> float:
    """One step of SGD on the mean of both halves' gradients; statistics are of the first half.

    The mean of both halves' losses.
    """
    gradients, losses = [], []
    for one, (images, labels) in zip((model, copy.deepcopy(model)), halves, strict=True):
        one.zero_grad()
        loss = F.cross_entropy(one(images), labels)
        loss.backward()
        losses.append(loss.item())
        gradients.append({key: p.grad for key, p in one.named_parameters()})
    with torch.no_grad():
        for key, p in model.named_parameters():
            gradient = (gradients[0][key] + gradients[1][key]) / 2
            velocity[key] = 0.9 * velocity[key] + gradient + 1e-4 * p
            p.sub_(rate * velocity[key])
    return sum(losses) / 2


def compare(saved: dict[str, Tensor], model: nn.Module, start_state: dict[str, Tensor]) -> None:
    for key, expected in model.state_dict().items():
        moved = (expected.float() - start_state[key].float()).norm()
        assert (saved[key].float() - expected.float()).norm() <= 1e-2 * moved + 1e-6, key


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As each rank has: with more, sums round otherwise, and a rate of 0.1 makes much of that."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_two_ranks_are_one_that_splits_its_batch_cifar(tmp_path: Path, one_thread: None) -> None:
    finish(start(CIFAR_SCRIPT, *DIGITS, "--iterations", 4, "--out", tmp_path / "out"))
    s = load_folder(folder("resnet20")).train
    data = s.hold_out(s.load("digits", Path(), s.IMAGE_SHAPE), s.VALIDATION)
    images = data.train
    mean = images.pixels.mean(dim=0, dtype=torch.float32)
    torch.manual_seed(0)
    model = s.Trainer(data.classes, mean, "fp32").model
    began = {key: value.clone() for key, value in model.state_dict().items()}
    velocity = {key: torch.zeros_like(p) for key, p in model.named_parameters()}
    stream = s.batches(len(images.labels), 16, 0, torch.device("cpu"))
    losses = []
    for step in range(4):
        pixels, labels = images.at(next(stream))
        shown = s.augment(pixels - mean, flip=False).contiguous(memory_format=torch.channels_last)
        halves = [(shown[:8], labels[:8]), (shown[8:], labels[8:])]
        losses.append(split_step(model, halves, velocity, s.learning_rate(step, 4)))
    assert [line["loss"] for line in lines(tmp_path / "out")] == pytest.approx(losses, rel=1e-3)
    compare(state(tmp_path / "out")["model"], model, began)


def test_two_ranks_are_one_that_splits_its_batch_imagenet(
    tiny: Path, pictures: Path, tmp_path: Path, one_thread: None
) -> None:
    flags = ["--data", pictures, "--workers", 1, "--batch-size", 8, "--iterations", 3]
    finish(start(tiny / "train.py", *flags, "--out", tmp_path / "out"))
    net = load_folder(tiny)
    s, data = net.train, net.data.load(pictures)
    torch.manual_seed(0)
    trainer = s.Trainer(data.train.classes, torch.tensor(s.MEAN)[:, None, None], "fp32")
    model = trainer.model
    began = {key: value.clone() for key, value in model.state_dict().items()}
    velocity = {key: torch.zeros_like(p) for key, p in model.named_parameters()}
    crops, losses = net.data.Crops(data.train.samples, s.draw, reading()), []
    for first in range(0, 24, 8):
        batch = crops[range(first, first + 8)]
        colour = 255 * batch.colour @ torch.tensor(s.EIGENVECTORS).T
        shown = s.augment(batch.pixels, batch.mirrored, colour, trainer.mean)
        shown = shown.contiguous(memory_format=torch.channels_last)
        halves = [(shown[rank::2], batch.labels[rank::2]) for rank in (0, 1)]
        losses.append(split_step(model, halves, velocity, 0.1))
    assert [line["loss"] for line in lines(tmp_path / "out")] == pytest.approx(losses, rel=1e-3)
    compare(state(tmp_path / "out")["model"], model, began)


def children(process: subprocess.Popen) -> list[int]:
    """The ranks that torchrun has started."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    )
    return [int(pid) for pid in found.stdout.split()]


def test_through_a_signal_and_a_death_it_is_the_same_run(tmp_path: Path) -> None:
    """Stopped by a signal and resumed; then a rank dies, and --max-restarts starts both again."""
    flags = [*DIGITS, "--iterations", 30]
    finish(start(CIFAR_SCRIPT, *flags, "--out", tmp_path / "whole"))
    process = start(CIFAR_SCRIPT, *flags, "--out", tmp_path / "part")
    wait_for(tmp_path / "part/metrics.jsonl", 3, process)
    process.terminate()  # torchrun passes it on to both
    _, err = finish(process, code=None)
    step = state(tmp_path / "part")["progress"]["step"]
    for rank in (0, 1):
        assert f"rank {rank}: stopped at step {step}; --resume goes on" in err

    going_on = [*flags, "--out", tmp_path / "part", "--resume"]
    process = start(CIFAR_SCRIPT, *going_on, launch=["--max-restarts", "2"])
    wait_for(tmp_path / "part/metrics.jsonl", len(lines(tmp_path / "part")) + 1, process)
    os.kill(children(process)[1], signal.SIGKILL)
    _, err = finish(process)
    assert f"resuming at step {step}\n" in err and err.count("resuming at step ") == 2
    assert lines(tmp_path / "part") == lines(tmp_path / "whole")
    assert results(tmp_path / "part") == results(tmp_path / "whole")
    whole, resumed = state(tmp_path / "whole"), state(tmp_path / "part")
    assert equal(whole["model"], resumed["model"])
    assert equal(whole["optimizer"], resumed["optimizer"])
    assert len(lines(tmp_path / "whole")) == 10  # rank 0's alone: a validation each third step


def test_a_death_and_a_signal_where_images_are_read_by_others(
    tiny: Path, pictures: Path, tmp_path: Path
) -> None:
    """torchrun signals the readers too, and what starts them, at each validation anew."""
    flags = ["--data", pictures, "--workers", 1, "--batch-size", 8, "--iterations", 40, "--resume"]
    out = tmp_path / "out"
    process = start(tiny / "train.py", *flags, "--out", out, launch=["--max-restarts", "2"])
    wait_for(out / "metrics.jsonl", 2, process)
    os.kill(children(process)[1], signal.SIGKILL)
    before = len(lines(out))
    wait_for(out / "metrics.jsonl", before + 1, process)  # the ranks go on from the checkpoint
    time.sleep(0.5)
    process.terminate()
    _, err = finish(process, code=None)
    assert err.count("resuming at step ") == 1
    assert err.count("; --resume goes on") == 2 and "exited unexpectedly" not in err
    steps = [line["step"] for line in lines(out)]
    assert steps == [*range(4, steps[-1] + 1, 4)] and len(steps) > before
    assert state(out)["progress"]["step"] >= steps[-1]


def test_every_ranks_bad_images_are_counted(tiny: Path, pictures: Path, tmp_path: Path) -> None:
    data = shutil.copytree(pictures, tmp_path / "data")
    shutil.copytree(data / "val", data / "test")
    for part in ("val", "test"):  # rank 1 has every second one
        sorted((data / part / "cat").iterdir())[1].write_bytes(b"no picture")
    flags = ["--data", data, "--workers", 0, "--batch-size", 8, "--iterations", 2]
    _, err = finish(
        start(tiny / "train.py", *flags, "--skip-bad-images", "--out", tmp_path / "out")
    )
    assert err.count("skipping ") == 2
    assert json.loads((tmp_path / "out/results.json").read_text())["bad_images"] == 2
    assert len(state(tmp_path / "out")["bad_images"]) == 2


def test_tests_are_shared_and_no_image_counts_twice(
    tiny: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "val/cat/plain9.jpg").write_bytes(
        (pictures / "val/cat/plain0.jpg").read_bytes()
    )  # an odd number
    try:
        flags = ["--data", pictures, "--workers", 0]
        run = [*flags, "--iterations", 6, "--batch-size", 8, "--out", tmp_path / "out"]
        finish(start(tiny / "train.py", *run))
        evaluating = [*flags, "--evaluate", tmp_path / "out/checkpoint.pt", "--test"]
        script = load_folder(tiny).train
        alone = {}
        for test in ("1-crop", "10-crop"):
            assert main(script, *evaluating, test) == 0
            alone[test] = capsys.readouterr().out
        shared, _ = finish(start(tiny / "train.py", *evaluating, "10-crop"))
    finally:
        (pictures / "val/cat/plain9.jpg").unlink()
    assert alone["10-crop"].startswith("10-crop error")
    assert shared.endswith(alone["10-crop"])  # after older gloo's lines
    error = alone["10-crop"].split()[2]
    assert error in {f"{100 * k / 13:.2f}%" for k in range(1, 13)}  # of 13 images, not of 14
    tested = json.loads((tmp_path / "out/results.json").read_text())["test_error"]
    assert alone["1-crop"].startswith(f"1-crop error {tested:.2f}% top-1")  # by two ranks, by one


PROGRAMS = {
    "srun": """echo "$1" > srun_flag; shift; : > tasks; status=0
for k in $(seq "$SLURM_NNODES"); do "$@" & echo $! >> tasks; done
for task in $(cat tasks); do wait $task || status=$?; done; exit $status""",
    "scancel": """[[ "$*" == "--signal=TERM 7" ]] && kill -TERM $(cat tasks)""",
    "scontrol": """if [[ $1 == requeue ]]; then echo "$2" > requeued
else echo localhost; seq 100000; fi""",  # more than a pipe holds
    "torchrun": f'exec {sys.executable} -m torch.distributed.run "$@"',
}


def test_the_slurm_script_survives_its_time_limit_and_a_death(
    tmp_path: Path, cli: Callable
) -> None:
    """On two machines, which are this one: `srun` here starts its command twice, a rank each."""
    flags = ["--device", "cpu", "--precision", "fp32", *DIGITS, "--iterations", 30]
    result = cli(
        "train", "resnet20", "--slurm", "--", *flags, "--out", tmp_path / "out", "--resume"
    )
    assert result.code == 0 and result.out.count("--resume") == 1
    assert "#SBATCH --signal=B:USR1@120 " in result.out
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\ncd {tmp_path}\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "torchrun").write_text(f"#!/usr/bin/env bash\ncd {ROOT}\n{PROGRAMS['torchrun']}\n")

    def job() -> subprocess.Popen:
        (tmp_path / "job.sh").write_text(result.out.replace("29500", free_port()))
        slurm = environment(
            PATH=f"{tmp_path}:{os.environ['PATH']}", SLURM_NNODES="2", SLURM_GPUS_ON_NODE="1",
            SLURM_JOB_ID="7", SLURM_JOB_NODELIST="machines", SLURM_CPUS_PER_TASK="3",
        )  # fmt: skip
        return subprocess.Popen(
            ["bash", str(tmp_path / "job.sh")], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=slurm, start_new_session=True,
        )  # fmt: skip

    process = job()
    wait_for(tmp_path / "out/metrics.jsonl", 3, process)
    process.send_signal(signal.SIGUSR1)  # as SLURM warns: this script alone
    _, err = finish(process)
    step = state(tmp_path / "out")["progress"]["step"]
    assert f"stopped at step {step}; --resume goes on" in err and step < 30
    assert (tmp_path / "requeued").read_text() == "7\n"
    assert (tmp_path / "srun_flag").read_text() == "--cpus-per-task=3\n"
    (tmp_path / "requeued").unlink()

    process, count = job(), len(lines(tmp_path / "out"))
    wait_for(tmp_path / "out/metrics.jsonl", count + 1, process)
    ranks = subprocess.run(
        ["pgrep", "-f", f"^{sys.executable}.* -u .*resnet20/train.py.*{tmp_path}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    os.kill(int(ranks.stdout.split()[-1]), signal.SIGKILL)
    _, err = finish(process)
    assert f"resuming at step {step}" in err and err.count("resuming at step ") == 2
    assert json.loads((tmp_path / "out/results.json").read_text())["ranks"] == 2
    assert not (tmp_path / "requeued").exists()
