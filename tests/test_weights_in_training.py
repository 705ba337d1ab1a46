"""CIFAR's scripts evaluate weights of safetensors, and begin from weights: --init, --new-head."""

from __future__ import annotations

import os
import signal
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from conftest import folder, image_folder
from resnet_gen.generate.loading import load_folder
from resnet_gen.read import library
from training import equal, lines, main, results, state
from weight_files import images, write
from weights_in_training import BRIEF, TEN, Capture, evaluated, refused, sha256, whole

STD = [63.0, 62.1, 66.7]


@pytest.fixture(scope="module")
def net() -> Any:
    return load_folder(folder("resnet20"))


@pytest.fixture(scope="module")
def trained(net: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned something of digits."""
    out = tmp_path_factory.mktemp("trained") / "run"
    flags = ("--data", "digits", "--batch-size", 32, "--iterations", 60)
    assert main(net.train, *flags, "--out", out) == 0
    return out


@pytest.fixture(scope="module")
def learned(trained: Path) -> dict[str, Any]:
    return state(trained)


# ---- --evaluate ----------------------------------------------------------------------------------


def test_weights_have_the_error_of_their_checkpoint(
    net: Any, trained: Path, learned: dict, tmp_path: Path, capsys: Capture
) -> None:
    expected = evaluated(net, trained / "checkpoint.pt", capsys)
    assert expected.endswith(": resnet20 after 60 iterations\n")
    error = expected.split(": ")[0]
    assert error != "test error 90.00%"
    path = whole(net, tmp_path / "net.safetensors", learned)
    same = f"{error}: resnet20 with the weights of net.safetensors\n"
    assert evaluated(net, path, capsys) == same
    path = write(path, net.train, learned["model"], input=images(learned["mean"], [1.0] * 3))
    assert evaluated(net, path, capsys) == same  # of classes that are unknown, as many


@pytest.mark.parametrize("per_pixel", [False, True])
def test_what_the_source_subtracted_and_divided_by_is_done_here(
    net: Any, learned: dict, tmp_path: Path, per_pixel: bool
) -> None:
    """The scores are those of the file's own weights on images as their source had them."""
    mean = learned["mean"] if per_pixel else learned["mean"].mean(dim=(1, 2))
    path = whole(net, tmp_path / "net.safetensors", learned, input=images(mean, STD))
    weights = net.weights.read_weights(path, torch.device("cpu"))
    shape = (3, 32, 32)
    trainer = net.train.Trainer(weights.names(), weights.mean_of(shape), "fp32")
    weights.put_into(trainer.model)
    pixels = torch.randint(256, (4, *shape), dtype=torch.uint8)
    plain = net.model.ResNet20()
    plain.load_state_dict(learned["model"])
    std = torch.tensor(STD)[:, None, None]
    expected = plain.eval()((pixels - mean.reshape(3, *mean.shape[1:] or (1, 1))) / std)
    with torch.no_grad():
        found = trainer.scores(pixels) if trainer.model.eval() else None
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("drop", "more", "words"),
    [
        (("format",), {}, "does not say in its metadata which network it is of: `resnet-gen"),
        ((), {"format": "pt"}, "--to NETWORK -o OUT` writes them"),
        (("network_sha256",), {}, "lacks network_sha256 in its metadata"),
        (("input",), {}, "does not say which mean was subtracted from its images"),
        ((), {"input": "x"}, "has metadata that cannot be read: Expecting value"),
        ((), {"input": [1]}, "has metadata that cannot be read: "),
        ((), {"input": {"order": "rgb", "mean": [1, 2, 3]}}, "cannot be read: `input` lacks 'std'"),
        ((), {"input": images([1, 2, 3], STD, "bgr")}, "images in the order bgr, where this"),
        ((), {"input": images([1.0], [1.0])}, "`input` is not of as many channels as conv1"),
        ((), {"input": images([1, 2, 3], [1, 0, 1])}, "a standard deviation that cannot be"),
        ((), {"input": images([1, 2, float("nan")], STD)}, "a standard deviation that cannot be"),
        ((), {"input": images([[1, 2], [3]], STD)}, "has metadata that cannot be read: "),
        ((), {"input": images(torch.zeros(3, 4, 4), STD)}, "no mean image of shape (3, 32, 32)"),
        ((), {"classes": "x"}, "has metadata that cannot be read: Expecting value"),
        ((), {"classes": [1, 2]}, "`classes` is no list of names"),
        ((), {"classes": [*"abcdefghij"]}, "and the data have not the same classes: only "),
        ((), {"classes": TEN[::-1]}, "have the same classes in another order"),
        ((), {"new_head": "fc was left out"}, "has no last layer: train one by --init"),
    ],
)
def test_what_is_not_evaluated(
    net: Any, learned: dict, tmp_path: Path, capsys: Capture,
    drop: tuple[str, ...], more: dict, words: str,
) -> None:  # fmt: skip
    path = whole(net, tmp_path / "net.safetensors", learned, drop=drop, **more)
    told = refused(net, capsys, "--data", "digits", "--evaluate", path)
    assert str(path) in told and words in told


