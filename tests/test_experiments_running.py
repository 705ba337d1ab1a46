"""Runs as processes: several at once, failing, stopped and going on; here, and as jobs."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import fake_training
from conftest import ROOT
from resnet_gen.experiments import cluster, log, machine, manifest, pictures, progress, running
from resnet_gen.experiments.machine import Machine
from resnet_gen.experiments.running import Progress, Task

RUNS = Path("runs/smoke")


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(machine, "ask", lambda: fake_training.MACHINE)


def results(name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((RUNS / name / "results.json").read_text())
    return found


def test_a_failed_run_stops_no_other_and_is_told_at_the_end(project: Path, cli: Callable) -> None:
    fake_training.project("plain20", "plain32", "resnet20")
    Path("fails-plain32").touch()
    code, _, err = cli("reproduce", "mine", "--jobs", 2)
    assert code == 1
    for words in ("plain32-seed0 ended with exit code 1", "    no luck", f"{RUNS}/plain32-seed0/"):
        assert words in err
    assert results("plain20-seed0")["test_error"] == 30 and results("resnet20-seed0")
    assert (RUNS / "plain20-seed0/log.txt").read_text() == "threads 2 begun\n"  # 4 cores, 2 jobs
    Path("fails-plain32").unlink()
    assert cli("reproduce", "mine").code == 0
    assert (RUNS / "plain20-seed0/log.txt").read_text().count("threads") == 1  # not run again
    assert (RUNS / "plain32-seed0/log.txt").read_text().endswith("threads 4 begun\n")


def test_seeds(project: Path, cli: Callable) -> None:
    fake_training.project("plain20", seeds={"plain20": 3})
    assert cli("reproduce", "mine").code == 0
    assert [results(f"plain20-seed{k}")["test_error"] for k in range(3)] == [30, 31, 32]
    assert cli("reproduce", "mine", "--seeds", 4).code == 0
    assert results("plain20-seed3")


WITHOUT_TORCH = f"""
from resnet_gen.experiments import machine
here = machine.{fake_training.MACHINE!r}
machine.ask = lambda: here
from resnet_gen.cli.main import main
main()
"""
COMMAND = [sys.executable, "-c", WITHOUT_TORCH, "reproduce", "mine"]


def start(
    *more: str, names: tuple[str, ...] = ("plain20-seed0", "resnet20-seed0")
) -> subprocess.Popen[str]:
    """The command in a process of its own, until its runs are at step 2 and stay there."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*COMMAND, *more],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not all(running_at_two(RUNS / name) for name in names):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(process.communicate())
        time.sleep(0.05)
    return process


def running_at_two(folder: Path) -> bool:
    checkpoint = folder / "checkpoint.pt"
    return checkpoint.is_file() and checkpoint.read_text() == "2"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_runs_write_checkpoints_and_go_on(
    number: signal.Signals, project: Path, cli: Callable
) -> None:
    fake_training.project("plain20", "resnet20")
    Path("slow").touch()
    process = start("--jobs", "2")
    told = json.loads(cli("reproduce", "mine", "--dry-run", "--json").out)
    assert [run["state"] for run in told["runs"]] == ["elsewhere", "elsewhere"]
    code, _, err = cli("reproduce", "mine")
    assert code == 1 and err.count("another process is training it") >= 2
    process.send_signal(number)
    assert "the same command goes on" in process.communicate(timeout=60)[1]
    assert process.returncode == 130
    for name in ("plain20-seed0", "resnet20-seed0"):
        assert not log.is_held(RUNS / name)
        assert (RUNS / name / "log.txt").read_text().endswith("stopped at step 2\n")
        assert not (RUNS / name / "results.json").exists()
    Path("slow").unlink()
    assert cli("reproduce", "mine").code == 0
    steps = [json.loads(row)["step"] for row in (RUNS / "plain20-seed0/metrics.jsonl").open()]
    assert steps == [1, 2, 3, 4] and "resumed" in (RUNS / "plain20-seed0/log.txt").read_text()


