"""Pictures in batches, in an order that the seed decides, with the boxes to train on."""

import random
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import functional as T

from annotations import Data, Picture
from distributed import RANK, RANKS, fail
from folder import UnreadableImage, read_image
from workers import loader


class Example(NamedTuple):
    """A picture as it is trained or tested on."""

    pixels: Tensor  # uint8 (3, height, width)
    boxes: Tensor  # (N, 4)
    labels: Tensor  # (N,), from 1
    complaint: str  # why it cannot be used, if so


Flip = Callable[[random.Random], bool]


class Examples(Dataset[Any]):
    """A run's pictures, in batches, by their indices in the run: one random order after another.

    The seed and an index decide all that is random: no rank, worker or resumed run changes it.
    """

    def __init__(self, pictures: list[Picture], classes: list[str], flip: Flip, seed: int) -> None:
        self.pictures, self.flip, self.seed = pictures, flip, seed
        self.labels = {name: label for label, name in enumerate(classes, start=1)}
        self.epoch, self.order = -1, torch.empty(0)  # the current random order

    def example(self, index: int) -> Example:
        """The picture at this place of the run, mirrored or not."""
        n = len(self.pictures)
        if index // n != self.epoch:
            self.epoch = index // n
            generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
            self.order = torch.randperm(n, generator=generator)
        picture = self.pictures[int(self.order[index % n])]
        return example(picture, self.labels, self.flip(random.Random(f"{self.seed} {index}")))

    def __getitem__(self, indices: list[int]) -> list[Example]:
        return [self.example(index) for index in indices]


class InOrder(Dataset[Any]):
    """Pictures to test on, in batches of their indices."""

    def __init__(self, pictures: list[Picture]) -> None:
        self.pictures = pictures

    def __getitem__(self, indices: list[int]) -> list[Example]:
        return [example(self.pictures[index], {}, False) for index in indices]


def example(picture: Picture, labels: dict[str, int], mirrored: bool) -> Example:
    """The picture with those of its objects that have labels and are not ignored."""
    boxes, numbers = torch.empty(0, 4), torch.empty(0, dtype=torch.long)
    try:
        pixels = T.pil_to_tensor(read_image(picture.path))
    except UnreadableImage as error:
        return Example(torch.empty(0), boxes, numbers, f"{picture.path} does not decode: {error}")
    _, height, width = pixels.shape
    if (width, height) != picture.size:
        size = f"it is {width}×{height}, and annotated as {'×'.join(map(str, picture.size))}"
        return Example(pixels, boxes, numbers, f"{picture.place}: {picture.path}: {size}")
    objects = [each for each in picture.objects if not each.ignored and each.name in labels]
    if objects:
        boxes = torch.tensor([each.box for each in objects])
        numbers = torch.tensor([labels[each.name] for each in objects])
    if mirrored:
        pixels = pixels.flip(2)
        boxes = torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
    return Example(pixels, boxes, numbers, "")


def training_batches(
    data: Data, flip: Flip, start: int, spans: Sequence[tuple[int, int]], args: Namespace
) -> Iterator[list[Example]]:
    """This rank's part of each batch from step `start` on.

    `spans` has how many steps have batches of which size, one after another.
    """
    examples = Examples(data.train.pictures, data.classes, flip, args.seed)
    first = 0  # place in the run of a span's first picture
    for steps, size in spans:
        done = min(start, steps)
        indices = range(first + done * size, first + steps * size)[RANK::RANKS]
        if indices:
            yield from usable(loader(examples, indices, size // RANKS, args))
        first, start = first + steps * size, start - done


def test_batches(pictures: list[Picture], args: Namespace) -> Iterator[list[Example]]:
    """This rank's pictures, one after another; every picture is on one rank."""
    yield from usable(loader(InOrder(pictures), range(RANK, len(pictures), RANKS), 1, args))


def usable(batches: Iterator[list[Example]]) -> Iterator[list[Example]]:
    """The batches; ends the run at a picture that cannot be used."""
    for batch in batches:
        for each in batch:
            if each.complaint:
                fail(each.complaint)
        yield batch
