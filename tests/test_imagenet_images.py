"""The training images of an ImageNet script: files of all kinds, crops, and what is random."""

from __future__ import annotations

import io
import itertools
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision.transforms.functional as T
from PIL import Image

from conftest import folder
from resnet_gen.generate.loading import load_folder
from tiny_runs import reading


@pytest.fixture(scope="module")
def script() -> Any:
    return load_folder(folder("resnet50_b"))


def test_a_crop_is_torchvisions(script: Any, pictures: Path) -> None:
    """Resized to the shorter side, then 224×224 of it: here in one go, from the file's pixels."""
    sample = str(next((pictures / "train/cat").glob("plain*.jpg")))
    with Image.open(sample) as stored:
        whole = stored.convert("RGB")
    for shorter, left, top in ((256, 0.0, 0.0), (300, 0.5, 1.0), (480, 1.0, 0.3)):
        content, label = script.data.Crop(
            sample, 7, 224, shorter, left, top, False, [0.0, 0.0, 0.0]
        ).read()
        resized = T.resize(whole, shorter)
        x, y = round(left * (resized.width - 224)), round(top * (resized.height - 224))
        expected = T.pil_to_tensor(T.crop(resized, y, x, 224, 224))
        difference = (content.float() - expected.float()).abs()
        assert content.shape == (3, 224, 224) and label == 7
        assert difference.mean() < 2  # of 255: half a pixel's shift at most


def test_boxes_stay_within_the_image(script: Any) -> None:
    for shorter, left, top in itertools.product((256, 480), (0, 0.999), (0, 0.999)):
        box = script.data.Crop("", 0, 224, shorter, left, top, False, []).box(500, 375)
        assert 0 <= box[0] < box[2] <= 500 and 0 <= box[1] < box[3] <= 375
        assert math.isclose(box[2] - box[0], 375 * 224 / shorter)


def test_large_files_are_decoded_small_and_never_too_small(script: Any, tmp_path: Path) -> None:
    photograph = Image.radial_gradient("L").resize((2_000, 1_500)).convert("RGB")
    photograph.save(tmp_path / "large.jpg")
    read_image, path = script.folder.read_image, str(tmp_path / "large.jpg")
    sides = {k: read_image(path, shorter=k).size for k in (187, 188, 480, 999)}
    assert sides == {187: (250, 188), 188: (500, 375), 480: (1_000, 750), 999: (2_000, 1_500)}
    assert read_image(path).size == (2_000, 1_500)
    small = T.pil_to_tensor(read_image(path, shorter=480)).float()
    whole = T.pil_to_tensor(photograph.resize((1_000, 750), Image.Resampling.BOX)).float()
    assert (small - whole).abs().mean() < 1


def test_all_kinds_of_files_come_out_upright_and_in_colour(script: Any, pictures: Path) -> None:
    for path in sorted((pictures / "train").glob("*/*")):
        image = script.folder.read_image(str(path))
        with Image.open(path) as stored:
            turned = stored.getexif().get(0x0112) == 6
        assert image.mode == "RGB" and image.size == (stored.size[::-1] if turned else stored.size)
    turned_path = pictures / "train/cat/turned2.jpg"
    upright = T.pil_to_tensor(script.folder.read_image(str(turned_path)))
    with Image.open(turned_path) as stored:
        by_hand = stored.transpose(Image.Transpose.ROTATE_270)
    assert torch.equal(upright, T.pil_to_tensor(by_hand))


def test_a_turned_photograph_whose_camera_wrote_odd_tags_is_read(
    script: Any, tmp_path: Path
) -> None:
    """Pillow cannot write such tags again, which it would to take the one of the turn out."""
    exif, content = Image.Exif(), io.BytesIO()
    exif[0x0112], exif[0x010F] = 6, "cam"
    Image.new("RGB", (60, 40)).save(content, "JPEG", exif=exif)
    for order in ("little", "big"):
        tag, letters, number = (n.to_bytes(2, order) for n in (0x010F, 2, 0x0101))
        odd = content.getvalue().replace(tag + letters, number + letters)  # a width, as a text
        (tmp_path / f"{order}.jpg").write_bytes(odd)
        assert script.folder.read_image(str(tmp_path / f"{order}.jpg")).size == (40, 60)
    assert script.data.whole_jpeg(str(tmp_path / "little.jpg")) is None


