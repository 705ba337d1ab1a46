"""Generated train.py files run as a user does, or in this process; and what a run leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from conftest import folder

EXACT = ("--eager", "--precision", "fp32", "--device", "cpu")
DIGITS = ("--data", "digits", "--batch-size", 8)
OF_THIS_TIME = ("seconds", "images_per_second", "peak_memory_gib")


def command(script: Path, *arguments: object) -> list[str]:
    """A run that comes out the same to the bit each time, in fp32 and on the CPU."""
    return [sys.executable, str(script), *EXACT, *map(str, arguments)]


def run(name: str, *arguments: object, timeout: int = 240) -> subprocess.CompletedProcess[str]:
    """A network's train.py in a process of its own; later flags win over EXACT."""
    return subprocess.run(
        command(folder(name) / "train.py", *arguments),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def main(script: ModuleType, *arguments: object) -> int:
    """A train.py in this process; its exit code."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before, sys.argv = sys.argv, ["train.py", *EXACT, *map(str, arguments)]
    try:
        script.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = before
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return 0


def wait_for(path: Path, process: subprocess.Popen, lines: int = 0, seconds: float = 120) -> None:
    """Until a run has written a file, and so many lines of it."""
    deadline = time.time() + seconds
    while not path.exists() or (lines and path.read_text().count("\n") < lines):
        if time.time() > deadline or process.poll() is not None:
            process.kill()
            raise AssertionError(f"{path} is not there: {process.communicate()}")
        time.sleep(0.02)


def lines(out: Path) -> list[dict[str, float]]:
    """metrics.jsonl but for the speed."""
    found = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "images_per_second"} for line in found]


def results(out: Path) -> dict[str, object]:
    """results.json but for the speed and the memory."""
    found = json.loads((out / "results.json").read_text())
    return {key: value for key, value in found.items() if key not in OF_THIS_TIME}


def state(out: Path, name: str = "checkpoint.pt") -> dict:
    return torch.load(out / name, weights_only=True)


def equal(one: object, other: object) -> bool:
    """Equal to the bit, but for times and what hangs on how they are written."""
    if isinstance(one, dict) and isinstance(other, dict):
        unlike = ("second", "metrics_")
        keys = [key for key in one if not any(word in str(key) for word in unlike)]
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in keys)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other) and one.stride() == other.stride()
    return one == other


def files(out: Path) -> dict[str, bytes]:
    """All that a folder holds."""
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", **more}
