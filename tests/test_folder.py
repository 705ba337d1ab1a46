"""Folders of images as both training scripts read them: what counts, what is told, what is seen."""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import folder, image_folder
from resnet_gen.generate.loading import load_folder

Capture = pytest.CaptureFixture[str]
SHAPE = (3, 32, 32)


@pytest.fixture(scope="module")
def net() -> Any:
    return load_folder(folder("resnet20"))


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return image_folder(tmp_path / "pets")


def told(work: Callable[[], object], capsys: Capture) -> str:
    """The sentence that ends it, with exit code 2."""
    with pytest.raises(SystemExit) as stop:
        work()
    assert stop.value.code == 2
    return capsys.readouterr().err.partition(": ")[2].rstrip("\n")


# ---- What counts (T9, T15, T17) ------------------------------------------------------------------


def test_what_begins_with_a_dot_is_no_data(net: Any, pets: Path, tmp_path: Path) -> None:
    for part in ("train", "val"):
        for hidden in (".ipynb_checkpoints", ".thumbs", "cat/.cache"):
            (pets / part / hidden).mkdir()
            Image.new("RGB", (40, 24)).save(pets / part / hidden / "x.png")
        Image.new("RGB", (40, 24)).save(pets / part / "dog/._0.png")
    found = net.folder.open_parts(pets)
    assert {name: part.classes for name, part in found.items()} == {
        "train": ["cat", "dog"],
        "val": ["cat", "dog"],
    }
    assert [len(part.samples) for part in found.values()] == [12, 12]
    assert not any(part.ignored for part in found.values())


def test_what_is_not_read_is_counted(net: Any, pets: Path, capsys: Capture) -> None:
    for part, name in (
        *(("train", "cat/a.gif"), ("train", "dog/b.GIF"), ("val", "cat/c.heic")),
        *(("val", "dog/LICENSE"), ("train", "cat/d.avif")),
    ):
        (pets / part / name).write_bytes(b"")
    data = net.data.load(str(pets), Path(), SHAPE)
    first, *others = capsys.readouterr().err.splitlines()
    assert not others and len(data.train.labels) == 12
    assert first.startswith("ignored: 2 .gif, 1 ") and first.endswith("are read")
    for kind in ("1 .heic", "1 LICENSE", "1 .avif", ".jpg", ".png"):
        assert kind in first


def test_a_class_of_other_kinds_alone_is_told(net: Any, pets: Path, capsys: Capture) -> None:
    for path in (pets / "train/cat").iterdir():
        path.rename(path.with_suffix(".heic"))
    said = told(lambda: net.folder.open_parts(pets), capsys)
    assert said == (
        f"there is no image in {pets}/train/cat/ that can be read here, only 6 .heic"
    )  # fmt: skip


def test_what_a_folder_has_instead_is_said(net: Any, tmp_path: Path, capsys: Capture) -> None:
    flat = image_folder(tmp_path / "flat", ("train",))
    (flat / "val").mkdir()
    for index in range(3):
        Image.new("RGB", (40, 24)).save(flat / f"val/{index}.png")
    said = told(lambda: net.data.load("flat", tmp_path, SHAPE), capsys)
    needed = f"{flat} needs train/, and val/ or test/, each with a folder for each class"
    assert said == f"{needed}\nval/ has 3 files and no folders of classes; there is no test/"
    said = told(lambda: net.data.load_test("flat", tmp_path, SHAPE), capsys)
    assert said.startswith(
        f"{flat} has no image in test/ or val/, in a folder for each class\nval/ "
    )
    (tmp_path / "empty").mkdir()
    said = told(lambda: net.data.load("empty", tmp_path, SHAPE), capsys)
    assert said.endswith("there is no train/; there is no val/; there is no test/")
    said = told(lambda: net.data.load("none", tmp_path, SHAPE), capsys)
    takes = "--data takes cifar10, cifar100, digits, or a folder of images"
    assert said == f"{takes}; there is neither a folder {tmp_path}/none nor none from here"


