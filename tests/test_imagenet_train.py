"""The ImageNet training scripts: section 3.4's constants, crops, colours and steps, by effect."""

from __future__ import annotations

import io
import itertools
import json
import math
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torchvision.transforms.functional as T
from PIL import Image

from conftest import CIFAR, NAMES, READING, folder, generate_tiny, load
from resnet_gen import library
from resnet_gen.spec import class_name

IMAGENET = [name for name in NAMES if name not in CIFAR]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load(folder("resnet50_b") / "train.py")


@pytest.fixture(scope="module")
def tiny_script(tiny: Path) -> ModuleType:
    return load(tiny / "train.py")


@pytest.mark.parametrize("name", IMAGENET)
def test_constants_are_section_3_4(name: str) -> None:
    s = load(folder(name) / "train.py")
    assert (s.ITERATIONS, s.BATCH_SIZE, s.LEARNING_RATE) == (60 * 10**4, 256, 0.1)
    assert (s.MOMENTUM, s.WEIGHT_DECAY, s.PATIENCE) == (0.9, 1e-4, 5)
    assert (s.SHORTER_SIDE, s.IMAGE_SIZE, s.FLIP) == ((256, 480), 224, True)
    assert s.TEST_SIDES == (224, 256, 384, 480, 640) and s.TEST_SIDE == 256
    assert name == s.NETWORK and not hasattr(s, "DROPS")
    assert s.__doc__ and "600,000 iterations of 256 images" in s.__doc__
    assert load(folder(name) / "model.py").__all__ == [class_name(name)]


def test_the_recipe_of_those_who_followed(tmp_path: Path) -> None:
    path = generate_tiny(tmp_path, more="training: imagenet-30-60-90\n")
    s = load(path / "train.py")
    epochs = [k * 256 / 1_281_167 for k in (*s.DROPS, s.ITERATIONS)]
    assert [round(epoch, 3) for epoch in epochs] == [30, 60, 90] and not hasattr(s, "PATIENCE")
    rates = [s.learning_rate(step) for step in (0, s.DROPS[0] - 1, s.DROPS[0], s.DROPS[1])]
    assert rates == [0.1, 0.1, 0.01, 0.001]
    short = [s.learning_rate(step, 90) for step in range(90)]
    assert short == [0.1] * 31 + [0.01] * 29 + [0.001] * 30  # 150,137 is a little over a third
    assert s.__doc__ and "but for iterations and drops." in s.__doc__.splitlines()[0]


def test_other_sizes_keep_the_papers_proportions(tiny_script: ModuleType) -> None:
    s = tiny_script
    assert s.IMAGE_SIZE == 64 and s.SHORTER_SIDE == (73, 137) and s.TEST_SIDE == 73
    assert s.TEST_SIDES == (64, 73, 110, 137, 183)


def test_no_script_where_images_have_other_channels(tmp_path: Path, cli: Callable) -> None:
    path = generate_tiny(tmp_path, more="image_channels: 4\n")
    assert (path / "model.py").is_file() and not (path / "train.py").exists()
    code, _, err = cli("train", tmp_path / "tiny.yaml")
    assert code == 2 and "would read colour images, not 4 channels" in err


def test_the_rate_drops_as_torchs_own_plateau_schedule(
    tiny_script: ModuleType, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s, errors = tiny_script, [50, 40, 41, 40, 40, 40, 40, 39, 39, 38.5, 40, 40, 40, 40, 40, 37]
    shown = iter(errors)
    monkeypatch.setattr(s, "errors", lambda *_: (next(shown), 0.0))
    monkeypatch.setattr(s, "EVALUATE_EVERY", 1)
    monkeypatch.setattr(s.Trainer, "train_step", lambda self, *batch: None)
    flags = f"train.py --data {pictures} --iterations {len(errors)} --batch-size 2 --workers 0"
    monkeypatch.setattr("sys.argv", [*flags.split(), "--out", str(tmp_path)])
    s.main()
    found = [json.loads(li)["lr"] for li in (tmp_path / "metrics.jsonl").read_text().splitlines()]

    optimizer = torch.optim.SGD([torch.zeros(1)], 0.1)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, "min", 0.1, patience=s.PATIENCE - 1, threshold=0
    )
    expected = []
    for error in errors:
        expected.append(round(optimizer.param_groups[0]["lr"], 7))
        schedule.step(error)
    assert found == expected and len(set(found)) == 3


