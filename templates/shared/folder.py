"""A folder of images, one folder for each class: what is in it, what is ignored, how it is read.

    photos/train/cat/1.jpg    photos/val/cat/2.jpg    photos/test/cat/3.jpg

Names that begin with a dot are no data. Images are read upright, in 8 bits, in RGB or grey.
"""

import math
import os
import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageOps

from distributed import fail, note

Sample = tuple[str, int]  # an image's path, and the index of its class

SUFFIXES = {
    *(".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"),
}
# What Pillow raises for a file that is no image, is damaged or cut off, or too large to be meant.
PILLOW_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, struct.error),
    Image.DecompressionBombError,
)
OF_THE_FILE = (FileNotFoundError, PermissionError, IsADirectoryError)
HIGH_BYTE = [value >> 8 for value in range(65_536)]  # of 16 bits


class UnreadableImage(ValueError):
    """A file that cannot be read as an image of 8 bits a channel; says why."""


class Part(NamedTuple):
    """One of train/, val/ and test/."""

    path: Path
    classes: list[str]
    samples: list[Sample]
    ignored: Counter[str]  # files by suffix that are no images of a kind that is read here


def find(data: str, root: Path, takes: str = "a folder of images") -> Path:
    """The folder that --data names: below --root, or else as it is written."""
    below = root / data
    as_written = str(data).startswith(".") or not below.is_dir()
    folder = Path(data) if as_written else below
    if not folder.is_dir():
        fail(f"--data takes {takes}; there is neither a folder {below} nor {folder} from here")
    return folder


def open_part(path: Path) -> Part:
    """The images of one part, in the order of their classes and names."""
    classes = class_folders(path)
    samples, ignored = list[Sample](), Counter[str]()
    beside = [sub for sub in path.glob("[!.]*") if sub.is_file()] if classes else []
    if beside:
        ignored[f"outside the folders of classes in {path.name}/"] = len(beside)
    for label, name in enumerate(classes):
        for folder, subfolders, files in os.walk(path / name, followlinks=True):
            subfolders[:] = sorted(sub for sub in subfolders if not sub.startswith("."))
            for file in sorted(file for file in files if not file.startswith(".")):
                suffix = os.path.splitext(file)[1].lower()
                if suffix in SUFFIXES:
                    samples.append((os.path.join(folder, file), label))
                else:
                    ignored[suffix or file] += 1
    return Part(path, classes, samples, ignored)


def class_folders(path: Path) -> list[str]:
    """The names of the classes: of the folders in `path`, sorted."""
    if not path.is_dir():
        return []
    return sorted(sub.name for sub in path.iterdir() if sub.is_dir() and sub.name[0] != ".")


def open_parts(folder: Path) -> dict[str, Part]:
    """train/, and val/ or test/ or both, which have the same classes.

    A test/ without classes, as ImageNet's own, is left alone.
    """
    names = [name for name in ("train", "val", "test") if class_folders(folder / name)]
    parts = {name: open_part(folder / name) for name in names}
    if "train" not in parts or len(parts) < 2:
        needed = "train/, and val/ or test/, each with a folder for each class"
        fail(f"{folder} needs {needed}\n{_has(folder, 'train', 'val', 'test')}")
    for name in ("val", "test"):
        if name not in parts and (folder / name).is_dir():
            note(f"left alone: {_has(folder, name)}")
    same_classes(folder, {name: part.classes for name, part in parts.items()})
    for name, part in parts.items():
        found = {label for _, label in part.samples}
        empty = [c for k, c in enumerate(part.classes) if k not in found]
        if not found or (empty and name == "train"):
            fail(f"there is no image in {folder / name}/{empty[0]}/{_kinds(part.ignored)}")
    return parts


def open_tested(folder: Path) -> Part:
    """What is tested on: test/, or val/ where test/ has no folders of classes."""
    part = open_part(folder / ("test" if class_folders(folder / "test") else "val"))
    if not part.samples:
        kinds = _kinds(part.ignored) or f"\n{_has(folder, 'val', 'test')}".rstrip()
        fail(f"{folder} has no image in test/ or val/, in a folder for each class{kinds}")
    return part