def test_a_test_folder_without_classes_is_no_obstacle(
    net: Any, pets: Path, capsys: Capture
) -> None:
    """ImageNet's own test/ is one."""
    (pets / "test").mkdir()
    Image.new("RGB", (40, 24)).save(pets / "test/1.png")
    data = net.data.load(str(pets), Path(), SHAPE)
    assert data.validation is None and len(data.test.labels) == 12
    said = capsys.readouterr().err
    assert said == "left alone: test/ has 1 files and no folders of classes\n"


def test_images_beside_the_folders_of_classes_are_counted(
    net: Any, pets: Path, capsys: Capture
) -> None:
    for index in range(2):
        Image.new("RGB", (40, 24)).save(pets / f"train/{index}.png")
    (pets / "train/.DS_Store").write_bytes(b"")
    assert len(net.data.load(str(pets), Path(), SHAPE).train.labels) == 12
    said = capsys.readouterr().err
    assert said.startswith("ignored: 2 outside the folders of classes in train/; ")


def test_where_there_are_all_three_val_is_validated_on(net: Any, tmp_path: Path) -> None:
    data = image_folder(tmp_path / "pets", ("train", "val", "test"))
    (data / "val/cat/0.png").unlink()
    found = net.data.load("pets", tmp_path, SHAPE)
    sizes = [len(p.labels) for p in (found.train, found.validation, found.test)]
    assert sizes == [12, 11, 12]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: (d / "val/cat").rename(d / "val/rat"), "only train has cat, only val has rat"),
        (lambda d: (d / "val/eel").mkdir(), "only val has eel"),
        (lambda d: [p.unlink() for p in (d / "train/dog").iterdir()], "no image in"),
    ],
)
def test_classes_that_differ_between_parts_are_named(
    net: Any, pets: Path, capsys: Capture, change: Callable[[Path], object], words: str
) -> None:
    change(pets)
    assert words in told(lambda: net.folder.open_parts(pets), capsys)


def test_a_folder_is_looked_for_below_root_and_from_here(
    net: Any, pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for data, root in (("pets", tmp_path), ("pets/", "data"), (str(pets), "data")):
        assert net.folder.find(data, Path(root)).resolve() == pets
    image_folder(tmp_path / "data/pets", ("train",))
    assert net.folder.find("pets", Path("data")) == Path("data/pets")


# ---- How an image is seen (T4, T10, T15, T18) ----------------------------------------------------


def test_16_bits_of_grey_are_read_by_their_upper_8(net: Any, tmp_path: Path) -> None:
    values = np.linspace(0, 65_520, 256).astype(np.uint16).reshape(16, 16)
    expected = torch.from_numpy((values >> 8).astype(np.uint8))
    for suffix in ("png", "tif", "pgm"):
        Image.fromarray(values).save(tmp_path / f"grey.{suffix}")
        for channels in (1, 3):
            image = net.folder.read_image(str(tmp_path / f"grey.{suffix}"), channels)
            seen = torch.from_numpy(np.asarray(image).reshape(16, 16, channels).copy())
            for channel in seen.unbind(2):
                assert torch.equal(channel, expected), (suffix, channels)
    assert expected.unique().numel() == 256


def test_ordinary_kinds_are_read_as_pillow_converts_them(net: Any, tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    image = Image.fromarray(colours)
    for mode in ("RGB", "L", "1", "P", "RGBA", "LA", "CMYK"):
        path = tmp_path / f"{mode}.{'tif' if mode == 'CMYK' else 'png'}"
        converted = image.convert("L").convert("LA") if mode == "LA" else image.convert(mode)
        converted.save(path)
        with Image.open(path) as opened:
            expected = np.asarray(opened.convert("RGB"))
        assert np.array_equal(np.asarray(net.folder.read_image(str(path))), expected), mode


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_upright(net: Any, tmp_path: Path, orientation: int) -> None:
    """As EXIF says that the camera was held: the top left quarter of the scene is red."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose
    scene = Image.new("RGB", (40, 24), (0, 0, 255))
    scene.paste((255, 0, 0), (0, 0, 20, 12))
    stored = scene
    if orientation > 1:
        stored = scene.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "photo.png", exif=exif)
    seen = net.folder.read_image(str(tmp_path / "photo.png"))
    assert seen.size == (40, 24) and np.array_equal(np.asarray(seen), np.asarray(scene))


def huge_png() -> bytes:
    """A header that says 50,000×50,000, and little after it."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 9) + b"IDAT" + bytes(13)


def floating() -> bytes:
    import io

    file = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.float32)).save(file, "tiff")
    return file.getvalue()


