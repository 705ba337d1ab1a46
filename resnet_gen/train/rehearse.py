"""A generated train.py, asked what it would do and how fast: a few steps on made-up images."""

from __future__ import annotations

import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import torch

from resnet_gen.compare.measure import import_file
from resnet_gen.network.expansion import Network
from resnet_gen.train import plan

STEPS, PATIENCE = 7, 20.0  # at most so many timed steps, and no more after so many seconds


def describe(network: Network, script_path: Path, arguments: Sequence[str]) -> list[str]:
    """The lines of `train --plan`: what the script does with these arguments, and what it costs.

    The script itself parses the arguments, and ends as it does for wrong ones (SystemExit).
    """
    script = import_file(script_path)
    args = _parse(script, network, arguments)
    images, validated = _images(script, network, args)
    epochs = ""
    if images:
        passes = args.iterations * args.batch_size / images
        epochs = f", {passes:,.1f} epochs of {images:,} images"
    lines = [
        f"{network.spec.name} on {args.data}: {args.iterations:,} iterations of "
        f"{args.batch_size:,}{epochs}",
        "",
        *_schedule(script, network, args.iterations),
        "",
        _work(network, args),
    ]
    kept = images if network.spec.design == "cifar" else 0  # in memory, as bytes
    need = plan.memory(network, args.batch_size, args.precision, kept or 0)
    free = _free(args.device)
    room = "" if free is None else f", {free / plan.GIB:.1f} GiB free"
    lines.append(f"memory         about {need / plan.GIB:.1f} GiB{room} on {args.device.type}")
    if warning := plan.too_large(need, free):
        return [*lines, "time           not measured, because of the memory", "", warning]
    return [*lines, _time(network, script, args, validated)]


def warning(network: Network, script_path: Path, arguments: Sequence[str]) -> str | None:
    """What there is to say before a run that will not fit in memory."""
    script = import_file(script_path)
    args = _parse(script, network, arguments)
    need = plan.memory(network, args.batch_size, args.precision, 0)
    return plan.too_large(need, _free(args.device))


def _parse(script: ModuleType, network: Network, arguments: Sequence[str]) -> Namespace:
    given = [str(script.__file__), *arguments]
    if not any(argument.startswith("--data") for argument in arguments):
        given += ["--data", "cifar10" if network.spec.design == "cifar" else "imagenet"]
    before, sys.argv = sys.argv, given
    try:
        args: Namespace = script.parse_arguments()
    finally:
        sys.argv = before
    return args


def _images(script: ModuleType, network: Network, args: Namespace) -> tuple[int | None, int]:
    """How many are trained on, if that can be known, and how many are validated on."""
    if network.spec.design == "imagenet":
        folder = args.root / args.data
        trained, validated = (plan.files(folder / part) for part in ("train", "val"))
        return trained or None, validated or 50_000
    images = plan.training_images(args.data, script.VALIDATION, full_train=args.full_train)
    return images, 0 if args.full_train else min(script.VALIDATION, max(1, (images or 0) // 9))


def _schedule(script: ModuleType, network: Network, iterations: int) -> list[str]:
    if hasattr(script, "PATIENCE"):
        every = min(script.EVALUATE_EVERY, max(1, iterations // 10))
        return [
            f"learning rate  {script.LEARNING_RATE:g}, divided by 10 each time that "
            f"{script.PATIENCE} validations, one each {every:,} iterations, bring no lower error"
        ]
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


def _time(network: Network, script: ModuleType, args: Namespace, validated: int) -> str:
    timed = _timed_imagenet if network.spec.design == "imagenet" else _timed_cifar
    step, validation = timed(network, script, args)
    every = min(script.EVALUATE_EVERY, max(1, args.iterations // 10))
    evaluations = validation * validated * (args.iterations // every)
    seconds = plan.duration(step * args.iterations + evaluations)
    if network.spec.design == "imagenet":
        compiles = args.device.type == "cuda" and not args.eager
        how, reading = "compiled" if compiles else "eager", "; reading images comes on top"
    else:
        how, reading = script.fast_path(args), ""
    how = {"captured": "replayed, not compiled", "compiled": "not compiled"}.get(how, how)
    return (
        f"time           about {seconds}: {1e3 * step:,.1f} ms for each step "
        f"({args.device.type}, {args.precision}, {how}), and the validations{reading}"
    )


def _timed_imagenet(network: Network, script: ModuleType, args: Namespace) -> tuple[float, float]:
    """Seconds for a training step, and for an image in validation, of images in memory."""
    spec, n = network.spec, args.batch_size
    pixels = torch.randint(256, (n, 3, spec.image_size, spec.image_size), dtype=torch.uint8)
    labels = torch.arange(n) % spec.classes
    pixels = pixels.contiguous(memory_format=torch.channels_last)  # as they are read
    batch = (pixels, labels, labels % 2 == 0, torch.zeros(n, 3))
    mean = torch.tensor(script.MEAN, device=args.device)[:, None, None]
    trainer = script.Trainer([str(k) for k in range(spec.classes)], mean, args.precision)
    step = _settled(lambda: trainer.train_step(*batch), args.device)
    trainer.model.eval()
    shown = pixels[:16]
    with torch.inference_mode():
        validation = _seconds(lambda: trainer.probabilities(shown), args.device)
    return step, validation / len(shown)


def _timed_cifar(network: Network, script: ModuleType, args: Namespace) -> tuple[float, float]:
    """Seconds for a training step, and for an image in validation."""
    spec, device = network.spec, args.device
    shape = (max(args.batch_size, 500), spec.image_channels, spec.image_size, spec.image_size)
    pixels = torch.randint(256, shape, dtype=torch.uint8)
    images = script.Images(pixels, torch.arange(len(pixels)) % spec.classes).to(device)
    mean = torch.full(shape[1:], 128.0, device=device)
    trainer = script.Trainer(spec.classes, mean, args.precision)
    indices = torch.arange(args.batch_size, device=device)

    def train_step() -> None:
        trainer.train_step(images, indices, True)

    if script.fast_path(args) == "captured":
        train_step = script.as_cuda_graph(train_step, trainer.model, 0)

    step = _settled(train_step, device)
    return step, _seconds(lambda: trainer.error(images), device) / len(pixels)


def _settled(train_step: Callable[[], None], device: torch.device) -> float:
    """Seconds for a step once the first ones have allocated and chosen algorithms."""
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = True, False  # as it does
    began = time.perf_counter()
    times = [_seconds(train_step, device)]
    while len(times) < STEPS and time.perf_counter() - began < PATIENCE:
        times.append(_seconds(train_step, device))
    return statistics.median(times[-(len(times) + 1) // 2 :])


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started
