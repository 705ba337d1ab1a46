"""Reading training images: decoded by workers or the GPU, and cropped as train.py draws it."""

import os
import random
import sys
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import ExifTags, Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import functional as T

from distributed import RANK, RANKS, fail, gathered, note
from folder import (
    PILLOW_ERRORS,
    Part,
    Sample,
    UnreadableImage,
    find,
    note_ignored,
    open_parts,
    read_image,
)
from workers import loader

BAD = -100  # label of an image that does not decode: F.cross_entropy leaves it out
DECODE_AT_ONCE = 32  # files, since large ones take gigabytes once they are decoded


class Data(NamedTuple):
    """The images that --data selects."""

    train: Part
    validation: Part
    test: Part  # the validation images again, where there are no others


class Crop(NamedTuple):
    """An image of the run, and the random numbers of its augmentation."""

    path: str
    label: int
    size: int  # height and width of the crop in pixels
    shorter: int  # shorter side of the whole image, resized, that the crop is from
    left: float  # 0 to 1, of the room that there is
    top: float
    mirrored: bool
    colour: list[float]  # along each principal component

    def box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Where the crop is in an image of this size: left, top, right, bottom."""
        side = self.size / self.shorter * min(width, height)
        left, top = self.left * (width - side), self.top * (height - side)
        return left, top, left + side, top + side

    def read(self) -> tuple[Tensor, int]:
        """Pixels, cropped and resized in one go, and label; grey and BAD if it does not decode."""
        size = (self.size, self.size)
        try:
            image = read_image(self.path, shorter=self.shorter)
        except UnreadableImage:
            return torch.full((3, *size), 128, dtype=torch.uint8), BAD
        image = image.resize(size, Image.Resampling.BILINEAR, self.box(*image.size))
        return T.pil_to_tensor(image), self.label


class Batch(NamedTuple):
    """N images; some may be files still, for the GPU to decode."""

    pixels: Tensor  # uint8 (N, 3, size, size), less those that are files
    labels: Tensor  # (N,), or BAD
    mirrored: Tensor  # bool (N,)
    colour: Tensor  # (N, 3), along each principal component
    crops: list[Crop]
    files: Tensor  # bytes, one file after another
    lengths: dict[int, int]  # bytes of each file, by its index in the batch


Draw = Callable[[random.Random, str, int], Crop]


class Crops(Dataset[Any]):
    """A run's images, in batches, by their indices in the run: one random order after another.

    The seed and an image's index decide all that is random about it: no rank, worker or resumed run
    changes it.
    """

    def __init__(self, samples: list[Sample], draw: Draw, args: Namespace) -> None:
        self.samples, self.draw = samples, draw
        self.seed, self.decode = args.seed, args.decode
        self.epoch, self.order = -1, torch.empty(0)  # the current random order

    def crop(self, index: int) -> Crop:
        n = len(self.samples)
        if index // n != self.epoch:
            self.epoch = index // n
            generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
            self.order = torch.randperm(n, generator=generator)
        return self.draw(
            random.Random(f"{self.seed} {index}"), *self.samples[self.order[index % n]]
        )

    def __getitem__(self, indices: list[int]) -> Batch:
        crops = [self.crop(index) for index in indices]
        labels = torch.tensor([crop.label for crop in crops])
        size = crops[0].size
        pixels, files = [torch.empty(0, size, size, 3, dtype=torch.uint8)], {}
        for k, crop in enumerate(crops):
            file = whole_jpeg(crop.path) if self.decode == "gpu" else None
            if file is None:
                image, labels[k] = crop.read()
                pixels.append(image.permute(1, 2, 0)[None])  # as Pillow has them: a plain copy
            else:
                files[k] = file
        return Batch(
            torch.cat(pixels).permute(0, 3, 1, 2),
            labels,
            torch.tensor([crop.mirrored for crop in crops]),
            torch.tensor([crop.colour for crop in crops]),
            crops,
            torch.cat([*files.values()]) if files else torch.empty(0),
            {k: len(file) for k, file in files.items()},
        )


def load(folder: Path) -> Data:
    """train/, and val/ or test/ or both, of a folder of classes."""
    parts = open_parts(folder)
    note_ignored(parts.values())
    train, *others = parts.values()
    data = Data(train, others[0], others[-1])
    again = ", the validation images again," if data.test is data.validation else ""
    note(
        f"{len(train.samples):,} training, {len(data.validation.samples):,} validation and "
        f"{len(data.test.samples):,} test images{again} of {len(train.classes):,} classes"
    )
    return data


def training_batches(
    samples: list[Sample], draw: Draw, bad: list[str], start: int, args: Namespace
) -> Iterator[Batch]:
    """This rank's part of each batch from step `start` on, all on the device or in pinned memory.

    `bad` receives the paths of images that do not decode.
    """
    images = range(start * args.batch_size, args.iterations * args.batch_size)[RANK::RANKS]
    side_stream = torch.cuda.Stream() if args.decode == "gpu" else None
    for batch in loader(Crops(samples, draw, args), images, args.batch_size // RANKS, args):
        decoded = decode(batch, args.device, side_stream)
        for k in (decoded.labels == BAD).nonzero():
            skip_or_fail(decoded.crops[k].path, bad, args)
        if (decoded.labels == BAD).all():
            fail("no image of a batch decodes")
        yield decoded


def whole_jpeg(path: str) -> Tensor | None:
    """The bytes of a JPEG that the GPU can decode: colour or grey, upright, not tiny or cut off."""
    try:
        with Image.open(path) as image:
            upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
            fits = image.format == "JPEG" and image.mode in ("RGB", "L") and min(image.size) > 16
        content = bytearray(Path(path).read_bytes())
    except PILLOW_ERRORS:  # Crop.read finds out what is wrong with it
        return None
    whole = fits and upright and content.endswith(b"\xff\xd9")
    return torch.frombuffer(content, dtype=torch.uint8) if whole else None


def decode(batch: Batch, device: torch.device, side_stream: torch.cuda.Stream | None) -> Batch:
    """The batch with its files decoded by the GPU, on a stream beside the one that trains."""
    if not batch.lengths:
        return batch
    size = batch.crops[0].size
    labels, n = batch.labels.clone(), len(batch.labels)
    files = list(zip(batch.lengths, batch.files.split([*batch.lengths.values()]), strict=True))
    with torch.cuda.stream(side_stream):
        pixels = torch.zeros(n, 3, size, size, dtype=torch.uint8, device=device)
        pixels[[k for k in range(n) if k not in batch.lengths]] = batch.pixels.to(device)
        for start in range(0, len(files), DECODE_AT_ONCE):
            which, contents = zip(*files[start : start + DECODE_AT_ONCE], strict=True)
            if device.type == "cuda":  # torchvision does not wait for who still uses this memory
                torch.cuda.current_stream().synchronize()
            try:
                decoded = decode_jpeg(list(contents), ImageReadMode.RGB, device)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:  # the GPU reads fewer kinds, and does not say which
                warnings.warn(f"the CPU decodes what {device.type} cannot: {error}", stacklevel=2)
                for k in which:
                    image, labels[k] = batch.crops[k].read()
                    pixels[k] = image.to(device)
                continue
            for k, image in zip(which, decoded, strict=True):
                box = batch.crops[k].box(image.shape[2], image.shape[1])
                left, top, right, bottom = map(round, box)
                pixels[k] = T.resized_crop(
                    image, top, left, bottom - top, right - left, [size, size]
                )
    if side_stream:
        training = torch.cuda.current_stream()
        training.wait_stream(side_stream)
        pixels.record_stream(training)
    return batch._replace(pixels=pixels, labels=labels, lengths={})


def skip_or_fail(path: str, bad: list[str], args: Namespace) -> None:
    """Names an image that does not decode, the first time that it is met.

    `bad` has it by its place in --data, which a resumed run may find elsewhere.
    """
    name = os.path.relpath(path, find(args.data, args.root))
    if name in bad:
        return
    reason: object = "not in a worker or on the GPU, though it does now"
    try:
        read_image(path)
    except UnreadableImage as error:
        reason = error
    if not args.skip_bad_images:
        fail(f"{path} does not decode ({reason}); --skip-bad-images goes on without such files")
    bad.append(name)
    print(f"skipping {path}: {reason}", file=sys.stderr, flush=True)  # other ranks do not meet it


def bad_on_any_rank(bad: list[str]) -> list[str]:
    """The paths that any rank has met, each once, sorted."""
    return sorted({path for paths in gathered(bad) for path in paths})
