"""Several small networks trained at once: in turns, in one process, or in a process each.

On a GPU each network of one process has its own stream and its own CUDA graph; they draw from one
generator, so that their crops are not those of a run alone. On a CPU the processes share the cores,
and one process trains its networks in turns.

    python benchmarks/several.py --root data
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

import timing
import torch
from training_step import Step, generated_step

WARM_UP = 6  # steps of each network before any is timed: a graph is captured at the fourth
IN_TURNS, TOGETHER, APART = "in turns", "in one process", "in a process each"


class OneProcess:
    """Networks in this process, each with a stream of its own where there is a GPU."""

    def __init__(self, name: str, root: Path, device: torch.device, count: int) -> None:
        net = timing.load(name)
        data = net.data.load("cifar10", root, net.train.IMAGE_SHAPE)
        images = net.data.hold_out(data, net.train.VALIDATION).train.to(device)
        on_gpu = device.type == "cuda"
        self.steps: list[Step] = [
            generated_step(net, images, graph=on_gpu, compiled=False) for _ in range(count)
        ]
        self.streams = [torch.cuda.Stream() if on_gpu else None for _ in self.steps]
        for step in self.steps:  # captures one after another: while one does, no other may run
            for _ in range(WARM_UP):
                step()
        timing.synchronize()

    def in_turns(self, steps: int) -> None:
        """So many steps of each network, one network after the other."""
        for step in self.steps:
            for _ in range(steps):
                step()
        timing.synchronize()

    def together(self, steps: int) -> None:
        """So many steps of each network, launched into their streams in turn."""
        for _ in range(steps):
            for step, stream in zip(self.steps, self.streams, strict=True):
                with torch.cuda.stream(stream) if stream else nullcontext():
                    step()
        timing.synchronize()


class Worker:
    """A process with one network, which takes as many steps as it is told."""

    def __init__(self, name: str, root: Path, threads: int) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, __file__, "--worker", name, "--root", str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        assert self.popen.stdin and self.popen.stdout
        self.told: IO[str] = self.popen.stdin
        self.says: IO[str] = self.popen.stdout

    def begin(self, steps: int) -> None:
        """Starts so many steps."""
        print(steps, file=self.told, flush=True)

    def wait(self) -> None:
        """Waits until it has taken them.

        Raises:
            RuntimeError: it has ended.
        """
        if self.says.readline() != "done\n":
            raise RuntimeError("a process has ended: too little memory for so many?")


@contextmanager
def workers(name: str, root: Path, count: int) -> Iterator[list[Worker]]:
    """Processes that are ready to take steps, and are ended afterwards."""
    threads = max(1, (os.cpu_count() or 1) // count)
    found = [Worker(name, root, threads) for _ in range(count)]
    try:
        for worker in found:
            worker.wait()
        yield found
    finally:
        for worker in found:
            worker.popen.kill()
            worker.popen.wait()


def work(name: str, root: Path, device: torch.device) -> None:
    """What a worker does: it takes the steps that each line of its input asks for."""
    network = OneProcess(name, root, device, 1)
    print("done", flush=True)
    for line in sys.stdin:
        network.in_turns(int(line))
        print("done", flush=True)


def apart(processes: list[Worker], steps: int) -> None:
    """So many steps in each of the processes at once."""
    for each in processes:
        each.begin(steps)
    for each in processes:
        each.wait()


def measure(
    name: str, root: Path, device: torch.device, count: int, rounds: int, seconds: float
) -> list[dict]:
    """A row for each way to train `count` networks; times are of one step of one network."""
    here = OneProcess(name, root, device, count)
    with workers(name, root, count) as processes:
        ways: dict[str, Callable[[int], None]] = {
            IN_TURNS: here.in_turns,
            TOGETHER: here.together,
            APART: lambda steps: apart(processes, steps),
        }
        if device.type == "cpu":  # where nothing of one process overlaps
            del ways[TOGETHER]
        once = timing.timed(lambda: here.in_turns(2))() / (2 * count)
        steps = max(2, round(seconds / once / count))

        def turn(way: Callable[[int], None]) -> Callable[[], float]:
            def seconds_a_step() -> float:
                started = time.perf_counter()
                way(steps)
                return (time.perf_counter() - started) / (steps * count)

            return seconds_a_step

        measured = timing.interleaved({key: turn(way) for key, way in ways.items()}, rounds)
    return [
        {
            "networks": f"{count} × {name}",
            "trained": way,
            **timing.summary(times, measured[IN_TURNS]),
        }
        for way, times in measured.items()
    ]


def main() -> None:
    """Measures each network in each number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("data"), help="of CIFAR-10")
    parser.add_argument("--networks", nargs="+", default=["resnet20"])
    parser.add_argument("--counts", nargs="+", type=int, default=[2, 4, 8], help="networks at once")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn")
    parser.add_argument("--worker", metavar="NETWORK", help=argparse.SUPPRESS)
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    if args.worker:
        return work(args.worker, args.root, device)
    for name in args.networks:
        for count in args.counts:
            rows = measure(name, args.root, device, count, args.rounds, args.seconds)
            timing.write(f"several-{device.type}", rows, merged_by="networks")
    return None


if __name__ == "__main__":
    main()
