"""(a) One training step: the ordinary script of the field, and each technique added to it in turn.

The last variant is the generated script as it runs by default; on a CPU the last two do not apply.
Every row has the network, the images, the batch size and the recipe of the one before it.

    python benchmarks/training_step.py --root data
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ordinary
import timing
import torch
import torch.nn.functional as F

BATCH_SIZE = 128
# Milliseconds that an H200 needs at least for a step at batch 128 in bf16: for each kernel the
# longer of its arithmetic at 790 TFLOP/s and its traffic at 4.3 TB/s, with batch norm, ReLU and
# addition fused. Computed, not measured.
FLOOR_MS = {"resnet20": 0.188, "resnet56": 0.540, "resnet110": 1.067, "resnet1202": 11.7}
EAGER = "+ fused SGD (--eager)"
Step = Callable[[], object]


def ordinary_step(name: str, root: Path, device: torch.device) -> Step:
    """A step of benchmarks/ordinary.py, its data loading included."""
    workers = min(8, os.cpu_count() or 1)
    train, _ = ordinary.loaders(root, BATCH_SIZE, workers)
    model = ordinary.network(name).to(device)
    steps = ordinary.training_steps(model, train, 10**9, device)
    return lambda: next(steps)


def resident_step(
    net: Any, images: tuple, *, reads: bool, channels_last: bool, precision: str
) -> Step:
    """Images on the device, augmented in batches; SGD as it comes, with a number for its rate."""
    trainer = new_trainer(net, images, precision)
    if not channels_last:
        trainer.layout = torch.contiguous_format
        trainer.model.to(memory_format=trainer.layout)
    parameters = trainer.model.parameters()
    optimizer = torch.optim.SGD(parameters, 0.1, momentum=0.9, weight_decay=1e-4)
    stream = net.data.batches(len(images.labels), BATCH_SIZE, 0, trainer.mean.device)

    def step() -> None:
        pixels, labels = images.at(next(stream))
        inputs = net.train.augment(pixels - trainer.mean, True)
        with trainer.autocast:
            scores = trainer.model(inputs.contiguous(memory_format=trainer.layout)).float()
        loss = F.cross_entropy(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        error = (scores.argmax(1) != labels).float().mean()
        if reads:
            loss.item(), error.item()

    return step


def generated_step(net: Any, images: tuple, *, graph: bool, compiled: bool) -> Step:
    """A step as the generated train.py takes it."""
    trainer = new_trainer(net, images, net.flags.pick_precision("auto", images.labels.device))
    device = trainer.mean.device
    indices = torch.zeros(BATCH_SIZE, dtype=torch.long, device=device)
    stream = net.data.batches(len(images.labels), BATCH_SIZE, 0, device)

    def train_step() -> None:
        trainer.train_step(images, indices, True)

    if compiled and not graph:
        trainer.model.compile(dynamic=False)
    if graph:
        iterations = net.fast_step.COMPILE_FROM if compiled else 0  # as_cuda_graph decides by it
        train_step = net.fast_step.as_cuda_graph(train_step, trainer.model, iterations)

    def step() -> None:
        trainer.lr.fill_(0.1)
        indices.copy_(next(stream))
        train_step()

    return step


def new_trainer(net: Any, images: tuple, precision: str) -> object:
    """The script's trainer as its main() makes it."""
    mean = images.pixels.mean(dim=0, dtype=torch.float32)
    return net.train.Trainer([str(k) for k in range(10)], mean, precision)


def ladder(name: str, root: Path, device: torch.device) -> dict[str, Step]:
    """The variants, each with one technique more."""
    net = timing.load(name)
    data = net.data.load("cifar10", root, net.train.IMAGE_SHAPE)
    images = net.data.hold_out(data, net.train.VALIDATION).train.to(device)
    like = {"net": net, "images": images}
    steps = {
        "ordinary": ordinary_step(name, root, device),
        "+ images on the device": resident_step(
            **like, reads=True, channels_last=False, precision="fp32"
        ),
        "+ nothing read back": resident_step(
            **like, reads=False, channels_last=False, precision="fp32"
        ),
        "+ channels_last": resident_step(**like, reads=False, channels_last=True, precision="fp32"),
        "+ bf16": resident_step(**like, reads=False, channels_last=True, precision="bf16"),
        EAGER: generated_step(**like, graph=False, compiled=False),
    }
    if device.type == "cuda":
        steps["+ CUDA graph"] = generated_step(**like, graph=True, compiled=False)
        steps["+ compiled blocks"] = generated_step(**like, graph=True, compiled=True)
    elif shutil.which("g++"):
        steps["+ compiled (with AMX)"] = generated_step(**like, graph=False, compiled=True)
    return steps


def measure(name: str, root: Path, device: torch.device, rounds: int, seconds: float) -> list[dict]:
    """A row for each variant; a turn takes about `seconds`."""
    steps = ladder(name, root, device)
    for step in reversed(
        steps.values()
    ):  # compiles, captures and settles, before there is a loader
        for _ in range(5 if device.type == "cuda" else 2):
            step()
    turns = {}
    for variant, step in steps.items():
        once = timing.timed(step, repeat=3 if device.type == "cpu" else 50)()
        turns[variant] = timing.timed(step, repeat=max(2, round(seconds / once)))
    measured = timing.interleaved(turns, rounds)
    rows = []
    for variant, times in measured.items():
        row = {"network": name, "variant": variant, **timing.summary(times, measured["ordinary"])}
        row["over_eager"] = timing.summary(times, measured[EAGER])["speedup"]
        row["images_per_second"] = round(BATCH_SIZE / row["median_ms"] * 1e3)
        if device.type == "cuda":
            row["of_the_floor"] = round(FLOOR_MS[name] / row["median_ms"], 3)
        rows.append(row)
    return rows


def main() -> None:
    """Measures each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("data"), help="of CIFAR-10")
    parser.add_argument("--networks", nargs="+", default=["resnet20", "resnet56", "resnet110"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    tf32 = device.type == "cuda" and torch.backends.cudnn.allow_tf32
    conditions = {"batch_size": BATCH_SIZE, "tf32_convolutions_in_fp32": tf32}
    for name in args.networks:
        rows = measure(name, args.root, device, args.rounds, args.seconds)
        timing.write(f"training_step-{device.type}", rows, merged_by="network", **conditions)


if __name__ == "__main__":
    main()
