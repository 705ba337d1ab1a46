"""--evaluate: checkpoints and ensembles, of the right networks, classes and images."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import photographs
from conftest import folder, generate_tiny
from resnet_gen.generate.loading import load_folder
from test_imagenet_tests import photograph, ten_crop
from tiny_runs import CLASSES, last_line, runner, save, untrained

RECIPE = "training: imagenet-30-60-90\n"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def script(tiny: Path) -> Any:
    return load_folder(tiny)


@pytest.fixture
def run(script: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    return runner(script, monkeypatch)


def test_an_ensemble_of_different_networks_in_one_command(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Table 5: the mean of their softmax scores; each network's code stands beside this one's."""
    folders = [generate_tiny(tmp_path, "tiny"), generate_tiny(tmp_path, "larger", blocks=2)]
    scripts = [load_folder(path) for path in folders]
    samples = scripts[0].data.load(pictures).validation.samples
    scores, both = [], []
    for seed, (path, script) in enumerate(zip(folders, scripts, strict=True)):
        model = untrained(path, seed + 3)
        both.append(save(script, model, tmp_path / f"{path.name}.pt"))
        mean = torch.tensor(script.train.MEAN)[:, None, None]
        with torch.inference_mode():
            scores.append(torch.stack([ten_crop(model, photograph(p), mean) for p, _ in samples]))
    labels = torch.tensor([label for _, label in samples])
    run = runner(scripts[0], monkeypatch)

    def evaluated(*arguments: object, data: Path = pictures) -> str:
        capsys.readouterr()
        assert run("--data", data, "--test", "10-crop", "--evaluate", *arguments) == 0
        return capsys.readouterr().out

    expected = 100 * ((scores[0] + scores[1]).argmax(1) != labels).float().mean()
    assert evaluated(*both) == (
        f"10-crop error {expected:.2f}% top-1, 0.00% top-5: tiny + larger\n"
    )
    expected = 100 * (scores[1].argmax(1) != labels).float().mean()
    alone = evaluated(both[1])
    assert f"error {expected:.2f}% top-1" in alone

    data = tmp_path / "data"  # no train/ is needed
    only_test = shutil.copytree(pictures / "val", data / "test")
    (only_test / "cat/broken.jpg").write_bytes(b"")
    with_one_less = alone.replace(" top-5:", " top-5, 1 left out:")
    assert evaluated(both[1], "--skip-bad-images", data=data) == with_one_less
    assert run("--data", data, "--evaluate", both[1]) == 2
    assert "broken.jpg does not decode" in last_line(capsys)

    (folders[1] / "model.py").unlink()
    assert run("--data", pictures, "--evaluate", *both) == 2
    assert f"{both[1]} is of larger, and there is no " in last_line(capsys)


