"""What the CIFAR scripts read: the official files, or a folder of images; and what can be wrong."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torchvision.transforms.functional as T
from PIL import Image

from conftest import folder, image_folder
from resnet_gen.generate.loading import load_folder
from training import main, run, state

Capture = pytest.CaptureFixture[str]
COLOUR = (3, 32, 32)
SMALL = ("--batch-size", 4, "--iterations", 3)


@pytest.fixture(scope="module")
def net() -> Any:
    return load_folder(folder("plain20"))


@pytest.fixture(scope="module")
def script(net: Any) -> ModuleType:
    return net.data


def cifar_like(root: Path) -> dict[str, list]:
    """Files in the official layout with few images; their md5 sums for torchvision to check."""
    import hashlib
    import pickle

    import numpy as np

    root = root / "cifar-10-batches-py"
    root.mkdir(parents=True)
    generator = np.random.default_rng(0)
    sums = {}
    names = [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]
    for name in names:
        labels = [int(label) for label in generator.permutation(20) % 10]
        data = generator.integers(0, 256, (20, 3072), dtype=np.uint8)
        content = pickle.dumps({"data": data, "labels": labels})
        (root / name).write_bytes(content)
        sums[name] = hashlib.md5(content).hexdigest()
    meta = pickle.dumps({"label_names": [str(k) for k in range(10)]})
    (root / "batches.meta").write_bytes(meta)
    return {
        "train_list": [[name, sums[name]] for name in names[:5]],
        "test_list": [[names[5], sums[names[5]]]],
        "meta": {
            "filename": "batches.meta",
            "key": "label_names",
            "md5": hashlib.md5(meta).hexdigest(),
        },
    }


def test_cifar10_is_read_from_torchvisions_files(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in cifar_like(tmp_path).items():
        monkeypatch.setattr(script.datasets.CIFAR10, key, value)
    _, classes, train, validation, test = script.load("cifar10", tmp_path, COLOUR)
    assert train.pixels.shape == (100, 3, 32, 32) and test.pixels.shape == (20, 3, 32, 32)
    assert validation is None and classes == [str(k) for k in range(10)]
    first = script.datasets.CIFAR10(tmp_path, train=True)[0]
    assert torch.equal(train.pixels[0], T.pil_to_tensor(first[0])) and train.labels[0] == first[1]


def test_without_data_and_without_a_network_it_says_what_to_do(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr(script.datasets.CIFAR10, "url", "http://127.0.0.1:9/cifar.tar.gz")
    with pytest.raises(SystemExit) as stop:
        script.load("cifar10", tmp_path, COLOUR)
    told = capsys.readouterr().err
    assert stop.value.code == 4
    assert "could not be downloaded" in told and "Put cifar-10-python.tar.gz there" in told
    assert "digits needs no download" in told


def test_damaged_and_incomplete_data_are_told_by_name(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr("sys.argv", ["train.py"])
    for key, value in cifar_like(tmp_path).items():
        monkeypatch.setattr(script.datasets.CIFAR10, key, value)
    monkeypatch.setattr(script.datasets.CIFAR10, "url", "http://127.0.0.1:9/cifar.tar.gz")
    batch = tmp_path / "cifar-10-batches-py/data_batch_3"
    content = batch.read_bytes()
    for damaged in (content[:-7], content[:-1] + b"x", b""):
        batch.write_bytes(damaged)
        with pytest.raises(SystemExit) as stop:
            script.load("cifar10", tmp_path, COLOUR)
        told = capsys.readouterr().err
        assert stop.value.code == 2
        assert told == f"train.py: {batch} is damaged or incomplete: delete it and run this again\n"
        assert batch.read_bytes() == damaged
    batch.unlink()
    with pytest.raises(SystemExit) as stop:
        script.load("cifar10", tmp_path, COLOUR)
    told = capsys.readouterr().err
    assert stop.value.code == 4 and "cifar10 is not complete in" in told


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    data = image_folder(tmp_path / "pets")
    picture = data / "train/cat/3.png"
    picture.write_bytes(picture.read_bytes()[:50])
    done = run("plain20", "--data", data, "--out", tmp_path / "run", "--iterations", 3)
    assert done.returncode == 2
    assert done.stderr.startswith(f"train.py: {picture} cannot be read as an image: ")
    assert len(done.stderr.splitlines()) == 1 and not (tmp_path / "run").exists()


def test_a_folder_of_images(net: Any, tmp_path: Path, capsys: Capture) -> None:
    data, out = image_folder(tmp_path / "pets"), tmp_path / "run"
    (data / "train/cat/film.gif").touch()
    assert main(net.train, "--data", data, "--out", out, *SMALL) == 0
    ignored, images = capsys.readouterr().err.splitlines()[:2]
    assert ignored.startswith("ignored: 1 .gif; ")
    assert images == "11 training, 1 validation and 12 test images of 2 classes"
    assert state(out)["model"]["fc.bias"].shape == (2,)
    assert state(out)["classes"] == ["cat", "dog"]


@pytest.mark.parametrize("flags", [("--batch-size", 2), ("--batch-size", 100_000)])
def test_one_training_image_is_too_few_to_hold_one_out(tmp_path: Path, flags: tuple) -> None:
    data = image_folder(tmp_path / "pets")
    for path in (*data.glob("train/*/[1-9].png"), data / "train/cat/0.png"):
        path.unlink()
    for part in ("train", "val"):
        shutil.rmtree(data / part / "cat")
    arguments = ("--data", data, "--out", tmp_path / "run", *flags, "--iterations", 2)
    done = run("plain20", *arguments, timeout=60)
    assert done.returncode == 2
    last = "train.py: there is 1 training image: too few to hold one out (--full-train holds none)"
    assert done.stderr.splitlines() == [last]


def test_batches_larger_than_the_data_are_made_at_once(script: ModuleType) -> None:
    """One image, and a batch that shows it a hundred thousand times: no loop without an end."""
    (batch,) = {len(next(script.batches(1, 100_000, 0, torch.device("cpu"))))}
    assert batch == 100_000


# ---- The data are the classes, not how their folder is called (T2, T8) ---------------------------


@pytest.fixture(scope="module")
def trained(net: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder, and below it a run on it."""
    root = tmp_path_factory.mktemp("trained")
    image_folder(root / "pets")
    assert main(net.train, "--data", "pets", "--root", root, "--out", root / "run", *SMALL) == 0
    return root