def same_classes(what: object, classes: dict[str, list[str]], hint: str = "") -> None:
    """Ends the run where two lists of classes differ, and says in which names."""
    (first, wanted), *others = classes.items()
    for other, names in others:
        lacking = [name for name in wanted if name not in names]
        added = [name for name in names if name not in wanted]
        if lacking or added:
            only = [f"only {first} has {_some(lacking)}"] if lacking else []
            only += [f"only {other} has {_some(added)}"] if added else []
            fail(f"{what}: {first} and {other} have not the same classes: {', '.join(only)}{hint}")
        if names != wanted:
            fail(f"{what}: {first} and {other} have the same classes in another order{hint}")


def read_image(path: str, channels: int = 3, shorter: float | None = None) -> Image.Image:
    """An image, upright, of 8 bits a channel, in RGB (3 channels) or grey (1).

    With `shorter`, a JPEG may come smaller, with that length of its shorter side at least: libjpeg
    decodes to 1/2, 1/4 or 1/8 of the size for a fraction of the work.

    Raises:
        UnreadableImage: the file is no image, is damaged, or has more bits than can be told apart.
        OSError: the system, not the file, is at fault: too many open files, a disk that fails.
    """
    mode = "L" if channels == 1 else "RGB"
    try:
        with Image.open(path) as image:
            if shorter:
                scale = shorter / min(image.size)
                size = math.ceil(scale * image.width), math.ceil(scale * image.height)
                image.draft(mode, size)
            image.getexif()
            image.info.pop("exif", None)  # or else Pillow encodes it anew, and raises if it is odd
            ImageOps.exif_transpose(image, in_place=True)
            upright = eight_bits(image)
            return upright if upright.mode == mode else upright.convert(mode)
    except PILLOW_ERRORS as error:
        if isinstance(error, OSError) and error.errno and not isinstance(error, OF_THE_FILE):
            raise
        reason = str(error) or type(error).__name__
        raise UnreadableImage(reason.splitlines()[0]) from error


def eight_bits(image: Image.Image) -> Image.Image:
    """The image itself, or the upper 8 of its 16 bits of grey.

    Mode I is 16 bits in PNG and PGM. TIFF has 32 there, and 12 or 16 in modes of their own.
    """
    if image.mode == "F":
        raise UnreadableImage("its pixels are floating-point numbers, of a range that is unknown")
    if not image.mode.startswith("I"):
        return image
    if image.format == "TIFF" and (image.mode == "I" or image.tag_v2.get(258) == (12,)):  # type: ignore[attr-defined]
        raise UnreadableImage("its pixels have another number of bits than 1, 8 or 16")
    whole = image.convert("I")
    low, high = whole.getextrema()
    if low < 0 or high > 65_535:  # type: ignore[operator]
        raise UnreadableImage("its pixels have more than 16 bits, or a sign")
    return whole.point(HIGH_BYTE, "L")


def note_ignored(parts: Iterable[Part]) -> None:
    """Says which files of the class folders are not read, if there are any."""
    ignored = sum((part.ignored for part in parts), Counter[str]())
    if ignored:
        note(f"ignored: {_listed(ignored)}; {', '.join(sorted(SUFFIXES))} are read")


def _kinds(ignored: Counter[str]) -> str:
    return f" that can be read here, only {_listed(ignored)}" if ignored else ""


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{n:,} {kind}" for kind, n in counts.most_common(8))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _has(folder: Path, *names: str) -> str:
    """What a folder has instead of parts of these names, with classes."""
    said = []
    for name in names:
        path = folder / name
        if path.is_dir() and not class_folders(path):
            files = sum(1 for file in path.iterdir() if file.is_file())
            said.append(f"{name}/ has {files:,} files and no folders of classes")
        elif not path.is_dir():
            said.append(f"there is no {name}/")
    return "; ".join(said)
