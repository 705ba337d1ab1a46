"""Reading training images on one core: the generated script against torchvision's reference.

Both read the same JPEG files, from memory that the system keeps them in. The reference is that of
torchvision's training script on PIL images: the whole file decoded, RandomResizedCrop, a flip, a
float tensor, normalised. The generated script leaves flip, colour and mean to the device, but
takes the paper's crop, which is of a larger part of the image.

    python benchmarks/input_pipeline.py
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sklearn.datasets
import timing
import torch
from PIL import Image
from torchvision import datasets, transforms
from torchvision.transforms import functional

SIZES = (500, 1_000, 2_000)  # longer side, pixels
FILES = 24
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def photographs(folder: Path, longer: int) -> list[str]:
    """As many different JPEGs of this size, from the two photographs that scikit-learn ships."""
    sources = sorted((Path(sklearn.datasets.__file__).parent / "images").glob("*.jpg"))
    paths = []
    for k, source in zip(range(FILES), itertools.cycle(sources), strict=False):
        with Image.open(source) as image:
            width, height = image.size
            part = (k, k, width - FILES + k, height - FILES + k)
            size = (longer, round(longer * height / width))
            large = image.resize(size, Image.Resampling.LANCZOS, part)
        paths.append(str(folder / f"{longer}-{k}.jpg"))
        large.save(paths[-1], quality=90)
    return paths


def reference() -> Callable[[str], Any]:
    """The transform of torchvision's training script, of a path."""
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(224),
            transforms.RandomHorizontalFlip(),
            transforms.PILToTensor(),
            transforms.ConvertImageDtype(torch.float),
            transforms.Normalize(MEAN, STD),
        ]
    )
    return lambda path: transform(datasets.folder.default_loader(path))


def generated(net: Any, paths: list[str]) -> Callable[[str], Any]:
    """The generated script's crops, of a path; each time with other random numbers."""
    images, places = crops(net, paths), itertools.count()
    return lambda path: images.crop(next(places))._replace(path=path).read()


def whole(net: Any, paths: list[str]) -> Callable[[str], Any]:
    """The same crops without decoding at a reduced scale."""
    images, places = crops(net, paths), itertools.count()

    def crop(path: str) -> Any:
        image, drawn = net.folder.read_image(path), images.crop(next(places))
        size = (drawn.size, drawn.size)
        part = image.resize(size, Image.Resampling.BILINEAR, drawn.box(*image.size))
        return functional.pil_to_tensor(part)

    return crop


def crops(net: Any, paths: list[str]) -> Any:
    """What the generated script reads of these images."""
    args = argparse.Namespace(seed=0, decode="cpu")
    return net.data.Crops([(path, 0) for path in paths], net.train.draw, args)


def main() -> None:
    """Times every variant on files of every size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    net = timing.load("resnet50_b", "imagenet")
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for longer in SIZES:
            paths = photographs(Path(folder), longer)
            readers = {
                "torchvision's reference": reference(),
                "generated, whole files": whole(net, paths),
                "generated": generated(net, paths),
            }
            turns = {
                name: timing.timed(lambda read=read, paths=paths: [read(path) for path in paths])
                for name, read in readers.items()
            }
            seconds = timing.interleaved(turns, args.rounds)
            for name, own in seconds.items():
                figures = timing.summary(own, seconds["torchvision's reference"])
                per_second = round(1e3 * FILES / figures["median_ms"], 1)
                row = {"longer side": longer, "variant": name, **figures}
                rows.append({**row, "images_per_second_per_core": per_second})
    timing.write("input_pipeline", rows, files=FILES)


if __name__ == "__main__":
    main()