def test_a_run_that_outlived_the_command_is_completed(project: Path, cli: Callable) -> None:
    fake_training.project("plain20")
    assert cli("reproduce", "mine").code == 0
    path = RUNS / "plain20-seed0/manifest.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps({**whole, "results_sha256": None, "metrics_sha256": None}))
    assert cli("reproduce", "mine").code == 0
    assert json.loads(path.read_text()) == whole


def test_each_of_several_gpus_has_its_share() -> None:
    """Of the GPUs that this process may use."""
    gpus = Machine("cuda", "a GPU", "a processor", 8, (2**30, 2**30))
    shares = [running._gpu(gpus, slot)["CUDA_VISIBLE_DEVICES"] for slot in range(4)]
    assert shares == ["0", "1", "0", "1"]
    assert running._gpu(fake_training.MACHINE, 1) == {}


def test_imagenet_networks_are_tested_and_together(project: Path, cli: Callable) -> None:
    more = {"tests": ["10-crop", "multi-scale"], "ensemble": True}
    fake_training.project("resnet18_a", "plain18", **more)
    assert cli("reproduce", "mine").code == 0
    tests = json.loads((RUNS / "plain18-seed0/tests.json").read_text())
    assert {key: (of["top1_error"], of["top5_error"]) for key, of in tests.items()} == {
        "10-crop": (12.5, 3.25),
        "multi-scale": (12.5, 3.25),
    }
    ensemble = json.loads((RUNS / "mine/ensemble.json").read_text())
    assert (ensemble["test"], ensemble["top5_error"]) == ("multi-scale", 3.25)
    assert [member["run"] for member in ensemble["runs"]] == ["resnet18_a-seed0", "plain18-seed0"]
    logs = {path: path.read_text() for path in RUNS.glob("*/log.txt")}
    assert cli("reproduce", "mine").code == 0  # nothing is tested again
    assert {path: path.read_text() for path in RUNS.glob("*/log.txt")} == logs
    (RUNS / "plain18-seed0/checkpoint.pt").write_text("other weights")
    assert cli("reproduce", "mine").code == 0
    assert json.loads((RUNS / "mine/ensemble.json").read_text()) != ensemble


@pytest.fixture
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs find this package and the tests' modules."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))


