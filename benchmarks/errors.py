"""The error after as many iterations: the generated script against the ordinary one, seed by seed.

Both have the same network, images, batch size and drops. What is in --work already is not run
again, so that this can be stopped and called anew.

    python benchmarks/errors.py --root data --work runs/errors
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import timing
import torch

BENCHMARKS = timing.ROOT / "benchmarks"
SCRIPT = timing.ROOT / "generated/cifar/resnet20/train.py"


def ordinary(work: Path, seed: int, common: list[str]) -> float:
    """The test error of benchmarks/ordinary.py, in percent."""
    out = work / f"ordinary-{seed}.json"
    if not out.exists():
        command = [sys.executable, str(BENCHMARKS / "ordinary.py"), *common]
        subprocess.run([*command, "--seed", str(seed), "--out", str(out)], check=True)
    return float(json.loads(out.read_text())["test_error"])


def generated(work: Path, seed: int, common: list[str]) -> float:
    """The test error of the generated train.py, in percent."""
    out = work / f"generated-{seed}"
    if not (out / "results.json").exists():
        command = [sys.executable, str(SCRIPT), "--data", "cifar10", *common, "--resume"]
        subprocess.run([*command, "--seed", str(seed), "--out", str(out)], check=True)
    return float(json.loads((out / "results.json").read_text())["test_error"])


def main() -> None:
    """Runs what has not been run, and compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("data"), help="of CIFAR-10")
    parser.add_argument("--work", type=Path, default=Path("runs/errors"))
    parser.add_argument("--iterations", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    common = ["--root", str(args.root), "--iterations", str(args.iterations)]
    rows: list[dict[str, object]] = []
    for script in (ordinary, generated):
        errors = [script(args.work, seed, common) for seed in args.seeds]
        of_seeds = {f"seed {seed}": error for seed, error in zip(args.seeds, errors, strict=True)}
        mean = round(statistics.fmean(errors), 3)
        rows.append({"test error, %": script.__name__, **of_seeds, "mean": mean})
    device = "cuda" if torch.cuda.is_available() else "cpu"
    timing.write(f"errors-{device}", rows, iterations=args.iterations)


if __name__ == "__main__":
    main()
