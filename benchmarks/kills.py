"""kill -9 at random moments, again and again, each time resumed: the run must stay the same run.

Half of the kills come at any moment from the start of the process on; the other half as soon as
a checkpoint is being written, to hit the write itself. After each, checkpoint.pt must be whole and
no older than before, and what is resumed must begin at its step. A run that gets to its end is
compared with one that nobody disturbed: weights, optimizer, metrics, results.

    python benchmarks/kills.py
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import timing
import torch

SCRIPT = timing.ROOT / "generated/cifar/resnet20/train.py"
ITERATIONS, LONGEST_LIFE = 600, 8.0  # a checkpoint every 60 iterations; seconds
SPEED = ("seconds", "images_per_second", "peak_memory_gib")


def start(out: Path) -> subprocess.Popen[str]:
    """A run into `out`, or the rest of it."""
    flags = ["--data", "digits", "--batch-size", "8", "--device", "cpu", "--precision", "fp32"]
    command = [sys.executable, str(SCRIPT), *flags, "--eager", "--iterations", str(ITERATIONS)]
    return subprocess.Popen(
        [*command, "--out", str(out), "--resume"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(out: Path) -> dict[str, Any]:
    """All that a finished run leaves, but for its speed."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    return {
        "metrics": [{k: v for k, v in line.items() if k not in SPEED} for line in lines],
        "results": {
            key: value
            for key, value in json.loads((out / "results.json").read_text()).items()
            if key not in SPEED
        },
        "model": state["model"],
        "momentum": [s["momentum_buffer"] for s in state["optimizer"]["state"].values()],
        "rng": state["rng"],
        "best": torch.load(out / "best.pt", weights_only=True)["model"],
    }


def same(one: Any, other: Any) -> bool:
    """Equal to the bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def saved_step(out: Path) -> int:
    """The step of checkpoint.pt, 0 before there is one."""
    path = out / "checkpoint.pt"
    if not path.exists():
        return 0
    return int(torch.load(path, weights_only=True)["progress"]["step"])


def kill(process: subprocess.Popen[str], out: Path, at_write: bool, moments: random.Random) -> bool:
    """Kills the run; False if it came to its end before."""
    deadline = time.perf_counter() + moments.uniform(0, LONGEST_LIFE)
    parts = [out / "checkpoint.pt.part", out / "best.pt.part"]
    while process.poll() is None:
        if at_write and any(part.exists() for part in parts):
            time.sleep(moments.uniform(0, 0.004))
            break
        if not at_write and time.perf_counter() > deadline:
            break
        time.sleep(0.0002 if at_write else 0.005)
    process.kill()
    return process.wait() == -9


def main() -> None:
    """Kills until it is enough, then lets the last run end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args()
    moments = random.Random(args.seed)
    rows: list[dict[str, object]] = []
    finished = 0
    with tempfile.TemporaryDirectory() as folder:
        start(Path(folder, "undisturbed")).communicate()
        expected = outcome(Path(folder, "undisturbed"))
        out, step = Path(folder, "run-0"), 0
        while True:
            process = start(out)
            at_write = len(rows) % 2 == 1
            enough = len(rows) >= args.kills
            if not enough and kill(process, out, at_write, moments):
                told = process.stderr.read() if process.stderr else ""
                if begun := re.search(r"resuming at step ([\d,]+)", told):
                    assert int(begun[1].replace(",", "")) == step, (told, step)
                before, step = step, saved_step(out)
                assert step >= before, f"the checkpoint went from step {before} to {step}"
                torn = any(out.glob("*.part"))
                moment = "as a checkpoint was written" if at_write else "any"
                rows.append({"kill": len(rows) + 1, "moment": moment, "torn": torn, "step": step})
                print(rows[-1], file=sys.stderr, flush=True)
                continue
            process.communicate()
            assert process.returncode == 0, process.returncode
            assert same(outcome(out), expected), f"run {finished} is not the undisturbed run"
            finished += 1
            if enough:
                break
            out, step = Path(folder, f"run-{finished}"), 0
    torn = sum(bool(row["torn"]) for row in rows)
    summary = [
        {"kills": len(rows), "in_a_write": torn, "runs_finished": finished, "equal": finished}
    ]
    timing.write("kills", summary, iterations=ITERATIONS, each=rows)


if __name__ == "__main__":
    main()