def test_jobs_of_the_local_cluster(project: Path, cli: Callable, _here: None) -> None:
    pytest.importorskip("submitit", reason="needs pip install 'resnet-gen[cluster]'")
    fake_training.project("plain20", "resnet20")
    Path("fails-plain20").touch()
    code, _, err = cli("reproduce", "mine", "--cluster", "local", "--jobs", 2)
    assert code == 1 and "plain20-seed0 ended with exit code 1" in err
    assert results("resnet20-seed0")["test_error"] == 30
    assert manifest.read(RUNS / "resnet20-seed0")["results_sha256"]  # type: ignore[index]
    assert not list(RUNS.glob("*/job.json"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_jobs_are_stopped_too(number: signal.Signals, project: Path, cli: Callable) -> None:
    pytest.importorskip("submitit", reason="needs pip install 'resnet-gen[cluster]'")
    fake_training.project("plain20", "resnet20")
    Path("slow").touch()
    process = start("--cluster", "local", "--jobs", "2")
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 130
    for name in ("plain20-seed0", "resnet20-seed0"):
        assert (RUNS / name / "log.txt").read_text().endswith("stopped at step 2\n")


SLURM = {
    "sbatch": """
id=$$
echo "$@" >> sbatch.log
export SLURM_JOB_ID=$id SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_JOB_NODELIST=here
export SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0
setsid bash "$1" > /dev/null 2>&1 &
echo "Submitted batch job $id"
""",
    "srun": """
while [[ $1 == --* ]]; do
    [[ $1 == --output || $1 == --error ]] && shift
    shift
done
"$@"
""",
    "sacct": """
echo "JobID|State|NodeList"
for word in "$@"; do [[ $word == [0-9]* ]] && echo "$word|RUNNING|here"; done
""",
}


def test_jobs_on_slurm_go_on_and_are_waited_for(
    project: Path, cli: Callable, _here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm's commands are played by scripts, as far as submitit calls them."""
    pytest.importorskip("submitit", reason="needs pip install 'resnet-gen[cluster]'")
    for name, text in SLURM.items():
        Path("bin").mkdir(exist_ok=True)
        Path("bin", name).write_text(f"#!/usr/bin/env bash{text}")
        Path("bin", name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{project / 'bin'}:{os.environ['PATH']}")
    fake_training.project("plain20")
    Path("slow").touch()
    process = start("--cluster", "slurm", names=("plain20-seed0",))
    process.send_signal(signal.SIGINT)
    assert "go on; the same command waits for them" in process.communicate(timeout=60)[1]
    assert process.returncode == 130 and log.is_held(RUNS / "plain20-seed0")
    Path("slow").unlink()
    assert cli("reproduce", "mine", "--cluster", "slurm").code == 0
    assert results("plain20-seed0")["iterations"] == 4
    assert len(Path("sbatch.log").read_text().splitlines()) == 1  # not submitted again
    (submitted,) = Path("runs/jobs").glob("*_submission.sh")
    for option in ("--gpus-per-node=1", "--cpus-per-task=4", "--time=60", "--job-name=plain20"):
        assert f"#SBATCH {option}" in submitted.read_text()


@pytest.mark.parametrize(("missing", "extra"), [("submitit", "cluster"), ("matplotlib", "plot")])
def test_without_a_package(
    missing: str, extra: str, project: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_training.project("plain20")
    find, util = importlib.util.find_spec, cluster.importlib.util
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == missing else find(name))
    code, _, err = cli("reproduce", "mine", "--cluster", "slurm")
    assert code == 4 and f"resnet-gen[{extra}]" in err and not RUNS.exists()


def test_pictures_are_the_same_each_time(tmp_path: Path) -> None:
    one, other = pictures.make(tmp_path / "one"), pictures.make(tmp_path / "other")
    assert manifest.data_of("one", tmp_path) | {"kind": ""} == (
        manifest.data_of("other", tmp_path) | {"kind": ""}
    )
    files = [path.relative_to(one) for path in sorted(one.rglob("*.jpg"))]
    assert len(files) == 8 * (8 + 1 + 1)
    assert all((one / path).read_bytes() == (other / path).read_bytes() for path in files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"]


class Pretended:
    """A task of a hundred steps, for what is told of it."""

    def __init__(self, name: str) -> None:
        self.name, self.folder, self.done = name, Path("runs", name), 0

    def command(self) -> list[str]:
        return []

    def begin(self, machine: Machine, threads: int) -> None: ...

    def is_done(self) -> bool:
        return self.done == 100

    def end(self) -> str:
        return ""

    def progress(self) -> Progress:
        return Progress(self.done, 100, "error train 12.5%")


def test_time_left_follows_the_speed() -> None:
    now = [0.0]
    clock = progress.Clock({"a": 100, "b": 100}, lambda: now[0])
    clock.tell("a", 0.5)  # a run that goes on
    assert clock.left() == 150
    now[0] = 100
    clock.tell("a", 1.0)  # 50 estimated seconds of work took 100
    assert clock.left() == 200


def test_a_live_table_and_lines(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    a, b = Pretended("a"), Pretended("b")
    tasks: list[Task] = [a, b]
    clock = progress.Clock({"a": 10, "b": 10})
    terminal = Console(record=True, force_terminal=True, width=100, color_system=None)
    with progress.Live(clock, 2, terminal) as live:
        live.started(a)
        live.started(b)
        a.done = 40
        live.update(tasks)
        live.bars.refresh()
        live.ended(a, "")
        live.ended(b, "ended with exit code 1")
    shown = terminal.export_text()
    assert "40/100" in shown and "error train 12.5%" in shown and "left" in shown
    assert "a: done" in shown and "b: ended with exit code 1" in shown
    assert isinstance(progress.view(clock, 2), progress.Lines)  # pytest's stderr is no terminal
