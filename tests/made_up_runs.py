"""Runs that nobody trained, for tests of what reads runs: curves of a likely shape, by formula.

    python tests/made_up_runs.py FOLDER [ITERATIONS]

writes a folder of them to look at reports. None of it is a result.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import sys
from pathlib import Path
from typing import Any

from resnet_gen.read import library

# Where each network's training and test errors end after 64,000 iterations, in percent: as in
# Figure 6, read off by eye, which is good enough for a made-up run.
ENDS = {
    "plain20": (2.6, 9.4),
    "plain32": (3.2, 9.8),
    "plain44": (5.0, 10.9),
    "plain56": (8.2, 13.2),
    "plain110": (58.0, 60.5),
    "resnet20": (1.9, 8.7),
    "resnet32": (0.6, 7.6),
    "resnet44": (0.3, 7.2),
    "resnet56": (0.15, 6.9),
    "resnet110": (0.06, 6.6),
    "resnet1202": (0.03, 7.9),
}


def make(
    folder: Path,
    network: str,
    seed: int = 0,
    iterations: int = 64_000,
    *,
    ends: tuple[float, float] | None = None,
    spread: float = 0.15,
    manifest: str | None = None,
    finished: bool = True,
    **results: Any,
) -> Path:
    """Writes a run and returns its folder; `manifest` is the size that its manifest says.

    `ends` are its training and test errors, `spread` the deviation of the latter between seeds;
    `results` are lines of results.json to write instead, or to leave out where they are None.
    """
    numbers = random.Random(f"{network} {seed} {iterations}")
    train_end, test_end = ends or ENDS[network]
    test_end += numbers.gauss(0, spread)
    every, log_every = max(1, min(1_000, iterations // 10)), min(50, max(1, iterations // 10))
    lines: list[dict[str, float]] = []
    for step in range(log_every, iterations + 1, log_every):
        drops = (step > iterations // 2) + (step > iterations * 3 // 4)
        early = 80 * math.exp(-step / iterations * 22) + (14, 3, 0)[drops] / (1 + step / iterations)
        train = min(90, train_end + early + abs(numbers.gauss(0, 0.5 + 0.05 * early)))
        lines.append({"step": step, "lr": 0.1 / 10**drops, "loss": train / 30})
        lines[-1] |= {"train_error": round(train, 3), "images_per_second": 800.0}
        if step % every == 0 or step == iterations:
            noise = numbers.gauss(0, (2.2, 0.25, 0.12)[drops])
            error = min(90.0, max(0.1, test_end + 0.3 + early * 0.8 + noise))
            lines[-1]["val_error"] = round(error, 3)
    lines[-1]["test_error"] = round(test_end, 2)
    lines = lines if finished else lines[: len(lines) // 3]
    folder.mkdir(parents=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text)
    entry = library.network(network)
    written = {
        **{"network": network, "data": "cifar10", "iterations": iterations, "batch_size": 128},
        **{"seed": seed, "precision": "bf16", "test_error": lines[-1].get("test_error")},
        **{"best_val_error": min(x["val_error"] for x in lines if "val_error" in x)},
        **{"full_train": False, "trained_on": 45_000},
        **{"validation_decided": "best.pt and nothing else"},
        **{"test_decided": "nothing: read once, at the end, for the last weights"},
        **{"seconds": iterations * 0.16, "device": "cpu", "spec_sha256": entry.sha256},
        **{"torch": "2.15.0", **results},
    }
    document = json.dumps({k: v for k, v in written.items() if v is not None}, indent=2)
    if finished:
        (folder / "results.json").write_text(document)
    if manifest is not None:
        found = {
            **{"format": 1, "network": network, "size": manifest, "seed": seed},
            **{"spec": entry.canonical, "device": "cpu", "machine": "made up, 2 cores"},
            **{"git": {"commit": "0" * 40, "dirty": False}},
            "metrics_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "results_sha256": hashlib.sha256(document.encode()).hexdigest(),
        }
        (folder / "manifest.json").write_text(json.dumps(found, indent=2, default=str))
    return folder


def figure6(folder: Path, iterations: int = 64_000, size: str = "paper") -> list[Path]:
    """Runs as `reproduce figure6` would leave them: three seeds of 20 and 56, and others."""
    seeds = {"plain20": 3, "plain56": 3, "resnet20": 3, "resnet56": 3, "resnet110": 5}
    found = []
    for network, (train, test) in ENDS.items():
        harder = 1 + 2.2 * (1 - iterations / 64_000)
        ends = (train * harder + 3 * (harder - 1), min(80, test * (1 + 0.4 * (harder - 1))))
        found += [
            make(
                folder / f"{network}-seed{seed}",
                network,
                seed,
                iterations,
                ends=ends,
                manifest=size,
            )
            for seed in range(seeds.get(network, 1))
        ]
    return found


if __name__ == "__main__":
    figure6(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
