"""Annotated pictures: handwritten digits on cards, on photographs that installed packages ship.

    python tests/cards.py data

cards/{train,val}/ are pictures with an .xml each, singles/ the same with one card each, to localize
in, and crops/{train,val}/ single cards in folders of their classes, to train the backbone on.
Digits and photographs of val/ are in no train/.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage
import sklearn.datasets
from PIL import Image

SIZE = 160  # pixels of a picture's sides
SIDES = (36, 80)  # pixels of a card's height
CROP = 64  # pixels of the sides of a picture that a single card fills
SINGLE = 96  # pixels of the sides of a picture with a card to find
TEST_DIGITS = 360  # the last ones, as in --data digits
SCIKIT_IMAGE = Path(skimage.__file__).parent / "data"
SCIKIT_LEARN = Path(sklearn.datasets.__file__).parent / "images"
PHOTOGRAPHS = {
    "train": [
        *(SCIKIT_IMAGE / name for name in ("astronaut.png", "chelsea.png", "coffee.png")),
        *(SCIKIT_IMAGE / name for name in ("ihc.png", "hubble_deep_field.jpg")),
        SCIKIT_LEARN / "flower.jpg",
    ],
    "val": [
        *(SCIKIT_IMAGE / name for name in ("rocket.jpg", "motorcycle_left.png")),
        SCIKIT_LEARN / "china.jpg",
    ],
}
Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True)
class Card:
    """A card in a picture: its digit and where it is, to the pixel."""

    digit: int
    box: Box


class Cards:
    """Draws cards and pictures of one part; the same seed draws the same."""

    def __init__(self, part: str, seed: int = 0) -> None:
        digits = sklearn.datasets.load_digits()
        chosen = slice(None, -TEST_DIGITS) if part == "train" else slice(-TEST_DIGITS, None)
        self.images, self.labels = digits.images[chosen], digits.target[chosen]
        self.photographs = [Image.open(path).convert("RGB") for path in PHOTOGRAPHS[part]]
        self.numbers = random.Random(f"{part} {seed}")

    def background(self, size: int) -> Image.Image:
        """A square piece of a photograph."""
        photograph = self.numbers.choice(self.photographs)
        side = self.numbers.randint(size, min(photograph.size))
        left = self.numbers.randint(0, photograph.width - side)
        top = self.numbers.randint(0, photograph.height - side)
        box = (left, top, left + side, top + side)
        return photograph.resize((size, size), Image.Resampling.BICUBIC, box)

    def card(self, width: int, height: int) -> tuple[Image.Image, int]:
        """A card of this size, light with a dark digit, and the digit."""
        which = self.numbers.randrange(len(self.labels))
        ink = Image.fromarray((self.images[which] * 15.9).astype(np.uint8))
        ink = ink.resize((width, height), Image.Resampling.BICUBIC)
        paper = tuple(self.numbers.randint(190, 255) for _ in range(3))
        colour = tuple(self.numbers.randint(0, 90) for _ in range(3))
        card = Image.new("RGB", (width, height), paper)
        card.paste(Image.new("RGB", (width, height), colour), mask=ink)
        return card, int(self.labels[which])

    def picture(self, size: int = SIZE, most: int = 4) -> tuple[Image.Image, list[Card]]:
        """A picture with one card or several, none of which covers another."""
        picture, cards = self.background(size), list[Card]()
        wanted = self.numbers.randint(1, most)
        for _ in range(10 * wanted):  # tries: there may be no room for all
            height = self.numbers.randint(*SIDES)
            width = min(size, round(height * self.numbers.uniform(0.8, 1.25)))
            left = self.numbers.randint(0, size - width)
            top = self.numbers.randint(0, size - height)
            box = (left, top, left + width, top + height)
            if len(cards) == wanted or any(_meet(box, other.box) for other in cards):
                continue
            card, digit = self.card(width, height)
            picture.paste(card, box[:2])
            cards.append(Card(digit, box))
        return picture, cards

    def crop(self) -> tuple[Image.Image, int]:
        """A single card that fills most of a square picture, and its digit."""
        picture = self.background(CROP)
        height, width = (self.numbers.randint(CROP * 5 // 8, CROP) for _ in range(2))
        card, digit = self.card(width, height)
        place = self.numbers.randint(0, CROP - width), self.numbers.randint(0, CROP - height)
        picture.paste(card, place)
        return picture, digit


def annotation(file: str, size: int, cards: Sequence[Card]) -> str:
    """The picture's annotation as VOC writes it: pixels are counted from 1."""
    lines = [f"<annotation><filename>{file}</filename>"]
    lines.append(f"<size><width>{size}</width><height>{size}</height><depth>3</depth></size>")
    for card in cards:
        left, top, right, bottom = card.box
        corners = {"xmin": left + 1, "ymin": top + 1, "xmax": right, "ymax": bottom}
        box = "".join(f"<{name}>{value}</{name}>" for name, value in corners.items())
        lines.append(f"<object><name>{card.digit}</name><bndbox>{box}</bndbox></object>")
    return "\n".join([*lines, "</annotation>\n"])


def make(root: Path, train: int = 500, val: int = 80, crops: int = 8_000) -> Path:
    """All folders, with so many pictures, and single cards to train on; returns `root`."""
    for part, count in (("train", train), ("val", val)):
        drawn = Cards(part)
        for kind, size, most in (("cards", SIZE, 4), ("singles", SINGLE, 1)):
            folder = root / kind / part
            folder.mkdir(parents=True, exist_ok=True)
            for k in range(count):
                picture, cards = drawn.picture(size, most)
                picture.save(folder / f"{k}.png")
                (folder / f"{k}.xml").write_text(annotation(f"{k}.png", size, cards))
        for k in range(crops if part == "train" else crops // 5):
            picture, digit = drawn.crop()
            place = root / "crops" / part / str(digit)
            place.mkdir(parents=True, exist_ok=True)
            picture.save(place / f"{k}.png")
    return root


def _meet(box: Box, other: Box) -> bool:
    """Whether two boxes have a pixel in common."""
    across = box[0] < other[2] and other[0] < box[2]
    return across and box[1] < other[3] and other[1] < box[3]


if __name__ == "__main__":
    print(make(Path(sys.argv[1])))
