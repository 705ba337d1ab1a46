"""Images as a network takes them, read by the code that is generated beside it.

This runs in the process of the generated code.
"""

from __future__ import annotations

import contextlib
import io
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resnet_gen.errors import Failure, Problem
from resnet_gen.export.reading import Input
from resnet_gen.generate.loading import load_folder
from resnet_gen.read.network_spec import NetworkSpec

AT_ONCE = 100  # images of 32×32 in a batch; ImageNet's scripts have their own number


def images(
    code: Path, spec: NetworkSpec, data: str, root: Path, count: int, part: str
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pixels (N, channels, height, width) of 0 to 255 and labels (N,), without augmentation.

    Args:
        code: the network's model.py; the files beside it read the images.
        spec: the network's.
        data: as the script's --data.
        root: as its --root.
        count: how many images at most, evenly spaced among those that there are.
        part: "train" or "test"; ImageNet's val/ is its test set where there is no test/.

    Raises:
        Failure: the folder's code says why it cannot read them.
    """
    beside: Any = load_folder(code.parent)
    with _in_words():
        if spec.design == "cifar":
            yield from _in_memory(beside, spec, data, root, count, part)
        else:
            yield from _from_files(beside, data, root, count, part)


def prepared(pixels: Tensor, made_of: Input) -> Tensor:
    """What the network takes for these pixels."""
    mean, std = made_of.mean.to(pixels.device), made_of.std.to(pixels.device)
    return (pixels.float() - mean) / std


def _in_memory(
    beside: Any, spec: NetworkSpec, data: str, root: Path, count: int, part: str
) -> Iterator[tuple[Tensor, Tensor]]:
    shape = (spec.image_channels, spec.image_size, spec.image_size)
    if part == "train":
        found = beside.data.load(data, root, shape).train
    else:
        found, _ = beside.data.load_test(data, root, shape)
    spaced = torch.tensor(_spaced(len(found.labels), count))
    for indices in torch.split(spaced, AT_ONCE):
        pixels, labels = found.at(indices)
        yield pixels, labels


def _from_files(
    beside: Any, data: str, root: Path, count: int, part: str
) -> Iterator[tuple[Tensor, Tensor]]:
    """The centre of each image, as in the scripts' own 1-crop test."""
    folder = beside.folder.find(data, root)
    opened = (
        beside.folder.open_parts(folder)["train"]
        if part == "train"
        else beside.folder.open_tested(folder)
    )
    samples = [opened.samples[index] for index in _spaced(len(opened.samples), count)]
    device = torch.device("cpu")
    args = Namespace(workers=0, device=device, data=data, root=root, skip_bad_images=False)
    one_crop = beside.train.TESTS["1-crop"]
    for labels, (pixels,) in beside.evaluate.test_batches(samples, one_crop, [], args):
        yield pixels, labels


def _spaced(total: int, count: int) -> list[int]:
    """Indices that are evenly spaced: a folder's images are sorted by their classes."""
    count = min(count, total)
    return [index * total // count for index in range(count)]


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Makes a Failure of the sentence with which generated code ends its process."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as stop:
        sentence = said.getvalue().strip().removeprefix(f"{Path(sys.argv[0]).name}: ")
        exit_code = stop.code if isinstance(stop.code, int) else 2
        raise Failure(Problem("data", sentence or "cannot be read"), exit_code) from None