def test_a_crop_is_torchvisions(script: ModuleType, pictures: Path) -> None:
    """Resized to the shorter side, then 224×224 of it: here in one go, from the file's pixels."""
    sample = str(next((pictures / "train/cat").glob("plain*.jpg")))
    with Image.open(sample) as stored:
        whole = stored.convert("RGB")
    for shorter, left, top in ((256, 0.0, 0.0), (300, 0.5, 1.0), (480, 1.0, 0.3)):
        content, label = script.Crop(sample, 7, shorter, left, top, False, [0.0, 0.0, 0.0]).read()
        resized = T.resize(whole, shorter)
        x, y = round(left * (resized.width - 224)), round(top * (resized.height - 224))
        expected = T.pil_to_tensor(T.crop(resized, y, x, 224, 224))
        difference = (content.float() - expected.float()).abs()
        assert content.shape == (3, 224, 224) and label == 7
        assert difference.mean() < 2  # of 255: half a pixel's shift at most


def test_boxes_stay_within_the_image(script: ModuleType) -> None:
    for shorter, left, top in itertools.product((256, 480), (0, 0.999), (0, 0.999)):
        box = script.Crop("", 0, shorter, left, top, False, []).box(500, 375)
        assert 0 <= box[0] < box[2] <= 500 and 0 <= box[1] < box[3] <= 375
        assert math.isclose(box[2] - box[0], 375 * 224 / shorter)


def test_large_files_are_decoded_small_and_never_too_small(
    script: ModuleType, tmp_path: Path
) -> None:
    photograph = Image.radial_gradient("L").resize((2_000, 1_500)).convert("RGB")
    photograph.save(tmp_path / "large.jpg")
    sides = {
        k: script.read_image(str(tmp_path / "large.jpg"), k).size for k in (187, 188, 480, 999)
    }
    assert sides == {187: (250, 188), 188: (500, 375), 480: (1_000, 750), 999: (2_000, 1_500)}
    assert script.read_image(str(tmp_path / "large.jpg")).size == (2_000, 1_500)
    small = T.pil_to_tensor(script.read_image(str(tmp_path / "large.jpg"), 480)).float()
    whole = T.pil_to_tensor(photograph.resize((1_000, 750), Image.Resampling.BOX)).float()
    assert (small - whole).abs().mean() < 1


def test_all_kinds_of_files_come_out_upright_and_in_colour(
    script: ModuleType, pictures: Path
) -> None:
    for path in sorted((pictures / "train").glob("*/*")):
        image = script.read_image(str(path))
        with Image.open(path) as stored:
            turned = stored.getexif().get(0x0112) == 6
        assert image.mode == "RGB" and image.size == (stored.size[::-1] if turned else stored.size)
    turned_path = pictures / "train/cat/turned2.jpg"
    upright = T.pil_to_tensor(script.read_image(str(turned_path)))
    with Image.open(turned_path) as stored:
        by_hand = stored.transpose(Image.Transpose.ROTATE_270)
    assert torch.equal(upright, T.pil_to_tensor(by_hand))


def test_a_turned_photograph_whose_camera_wrote_odd_tags_is_read(
    script: ModuleType, tmp_path: Path
) -> None:
    """Pillow cannot write such tags again, which it would to take the one of the turn out."""
    exif, content = Image.Exif(), io.BytesIO()
    exif[0x0112], exif[0x010F] = 6, "cam"
    Image.new("RGB", (60, 40)).save(content, "JPEG", exif=exif)
    for order in ("little", "big"):
        tag, letters, number = (n.to_bytes(2, order) for n in (0x010F, 2, 0x0101))
        odd = content.getvalue().replace(tag + letters, number + letters)  # a width, as a text
        (tmp_path / f"{order}.jpg").write_bytes(odd)
        assert script.read_image(str(tmp_path / f"{order}.jpg")).size == (40, 60)
    assert script.whole_jpeg(str(tmp_path / "little.jpg")) is None


