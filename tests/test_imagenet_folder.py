"""Folders of images on ImageNet's side, beside test_folder.py: bits, system errors, both alike."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

import photographs
from conftest import folder, image_folder
from resnet_gen.generate.loading import load_folder
from tiny_runs import CLASSES

Capture = pytest.CaptureFixture[str]
SHAPE = (3, 8, 8)


@pytest.fixture(scope="module")
def script(tiny: Path) -> Any:
    return load_folder(tiny)


@pytest.fixture(scope="module")
def cifar() -> Any:
    return load_folder(folder("resnet20"))


SIXTEEN = (np.arange(40 * 24).reshape(24, 40) * 68).astype("uint16")  # up to 65,212


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_16_bits_are_read_by_their_upper_8(script: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"deep.{suffix}"
    Image.fromarray(SIXTEEN).save(path)
    image = script.folder.read_image(str(path))
    assert image.mode == "RGB"
    for channel in image.split():
        assert np.array_equal(np.asarray(channel), SIXTEEN >> 8)
    assert script.folder.read_image(str(path), channels=1).mode == "L"


def test_16_bits_are_turned_upright_too(script: Any, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(SIXTEEN).save(tmp_path / "turned.png", exif=exif)
    image = script.folder.read_image(str(tmp_path / "turned.png"), channels=1)
    assert np.array_equal(np.asarray(image), np.rot90(SIXTEEN >> 8, -1))


def twelve_bits(path: Path) -> None:
    """A TIFF of 12 bits a pixel: Pillow reads them, and writes none."""
    tags = [(256, 2), (257, 2), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (279, 6)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    data = bytes([0xFF, 0xF0, 0x00, 0x12, 0x34, 0x56, 0, 0])
    header = b"II*\0" + struct.pack("<I", 8 + len(data))
    path.write_bytes(header + data + struct.pack("<H", len(tags)) + entries + bytes(4))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: Image.fromarray(SIXTEEN.astype("float32")).save(path), "floating-point"),
        (lambda path: Image.fromarray(SIXTEEN.astype("int32")).save(path), "number of bits"),
        (lambda path: Image.fromarray(-SIXTEEN.astype("int32")).save(path), "number of bits"),
        (twelve_bits, "number of bits"),
    ],
    ids=["float", "32 bits", "signed", "12 bits"],
)
def test_what_cannot_be_brought_to_8_bits_is_unreadable(
    script: Any, tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    make(tmp_path / "deep.tif")
    with pytest.raises(script.folder.UnreadableImage, match=words):
        script.folder.read_image(str(tmp_path / "deep.tif"))


def test_errors_of_the_system_are_no_bad_images(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full table of open files, or a disk that fails, says nothing about the image."""
    path = tmp_path / "image.png"
    with pytest.raises(script.folder.UnreadableImage):
        script.folder.read_image(str(path))  # not there: that is the file's
    Image.new("RGB", (40, 24)).save(path)
    for number in (5, 23, 24):

        def fail(*_: object, number: int = number) -> None:
            raise OSError(number, "so it is")

        monkeypatch.setattr(script.folder.Image, "open", fail)
        with pytest.raises(OSError, match="so it is") as error:
            script.folder.read_image(str(path))
        assert not isinstance(error.value, script.folder.UnreadableImage)
        crop = script.data.Crop(str(path), 0, 8, 8, 0.0, 0.0, False, [])
        with pytest.raises(OSError, match="so it is"):
            crop.read()
    monkeypatch.undo()


def test_what_there_is_is_said_at_the_start(script: Any, tmp_path: Path, capsys: Capture) -> None:
    data = image_folder(tmp_path / "data", ("train", "val", "test"))
    (data / "val/cat/0.png").unlink()
    for name in ("1.gif", "2.GIF", "3.heic", "4.avif", "notes"):
        (data / "train/cat" / name).write_bytes(b"")
    script.data.load(data)
    ignored, counts = capsys.readouterr().err.splitlines()
    assert counts == "12 training, 11 validation and 12 test images of 2 classes"
    words, kinds = ignored.split("; ")
    assert words == "ignored: 2 .gif, 1 .heic, 1 .avif, 1 notes" and ".png" in kinds


def test_both_families_see_one_folder_alike(
    script: Any, cifar: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--root, ImageNet's own test/ without classes, dots, and photographs on their side."""
    data = photographs.make(tmp_path / "root/data", train=6, validation=2)
    for hidden in ("train/.ipynb_checkpoints", "val/.thumbs", "train/cat/.cache"):
        shutil.copytree(data / "train/temple", data / hidden)
    (data / "train/cat/._0.jpg").write_bytes(b"")
    (data / "test").mkdir()
    (data / "test/1.jpg").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    for spelling, root in (("data", Path("root")), (f"{data}/", Path("elsewhere"))):
        mine = script.data.load(script.folder.find(spelling, root))
        theirs = cifar.data.load(spelling, root, SHAPE)
        assert mine.train.classes == theirs.classes == CLASSES
        assert len(mine.train.samples) == 24 and len(mine.validation.samples) == 8
        assert [label for _, label in mine.train.samples] == theirs.train.labels.tolist()
        assert mine.test is mine.validation and len(theirs.test.labels) == 8
        resize = transforms.Resize(SHAPE[1:])
        for (path, _), pixels in zip(mine.train.samples, theirs.train.pixels, strict=True):
            image = resize(script.folder.read_image(path))  # the turned ones are upright in both
            assert torch.equal(transforms.PILToTensor()(image), pixels)
