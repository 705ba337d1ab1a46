"""Pictures to smoke-test ImageNet's networks on: pieces of two photographs that scikit-learn has.

Each quarter of a photograph is a class, of which pieces are cut at random, always the same ones:
eight classes, so that a top-5 error can be other than 0.
"""

from __future__ import annotations

import importlib.util
import random
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

PHOTOGRAPHS = ("china", "flower")  # in scikit-learn's datasets/images
PARTS = {"train": 8, "val": 1, "test": 1}  # pieces of each class
SHORTER_SIDE = 256  # of a piece, in pixels: the paper's tests begin with that
QUALITY = 90


def make(folder: Path) -> Path:
    """The folder with train/, val/ and test/, made whole unless it is there.

    Raises:
        ImportError: scikit-learn or Pillow is not installed.
        OSError: the folder cannot be written.
    """
    if folder.is_dir():
        return folder
    part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        _draw(part)
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():  # another process may have been quicker
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _draw(root: Path) -> None:
    from PIL import Image  # noqa: PLC0415  (an extra)

    images, numbers = _folder_of("sklearn") / "datasets" / "images", random.Random(0)
    for name in PHOTOGRAPHS:
        with Image.open(images / f"{name}.jpg") as opened:
            photograph = opened.convert("RGB")
        width, height = photograph.width // 2, photograph.height // 2
        for quarter in range(4):
            left, top = quarter % 2 * width, quarter // 2 * height
            whole = photograph.crop((left, top, left + width, top + height))
            for part, count in PARTS.items():
                folder = root / part / f"{name}{quarter + 1}"
                folder.mkdir(parents=True)
                for k in range(count):
                    _piece(whole, numbers).save(folder / f"{k}.jpg", quality=QUALITY)


def _folder_of(package: str) -> Path:
    """Where an installed package lies; it is not imported, which would take a second."""
    found = importlib.util.find_spec(package)
    if not found or not found.origin:
        raise ImportError(f"{package} is not installed")
    return Path(found.origin).parent


def _piece(image: Image.Image, numbers: random.Random) -> Image.Image:
    """Two thirds or more of each side, at a random place, resized."""
    width, height = (round(side * numbers.uniform(2 / 3, 1)) for side in image.size)
    left = numbers.randint(0, image.width - width)
    top = numbers.randint(0, image.height - height)
    scale = SHORTER_SIDE / min(width, height)
    size = round(scale * width), round(scale * height)
    return image.resize(size, box=(left, top, left + width, top + height))
