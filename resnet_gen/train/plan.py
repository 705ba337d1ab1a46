"""What a training run will be, before it runs: its length, its schedule, its cost in memory.

This is arithmetic on the network alone; rehearse.py takes the steps that give the time.
"""

from __future__ import annotations

import os
import re
from argparse import Namespace
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from resnet_gen.network.expansion import Network
from resnet_gen.network.layers import Layer, Operation
from resnet_gen.read.recipe import EVALUATE_EVERY, CifarRecipe, ImagenetRecipe
from resnet_gen.read.recipes import AnyRecipe

GIB = 2**30
BYTES = {"fp32": 4, "bf16": 2}  # the size of one activation
INDEX = 8  # bytes of one index that a max pool keeps
IMAGENET_VALIDATION = 50_000  # images
DATA_SETS = {"cifar10": 50_000, "cifar100": 50_000, "digits": 1_437}  # the images to train on
IN_FLIGHT = 4  # copies of the largest layer: its gradients and temporaries
RUNTIME = 1.3 * GIB  # measured: the memory of a process on a CPU apart from the network
WORTH_A_LOOK = 4 * GIB


class ConstantRate(NamedTuple):
    """Iterations with one learning rate; the first is 1."""

    first: int
    last: int
    rate: float


def schedule(recipe: AnyRecipe, iterations: int) -> list[ConstantRate]:
    """The constant parts of a planned schedule; a shorter run has its drops in proportion."""
    drops = [-(-drop * iterations // recipe.iterations) for drop in recipe.drops or []]
    bounds = [0, *drops, iterations]
    return [
        ConstantRate(first + 1, last, recipe.learning_rate / 10**k)
        for k, (first, last) in enumerate(pairwise(bounds))
        if first < last
    ]


def rates(recipe: AnyRecipe, iterations: int) -> list[str]:
    """The learning rate of a run, for a person."""
    if isinstance(recipe, ImagenetRecipe) and recipe.patience:
        every = evaluation_interval(recipe, iterations)
        return [
            f"learning rate  {recipe.learning_rate:g}, divided by 10 each time that "
            f"{recipe.patience} validations, one each {every:,} iterations, bring no lower error"
        ]
    lines = [f"{'iterations':>19}  learning rate"]
    for part in schedule(recipe, iterations):
        lines.append(f"{f'{part.first:,} to {part.last:,}':>19}  {part.rate:g}")
    if isinstance(recipe, CifarRecipe) and recipe.warmup:
        lines.append(
            f"at first {recipe.warmup.learning_rate:g} until the training error is below "
            f"{recipe.warmup.until_training_error:g}%: about 400 iterations in the paper"
        )
    return lines


def evaluation_interval(recipe: AnyRecipe, iterations: int) -> int:
    """Iterations between validations: a run has ten of them at least, if it is long enough."""
    return min(EVALUATE_EVERY[recipe.design], max(1, iterations // 10))


def activations(layers: Sequence[Layer], image_elements: int) -> int:
    """Numbers that are kept for the backward pass, for one image.

    A convolution keeps its input, which is the image or what a ReLU or the max pool gave out; batch
    norm keeps its input too; a ReLU keeps its output, which is counted with what it feeds.
    """
    kept = (Operation.BATCH_NORM, Operation.RELU, Operation.MAX_POOL)
    return image_elements + sum(_elements(la) for la in layers if la.operation in kept)


def indices(layers: Sequence[Layer]) -> int:
    """The number of indices that max pools keep for one image; each takes INDEX bytes."""
    return sum(_elements(layer) for layer in layers if layer.operation == Operation.MAX_POOL)


def memory(network: Network, batch_size: int, precision: str, images: int) -> int:
    """The memory that training needs, in bytes and about.

    It holds activations, weights, and `images` as uint8.
    """
    spec = network.spec
    image_elements = spec.image_channels * spec.image_size**2
    of_batch = activations(network.layers, image_elements)
    of_batch += IN_FLIGHT * max(_elements(layer) for layer in network.layers)
    of_batch *= batch_size * BYTES[precision]
    of_batch += batch_size * INDEX * indices(network.layers)
    of_weights = network.parameters * (3 * 4 + (BYTES[precision] % 4))  # + gradient, momentum, copy
    return round(of_batch + of_weights + images * image_elements + RUNTIME)


def _elements(layer: Layer) -> int:
    return layer.out_channels * layer.output_size**2


def images(recipe: AnyRecipe, args: Namespace) -> tuple[int | None, int]:
    """How many images are trained on, if that can be known, and how many validated on."""
    folder = Path(args.root, args.data)
    folder = folder if folder.is_dir() else Path(args.data)
    if isinstance(recipe, ImagenetRecipe):
        return files(folder / "train") or None, files(folder / "val") or IMAGENET_VALIDATION
    found = DATA_SETS.get(args.data) or files(folder / "train")
    if not found or args.full_train:
        return found or None, 0
    validated = held_out(found, recipe.validation)
    return found - validated, validated


def held_out(found: int, validation: int) -> int:
    """How many of the training images the scripts validate on: at most every tenth."""
    return min(validation, max(1, found // 10))


def files(folder: Path) -> int:
    """How many files the folders of the classes have."""
    return sum(1 for path in folder.glob("*/*") if path.is_file())


def free_memory() -> int | None:
    """Bytes that this machine has left, where it says so."""
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
        if found:
            return int(found[1]) * 1_024
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def may_be_too_large(network: Network, batch_size: int, arguments: Sequence[str]) -> bool:
    """Whether the memory is worth a look, which takes seconds, before a run like this.

    `batch_size` is the recipe's; `--batch-size` among the script's arguments, which may be
    shortened, takes its place.
    """
    found = re.findall(r"--b[a-z-]*[ =](\d+)", " ".join(arguments))
    batch_size = min(int(found[-1]), 10**9) if found else batch_size
    return memory(network, batch_size, "fp32", 0) > WORTH_A_LOOK


def too_large(need: int, free: int | None) -> str | None:
    """The warning that a run will not fit, or None where it will."""
    if free is None or need <= free:
        return None
    return (
        f"warning: this run needs about {need / GIB:.1f} GiB and {free / GIB:.1f} GiB are free: "
        "a smaller --batch-size needs less, and so does --precision bf16"
    )


def duration(seconds: float) -> str:
    """A time in words, such as `2 h 34 min`, `4 min 10 s` or `12 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 100:
        return f"{hours / 24:,.0f} days"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
