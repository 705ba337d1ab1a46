"""ReLU in place or not: time and peak memory of a training step, by which it was decided.

Hooks on a batch norm's output (`register_full_backward_hook`) fail if a ReLU overwrites it, so in
place has to earn its keep. Each variant is the generated model with one spelling of ReLU.

    python benchmarks/in_place_relu.py
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType

import timing
import torch
import torch.nn.functional as F

CASES = (("resnet20", 128, 32), ("resnet110", 128, 32), ("resnet50_b", 16, 224))
VARIANTS = ("in place", "after additions only", "not in place")


def variant(name: str, where: str) -> type[torch.nn.Module]:
    """The network's class, with its ReLUs in place there, and nowhere else."""
    (path,) = timing.ROOT.glob(f"generated/*/{name}/model.py")
    text = path.read_text(encoding="utf-8").replace("F.relu_(", "F.relu(")
    if where != "not in place":
        overwritten = "F.relu(out + " if where == "after additions only" else "F.relu("
        text = text.replace(overwritten, overwritten.replace("relu", "relu_"))
    module = ModuleType("model")
    exec(compile(text, str(path), "exec"), vars(module))  # noqa: S102  (our own file, edited above)
    network: type[torch.nn.Module] = getattr(module, module.__all__[0])
    return network


def training_step(
    name: str, batch: int, size: int, where: str, precision: str
) -> Callable[[], None]:
    """Forward, backward and SGD on random images, in channels_last."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    model = variant(name, where)().to(device).to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, size, size, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch, device=device) % 10
    optimizer = torch.optim.SGD(model.parameters(), 0.01, 0.9, fused=True)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")

    def step() -> None:
        with autocast:
            scores = model(images)
        loss = F.cross_entropy(scores.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def peak_gib(*arguments: str) -> float:
    """Peak memory of a process of its own that takes three steps."""
    command = [sys.executable, __file__, "--memory-of", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Measures each network in both precisions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--memory-of", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        name, batch, size, where, precision = args.memory_of
        step = training_step(name, int(batch), int(size), where, precision)
        for _ in range(3):
            step()
        if torch.cuda.is_available():
            print(torch.cuda.max_memory_allocated() / 2**30)
        else:
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
        return
    rows = []
    for name, batch, size in CASES:
        for precision in args.precisions:
            steps = {
                where: training_step(name, batch, size, where, precision) for where in VARIANTS
            }
            turns = {}
            for label, step in steps.items():
                step()
                turns[label] = timing.timed(step, repeat=2)
            measured = timing.interleaved(turns, args.rounds)
            for label, times in measured.items():
                case = (name, str(batch), str(size), label, precision)
                rows.append(
                    {
                        "network": name,
                        "batch_size": batch,
                        "precision": precision,
                        "variant": label,
                        **timing.summary(times, measured["in place"]),
                        "peak_memory_gib": round(peak_gib(*case), 3),
                    }
                )
                print(rows[-1], flush=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    timing.write(f"in_place_relu-{device}", rows)


if __name__ == "__main__":
    main()