def test_what_the_gpu_is_given_to_decode(
    script: ModuleType, pictures: Path, tmp_path: Path
) -> None:
    given = {
        p.stem for p in (pictures / "train/cat").iterdir() if script.whole_jpeg(str(p)) is not None
    }
    assert given == {"grey0", "plain4", "plain5"}  # not CMYK, not turned, no PNG
    content = (pictures / "train/cat/plain4.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[:-100])
    assert script.whole_jpeg(str(tmp_path / "cut.jpg")) is None
    Image.new("RGB", (2, 300)).save(tmp_path / "thin.jpg")  # a crop could be of no whole pixel
    assert script.whole_jpeg(str(tmp_path / "thin.jpg")) is None


def batch(script: ModuleType, crops: list[Any], decode: str) -> Any:
    """What the training is given of these crops."""
    images = script.Crops([], 0, decode)
    images.crop = crops.__getitem__
    return images[range(len(crops))]


@pytest.mark.filterwarnings("ignore:The image decoding")  # TorchCodec will have it
def test_crops_that_a_device_decodes_are_those_of_the_cpu(
    script: ModuleType, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchvision's decoder takes a CPU for a device too: the same code as on a GPU."""
    paths = [str(p) for p in sorted((pictures / "train").glob("*/*.jpg"))]
    crops = [
        script.Crop(path, k, 300 + k, 0.3, 0.6, False, [0.0, 0.0, 0.0])
        for k, path in enumerate(paths)
    ]
    files, pixels = batch(script, crops, "gpu"), batch(script, crops, "cpu")
    assert len(files.lengths) == 12 and not pixels.lengths
    assert script.decode(pixels, torch.device("cpu")) is pixels
    places = list(files.lengths)
    monkeypatch.setattr(script, "DECODE_AT_ONCE", 5)
    made = script.decode(files, torch.device("cpu"))
    assert made.pixels.dtype == torch.uint8 and made.pixels.shape == pixels.pixels.shape
    assert not made.lengths
    for k in places:
        crop = made.pixels[k]
        image = script.read_image(paths[k])
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
    script: ModuleType, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted((pictures / "train/cat").glob("*.jpg"))[:5]
    broken = tmp_path / "broken.jpg"  # its beginning and its end look well
    broken.write_bytes(without_tables((pictures / "train/cat/plain4.jpg").read_bytes()))
    crops = [
        script.Crop(str(path), k, 300, 0.2, 0.2, False, [0.0, 0.0, 0.0])
        for k, path in enumerate([*paths, broken])
    ]
    device, whole = torch.device("cpu"), batch(script, crops[:5], "gpu")
    expected = batch(script, crops[:5], "cpu")
    assert len(whole.lengths) == 3

    def poor_decoder(*_: object) -> object:
        raise RuntimeError("not this kind")

    monkeypatch.setattr(script, "decode_jpeg", poor_decoder)
    made = script.decode(whole, device)
    assert torch.equal(made.pixels, expected.pixels)
    assert made.labels.tolist() == [0, 1, 2, 3, 4]
    made = script.decode(batch(script, crops, "gpu"), device)
    assert torch.equal(made.pixels[:5], expected.pixels)
    assert made.labels.tolist() == [0, 1, 2, 3, 4, script.BAD]

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(script, "decode_jpeg", full)
    with pytest.raises(torch.OutOfMemoryError):
        script.decode(whole, device)


def test_random_numbers_are_the_papers(script: ModuleType) -> None:
    images = script.Crops([(str(k), 0) for k in range(1_000)], 0, "cpu")
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


def test_a_place_of_the_run_is_the_same_image_whoever_reads_it(script: ModuleType) -> None:
    samples = [(str(k), k) for k in range(100)]
    images = script.Crops(samples, 5, "cpu")
    whole = [images.crop(place) for place in range(1_000)]
    others = script.Crops(samples, 5, "cpu")
    places = random.Random(0).sample(range(1_000), 300)
    assert [others.crop(place) for place in places] == [whole[place] for place in places]
    of_another_seed = script.Crops(samples, 6, "cpu")
    assert whole != [of_another_seed.crop(place) for place in range(1_000)]


def test_two_steps_are_sgd_on_the_papers_images(tiny_script: ModuleType, tiny: Path) -> None:
    """Mirrored, coloured, centred, and moved by v := 0.9 v + (gradient + 1e-4 w), all by hand."""
    s = tiny_script
    torch.manual_seed(0)
    mean = torch.tensor(s.MEAN)[:, None, None]
    trainer = s.Trainer(["a", "b", "c"], mean, "fp32")
    reference = load(tiny / "model.py").Tiny(num_classes=3)
    reference.load_state_dict(trainer.model.state_dict())
    reference.to(memory_format=torch.channels_last)
    velocity = {key: torch.zeros_like(p) for key, p in reference.named_parameters()}
    start = {key: p.clone() for key, p in reference.named_parameters()}
    pixels = torch.randint(256, (4, 3, 64, 64), dtype=torch.uint8)
    labels, mirrored = torch.tensor([0, 1, 2, 0]), torch.tensor([True, False, True, False])
    alphas = 0.1 * torch.randn(4, 3) * torch.tensor(s.EIGENVALUES)
    crops = [s.Crop("", 0, 300, 0, 0, False, alpha.tolist()) for alpha in alphas]
    colour = batch(s, crops, "cpu").colour
    images = torch.empty(4, 3, 64, 64)
    for k in range(4):
        image = pixels[k].float()
        if mirrored[k]:
            image = T.hflip(image)
        for channel in range(3):
            shift = sum(s.EIGENVECTORS[channel][j] * alphas[k, j] for j in range(3))
            images[k, channel] = image[channel] + 255 * shift - s.MEAN[channel]
    (group,) = trainer.optimizer.param_groups
    assert group["fused"] and not group["nesterov"]
    for rate in (0.1, 0.05):
        group["lr"] = rate
        trainer.sums.zero_()
        trainer.train_step(pixels, labels, mirrored, colour)
        loss, error = trainer.sums
        scores = reference(images.contiguous(memory_format=torch.channels_last))
        expected = torch.nn.functional.cross_entropy(scores, labels)
        reference.zero_grad()
        expected.backward()
        with torch.no_grad():
            for key, p in reference.named_parameters():
                velocity[key] = 0.9 * velocity[key] + p.grad + 1e-4 * p
                p.sub_(rate * velocity[key])
        assert math.isclose(loss, expected.detach(), rel_tol=1e-4)
        assert error == (scores.argmax(1) != labels).float().mean()
        for key, p in trainer.model.named_parameters():
            expected_p = dict(reference.named_parameters())[key]
            assert (p - expected_p).norm() < 1e-2 * (expected_p - start[key]).norm(), key


def test_the_per_pixel_mean_is_made_once_and_kept(
    tiny_script: ModuleType, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    s, path = tiny_script, tmp_path / "means/mean.pt"
    samples = s.open_folder(pictures).train.samples
    made = s.pixel_mean(path, samples, [], READING)
    total = torch.zeros(3, 64, 64)
    for sample, _ in samples:
        image = T.center_crop(T.resize(s.read_image(sample), 73), [64])
        total += T.pil_to_tensor(image)
    assert torch.allclose(made, total / len(samples), atol=1e-3)
    assert "is kept in" in capsys.readouterr().err
    assert torch.equal(s.pixel_mean(path, [], [], READING), made)  # read, not made
    path.write_bytes(b"something else")
    with pytest.raises(SystemExit) as stop:
        s.pixel_mean(path, samples, [], READING)
    assert stop.value.code == 2 and "cannot be read (" in capsys.readouterr().err


def test_recipes_belong_to_their_design(tmp_path: Path) -> None:
    paper = library.recipe("imagenet-paper")
    follow = library.recipe("imagenet-30-60-90")
    assert paper.design == follow.design == "imagenet"
    same = {"name", "iterations", "drops", "patience"}
    assert paper.model_dump(exclude=same) == follow.model_dump(exclude=same)
    for more, words in (
        ("training: cifar-paper\n", "trains networks of the cifar design"),
        ("training: {recipe: imagenet-paper, drops: [10]}\n", "not both"),
        ("training: {recipe: imagenet-paper, shorter_side: [480, 256]}\n", "do not rise"),
        ("training: {recipe: imagenet-paper, shorter_side: [200, 256]}\n", "at least 224"),
        ("training: {recipe: imagenet-paper, padding: 4}\n", "`padding` is not a key"),
    ):
        with pytest.raises(library.Failure) as failure:
            generate_tiny(tmp_path, more=more)
        assert words in failure.value.problems[0].message
    path = generate_tiny(
        tmp_path, more="training: {recipe: imagenet-paper, patience: null, drops: [10]}\n"
    )
    assert load(path / "train.py").DROPS == (10,)
