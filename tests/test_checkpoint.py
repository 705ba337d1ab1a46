"""Checkpoints that are damaged, changed, or of something else: one sentence, exit code 2."""

from __future__ import annotations

import pickle
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from conftest import folder
from resnet_gen.generate.loading import load_folder
from training import DIGITS, equal, files, main, state

FLAGS = [*DIGITS, "--iterations", 2]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def net() -> Any:
    return load_folder(folder("resnet20"))


@pytest.fixture(scope="module")
def made(net: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two steps."""
    out = tmp_path_factory.mktemp("made")
    assert main(net.train, *FLAGS, "--out", out) == 0
    (out / "results.json").unlink()
    return out


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    for name, content in files(made).items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def change(path: Path, **entries: object) -> None:
    """Other values for some keys of a checkpoint; None takes the key away."""
    changed = {**torch.load(path, weights_only=True), **entries}
    torch.save({key: value for key, value in changed.items() if value is not None}, path)


def change_model(path: Path, change: Callable[[dict], dict]) -> None:
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["model"] = change(checkpoint["model"])
    torch.save(checkpoint, path)


def short_momentum(path: Path) -> None:
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["optimizer"]["state"][0]["momentum_buffer"] = torch.zeros(3)
    torch.save(checkpoint, path)


def lose_momentum(path: Path) -> None:
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["optimizer"]["state"][3]
    torch.save(checkpoint, path)


def change_progress(path: Path, **figures: object) -> None:
    progress = torch.load(path, weights_only=True)["progress"]
    change(path, progress={**progress, **figures})


def change_group(path: Path, **values: object) -> None:
    optimizer = torch.load(path, weights_only=True)["optimizer"]
    optimizer["param_groups"][0] |= values
    change(path, optimizer=optimizer)


def bias(value: torch.Tensor) -> Callable[[Path], None]:
    """Other numbers for fc.bias."""
    return lambda path: change_model(path, lambda m: {**m, "fc.bias": value})


class Harm:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("harm"),)


OF_BOTH: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:-1000]), "cannot be read"),
    "empty": (lambda path: path.write_bytes(b""), "cannot be read"),
    "a text": (lambda path: path.write_text("checkpoint"), "it is damaged, or no checkpoint"),
    "code": (lambda path: path.write_bytes(pickle.dumps(Harm())), "cannot be read"),
    "code in a zip": (lambda path: torch.save(Harm(), path), "cannot be read"),
    "weights alone": (lambda path: torch.save({"fc.bias": torch.zeros(10)}, path), "no checkpoint"),
    "a list": (lambda path: torch.save([1, 2], path), "no checkpoint of a network"),
    "a network 5": (lambda path: change(path, network=5), "no checkpoint of a network"),
    "lacks same": (lambda path: change(path, same=None), "is of resnet20, but lacks same"),
    "lacks model": (lambda path: change(path, model=None), "is of resnet20, but lacks model"),
    "lacks the hash": (lambda path: change(path, network_sha256=None), "lacks network_sha256"),
    "progress 5": (lambda path: change(path, progress=5), "at which step"),
    "step x": (lambda path: change(path, progress={"step": "x"}), "at which step"),
    "classes 5": (lambda path: change(path, classes=5), "the names of classes"),
    "classes of numbers": (lambda path: change(path, classes=[1, 2]), "the names of classes"),
    "model 5": (lambda path: change(path, model=5), "has no weights by their names"),
    "compiled": (
        lambda path: change_model(path, lambda m: {f"_orig_mod.{k}": v for k, v in m.items()}),
        "is of a compiled model: take '_orig_mod.' off the beginning of its keys",
    ),
    "other keys": (
        lambda path: change_model(path, lambda m: {k: v for k, v in m.items() if k != "fc.bias"}),
        "does not have this network's weights: it lacks fc.bias",
    ),
    "other shapes": (
        lambda path: change_model(path, lambda m: {**m, "fc.bias": torch.zeros(11)}),
        "has fc.bias of shape (11,), where this network's is (10,)",
    ),
    "no tensors": (
        lambda path: change_model(path, lambda m: {**m, "fc.bias": 3}),
        "has fc.bias of shape ()",
    ),
    "no numbers": (bias(torch.zeros(10, device="meta")), "it holds tensors without numbers"),
    "a sparse tensor": (bias(torch.zeros(10).to_sparse()), "cannot be read"),
    "complex numbers": (bias(torch.zeros(10, dtype=torch.complex64)), "of a kind that scripts"),
    "one number for a billion": (
        lambda path: change(path, more=torch.zeros(1).expand(10**9)),
        "of a kind that scripts never save",
    ),
    "whole numbers": (bias(torch.zeros(10, dtype=torch.int8)), "has fc.bias of torch.int8, where"),
    "not finite": (bias(torch.full((10,), torch.nan)), "has weights that are not finite"),
}
OF_RESUME: dict[str, tuple[Callable[[Path], object], str]] = {
    "lacks rng": (lambda path: change(path, rng=None), "cannot be resumed: it lacks 'rng'"),
    "lacks sums": (lambda path: change(path, sums=None), "cannot be resumed: it lacks 'sums'"),
    "lacks optimizer": (lambda path: change(path, optimizer=None), "it lacks 'optimizer'"),
    "optimizer 5": (lambda path: change(path, optimizer=5), "cannot be resumed: "),
    "no parameters": (
        lambda path: change(path, optimizer={"state": {}, "param_groups": []}),
        "cannot be resumed: ",
    ),
    "short momentum": (short_momentum, "its momentum is not of the weights' shapes"),
    "momentum of some": (lose_momentum, "it lacks 'momentum_buffer'"),
    "another momentum": (lambda path: change_group(path, momentum="x"), "has momentum x, not 0.9"),
    "a negative step": (lambda path: change_progress(path, step=-1), "no number of steps"),
    "a true step": (lambda path: change_progress(path, step=True), "no number of steps"),
    "a late line": (lambda path: change_progress(path, line={"step": 9}), "of a later step"),
    "a late step": (lambda path: change_progress(path, step=3), "is of a step after the last, 2"),
    "too many bytes": (lambda path: change_progress(path, metrics_bytes=10**30), "no number of"),
    "seconds of text": (lambda path: change_progress(path, seconds="x"), "'x' where a figure"),
    "best of nan": (lambda path: change_progress(path, best=float("nan")), "nan where a figure"),
    "a colour as its name": (
        lambda path: change(path, network="\x1b[31m"),
        "is of \\x1b[31m by another spec",
    ),
    "rng of floats": (lambda path: change(path, rng=torch.zeros(9)), "cannot be resumed: "),
    "more progress": (lambda path: change(path, progress={"step": 2, "x": 1}), "resumed: "),
    "line 5": (lambda path: change(path, progress={"step": 2, "line": 5}), "cannot be resumed: "),
    "same 5": (lambda path: change(path, same=5), "does not say which run it is of"),
    "a tensor in same": (lambda path: change(path, same={"seed": torch.zeros(3)}), "with seed "),
    "another spec": (lambda path: change(path, spec_sha256="0" * 64), "by another spec than"),
    "another network": (lambda path: change(path, network="resnet32"), "is of resnet32 by another"),
}
OF_EVALUATE: dict[str, tuple[Callable[[Path], object], str]] = {
    "lacks mean": (lambda path: change(path, mean=None), "lacks mean"),
    "mean 5": (lambda path: change(path, mean=5), "no mean image"),
    "a mean of truths": (
        lambda path: change(path, mean=torch.zeros(3, 32, 32, dtype=torch.bool)),
        "no mean image",
    ),
    "a grey mean": (lambda path: change(path, mean=torch.zeros(1, 32, 32)), "no mean image"),
    "another network": (lambda path: change(path, network_sha256="0" * 64), "of another network"),
    "other classes": (
        lambda path: change(path, classes=[*"abcdefghij"]),
        "checkpoint.pt and the data have not the same classes: only ",
    ),
    "classes in another order": (
        lambda path: change(path, classes=[*"1023456789"]),
        "checkpoint.pt and the data have the same classes in another order",
    ),
}


def sentence(capfd: Capture) -> str:
    """What is said, which is one sentence."""
    told = capfd.readouterr()
    said = [line for line in told.err.splitlines() if "test images of" not in line]
    assert len(said) == 1 and said[0].startswith("train.py: ") and not told.out, told
    return said[0]


@pytest.mark.parametrize("what", [*OF_BOTH, *OF_RESUME])
def test_what_cannot_be_resumed(net: Any, copy: Path, capfd: Capture, what: str) -> None:
    damage, words = {**OF_BOTH, **OF_RESUME}[what]
    damage(copy / "checkpoint.pt")
    before = files(copy)
    assert main(net.train, *FLAGS, "--out", copy, "--resume") == 2
    assert words in sentence(capfd)
    assert files(copy) == before and not Path("harm").exists()


@pytest.mark.parametrize("what", [*OF_BOTH, *OF_EVALUATE])
def test_what_cannot_be_evaluated(net: Any, copy: Path, capfd: Capture, what: str) -> None:
    damage, words = {**OF_BOTH, **OF_EVALUATE}[what]
    path = copy / "checkpoint.pt"
    damage(path)
    assert main(net.train, "--data", "digits", "--evaluate", path) == 2
    assert words in sentence(capfd)
    assert not Path("harm").exists()


def test_a_flipped_bit_is_told_or_carries_nothing(
    net: Any, made: Path, tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At random places, half of them among the names and numbers of the zip, not the weights."""
    whole, path = (made / "checkpoint.pt").read_bytes(), tmp_path / "flipped.pt"
    expected = state(made)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    places, refused = random.Random(0), 0
    first, size = whole.index(b"PK\x03\x04", 100), len(whole)
    ends = [*range(first), *range(size - 22_000, size)]  # the first record; the central directory
    for n in range(300):
        place = places.choice(ends) if n % 2 else places.randrange(size)
        flipped = bytearray(whole)
        flipped[place] ^= 1 << places.randrange(8)
        path.write_bytes(flipped)
        try:
            found = net.checkpoint.read_checkpoint(path, torch.device("cpu"))
        except SystemExit as stop:
            assert stop.code == 2 and str(path) in sentence(capfd)
            refused += 1
        else:
            assert equal(found, expected), place
    assert refused > 150
    directory = whole.rindex(b"PK\x01\x02")  # a bit of its attributes: torch reads a folder
    flipped = bytearray(whole)
    flipped[directory + 38] ^= 0x10
    path.write_bytes(flipped)
    with pytest.raises(SystemExit):
        net.checkpoint.read_checkpoint(path, torch.device("cpu"))
    assert "is damaged, in its part archive/" in sentence(capfd)


def scripts(root: Path, cli: Callable, **specs: str) -> dict[str, ModuleType]:
    """Training scripts of ResNet-20 with some lines more."""
    for name, more in specs.items():
        text = f"name: {name}\ndesign: cifar\ndepth: 20\nshortcut: A\n{more}\n"
        (root / f"{name}.yaml").write_text(text)
        done = cli("generate", f"{name}.yaml")
        assert done.code == 0, done.err
    return {name: load_folder(root / "generated/cifar" / name).train for name in specs}


def test_evaluate_asks_for_the_network_and_resume_for_the_recipe_too(
    net: Any, made: Path, project: Path, cli: Callable, capfd: Capture
) -> None:
    """Padding on both sides has the same keys; another recipe makes the same network."""
    path = made / "checkpoint.pt"
    made_of = scripts(
        project,
        cli,
        both="zero_padding: both",
        faster="training: {recipe: cifar-paper, learning_rate: 0.2}",
    )
    capfd.readouterr()
    weights = made_of["both"].model.__dict__[made_of["both"].model.__all__[0]]().state_dict()
    assert weights.keys() == state(made)["model"].keys()
    assert main(made_of["both"], "--data", "digits", "--evaluate", path) == 2
    assert "is of another network: resnet20, built from another spec" in sentence(capfd)

    assert main(net.train, "--data", "digits", "--evaluate", path) == 0
    own = capfd.readouterr().out
    assert main(made_of["faster"], "--data", "digits", "--evaluate", path) == 0
    assert capfd.readouterr().out == own.replace("resnet20", "faster")
    arguments = (*FLAGS, "--out", made, "--resume")
    assert main(made_of["faster"], *arguments) == 2
    assert "is of resnet20 by another spec than that of this faster" in sentence(capfd)
