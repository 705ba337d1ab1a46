"""CIFAR-10, CIFAR-100, digits or a folder of images, whole in memory as bytes."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision import datasets
from torchvision.datasets.utils import check_integrity
from torchvision.transforms import functional as T

from distributed import fail, note
from folder import (
    Part,
    UnreadableImage,
    find,
    note_ignored,
    open_parts,
    open_tested,
    read_image,
)

SPLIT_SEED = 0  # the same images are held out whatever --seed is
TAKES = "cifar10, cifar100, digits, or a folder of images"
CIFAR = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}
Shape = tuple[int, int, int]  # of an image: channels, height, width


class Images(NamedTuple):
    """uint8 pixels (N, channels, height, width) and labels (N,)."""

    pixels: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> "Images":
        return Images(self.pixels.to(device), self.labels.to(device))

    def at(self, indices: Tensor) -> "Images":
        return Images(self.pixels[indices], self.labels[indices])


class Data(NamedTuple):
    """The images that --data selects."""

    kind: str  # cifar10, cifar100, digits or folder
    classes: list[str]
    train: Images
    validation: Images | None
    test: Images

    def to(self, device: torch.device) -> "Data":
        """The same on another device."""
        validation = self.validation and self.validation.to(device)
        train, test = self.train.to(device), self.test.to(device)
        return self._replace(train=train, validation=validation, test=test)


def load(data: str, root: Path, shape: Shape) -> Data:
    """The images of `data`: cifar10, cifar100, digits, or a folder of images."""
    if data == "digits":
        return load_digits(shape)
    loaded = (
        load_cifar(data, root) if data in CIFAR else load_folder(find(data, root, TAKES), shape)
    )
    if loaded.train.pixels.shape[1:] != shape:
        has = tuple(loaded.train.pixels.shape[1:])
        fail(f"{data} has images of {has} channels, height, width; this network takes {shape}")
    return loaded


def load_test(data: str, root: Path, shape: Shape) -> tuple[Images, list[str]]:
    """The test images alone, and their classes: of a folder's test/, or val/ if it has none."""
    if data == "digits" or data in CIFAR:
        loaded = load(data, root, shape)
        return loaded.test, loaded.classes
    part = open_tested(find(data, root, TAKES))
    note_ignored([part])
    return in_memory(part, shape), part.classes


def load_cifar(data: str, root: Path) -> Data:
    """50,000 training and 10,000 test images, downloaded into `root` unless they are there."""
    dataset = CIFAR[data]
    for name, md5 in dataset.train_list + dataset.test_list:
        path = root / dataset.base_folder / name
        if path.exists() and not check_integrity(path, md5):
            fail(f"{path} is damaged or incomplete: delete it and run this again")
    try:
        parts = [dataset(root, train=is_train, download=True) for is_train in (True, False)]
    except (OSError, RuntimeError) as error:
        fail(
            f"{data} is not complete in {root}/ and could not be downloaded ({error}).\n"
            f"Put {dataset.filename} there, from {dataset.url}; --data digits needs no download.",
            exit_code=4,
        )
    train, test = (
        Images(torch.from_numpy(part.data).permute(0, 3, 1, 2), torch.tensor(part.targets))
        for part in parts
    )
    return Data(data, parts[0].classes, train, None, test)


def load_digits(shape: Shape) -> Data:
    """scikit-learn's 1,797 handwritten digits, 8×8, enlarged; 360 of them are the test images."""
    try:
        from sklearn.datasets import load_digits as load_sklearn_digits
    except ImportError:
        fail("--data digits needs scikit-learn: pip install scikit-learn", exit_code=4)
    digits = load_sklearn_digits()
    pixels = torch.from_numpy(digits.images).float().unsqueeze(1) * (255 / 16)
    pixels = F.interpolate(pixels, shape[1:], mode="bilinear").round().to(torch.uint8)
    images = Images(pixels.repeat(1, shape[0], 1, 1), torch.tensor(digits.target))
    train, test = split(images, held_out=360)
    return Data("digits", [str(name) for name in digits.target_names], train, None, test)


def load_folder(folder: Path, shape: Shape) -> Data:
    """Images of train/ and of test/ or val/; where there are both, val/ is validated on."""
    parts = open_parts(folder)
    note_ignored(parts.values())
    images = {name: in_memory(part, shape) for name, part in parts.items()}
    test = images.get("test") or images["val"]
    validation = images.get("val") if "test" in images else None
    return Data("folder", parts["train"].classes, images["train"], validation, test)


def in_memory(part: Part, shape: Shape) -> Images:
    """All images of a part."""

    def pixels(path: str) -> Tensor:
        try:
            return read_pixels(path, shape)
        except (UnreadableImage, OSError) as error:
            fail(f"{path} cannot be read as an image: {error}")

    labels = torch.tensor([label for _, label in part.samples])
    return Images(torch.stack([pixels(path) for path, _ in part.samples]), labels)


def read_pixels(path: str, shape: Shape) -> Tensor:
    """The bytes of an image, resized to `shape`, whatever its aspect ratio.

    Raises:
        UnreadableImage, OSError: the file, or the system, is at fault: see folder.py.
    """
    channels, *size = shape
    if channels not in (1, 3):
        fail(f"images of files have 3 channels, or 1 in grey: this network takes {channels}")
    return T.pil_to_tensor(T.resize(read_image(path, channels), size))


def hold_out(data: Data, at_most: int) -> Data:
    """Holds training images out for validation, a tenth of small data sets, and says what there is.

    None are held out of a folder that has val/ beside test/: those are validated on.
    """
    n = len(data.train.labels)
    if at_most and not data.validation:
        held_out = min(at_most, max(1, n // 10))
        if n <= held_out:
            fail(f"there is {n} training image: too few to hold one out (--full-train holds none)")
        train, validation = split(data.train, held_out)
        data = data._replace(train=train, validation=validation)
    validating = len(data.validation.labels) if data.validation else 0
    note(
        f"{len(data.train.labels):,} training, {validating:,} validation and "
        f"{len(data.test.labels):,} test images of {len(data.classes):,} classes"
    )
    return data


def split(images: Images, held_out: int) -> tuple[Images, Images]:
    """Two parts, the second of `held_out` images, by the fixed seed."""
    order = torch.randperm(len(images.labels), generator=torch.Generator().manual_seed(SPLIT_SEED))
    return images.at(order[:-held_out]), images.at(order[-held_out:])


def batches(n: int, batch_size: int, seed: int, device: torch.device) -> Iterator[Tensor]:
    """Indices of full batches, without end: one random order of all n images after another."""
    generator = torch.Generator().manual_seed(seed)  # on the CPU: the same order on every device
    pin = device.type == "cuda"  # from pinned memory, copying does not wait for the device
    queue = torch.empty(0, dtype=torch.long, device=device)
    while True:
        while len(queue) < batch_size:
            order = torch.randperm(n, generator=generator, pin_memory=pin)
            queue = torch.cat([queue, order.to(device, non_blocking=True)])
        yield queue[:batch_size]
        queue = queue[batch_size:]
