"""Pictures of one object's class each: cropped and warped for training, whole for tests."""

import random
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import functional as T

from annotations import Part, Picture
from distributed import RANK, RANKS, fail
from folder import UnreadableImage, read_image
from workers import loader

TRIES = 10  # crops that are drawn before one around the object is taken
MOSTLY = 0.5  # of an object's area, that a crop must have for it to count

Box = tuple[float, float, float, float]


class Example(NamedTuple):
    """A crop, or a warped region, as it is trained on."""

    pixels: Tensor  # uint8 (3, size, size)
    label: int  # of the class, from 0
    boxes: Tensor  # (N, 4) of its objects, in pixels of the crop
    complaint: str  # why it cannot be used, if so


class Draw(NamedTuple):
    """The random numbers of a crop: the image's shorter side, and its place."""

    shorter: int
    left: float  # 0 to 1, of the room that there is
    top: float


def of_one_class(part: Part, classes: list[str]) -> list[tuple[Picture, int]]:
    """The pictures with the class of their objects, from 0; ends the run where one has several."""
    found = []
    for picture in part.pictures:
        names = {each.name for each in picture.objects}
        if len(names) != 1:
            has = ", ".join(sorted(names)) or "no object"
            fail(f"{picture.place}: a picture to localize in has objects of one class, not {has}")
        found.append((picture, classes.index(names.pop())))
    return found


def crop_box(size: tuple[int, int], side: int, draw: Draw) -> Box:
    """Where a crop of `side` pixels is, in pixels of the image of this size."""
    length = side / draw.shorter * min(size)
    left, top = draw.left * (size[0] - length), draw.top * (size[1] - length)
    return left, top, left + length, top + length


def within(boxes: Tensor, crop: Box, side: int) -> Tensor:
    """Those of the boxes (N, 4) that are mostly in the crop, in its pixels."""
    corner = torch.tensor(crop[:2]).repeat(2)
    moved = (boxes - corner) * side / (crop[2] - crop[0])
    clipped = moved.clamp(0, side)
    areas = [(each[:, 2:] - each[:, :2]).prod(dim=1) for each in (clipped, moved)]
    return clipped[areas[0] >= MOSTLY * areas[1]]


class Crops(Dataset[Any]):
    """A run's crops, in batches of their indices in the run: one random order after another.

    The seed and an index decide all that is random about it.
    """

    def __init__(
        self,
        pictures: Sequence[tuple[Picture, int]],
        side: int,
        draw: Callable[[random.Random], Draw],
        flip: Callable[[random.Random], bool],
        seed: int,
    ) -> None:
        self.pictures, self.side, self.draw, self.flip, self.seed = pictures, side, draw, flip, seed

    def __getitem__(self, indices: list[int]) -> list[Example]:
        return [self.example(index) for index in indices]

    def example(self, index: int) -> Example:
        """The crop at this place of the run."""
        n = len(self.pictures)
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + index // n)
        which = int(torch.randperm(n, generator=generator)[index % n])
        picture, label = self.pictures[which]
        rng = random.Random(f"{self.seed} {index}")
        boxes = torch.tensor([each.box for each in picture.objects])
        for _ in range(TRIES):
            crop = crop_box(picture.size, self.side, self.draw(rng))
            inside = within(boxes, crop, self.side)
            if len(inside):
                break
        else:  # around the first object, as far as the image goes
            shorter = self.draw(rng).shorter
            crop = around(picture.size, self.side, shorter, picture.objects[0].box)
            inside = (
                (boxes[:1] - torch.tensor(crop[:2]).repeat(2)) * self.side / (crop[2] - crop[0])
            )
            inside = inside.clamp(0, self.side)
        return cut(picture, label, crop, self.side, inside, self.flip(rng))


def around(size: tuple[int, int], side: int, shorter: int, box: Box) -> Box:
    """The crop whose centre is the box's, or as near to it as the image allows."""
    length = side / shorter * min(size)
    left = min(max((box[0] + box[2] - length) / 2, 0.0), size[0] - length)
    top = min(max((box[1] + box[3] - length) / 2, 0.0), size[1] - length)
    return left, top, left + length, top + length


def cut(
    picture: Picture, label: int, crop: Box, side: int, boxes: Tensor, mirrored: bool
) -> Example:
    """A part of a picture, resized to a square of `side` pixels, with the boxes in it."""
    try:
        image = read_image(picture.path)
    except UnreadableImage as error:
        return Example(torch.empty(0), label, boxes, f"{picture.path} does not decode: {error}")
    if image.size != picture.size:
        size = f"it is {image.width}×{image.height}, and annotated as {picture.size}"
        return Example(torch.empty(0), label, boxes, f"{picture.place}: {picture.path}: {size}")
    pixels = T.pil_to_tensor(image.resize((side, side), Image.Resampling.BILINEAR, crop))
    if mirrored:
        pixels = pixels.flip(2)
        boxes = torch.stack([side - boxes[:, 2], boxes[:, 1], side - boxes[:, 0], boxes[:, 3]], 1)
    return Example(pixels, label, boxes, "")


class Regions(Dataset[Any]):
    """Proposals, warped, one of a picture at a time: training is centred on regions (R-CNN)."""

    def __init__(
        self,
        pictures: Sequence[tuple[Picture, int]],
        proposals: Sequence[Tensor],
        side: int,
        seed: int,
    ) -> None:
        self.pictures, self.proposals, self.side, self.seed = pictures, proposals, side, seed

    def __getitem__(self, indices: list[int]) -> list[tuple[Example, Tensor]]:
        return [self.region(index) for index in indices]

    def region(self, index: int) -> tuple[Example, Tensor]:
        """A warped proposal with its picture's boxes, and its place (4,), all in its pixels."""
        rng = random.Random(f"{self.seed} {index}")
        which = rng.randrange(len(self.pictures))
        picture, label = self.pictures[which]
        of_picture = self.proposals[which].float()
        place = a_pixel_at_least(of_picture[rng.randrange(len(of_picture))].tolist(), picture.size)
        boxes = torch.tensor([each.box for each in picture.objects])
        return cut(picture, label, place, self.side, boxes, False), torch.tensor(place)


def a_pixel_at_least(box: Sequence[float], size: tuple[int, int]) -> Box:
    """A box in a picture of this width and height; what an edge has cut to a line has no width."""
    left, top = min(box[0], size[0] - 1.0), min(box[1], size[1] - 1.0)
    return left, top, max(box[2], left + 1), max(box[3], top + 1)


def batches(dataset: Dataset[Any], start: int, args: Namespace) -> Iterator[list[Any]]:
    """This rank's part of each batch from step `start` on; ends the run at what cannot be used."""
    indices = range(start * args.batch_size, args.iterations * args.batch_size)[RANK::RANKS]
    for batch in loader(dataset, indices, args.batch_size // RANKS, args):
        for each in batch:
            example = each if isinstance(each, Example) else each[0]
            if example.complaint:
                fail(example.complaint)
        yield batch


def whole(picture: Picture) -> Tensor:
    """The picture's pixels, uint8 (3, H, W); ends the run where it cannot be read."""
    try:
        return T.pil_to_tensor(read_image(picture.path))
    except UnreadableImage as error:
        fail(f"{picture.path} does not decode: {error}")