def test_what_the_gpu_is_given_to_decode(script: Any, pictures: Path, tmp_path: Path) -> None:
    given = {
        p.stem
        for p in (pictures / "train/cat").iterdir()
        if script.data.whole_jpeg(str(p)) is not None
    }
    assert given == {"grey0", "plain4", "plain5"}  # not CMYK, not turned, no PNG
    content = (pictures / "train/cat/plain4.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[:-100])
    assert script.data.whole_jpeg(str(tmp_path / "cut.jpg")) is None
    Image.new("RGB", (2, 300)).save(tmp_path / "thin.jpg")  # a crop could be of no whole pixel
    assert script.data.whole_jpeg(str(tmp_path / "thin.jpg")) is None


def batch(script: Any, crops: list[Any], decode: str = "cpu") -> Any:
    """What the training is given of these crops."""
    images = script.data.Crops([], script.train.draw, reading(decode=decode))
    images.crop = crops.__getitem__
    return images[range(len(crops))]


@pytest.mark.filterwarnings("ignore:The image decoding")  # TorchCodec will have it
def test_crops_that_a_device_decodes_are_those_of_the_cpu(
    script: Any, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchvision's decoder takes a CPU for a device too: the same code as on a GPU."""
    paths = [str(p) for p in sorted((pictures / "train").glob("*/*.jpg"))]
    crops = [
        script.data.Crop(path, k, 224, 300 + k, 0.3, 0.6, False, [0.0, 0.0, 0.0])
        for k, path in enumerate(paths)
    ]
    files, pixels = batch(script, crops, "gpu"), batch(script, crops, "cpu")
    assert len(files.lengths) == 12 and not pixels.lengths
    assert script.data.decode(pixels, torch.device("cpu"), None) is pixels
    places = list(files.lengths)
    monkeypatch.setattr(script.data, "DECODE_AT_ONCE", 5)
    made = script.data.decode(files, torch.device("cpu"), None)
    assert made.pixels.dtype == torch.uint8 and made.pixels.shape == pixels.pixels.shape
    assert not made.lengths
    for k in places:
        crop = made.pixels[k]
        image = script.folder.read_image(paths[k])
        box = tuple(map(round, crops[k].box(*image.size)))  # whole pixels
        expected = T.pil_to_tensor(image.resize((224, 224), Image.Resampling.BILINEAR, box))
        assert (crop.float() - expected.float()).abs().mean() < 0.5
    others = [k for k in range(len(paths)) if k not in places]
    assert torch.equal(made.pixels[others], pixels.pixels[others])
    assert torch.equal(made.labels, pixels.labels)


def without_tables(jpeg: bytes) -> bytes:
    """The file without the tables that its pixels were quantised by."""
    kept, at = jpeg[:2], 2
    while jpeg[at + 1] != 0xDA:  # the pixels
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4])
        kept += b"" if jpeg[at + 1] == 0xDB else jpeg[at:end]
        at = end
    return kept + jpeg[at:]


@pytest.mark.filterwarnings("ignore:the CPU decodes what", "ignore:The image decoding")
def test_files_that_the_gpu_cannot_decode_are_decoded_by_the_cpu_or_named(
    script: Any, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted((pictures / "train/cat").glob("*.jpg"))[:5]
    broken = tmp_path / "broken.jpg"  # its beginning and its end look well
    broken.write_bytes(without_tables((pictures / "train/cat/plain4.jpg").read_bytes()))
    crops = [
        script.data.Crop(str(path), k, 224, 300, 0.2, 0.2, False, [0.0, 0.0, 0.0])
        for k, path in enumerate([*paths, broken])
    ]
    device, whole = torch.device("cpu"), batch(script, crops[:5], "gpu")
    expected = batch(script, crops[:5], "cpu")
    assert len(whole.lengths) == 3

    def poor_decoder(*_: object) -> object:
        raise RuntimeError("not this kind")

    monkeypatch.setattr(script.data, "decode_jpeg", poor_decoder)
    made = script.data.decode(whole, device, None)
    assert torch.equal(made.pixels, expected.pixels)
    assert made.labels.tolist() == [0, 1, 2, 3, 4]
    made = script.data.decode(batch(script, crops, "gpu"), device, None)
    assert torch.equal(made.pixels[:5], expected.pixels)
    assert made.labels.tolist() == [0, 1, 2, 3, 4, script.data.BAD]

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(script.data, "decode_jpeg", full)
    with pytest.raises(torch.OutOfMemoryError):
        script.data.decode(whole, device, None)


def test_random_numbers_are_the_papers(script: Any) -> None:
    samples = [(str(k), 0) for k in range(1_000)]
    images = script.data.Crops(samples, script.train.draw, reading())
    crops = [images.crop(place) for place in range(20_000)]
    sides = Counter(crop.shorter for crop in crops)
    assert (min(sides), max(sides), len(sides)) == (256, 480, 225)
    assert max(sides.values()) < 3 * 20_000 / 225
    for values in ([crop.left for crop in crops], [crop.top for crop in crops]):
        assert min(values) >= 0 and max(values) < 1 and abs(sum(values) / 20_000 - 0.5) < 0.01
    assert abs(sum(crop.mirrored for crop in crops) / 20_000 - 0.5) < 0.02
    spread = torch.tensor([crop.colour for crop in crops]).std(dim=0)
    expected = 0.1 * torch.tensor([0.2175, 0.0188, 0.0045])
    assert torch.allclose(spread, expected, rtol=0.05)
    for k in range(0, 20_000, 1_000):
        assert {int(crop.path) for crop in crops[k : k + 1_000]} == set(range(1_000))
    assert crops[:1_000] != crops[1_000:2_000]


def test_a_place_of_the_run_is_the_same_image_whoever_reads_it(script: Any) -> None:
    samples = [(str(k), k) for k in range(100)]
    images = script.data.Crops(samples, script.train.draw, reading(seed=5))
    whole = [images.crop(place) for place in range(1_000)]
    others = script.data.Crops(samples, script.train.draw, reading(seed=5))
    places = random.Random(0).sample(range(1_000), 300)
    assert [others.crop(place) for place in places] == [whole[place] for place in places]
    of_another_seed = script.data.Crops(samples, script.train.draw, reading(seed=6))
    assert whole != [of_another_seed.crop(place) for place in range(1_000)]
