"""A generated train.py, asked what it would do and how fast: a few steps on made-up images."""

from __future__ import annotations

import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from resnet_gen import plan
from resnet_gen.measure import import_file
from resnet_gen.network import Network

STEPS, PATIENCE = 7, 20.0  # at most so many timed steps, and no more after so many seconds


def describe(network: Network, script_path: Path, arguments: Sequence[str]) -> list[str]:
    """The lines of `train --plan`: what the script does with these arguments, and what it costs.

    The script itself parses the arguments, and ends as it does for wrong ones (SystemExit).
    """
    script = import_file(script_path)
    args = _parse(script, arguments)
    images = plan.training_images(args.data, script.VALIDATION, full_train=args.full_train)
    epochs = f", {args.iterations * args.batch_size / images:,.1f} epochs of {images:,} images"
    lines = [
        f"{network.spec.name} on {args.data}: {args.iterations:,} iterations of "
        f"{args.batch_size:,}{epochs if images else ''}",
        "",
        *_schedule(script, args.iterations),
        "",
        _work(network, args),
    ]
    need = plan.memory(network, args.batch_size, args.precision, images or 0)
    free = _free(args.device)
    room = "" if free is None else f", {free / plan.GIB:.1f} GiB free"
    lines.append(f"memory         about {need / plan.GIB:.1f} GiB{room} on {args.device.type}")
    if warning := plan.too_large(need, free):
        return [*lines, "time           not measured, because of the memory", "", warning]
    return [*lines, _time(network, script, args, images or 0)]


def warning(network: Network, script_path: Path, arguments: Sequence[str]) -> str | None:
    """What there is to say before a run that will not fit in memory."""
    script = import_file(script_path)
    args = _parse(script, arguments)
    need = plan.memory(network, args.batch_size, args.precision, 0)
    return plan.too_large(need, _free(args.device))


def _parse(script: ModuleType, arguments: Sequence[str]) -> Namespace:
    given = [str(script.__file__), *arguments]
    if not any(argument.startswith("--data") for argument in arguments):
        given += ["--data", "cifar10"]
    before, sys.argv = sys.argv, given
    try:
        args: Namespace = script.parse_arguments()
    finally:
        sys.argv = before
    return args


def _schedule(script: ModuleType, iterations: int) -> list[str]:
    spans = plan.schedule(lambda step: float(script.learning_rate(step, iterations)), iterations)
    lines = [f"{'iterations':>19}  learning rate"]
    lines += [f"{f'{s.first:,} to {s.last:,}':>19}  {s.rate:g}" for s in spans]
    if hasattr(script, "WARMUP_UNTIL"):
        lines.append(
            f"at first {script.WARMUP_LEARNING_RATE:g} until the training error is below "
            f"{script.WARMUP_UNTIL:g}%: about 400 iterations in the paper"
        )
    return lines


def _work(network: Network, args: Namespace) -> str:
    forward = network.multiply_adds
    of_run = 3 * forward * args.batch_size * args.iterations
    return (
        f"multiply-adds  {of_run:.3g} in all: {forward:,} forward for an image, twice that backward"
    )


def _free(device: torch.device) -> int | None:
    return torch.cuda.mem_get_info()[0] if device.type == "cuda" else plan.free_memory()


def _time(network: Network, script: ModuleType, args: Namespace, images: int) -> str:
    step, validation = _timed(network, script, args)
    every = min(script.EVALUATE_EVERY, max(1, args.iterations // 10))
    validated = 0 if args.full_train else min(script.VALIDATION, max(1, images // 9))
    evaluations = validation * validated * (args.iterations // every)
    seconds = plan.duration(step * args.iterations + evaluations)
    how = "replayed, not compiled" if args.device.type == "cuda" and not args.eager else "eager"
    return (
        f"time           about {seconds}: {1e3 * step:,.1f} ms for each step "
        f"({args.device.type}, {args.precision}, {how}), and the validations"
    )


def _timed(network: Network, script: ModuleType, args: Namespace) -> tuple[float, float]:
    """Seconds for a training step, and for an image in validation."""
    spec, device = network.spec, args.device
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = True, False  # as it does
    shape = (max(args.batch_size, 500), spec.image_channels, spec.image_size, spec.image_size)
    pixels = torch.randint(256, shape, dtype=torch.uint8)
    images = script.Images(pixels, torch.arange(len(pixels)) % spec.classes).to(device)
    mean = torch.full(shape[1:], 128.0, device=device)
    trainer = script.Trainer(spec.classes, mean, args.precision)
    indices = torch.arange(args.batch_size, device=device)

    def train_step() -> None:
        trainer.train_step(images, indices, True)

    if device.type == "cuda" and not args.eager:
        train_step = script.as_cuda_graph(train_step, trainer.model, 0)

    def seconds(work: Any) -> float:
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    began = time.perf_counter()
    times = [seconds(train_step)]
    while len(times) < STEPS and time.perf_counter() - began < PATIENCE:
        times.append(seconds(train_step))
    settled = times[-(len(times) + 1) // 2 :]  # the first ones allocate and choose algorithms
    return statistics.median(settled), seconds(lambda: trainer.error(images)) / len(pixels)
