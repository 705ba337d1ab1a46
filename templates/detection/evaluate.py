"""Detectors on pictures: what they find, how right that is, and drawn for people to see."""

import math
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torchvision.transforms import functional as T

import measures
from annotations import Part, Picture, load
from data import test_batches
from distributed import RANK, RANKS, fail, gathered, note
from folder import UnreadableImage, find, read_image
from measures import Detections, Objects
from weights import read_weights

Detect = Callable[[Tensor], dict[str, Tensor]]  # of an image (3, H, W) of 0 to 255
DetectTogether = Callable[[Sequence[Any], Tensor], dict[str, Tensor]]  # by several detectors
MEASURES = ("voc2007", "voc", "coco")
SHOWN = 0.5  # least score of what is printed and drawn
COLOURS = ("#b3261e", "#1b6e3c", "#1f4e9e", "#8a4b00", "#6b2fa0", "#00666b")  # dark, under white


@torch.inference_mode()
@torch.compiler.set_stance("force_eager")  # what is compiled is for training alone
def detections(detect: Detect, pictures: Sequence[Picture], args: Namespace) -> list[Detections]:
    """What is found in each picture; every picture is on one rank."""
    mine = []
    for (example,) in test_batches(list(pictures), args):
        found = detect(example.pixels.to(args.device).float())
        mine.append(Detections(*(found[key].cpu() for key in Detections._fields)))
    of_ranks = gathered(mine)
    return [of_ranks[k % RANKS][k // RANKS] for k in range(len(pictures))]


def figures(
    detect: Detect, part: Part, classes: list[str], args: Namespace, most: int | None = None
) -> dict[str, float]:
    """How right the detections are, in percent, by the measure of the annotations' kind.

    VOC's is the mean AP of the classes, `map`; COCO's are `ap`, over overlaps of 0.5 to 0.95,
    `ap50` and others. With `most`, at most so many pictures are taken, evenly spaced.
    """
    step = max(1, len(part.pictures) // most) if most else 1
    pictures = part.pictures[::step][:most]
    found = detections(detect, pictures, args)
    annotated = [objects_of(picture, classes) for picture in pictures]
    measure = args.measure or part.kind
    if measure == "coco":
        sizes = [picture.size for picture in pictures]
        return measures.coco(found, annotated, sizes, classes)
    by_class = measures.voc(found, annotated, classes, eleven_points=measure == "voc2007")
    known = [value for value in by_class.values() if not math.isnan(value)]
    return {"map": sum(known) / len(known) if known else 0.0}


def objects_of(picture: Picture, classes: list[str]) -> Objects:
    """The picture's objects as the measures take them."""
    objects = picture.objects
    return Objects(
        torch.tensor([each.box for each in objects]).reshape(-1, 4),
        torch.tensor([1 + classes.index(each.name) for each in objects], dtype=torch.long),
        torch.tensor([each.ignored for each in objects], dtype=torch.bool),
        torch.tensor([each.area for each in objects]),
    )


def use(
    detector: Callable[..., nn.Module],
    network: str,
    network_sha256: str,
    together: DetectTogether | None,
    args: Namespace,
) -> None:
    """Prints how right trained detectors are (--evaluate), or what is in images (--predict).

    `detector` builds one, and `together` is how the network is tested, if not by calling it.
    """
    named = args.evaluate or args.out / "best.pt"
    paths = named if isinstance(named, list) else [named]
    read = [read_weights(path, args.device) for path in paths]
    detectors = list[nn.Module]()
    for weights in read:
        weights.require_network(network, network_sha256)
        weights.require_classes("--evaluate", str(read[0].path), read[0].names())
        mean = tuple(weights.known_mean().flatten().tolist())
        built = detector(len(weights.names()), mean=mean).to(args.device)
        weights.put_into(built)
        detectors.append(built.eval())

    def detect(image: Tensor) -> dict[str, Tensor]:
        found = together(detectors, image) if together else detectors[0]([image])[0]
        return found  # type: ignore[no-any-return]

    classes = read[0].names()
    if args.predict:
        return predict(detect, args.predict, classes, args)
    data = load(find(args.data, args.root))
    read[0].require_classes("--evaluate", data.test.name, data.classes)
    shown = figures(detect, data.test, classes, args)
    if RANK == 0:
        text = ", ".join(f"{name} {value:.2f}%" for name, value in shown.items())
        print(f"{text} on {len(data.test.pictures):,} pictures of {data.test.name}")
    return None


@torch.inference_mode()
def predict(detect: Detect, paths: Sequence[Path], classes: list[str], args: Namespace) -> None:
    """Prints what is in images, and draws it into copies of them below --out."""
    args.out.mkdir(parents=True, exist_ok=True)
    unread, named = 0, Counter[str]()
    for path in paths if RANK == 0 else ():
        try:
            image = read_image(str(path))
        except (UnreadableImage, OSError) as error:
            note(f"{path} cannot be read as an image: {error}")
            unread += 1
            continue
        found = detect(T.pil_to_tensor(image).to(args.device).float())
        print(path)
        for box, name, score in shown(found, classes):
            print(f"{score:9.2%}  {name}  {' '.join(f'{edge:.0f}' for edge in box)}")
        named[path.stem] += 1  # pictures of several folders may have the same name
        again = f"-{named[path.stem]}" if named[path.stem] > 1 else ""
        drawn(image, found, classes).save(args.out / f"{path.stem}{again}.detections.png")
    if unread:
        fail(f"{unread} of {len(paths)} images cannot be read")


def shown(found: dict[str, Tensor], classes: list[str]) -> Iterator[tuple[list[float], str, float]]:
    """Box, class and score of what scores well, the best first."""
    values = (found[key].tolist() for key in Detections._fields)
    for box, label, score in zip(*values, strict=True):
        if score >= SHOWN:
            yield box, classes[label - 1], score


def drawn(image: Image.Image, found: dict[str, Tensor], classes: list[str]) -> Image.Image:
    """A copy of the image with the boxes that score well, their classes and scores."""
    picture = image.copy()
    pen, width = ImageDraw.Draw(picture), max(1, round(min(image.size) / 200))
    for box, name, score in shown(found, classes):
        words, colour = f"{name} {score:.0%}", COLOURS[classes.index(name) % len(COLOURS)]
        pen.rectangle(box, outline=colour, width=width)
        at = (box[0] + width, max(0.0, box[1] - 12))
        pen.rectangle(pen.textbbox(at, words), fill=colour)
        pen.text(at, words, fill="white")
    return picture