def test_a_checkpoint_of_another_network_is_refused_though_its_keys_fit(
    script: Any, tiny: Path, run: Callable, pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    """As the weights of resnet50_v1_5 fit into resnet50_b, whose strides are elsewhere."""
    model = untrained(tiny, 0)
    other = save(script, model, tmp_path / "other.pt", network_sha256="0" * 64)
    assert run("--data", pictures, "--evaluate", other) == 2
    words = f"{other} is of another network: tiny, built from another spec than the tiny here"
    assert last_line(capsys) == f"train.py: {words}"
    own = save(script, model, tmp_path / "own.pt", spec_sha256="another recipe")
    assert run("--data", pictures, "--evaluate", own, own) == 0
    assert run("--data", pictures, "--evaluate", own, other) == 2  # in an ensemble too


def test_an_ensembles_networks_are_those_of_the_folders_beside(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Their checkpoints are checked by the hash of their own folder, not of this one."""
    here, beside = generate_tiny(tmp_path, "tiny"), generate_tiny(tmp_path, "other")
    run, other = runner(load_folder(here), monkeypatch), load_folder(beside)
    assert other.train.NETWORK_SHA256 == load_folder(here).train.NETWORK_SHA256  # but for the name
    path = save(other, untrained(beside, 0), tmp_path / "other.pt")
    assert run("--data", pictures, "--evaluate", path) == 0
    assert "top-5: other\n" in capsys.readouterr().out
    train = beside / "train.py"
    train.write_text(train.read_text().replace(other.train.NETWORK_SHA256, "0" * 64))
    assert run("--data", pictures, "--evaluate", path) == 2
    assert "is of another network: other, built from another spec" in last_line(capsys)


def test_the_hash_knows_strides_and_not_recipes(tmp_path: Path) -> None:
    scripts = [load_folder(folder(name)) for name in ("resnet50_b", "resnet50_v1_5")]
    one, other = (getattr(s.model, s.model.__all__[0])().state_dict() for s in scripts)
    assert one.keys() == other.keys()
    assert len({s.train.NETWORK_SHA256 for s in scripts}) == 2
    paths = [generate_tiny(tmp_path, "tiny"), generate_tiny(tmp_path, "later", RECIPE)]
    tiny, later = (load_folder(path).train for path in paths)
    assert tiny.NETWORK_SHA256 == later.NETWORK_SHA256 and tiny.SPEC_SHA256 != later.SPEC_SHA256


def test_other_classes_are_named(
    script: Any, tiny: Path, run: Callable, pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    dogs = ["coffee", "dog", "flower", "temple"]
    path = save(script, untrained(tiny, 0), tmp_path / "dogs.pt", classes=dogs)
    assert run("--data", pictures, "--evaluate", path) == 2
    message = last_line(capsys)
    assert f"only {path} has dog" in message and f"only {pictures / 'val'} has cat" in message
    path = save(script, untrained(tiny, 0), tmp_path / "order.pt", classes=CLASSES[::-1])
    assert run("--data", pictures, "--evaluate", path) == 2
    assert "the same classes in another order" in last_line(capsys)


def test_what_is_tested_on(
    script: Any, tiny: Path, run: Callable, tmp_path: Path, capsys: Capture
) -> None:
    """test/, or val/ where there is none or ImageNet's, which has no classes."""
    path = save(script, untrained(tiny, 0), tmp_path / "tiny.pt")
    data = photographs.make(tmp_path / "data", train=0, validation=1, test=2)

    def tested(data: object) -> str:
        assert run("--data", data, "--evaluate", path) == 0
        return capsys.readouterr().out

    eighths = tested(data)
    assert tested(f"{data}/") == eighths == tested(shutil.copytree(data, tmp_path / "copy"))
    shutil.rmtree(data / "test/cat")
    assert run("--data", data, "--evaluate", path) == 2
    assert f"{data / 'test'} have not the same classes" in last_line(capsys)
    shutil.rmtree(data / "test")
    (data / "test").mkdir()
    (data / "test/1.jpg").write_bytes(b"")
    quarters = {f"{k:.2f}%" for k in range(0, 101, 25)}
    assert tested(data).split()[2] in quarters
    flat = tmp_path / "flat"
    (flat / "val").mkdir(parents=True)
    (flat / "val/1.jpg").write_bytes(b"")
    assert run("--data", flat, "--evaluate", path) == 2
    assert last_line(capsys) == "val/ has 1 files and no folders of classes; there is no test/"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda saved: b"no checkpoint", "cannot be read: it is damaged, or no checkpoint"),
        (lambda saved: saved["model"], "is no checkpoint of a network"),
        (lambda saved: {k: v for k, v in saved.items() if k != "classes"}, "lacks classes"),
        (lambda saved: {**saved, "model": {}}, "it lacks bn1.bias"),
        (lambda saved: {**saved, "network": "../tiny"}, "is of ../tiny, and there is no"),
        (lambda saved: {**saved, "network": "a" * 300}, f"is of {'a' * 80}, and there is no"),
        (lambda saved: {**saved, "network": "\x1b\x00"}, "is of \\x1b\\x00, and there is no"),
        (lambda saved: {**saved, "mean": 5}, "has no mean image"),
        (lambda saved: {**saved, "mean": torch.zeros(3)}, "has no mean of red, green and blue"),
        (lambda saved: {**saved, "mean": torch.ones(3, 1, 1) / 0}, "has no mean of red"),
        (lambda saved: {**saved, "classes": ["cat", "dog"]}, "have not the same classes"),
        (
            lambda saved: {
                **saved,
                "model": {f"_orig_mod.{k}": v for k, v in saved["model"].items()},
            },
            "is of a compiled model",
        ),
    ],
)
def test_odd_checkpoints_are_told_in_a_sentence(
    script: Any, tiny: Path, run: Callable, pictures: Path, tmp_path: Path, capsys: Capture,
    change: Callable, words: str,
) -> None:  # fmt: skip
    path = save(script, untrained(tiny, 0), tmp_path / "odd.pt")
    changed = change(torch.load(path, weights_only=True))
    path.write_bytes(changed) if isinstance(changed, bytes) else torch.save(changed, path)
    assert run("--data", pictures, "--evaluate", path) == 2
    assert words in last_line(capsys)
