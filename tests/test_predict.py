"""--predict: what single images are, by the same views as in a test, against torchvision's."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional as T

from conftest import folder, generate_tiny
from resnet_gen.generate.loading import load_folder
from tiny_runs import CLASSES, last_line, runner, save, untrained
from training import main
from weight_files import images, write

Capture = pytest.CaptureFixture[str]
MEAN, STD = [120.0, 115.0, 100.0], [60.0, 61.0, 62.0]


@pytest.fixture(scope="module")
def script(tiny: Path) -> Any:
    return load_folder(tiny)


@pytest.fixture
def run(script: Any, monkeypatch: pytest.MonkeyPatch, signals: None) -> Callable[..., int]:
    return runner(script, monkeypatch)


def table(path: Path, probabilities: torch.Tensor, classes: list[str]) -> str:
    """What is printed of an image."""
    order = probabilities.argsort(descending=True)[:5].tolist()
    lines = [f"{100 * probabilities[k]:8.2f}%  {classes[k]}\n" for k in order]
    return f"{path}\n{''.join(lines)}"


def cropped(path: Path, size: int = 64, shorter: int = 73) -> torch.Tensor:
    """The centre of a picture, as torchvision's own transforms crop it."""
    show = transforms.Compose([transforms.Resize(shorter), transforms.CenterCrop(size)])
    with Image.open(path) as image:
        return T.pil_to_tensor(show(image.convert("RGB")))[None].float()