def test_the_same_data_may_be_spelt_otherwise_and_be_elsewhere(
    net: Any, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    shutil.copytree(trained / "pets", tmp_path / "animals")
    monkeypatch.chdir(trained)
    errors = set()
    for data in ("pets", "pets/", "./pets", trained / "pets", tmp_path / "animals"):
        capsys.readouterr()
        assert main(net.train, "--data", data, "--evaluate", trained / "run/checkpoint.pt") == 0
        errors.add(capsys.readouterr().out)
        (tmp_path / "run").mkdir(exist_ok=True)
        for name in ("checkpoint.pt", "metrics.jsonl"):
            shutil.copy(trained / "run" / name, tmp_path / "run" / name)
        resumed = ("--data", data, "--out", tmp_path / "run", *SMALL, "--resume")
        assert main(net.train, *resumed) == 0
    assert len(errors) == 1


@pytest.mark.parametrize("renamed", [("cat", "eel"), ("cat", "zebra")])
def test_renamed_classes_are_told(
    net: Any, trained: Path, tmp_path: Path, capsys: Capture, renamed: tuple[str, str]
) -> None:
    """In their old order or another: a label is a name, not a number."""
    data = shutil.copytree(trained / "pets", tmp_path / "pets")
    for part in ("train", "val"):
        (data / part / renamed[0]).rename(data / part / renamed[1])
    capsys.readouterr()
    assert main(net.train, "--data", data, "--evaluate", trained / "run/checkpoint.pt") == 2
    checkpoint = trained / "run/checkpoint.pt"
    words = f"{checkpoint} and the data have not the same classes: only {checkpoint} has cat, "
    assert words + f"only the data has {renamed[1]}" in capsys.readouterr().err
    resumed = ("--data", data, "--out", trained / "run", *SMALL, "--resume")
    assert main(net.train, *resumed) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.endswith(f"is of a run with classes cat, not {renamed[1]}")


def test_other_images_of_the_same_classes_are_tested_but_not_trained_on(
    net: Any, trained: Path, tmp_path: Path, capsys: Capture
) -> None:
    data = shutil.copytree(trained / "pets", tmp_path / "pets")
    (data / "train/cat/0.png").unlink()
    assert main(net.train, "--data", data, "--evaluate", trained / "run/checkpoint.pt") == 0
    resumed = ("--data", data, "--out", trained / "run", *SMALL, "--resume")
    assert main(net.train, *resumed) == 2
    assert "is of a run with training images 11, not 10" in capsys.readouterr().err
    Image.new("RGB", (40, 24), (255, 255, 255)).save(data / "train/cat/0.png")  # as many, others
    assert main(net.train, *resumed) == 2
    words = "cannot be resumed: its mean image is not that of these training images"
    assert words in capsys.readouterr().err


def test_evaluating_needs_no_training_images(
    net: Any, trained: Path, tmp_path: Path, capsys: Capture
) -> None:
    shutil.copytree(trained / "pets/val", tmp_path / "pets/test")
    checkpoint = trained / "run/checkpoint.pt"
    assert main(net.train, "--data", tmp_path / "pets", "--evaluate", checkpoint) == 0
    assert capsys.readouterr().out.startswith("test error ")
    assert main(net.train, "--data", "digits", "--evaluate", checkpoint) == 2
    assert f"only {checkpoint} has cat, dog, only the data has 0, 1" in capsys.readouterr().err