def test_files_of_the_package_are_evaluated_and_begun_from(
    net: Any, trained: Path, tmp_path: Path, capfd: Capture, cli: Callable
) -> None:
    """What `weights import` makes of a checkpoint, with and without its last layer."""
    expected = evaluated(net, trained / "checkpoint.pt", capfd).split(": ")[0]
    made = ["weights", "import", trained / "checkpoint.pt", "--to", "resnet20", "-o"]
    whole, body = tmp_path / "whole.safetensors", tmp_path / "body.safetensors"
    for arguments in ([whole], [body, "--new-head"]):
        done = cli(*made, *arguments)
        assert done.code == 0, done.err
    assert evaluated(net, whole, capfd).startswith(f"{expected}: ")
    told = refused(net, capfd, "--data", "digits", "--evaluate", body)
    assert f"{body} has no last layer: train one by --init {body} --new-head" in told
    out = tmp_path / "run"
    assert main(net.train, *BRIEF, "--out", out, "--init", body, "--new-head") == 0
    assert torch.equal(state(out)["mean"], state(trained)["mean"])


def test_another_network_or_number_of_classes(
    net: Any, learned: dict, tmp_path: Path, capsys: Capture
) -> None:
    other = library.network("resnet32")
    path = whole(
        net, tmp_path / "net.safetensors", learned,
        network="resnet32", network_sha256=other.network_sha256,
    )  # fmt: skip
    told = refused(net, capsys, "--data", "digits", "--evaluate", path)
    assert "is of another network: resnet32, built from another spec than the resnet20 here" in told
    five = {**learned["model"], "fc.weight": torch.zeros(5, 64), "fc.bias": torch.zeros(5)}
    write(path, net.train, five, input=images(learned["mean"], [1.0] * 3))
    told = refused(net, capsys, "--data", "digits", "--evaluate", path)
    assert f"digits: {path} has 5 classes, the data 10" in told
    lacking = {key: value for key, value in learned["model"].items() if key != "bn1.bias"}
    write(path, net.train, lacking, input=images(learned["mean"], [1.0] * 3), classes=TEN)
    told = refused(net, capsys, "--data", "digits", "--evaluate", path)
    assert "does not have this network's weights: it lacks bn1.bias" in told


# ---- --init --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tuned(net: Any, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned") / "run"
    assert main(net.train, *BRIEF, "--out", out, "--init", trained / "checkpoint.pt") == 0
    return out


def test_a_run_that_begins_from_weights_is_ahead(
    net: Any, trained: Path, learned: dict, tuned: Path, tmp_path: Path
) -> None:
    """Of what was trained on the same images, the first loss is clearly smaller."""
    assert main(net.train, *BRIEF, "--out", tmp_path / "scratch") == 0
    from_scratch, begun = lines(tmp_path / "scratch"), lines(tuned)
    assert begun[0]["step"] == 1 and begun[0]["loss"] < 0.8 * from_scratch[0]["loss"]
    assert begun[0]["lr"] == from_scratch[0]["lr"] == 0.1
    path = whole(net, tmp_path / "net.safetensors", learned)
    assert main(net.train, *BRIEF, "--out", tmp_path / "again", "--init", path) == 0
    assert lines(tmp_path / "again") == begun  # a file of safetensors is as good
    assert equal(state(tmp_path / "again")["model"], state(tuned)["model"])
    fresh = state(tmp_path / "scratch")["optimizer"]["param_groups"]
    assert state(tuned)["optimizer"]["param_groups"] == fresh
    for out, origin in ((tuned, trained / "checkpoint.pt"), (tmp_path / "again", path)):
        assert results(out)["init"] == state(out)["same"]["init"] == sha256(origin)
        assert results(out)["new_head"] is state(out)["same"]["new_head"] is False
    assert "init" not in results(tmp_path / "scratch")
    assert "init" not in state(tmp_path / "scratch")["same"]