def test_an_images_classes_are_those_of_its_centre_crop(
    script: Any, tiny: Path, run: Callable, pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    """By a checkpoint, and by weights whose source divided by a standard deviation."""
    model = untrained(tiny, 3).eval()
    shown = sorted((pictures / "val").rglob("*.jpg"))[::4]
    assert script.train.TEST_SIDE == 73
    mean, std = (torch.tensor(each)[:, None, None] for each in (MEAN, STD))
    weights = write(
        tmp_path / "tiny.safetensors", script.train, model.state_dict(),
        classes=CLASSES, input=images(MEAN, STD),
    )  # fmt: skip
    expected = ""
    with torch.inference_mode():
        for path in shown:
            scores = model((cropped(path) - mean) / std)[0]
            expected += table(path, scores.softmax(0), CLASSES)
    assert run("--predict", *shown, "--evaluate", weights) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == (expected, "")
    assert expected.count("%") == 4 * len(shown)

    checkpoint = save(script, model, tmp_path / "best.pt")
    assert run("--predict", shown[0], "--out", tmp_path) == 0  # best.pt of a run, without a name
    by_default = capsys.readouterr().out
    with torch.inference_mode():
        probabilities = model(cropped(shown[0]) - torch.tensor(script.train.MEAN)[:, None, None])
    assert by_default == table(shown[0], probabilities.softmax(1)[0], CLASSES)
    assert run("--predict", shown[0], "--evaluate", checkpoint) == 0
    assert capsys.readouterr().out == by_default


def test_an_ensemble_and_ten_crops(
    script: Any, tiny: Path, run: Callable, pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    models = [untrained(tiny, seed).eval() for seed in (3, 4)]
    paths = [save(script, model, tmp_path / f"{k}.pt") for k, model in enumerate(models)]
    shown = sorted((pictures / "val").rglob("*.jpg"))[1]
    with Image.open(shown) as image:
        crops = T.ten_crop(T.resize(image.convert("RGB"), [73]), [64])
    batch = torch.stack([T.pil_to_tensor(crop) for crop in crops]).float()
    batch -= torch.tensor(script.train.MEAN)[:, None, None]
    with torch.inference_mode():
        made = torch.stack([model(batch).softmax(1).mean(0) for model in models]).mean(0)
    assert run("--predict", shown, "--evaluate", *paths, "--test", "10-crop") == 0
    assert capsys.readouterr().out == table(shown, made, CLASSES)
    other = save(script, models[0], tmp_path / "other.pt", classes=["ape", *CLASSES[1:]])
    assert run("--predict", shown, "--evaluate", paths[0], other) == 2
    words = f"{other} and {paths[0]} have not the same classes: only {other} has ape, only "
    assert words in last_line(capsys)


def test_images_that_do_not_decode_are_named_after_the_others(
    script: Any, tiny: Path, run: Callable, pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    weights = save(script, untrained(tiny, 3), tmp_path / "tiny.pt")
    good = sorted((pictures / "val").rglob("*.jpg"))[0]
    empty, text = tmp_path / "empty.jpg", tmp_path / "text.png"
    empty.write_bytes(b"")
    text.write_text("no image")
    bad = [empty, text, tmp_path / "nowhere.jpg", tmp_path]
    assert run("--predict", bad[0], good, *bad[1:], "--evaluate", weights) == 2
    told = capsys.readouterr()
    assert told.out.splitlines()[0] == str(good) and len(told.out.splitlines()) == 5
    lines = told.err.splitlines()
    assert len(lines) == 5 and lines[4] == "train.py: 4 of 5 images cannot be read"
    for path, line in zip(bad, lines, strict=False):
        assert line.startswith(f"{path} cannot be read as an image: ")


def test_what_there_is_to_predict_by(
    script: Any, tiny: Path, run: Callable, pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    good = sorted((pictures / "val").rglob("*.jpg"))[0]
    assert run("--predict", good, "--out", tmp_path) == 2
    assert f"{tmp_path / 'best.pt'} cannot be read: No such file" in last_line(capsys)
    assert run("--evaluate", tmp_path / "best.pt") == 2
    assert "the following arguments are required: --data" in last_line(capsys)
    weights = write(
        tmp_path / "tiny.safetensors", script.train, untrained(tiny, 3, classes=7).state_dict(),
        input=images(MEAN, STD),
    )  # fmt: skip
    assert run("--predict", good, "--evaluate", weights) == 0
    printed = re.findall(r"^ +([\d.]+)%  class (\d)$", capsys.readouterr().out, re.M)
    assert len(printed) == 5  # of seven, by their numbers where their names are unknown
    assert sorted(printed, key=lambda line: -float(line[0])) == printed


def test_cifars_images_are_resized_as_those_that_it_trains_on(
    pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    net = load_folder(folder("resnet20"))
    torch.manual_seed(0)
    model = net.model.ResNet20(num_classes=2).eval()
    mean = 20 * torch.rand(3, 32, 32) + 100
    weights = write(
        tmp_path / "net.safetensors", net.train, model.state_dict(),
        classes=["cat", "dog"], input=images(mean, STD),
    )  # fmt: skip
    shown = [sorted((pictures / "val" / name).iterdir())[0] for name in ("cat", "flower")]
    expected = ""
    for path in shown:
        with Image.open(path) as image:
            pixels = T.pil_to_tensor(T.resize(image.convert("RGB"), [32, 32]))
        with torch.inference_mode():
            scores = model(((pixels - mean) / torch.tensor(STD)[:, None, None])[None])[0]
        expected += table(path, scores.softmax(0), ["cat", "dog"])
    assert main(net.train, "--predict", *shown, "--evaluate", weights) == 0
    assert capsys.readouterr().out == expected
    (tmp_path / "broken.png").write_bytes(b"")
    assert main(net.train, "--predict", tmp_path / "broken.png", "--evaluate", weights) == 2
    assert "broken.png cannot be read as an image: " in capsys.readouterr().err


def test_own_photographs_fine_tune_in_one_command(
    script: Any, tiny: Path, run: Callable, pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    """From weights of other classes; what comes out is evaluated, and names pictures."""
    many = untrained(tiny, 3, classes=7).state_dict()
    weights = write(tmp_path / "tiny.safetensors", script.train, many, input=images(MEAN, STD))
    out = tmp_path / "run"
    flags = ("--data", pictures, "--iterations", 2, "--out", out)
    assert run(*flags, "--init", weights) == 2
    assert "7 classes, --data 4; --new-head draws the last layer anew" in last_line(capsys)
    assert run(*flags, "--init", weights, "--new-head") == 0
    begun = torch.load(out / "checkpoint.pt", weights_only=True)
    assert begun["mean"].flatten().tolist() == MEAN and begun["classes"] == CLASSES
    capsys.readouterr()
    assert run("--data", pictures, "--evaluate", out / "best.pt") == 0
    assert run("--predict", next((pictures / "val/cat").iterdir()), "--out", out) == 0
    assert run(*flags, "--init", weights, "--new-head", "--resume") == 0


def test_other_weights_of_table_1(
    script: Any, tiny: Path, run: Callable, pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Evaluated together, if their code is beside this one's; begun from only by their own."""
    model, folders = untrained(tiny, 3), [generate_tiny(tmp_path, name) for name in ("one", "two")]
    one, two = (load_folder(path).train for path in folders)
    paths = [
        write(
            tmp_path / f"{train.NETWORK}.safetensors", train, model.state_dict(),
            classes=CLASSES, input=images(MEAN, STD),
        )
        for train in (one, two)
    ]  # fmt: skip
    assert run("--data", pictures, "--evaluate", paths[0]) == 2
    assert f"{paths[0]} is of one, and there is no " in last_line(capsys)
    with pytest.MonkeyPatch.context() as patch:
        assert runner(load_folder(folders[0]), patch)("--data", pictures, "--evaluate", *paths) == 0
    assert capsys.readouterr().out.endswith("top-5: one + two\n")
    bare = write(
        tmp_path / "bare.safetensors", one, model.state_dict(), network="three",
        network_sha256="0" * 64,
    )  # fmt: skip
    arguments = ("--data", pictures, "--out", tmp_path / "run", "--init", bare)
    assert run(*arguments) == 2
    words = f"{bare} is of another network: three, built from another spec than the tiny here"
    assert last_line(capsys) == f"train.py: {words}"
