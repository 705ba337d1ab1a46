"""A small ImageFolder tree of real pictures, from photographs that installed packages ship.

    python tests/photographs.py data/photographs

Four classes: pieces of a photograph of each, as JPEGs of varied sizes and qualities; of each class
one is grey, one CMYK, one turned by its EXIF tag and one a PNG with transparency.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import skimage
import sklearn.datasets
from PIL import ExifTags, Image

SCIKIT_IMAGE = Path(skimage.__file__).parent / "data"
SCIKIT_LEARN = Path(sklearn.datasets.__file__).parent / "images"
PHOTOGRAPHS = {
    "cat": SCIKIT_IMAGE / "chelsea.png",
    "coffee": SCIKIT_IMAGE / "coffee.png",
    "flower": SCIKIT_LEARN / "flower.jpg",
    "temple": SCIKIT_LEARN / "china.jpg",
}


def piece(photograph: Image.Image, numbers: random.Random, shorter: int) -> Image.Image:
    """A random half or more of each side, its shorter side resized to `shorter`."""
    width, height = (round(side * numbers.uniform(0.5, 1)) for side in photograph.size)
    left = numbers.randint(0, photograph.width - width)
    top = numbers.randint(0, photograph.height - height)
    scale = shorter / min(width, height)
    size = (round(scale * width), round(scale * height))
    return photograph.resize(
        size, Image.Resampling.BICUBIC, (left, top, left + width, top + height)
    )


def save(image: Image.Image, path: Path, kind: str, quality: int) -> None:
    """Writes the picture as one of the kinds that real folders hold."""
    if kind == "turned":  # stored on its side, with the tag that says so
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=quality)
    elif kind == "transparent":
        image.convert("RGBA").save(path.with_suffix(".png"))
    else:
        mode = {"grey": "L", "cmyk": "CMYK"}.get(kind, "RGB")
        image.convert(mode).save(path, quality=quality)


def make(root: Path, train: int = 10, validation: int = 4, test: int = 0, seed: int = 0) -> Path:
    """The tree: train/, val/ and test/, with so many pictures of each class; returns its root."""
    numbers = random.Random(seed)
    for name, source in PHOTOGRAPHS.items():
        photograph = Image.open(source).convert("RGB")
        for part, count in (("train", train), ("val", validation), ("test", test)):
            for k in range(count):
                kinds = ("grey", "cmyk", "turned", "transparent") if part == "train" else ()
                kind = kinds[k] if k < len(kinds) and count > len(kinds) else "plain"
                folder = root / part / name
                folder.mkdir(parents=True, exist_ok=True)
                image = piece(photograph, numbers, numbers.randint(180, 420))
                save(image, folder / f"{kind}{k}.jpg", kind, numbers.randint(70, 95))
    return root


if __name__ == "__main__":
    print(make(Path(sys.argv[1]), train=20, validation=6, test=6))
