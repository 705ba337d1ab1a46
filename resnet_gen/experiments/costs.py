"""What runs cost: their time, from runs that are finished or from a stated rate, and their memory.

Work is counted in multiply-adds: a training step of a batch costs three forward passes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from resnet_gen.errors import Failure
from resnet_gen.experiments.machine import Machine
from resnet_gen.experiments.plan import RUNS, Run
from resnet_gen.network.expansion import expand
from resnet_gen.read import library
from resnet_gen.train.plan import DATA_SETS, memory

# Multiply-adds a second where nothing is finished here yet: a core of a processor with bf16, and a
# GPU. They are rough, and the plan says that it has assumed them.
ASSUMED = {"cpu": 5e10, "cuda": 5e12, "mps": 1e12}
STARTING = 10.0  # seconds of each process before its first step: importing torch, reading data
CONTEXT = 2**30  # bytes that a process takes of a GPU apart from the network
SHARE = 0.8  # of the free memory of a GPU that runs may take together


class Rates:
    """Multiply-adds a second, by what has been finished on this kind of device."""

    def __init__(self, machine: Machine, runs: Path = RUNS) -> None:
        self.assumed = ASSUMED[machine.kind] * (machine.cores if machine.kind == "cpu" else 1)
        self.by_network: dict[str, list[float]] = {}
        self.by_design: dict[str, list[float]] = {}
        for path in sorted(runs.glob("*/*-seed*/results.json")):
            self.add(_read(path), machine)

    def add(self, results: dict[str, Any], machine: Machine) -> None:
        """Takes up a finished run, if it was made on such a device."""
        if results.get("device") != machine.device:
            return
        try:
            network = expand(library.network(results["network"]).spec)
            work = 3 * network.multiply_adds * results["batch_size"] * results["iterations"]
            rate = work / results["seconds"]
        except (Failure, LookupError, TypeError, ZeroDivisionError):
            return
        self.by_network.setdefault(network.spec.name, []).append(rate)
        self.by_design.setdefault(network.spec.design, []).append(rate)

    @property
    def source(self) -> str:
        """Where the estimates come from, for a person."""
        count = sum(map(len, self.by_network.values()))
        if not count:
            return f"assuming {self.assumed:.0e} multiply-adds a second: no run is finished here"
        return f"by the speed of {count} finished run{'s' * (count != 1)} on such a device"

    def rate(self, run: Run) -> float:
        """Multiply-adds a second of a run: of its network, or else of others of its design."""
        own = self.by_network.get(run.entry.name)
        return median(own or self.by_design.get(run.entry.spec.design) or [self.assumed])

    def seconds(self, run: Run, done: int = 0) -> float:
        """The seconds that a run still takes, of which so many iterations are done."""
        left = 1 - done / run.iterations
        return STARTING + left * run.work / self.rate(run)


def jobs_that_fit(machine: Machine, runs: Iterable[Run]) -> int:
    """How many runs at once: on a processor 1; on GPUs as many as fit.

    They fit where 80% of each GPU's free memory holds the largest of them, with 1 GiB for each
    process, and where each has a core.
    """
    if machine.kind != "cuda":
        return 1
    needs = [memory_of(run, machine) for run in runs]
    if not needs:
        return 1
    fit = sum(int(SHARE * free // max(needs)) for free in machine.free)
    return max(1, min(fit, machine.cores, len(needs)))


def memory_of(run: Run, machine: Machine) -> int:
    """The bytes that training takes of the device, about, in bf16 on a GPU."""
    precision = "bf16" if machine.kind == "cuda" else "fp32"
    images = DATA_SETS.get(run.data, 0) if run.entry.spec.design == "cifar" else 0
    return memory(run.network, run.batch_size, precision, images) + CONTEXT


def together(seconds: Sequence[float], jobs: int, machine: Machine) -> float:
    """The seconds of several runs, so many at once; those on a processor share its cores."""
    at_once = 1 if machine.kind == "cpu" else max(1, min(jobs, len(seconds)))
    return sum(seconds) / at_once


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