def test_the_first_step_is_sgds_from_those_weights(
    net: Any, learned: dict, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the other run's momentum or step is left, and its mean is subtracted."""
    seen = []

    def step(self: Any, *_: object) -> None:
        seen.append((self.model.state_dict(), dict(self.optimizer.state), self.mean))
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(net.train.Trainer, "train_step", step)
    path = trained / "best.pt"
    assert main(net.train, *BRIEF, "--out", tmp_path, "--init", path, "--seed", 5) == 143
    ((weights, momentum, mean),) = seen
    best = state(trained, "best.pt")
    assert equal(weights, best["model"]) and not momentum and torch.equal(mean, best["mean"])


def test_weights_of_divided_images_learn_as_in_their_source(
    net: Any, learned: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By torch's own SGD on images as the source had them; conv1 divided by 60 alone would not."""
    path, divisor = tmp_path / "net.safetensors", 60.0
    whole(net, path, learned, input=images(learned["mean"], [divisor] * 3))
    source = net.model.ResNet20()
    source.load_state_dict(learned["model"])
    optimizer = torch.optim.SGD(source.parameters(), 0.1, 0.9, weight_decay=1e-4)
    data = net.data.load("digits", tmp_path, (3, 32, 32)).train
    expected, found = [], []
    monkeypatch.setattr(net.train, "augment", lambda pixels, _: pixels)
    trainer = net.train.Trainer(TEN, torch.zeros(3, 32, 32), "fp32")
    args = Namespace(init=path, new_head=False, device=torch.device("cpu"))
    hashes = {"network": "resnet20", "network_sha256": net.train.NETWORK_SHA256}
    net.weights.begin(trainer, hashes, args)
    for step in range(4):
        indices = torch.arange(32) + 32 * step
        pixels, labels = data.at(indices)
        loss = F.cross_entropy(source((pixels - learned["mean"]) / divisor), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        trainer.train_step(data, indices, False)
        expected.append(loss.item())
        found.append(trainer.figures(1)["loss"])
    assert found == pytest.approx(expected, rel=0.01)


def pets(root: Path) -> Path:
    return image_folder(root / "pets", ("train", "val"))


def test_a_new_head_learns_other_classes(
    net: Any, trained: Path, learned: dict, tmp_path: Path, capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    flags = ("--data", pets(tmp_path), "--iterations", 2, "--batch-size", 4)
    init = ("--init", trained / "checkpoint.pt")
    told = refused(net, capsys, *flags, *init, "--out", tmp_path / "run")
    assert f"only {init[1]} has 0, 1, 2, 3, 4 and 5 more, only --data has cat, dog" in told
    assert told.endswith("; --new-head draws the last layer anew")
    assert not (tmp_path / "run").exists()
    unnamed = write(tmp_path / "net.safetensors", net.train, learned["model"])
    told = refused(net, capsys, *flags, "--init", unnamed, "--out", tmp_path / "run")
    assert told.endswith("has 10 classes, --data 2; --new-head draws the last layer anew")

    begun = []
    step = net.train.Trainer.train_step

    def seeing(self: Any, *arguments: Any) -> None:
        begun.append({key: value.clone() for key, value in self.model.state_dict().items()})
        step(self, *arguments)

    monkeypatch.setattr(net.train.Trainer, "train_step", seeing)
    assert main(net.train, *flags, *init, "--new-head", "--out", tmp_path / "run") == 0
    assert "its last layer is drawn anew" in capsys.readouterr().err
    for key, value in begun[0].items():
        assert key.startswith("fc.") or torch.equal(value, learned["model"][key]), key
    assert begun[0]["fc.weight"].shape == (2, 64)
    torch.manual_seed(0)  # drawn as a run of this seed draws it
    assert torch.equal(begun[0]["fc.weight"], net.model.ResNet20(num_classes=2).fc.weight)
    assert results(tmp_path / "run")["new_head"] is True
    assert state(tmp_path / "run")["classes"] == ["cat", "dog"]


@pytest.mark.parametrize("said", [{}, {"new_head": "fc was left out"}])
def test_weights_without_a_last_layer_need_a_new_one(
    net: Any, learned: dict, tmp_path: Path, capsys: Capture, said: dict[str, str]
) -> None:
    body = {key: value for key, value in learned["model"].items() if key[:3] != "fc."}
    path = write(tmp_path / "body.safetensors", net.train, body, **said)
    told = refused(net, capsys, *BRIEF, "--out", tmp_path / "run", "--init", path)
    assert f"{path} has no last layer: train one by --init {path} --new-head" in told
    flags = (*BRIEF, "--iterations", 1, "--out", tmp_path / "run")
    assert main(net.train, *flags, "--init", path, "--new-head") == 0
    said = f"the weights of {path}: this script's mean is subtracted, its last layer is drawn anew"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("change", ["inference only", "not finite", "another network", "nothing"])
def test_what_no_run_begins_from(
    net: Any, learned: dict, tmp_path: Path, capsys: Capture, change: str
) -> None:
    path, reason = tmp_path / "net.safetensors", "its batch norms have the eps 1.001e-5"
    if change == "inference only":
        whole(net, path, learned, inference_only=reason)
        words = f"{path} cannot be trained on: {reason}"
    elif change == "not finite":
        model = {**learned["model"], "bn1.bias": torch.full((16,), torch.nan)}
        whole(net, path, {**learned, "model": model})
        words = "has numbers that are not finite"
    elif change == "another network":
        whole(net, path, learned, network="resnet32", network_sha256="0" * 64)
        words = "is of another network: resnet32, built from another spec than the resnet20 here"
    else:
        words = "cannot be read: No such file"
    out = tmp_path / "run"
    assert words in refused(net, capsys, *BRIEF, "--out", out, "--init", path, "--new-head")
    assert not out.exists()
    if change == "inference only":  # which is no obstacle to
        assert evaluated(net, path, capsys).startswith("test error ")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--new-head"], "--new-head needs --init"),
        (["--init", "a.pt", "--evaluate", "a.pt"], "--init is where training begins"),
        (["--init", "a.pt", "--predict", "a.jpg"], "--init is where training begins"),
    ],
)
def test_flags_that_do_not_go_together(net: Any, capsys: Capture, flags: list, words: str) -> None:
    assert main(net.train, "--data", "digits", *flags) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
