"""What the CIFAR scripts read: the official files, or a folder of images; and what can be wrong."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torchvision.transforms.functional as T

from conftest import folder, image_folder, load
from test_train_runs import run


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load(folder("resnet20") / "train.py")


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
    train, test = script.load("cifar10", tmp_path)
    assert train.pixels.shape == (100, 3, 32, 32) and test.pixels.shape == (20, 3, 32, 32)
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
        script.load("cifar10", tmp_path)
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
    for key, value in cifar_like(tmp_path).items():
        monkeypatch.setattr(script.datasets.CIFAR10, key, value)
    monkeypatch.setattr(script.datasets.CIFAR10, "url", "http://127.0.0.1:9/cifar.tar.gz")
    batch = tmp_path / "cifar-10-batches-py/data_batch_3"
    content = batch.read_bytes()
    for damaged in (content[:-7], content[:-1] + b"x", b""):
        batch.write_bytes(damaged)
        with pytest.raises(SystemExit) as stop:
            script.load("cifar10", tmp_path)
        told = capsys.readouterr().err
        assert stop.value.code == 2
        assert told == f"resnet20: {batch} is damaged or incomplete: delete it and run this again\n"
        assert batch.read_bytes() == damaged
    batch.unlink()
    with pytest.raises(SystemExit) as stop:
        script.load("cifar10", tmp_path)
    told = capsys.readouterr().err
    assert stop.value.code == 4 and "cifar10 is not complete in" in told


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    data = image_folder(tmp_path / "pets")
    picture = data / "train/cat/3.png"
    for damaged in (picture.read_bytes()[:50], b"no picture"):
        picture.write_bytes(damaged)
        done = run("plain20", "--data", data, "--out", tmp_path / "run", "--iterations", 3)
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert done.stderr.startswith(f"plain20: {picture} cannot be read as an image")
    assert not (tmp_path / "run").exists()


def test_a_folder_of_images(tmp_path: Path) -> None:
    data = image_folder(tmp_path / "pets")
    out = tmp_path / "run"
    arguments = ("--data", data, "--out", out, "--iterations", 3, "--batch-size", 4)
    done = run("plain20", *arguments)
    assert done.returncode == 0, done.stderr
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    assert state["model"]["fc.bias"].shape == (2,)


def test_test_comes_before_val(script: ModuleType, tmp_path: Path) -> None:
    data = image_folder(tmp_path / "pets", ("train", "val", "test"))
    shutil.rmtree(data / "test/cat")
    with pytest.raises(SystemExit):  # test/ lacks a class; val/ would have them all
        script.load(str(data), tmp_path)