def wide_integers() -> bytes:
    import io

    file = io.BytesIO()
    Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(file, "tiff")
    return file.getvalue()


UNREADABLE = {
    "too large to be meant": (huge_png(), "decompression bomb"),
    "cut short": (b"\x89PNG\r\n\x1a\n\x00", ""),
    "no image": (b"no picture", "cannot identify image file"),
    "empty": (b"", "cannot identify image file"),
    "of floating-point numbers": (floating(), "floating-point numbers, of a range that is unknown"),
    "of 32 bits": (wide_integers(), "another number of bits than 1, 8 or 16"),
    "a jpeg of nothing": (b"\xff\xd8\xff\xd9", ""),
    "a bitmap of nothing": (b"BM" + bytes(60), ""),
    "a tiff of nothing": (b"II*\x00\x08\x00\x00\x00\xff\xff" + b"\xff" * 60, ""),
    "a webp of nothing": (b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(16), ""),
    "a pgm of nothing": (b"P5 9 9 70000 " + bytes(200), ""),
}


@pytest.mark.parametrize("what", UNREADABLE)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_cannot_be_read_is_named(net: Any, pets: Path, capsys: Capture, what: str) -> None:
    content, words = UNREADABLE[what]
    picture = pets / "train/cat/3.png"
    picture.write_bytes(content)
    said = told(lambda: net.data.load(str(pets), Path(), SHAPE), capsys)
    assert said.startswith(f"{picture} cannot be read as an image: ") and words in said
    assert "\n" not in said
    with pytest.raises(net.folder.UnreadableImage):
        net.folder.read_image(str(picture))


def test_what_the_system_lacks_is_no_fault_of_the_image(net: Any, pets: Path) -> None:
    """Too many open files are told as that, and no image is skipped for it."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            net.folder.read_image(str(pets / "train/cat/3.png"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_grey_network_reads_grey(net: Any, tmp_path: Path, capsys: Capture) -> None:
    for part in ("train", "val"):
        (tmp_path / "grey" / part / "one").mkdir(parents=True)
        for level in (0, 100, 255):
            path = tmp_path / "grey" / part / f"one/{level}.png"
            Image.new("L", (64, 64), level).save(path)
        Image.new("RGB", (64, 64), (255, 0, 0)).save(tmp_path / "grey" / part / "one/red.png")
    data = net.data.load("grey", tmp_path, (1, 32, 32))
    assert data.train.pixels.shape == (4, 1, 32, 32)
    assert data.train.pixels.amax(dim=(1, 2, 3)).tolist() == [0, 100, 255, 76]
    assert net.data.load("digits", tmp_path, (1, 8, 8)).train.pixels.shape[1:] == (1, 8, 8)
    said = told(lambda: net.data.load("grey", tmp_path, (4, 32, 32)), capsys)
    assert said == "images of files have 3 channels, or 1 in grey: this network takes 4"


def test_a_path_that_begins_with_a_dot_is_as_written(
    net: Any, pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not below --root, where there may be a folder of that name too."""
    shutil.copytree(pets, tmp_path / "data/pets")
    monkeypatch.chdir(tmp_path)
    assert net.folder.find("pets", Path("data")) == Path("data/pets")
    assert net.folder.find("./pets", Path("data")) == Path("pets")
    assert net.folder.find(".", Path("data")) == Path()
