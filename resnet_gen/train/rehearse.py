"""A generated train.py, asked what it would do and how fast: a few steps on made-up images."""

from __future__ import annotations

import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

import torch

from resnet_gen.errors import Failure, Problem
from resnet_gen.generate.loading import load
from resnet_gen.network.expansion import Network
from resnet_gen.train import plan
from resnet_gen.train.launch import Script

STEPS, SECONDS = 7, 20.0  # at most so many timed steps, and no more after so many seconds


def describe(script: Script, arguments: Sequence[str]) -> list[str]:
    """The lines of `train --plan`: what the recipe does with these arguments, and what it costs.

    The script parses the arguments, ending as it does for wrong ones (SystemExit), and takes the
    steps that are timed; all else is known of the spec and its recipe.

    Raises:
        Failure: the script has been edited so that it does not do that (exit code 2).
    """
    network, recipe = script.network, script.recipe
    module, args = _parse(script, arguments)
    images, validated = plan.images(recipe, args)
    epochs = ""
    if images:
        passes = args.iterations * args.batch_size / images
        epochs = f", {passes:,.1f} epochs of {images:,} images"
    lines = [
        f"{network.spec.name} on {args.data}: {args.iterations:,} iterations of "
        f"{args.batch_size:,}{epochs}",
        "",
        *plan.rates(recipe, args.iterations),
        "",
        _work(network, args),
    ]
    kept = images if recipe.design == "cifar" else 0  # in memory, as bytes
    need = plan.memory(network, args.batch_size, args.precision, kept or 0)
    free = _free(args.device)
    room = "" if free is None else f", {free / plan.GIB:.1f} GiB free"
    lines.append(f"memory         about {need / plan.GIB:.1f} GiB{room} on {args.device.type}")
    if warning := plan.too_large(need, free):
        return [*lines, "time           not measured, because of the memory", "", warning]
    return [*lines, _time(script, module, args, validated)]


def warning(script: Script, arguments: Sequence[str]) -> str | None:
    """What there is to say before a run that will not fit in memory.

    Raises:
        Failure: the script has been edited so that it cannot be asked (exit code 2).
    """
    _, args = _parse(script, arguments)
    need = plan.memory(script.network, args.batch_size, args.precision, 0)
    return plan.too_large(need, _free(args.device))


def _parse(script: Script, arguments: Sequence[str]) -> tuple[ModuleType, Namespace]:
    """The script as a module, and what it makes of the arguments."""
    given = [str(script.path), *arguments]
    if not any(argument.startswith("--data") for argument in arguments):
        given += ["--data", "cifar10" if script.recipe.design == "cifar" else "imagenet"]
    before, sys.argv = sys.argv, given
    try:
        with _of_the_script(script):
            module = load(script.path)
            return module, module.parse_arguments()
    finally:
        sys.argv = before


@contextmanager
def _of_the_script(script: Script) -> Iterator[None]:
    """Tells of errors in a script, which people are invited to edit, as theirs."""
    try:
        yield
    except Exception as error:
        message = f"{type(error).__name__}: {error}".splitlines()[0]
        hint = "`--plan` calls its parse_arguments() and rehearse(args)"
        raise Failure(Problem("code", message, hint, script.path.as_posix())) from None


def _work(network: Network, args: Namespace) -> str:
    forward = network.multiply_adds
    of_run = 3 * forward * args.batch_size * args.iterations
    return (
        f"multiply-adds  {of_run:.3g} in all: {forward:,} forward for an image, twice that backward"
    )


def _free(device: torch.device) -> int | None:
    return torch.cuda.mem_get_info()[0] if device.type == "cuda" else plan.free_memory()


def _time(script: Script, module: ModuleType, args: Namespace, validated: int) -> str:
    with _of_the_script(script):
        train_step, validation, shown = module.rehearse(args)
        step = _settled(train_step, args.device)
        for_an_image = _seconds(validation, args.device) / shown
    evaluations = args.iterations // plan.evaluation_interval(script.recipe, args.iterations)
    seconds = step * args.iterations + for_an_image * validated * evaluations
    reading = "; reading images comes on top" if script.recipe.design == "imagenet" else ""
    return (
        f"time           about {plan.duration(seconds)}: {1e3 * step:,.1f} ms for each step "
        f"({args.device.type}, {args.precision}, not compiled), and the validations{reading}"
    )


def _settled(train_step: Callable[[], object], device: torch.device) -> float:
    """Seconds for a step once the first ones have allocated memory and chosen algorithms."""
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = True, False  # as it does
    began = time.perf_counter()
    times = [_seconds(train_step, device)]
    while len(times) < STEPS and time.perf_counter() - began < SECONDS:
        times.append(_seconds(train_step, device))
    return statistics.median(times[-(len(times) + 1) // 2 :])


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started
