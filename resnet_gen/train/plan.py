"""What a training run will be, before it runs: its length, its schedule, its cost in memory.

By arithmetic from the network alone; rehearse.py takes the steps that give the time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from resnet_gen.network.expansion import Network
from resnet_gen.network.layers import BATCH_NORM, CEIL_MAX_POOL, MAX_POOL, RELU, Layer

GIB = 2**30
BYTES = {"fp32": 4, "bf16": 2}  # of a number between two layers
INDEX = 8  # bytes
MAX_POOLS = (MAX_POOL, CEIL_MAX_POOL)
TRAINING_IMAGES = {"cifar10": 50_000, "cifar100": 50_000, "digits": 1_437}
IN_FLIGHT = 4  # gradients and temporaries of the largest layer, at once
RUNTIME = 1.3 * GIB  # what a process on a CPU takes beside that, as measured
WORTH_A_LOOK = 4 * GIB


class Span(NamedTuple):
    """Iterations with one learning rate; the first is 1."""

    first: int
    last: int
    rate: float


def schedule(rate: Callable[[int], float], iterations: int) -> list[Span]:
    """The spans of a schedule, which gives the rate of each iteration, counted from 0."""
    spans: list[Span] = []
    for step in range(iterations):
        if spans and spans[-1].rate == rate(step):
            spans[-1] = spans[-1]._replace(last=step + 1)
        else:
            spans.append(Span(step + 1, step + 1, rate(step)))
    return spans


def activations(layers: Sequence[Layer], image_elements: int) -> int:
    """Numbers that are kept for the backward pass, for one image.

    A convolution keeps its input, which is the image or what a ReLU or the max pool gave out; batch
    norm keeps its input too; a ReLU keeps its output, which is counted with what it feeds.
    """
    kept = (BATCH_NORM, RELU, *MAX_POOLS)
    return image_elements + sum(_elements(la) for la in layers if la.operation in kept)


def indices(layers: Sequence[Layer]) -> int:
    """Places of maxima that a max pool keeps, for one image; each takes INDEX bytes."""
    return sum(_elements(layer) for layer in layers if layer.operation in MAX_POOLS)


def memory(network: Network, batch_size: int, precision: str, images: int) -> int:
    """Bytes that training needs, about: activations, weights, and `images` in memory as uint8."""
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


def training_images(data: str, validation: int, *, full_train: bool) -> int | None:
    """How many images `--data` has to train on; None for a folder that is not there."""
    images = TRAINING_IMAGES.get(data) or files(Path(data, "train"))
    if not images:
        return None
    return images if full_train else images - min(validation, max(1, images // 10))


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


def may_be_too_large(network: Network, arguments: Sequence[str]) -> bool:
    """Whether the memory is worth a look, which takes seconds, before a run like this."""
    found = re.search(r"--batch-size[ =](\d+)", " ".join(arguments))
    default = 128 if network.spec.design == "cifar" else 256
    batch_size = min(int(found[1]), 10**9) if found else default
    return memory(network, batch_size, "fp32", 0) > WORTH_A_LOOK


def too_large(need: int, free: int | None) -> str | None:
    """A warning where a run will not fit."""
    if free is None or need <= free:
        return None
    return (
        f"warning: this run needs about {need / GIB:.1f} GiB and {free / GIB:.1f} GiB are free: "
        "a smaller --batch-size needs less, and so does --precision bf16"
    )


def duration(seconds: float) -> str:
    """`2 h 34 min`, `4 min 10 s`, `12 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 100:
        return f"{hours / 24:,.0f} days"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
