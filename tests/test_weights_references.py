"""Weights of torchvision, timm, transformers and Keras give their own scores in our networks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import nn

from others import gradients, images, imported, ours, settle

os.environ.setdefault("KERAS_BACKEND", "torch")
OURS = {18: "resnet18_b", 50: "resnet50_v1_5"}


def require_same(reference: nn.Module, mine: nn.Module, scores: Callable = lambda out: out) -> None:
    """Scores and gradients, bit for bit, in fp32."""
    reference.eval(), mine.eval()
    x = images()
    with torch.no_grad():
        assert torch.equal(scores(reference(x)), mine(x))
    theirs, own = gradients(reference, x, scores), gradients(mine, x, lambda out: out)
    assert len(theirs) == len(own) > 60
    by_shape: dict[tuple, list] = {}
    for grad in theirs:
        by_shape.setdefault(tuple(grad.shape), []).append(grad)
    for grad in own:  # the order of modules differs
        assert any(torch.equal(grad, other) for other in by_shape[tuple(grad.shape)])


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_torchvision(depth: int, suffix: str, cli: Callable, tmp_path: Path) -> None:
    reference = settle(getattr(torchvision.models, f"resnet{depth}")(weights=None))
    path, out = tmp_path / f"r.{suffix}", tmp_path / "out.safetensors"
    if suffix == "pth":
        torch.save(reference.state_dict(), path)
    else:
        from safetensors.torch import save_file

        save_file(reference.state_dict(), path)
    done = cli("weights", "import", path, "--to", OURS[depth], "-o", out)
    assert (done.code, done.out) == (0, f"{out.as_posix()}\n"), done.err
    tensors, metadata = imported(out)
    assert all(torch.equal(tensors[name], value) for name, value in reference.state_dict().items())
    assert metadata["format"] == "resnet-gen weights 1"
    assert metadata["network"] == OURS[depth]
    assert json.loads(metadata["input"])["mean"] == [123.675, 116.28, 103.53]
    assert "inference_only" not in metadata and json.loads(metadata["transforms"]) == []
    require_same(reference, ours(OURS[depth], out))


@pytest.mark.parametrize("depth", [18, 50])
def test_timm(depth: int, cli: Callable, tmp_path: Path) -> None:
    reference = settle(timm.create_model(f"resnet{depth}", pretrained=False))
    path, out = tmp_path / "model.pth", tmp_path / "out.safetensors"
    torch.save({"arch": f"resnet{depth}", "epoch": 3, "state_dict": reference.state_dict()}, path)
    assert cli("weights", "import", path, "--to", OURS[depth], "-o", out).code == 0
    require_same(reference, ours(OURS[depth], out))


def test_timms_config_says_the_input(cli: Callable, tmp_path: Path) -> None:
    reference = timm.create_model("resnet18", pretrained=False)
    torch.save(reference.state_dict(), tmp_path / "model.pth")
    given = {"architecture": "resnet18", "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.2] * 3}}
    (tmp_path / "c.json").write_text(json.dumps(given))
    out = tmp_path / "out.safetensors"
    command = ("weights", "import", tmp_path / "model.pth", "--to", "resnet18_b", "-o", out)
    assert cli(*command, "--config", tmp_path / "c.json").code == 0
    said = json.loads(imported(out)[1]["input"])
    assert said == {"order": "rgb", "mean": [127.5] * 3, "std": [51.0] * 3}


@pytest.mark.parametrize("name", ["resnetblur18", "resnetaa50", "resnetblur50"])
@pytest.mark.parametrize("where", ["file", "arch", "config"])
def test_timms_other_networks_of_the_same_names_are_refused(
    name: str, where: str, cli: Callable, tmp_path: Path
) -> None:
    reference = timm.create_model(name, pretrained=False)
    target = OURS[18 if "18" in name else 50]
    plain = timm.create_model(f"resnet{name[-2:]}", pretrained=False)
    assert reference.state_dict().keys() == plain.state_dict().keys()
    path = tmp_path / (f"{name}-84f4748f.pth" if where == "file" else "model.pth")
    state = reference.state_dict()
    torch.save({"arch": name, "state_dict": state} if where == "arch" else state, path)
    more: tuple[object, ...] = ()
    if where == "config":
        (tmp_path / "c.json").write_text(json.dumps({"architecture": f"{name}.a1_in1k"}))
        more = ("--config", tmp_path / "c.json")
    done = cli("weights", "import", path, "--to", target, "-o", tmp_path / "o.safetensors", *more)
    assert done.code == 2 and name in done.err and "computes something else" in done.err
    assert not (tmp_path / "o.safetensors").exists()


# ---- transformers --------------------------------------------------------------------------------


def transformer(folder: Path, **given: Any) -> Any:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.ResNetConfig(num_labels=1000, **given)
    model = settle(transformers.ResNetForImageClassification(config))
    model.save_pretrained(folder)
    return model


BASIC = {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]}


@pytest.mark.parametrize(
    ("target", "given"),
    [
        ("resnet50_v1_5", {}),
        ("resnet50_b", {"downsample_in_bottleneck": True}),
        ("resnet18_b", BASIC),
    ],
)
def test_transformers(target: str, given: dict, cli: Callable, tmp_path: Path) -> None:
    reference = transformer(tmp_path / "hf", **given)
    out = tmp_path / "out.safetensors"
    path = tmp_path / "hf/model.safetensors"
    assert cli("weights", "import", path, "--to", target, "-o", out).code == 0
    require_same(reference, ours(target, out), lambda said: said.logits)
    other = {"resnet50_v1_5": "resnet50_b", "resnet50_b": "resnet50_v1_5"}.get(target)
    if other:
        done = cli("weights", "import", path, "--to", other, "-o", out)
        assert done.code == 2 and "strides in the" in done.err


def test_transformers_reads_what_we_export(cli: Callable, tmp_path: Path) -> None:
    reference = transformer(tmp_path / "hf")
    out, back = tmp_path / "out.safetensors", tmp_path / "hf2/model.safetensors"
    path = tmp_path / "hf/model.safetensors"
    assert cli("weights", "import", path, "--to", "resnet50_v1_5", "-o", out).code == 0
    assert cli("weights", "export", out, "--as", "transformers", "-o", back).code == 0
    (back.parent / "config.json").write_bytes((tmp_path / "hf/config.json").read_bytes())
    again = type(reference).from_pretrained(back.parent)
    for name, value in reference.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"downsample_in_first_stage": True}, "its first stage strides"),
        ({"hidden_act": "gelu"}, "its activation is gelu"),
    ],
)
def test_transformers_that_compute_something_else(
    given: dict, words: str, cli: Callable, tmp_path: Path
) -> None:
    transformer(tmp_path / "hf", **given)
    path, out = tmp_path / "hf/model.safetensors", tmp_path / "out.safetensors"
    done = cli("weights", "import", path, "--to", "resnet50_v1_5", "-o", out)
    assert done.code == 2 and words in done.err


def test_transformers_without_its_config_asks(cli: Callable, tmp_path: Path) -> None:
    reference = transformer(tmp_path / "hf")
    (tmp_path / "hf/config.json").unlink()
    path, out = tmp_path / "hf/model.safetensors", tmp_path / "out.safetensors"
    command = ("weights", "import", path, "--to", "resnet50_v1_5", "-o", out)
    done = cli(*command)
    assert done.code == 2 and "config.json or --stride-in" in done.err
    assert cli(*command, "--stride-in", "conv3x3").code == 0
    require_same(reference, ours("resnet50_v1_5", out), lambda said: said.logits)


# ---- Keras ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keras_network(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """Keras Applications' ResNet-50 with random biases and statistics, and its file."""
    keras = pytest.importorskip("keras", reason="keras is not installed")
    if keras.config.backend() != "torch":
        pytest.skip("keras runs on another backend than torch")
    import numpy

    reference = keras.applications.ResNet50(weights=None)
    draw = numpy.random.default_rng(0)
    for weight in reference.weights:
        if weight.name in ("bias", "beta", "moving_mean"):
            weight.assign(0.1 * draw.standard_normal(weight.shape))
        elif weight.name in ("gamma", "moving_variance"):
            weight.assign(0.5 + draw.random(weight.shape))
    path = tmp_path_factory.mktemp("keras") / "resnet50.h5"
    reference.save(path)
    return reference, path


@pytest.mark.filterwarnings("ignore")
def test_keras(keras_network: tuple[Any, Path], cli: Callable, tmp_path: Path) -> None:
    reference, path = keras_network
    out = tmp_path / "out.safetensors"
    done = cli("weights", "import", path, "--to", "resnet50_b", "-o", out)
    assert done.code == 0, done.err
    metadata = imported(out)[1]
    assert "bias" in metadata["inference_only"]
    assert json.loads(metadata["input"]) == {
        "order": "rgb", "mean": [123.68, 116.779, 103.939], "std": [1.0, 1.0, 1.0]
    }  # fmt: skip
    x = images(224, 1)
    bgr = x.flip(1).permute(0, 2, 3, 1).contiguous()
    with torch.no_grad():
        theirs = torch.as_tensor(reference(bgr.numpy(), training=False)).cpu()
        mine = ours("resnet50_b", out).eval()(x).softmax(1)
    assert theirs.std() > 1e-5
    assert torch.allclose(theirs, mine, rtol=1e-4, atol=1e-7)
    assert cli("weights", "import", path, "--to", "resnet50_v1_5", "-o", out).code == 2


@pytest.mark.filterwarnings("ignore")
def test_keras_reads_what_we_export(
    keras_network: tuple[Any, Path], cli: Callable, tmp_path: Path
) -> None:
    reference, path = keras_network
    out, back = tmp_path / "out.safetensors", tmp_path / "back.h5"
    assert cli("weights", "import", path, "--to", "resnet50_b", "-o", out).code == 0
    assert cli("weights", "export", out, "--as", "keras", "-o", back).code == 0
    x = images(224, 1).permute(0, 2, 3, 1).contiguous().numpy()
    before = torch.as_tensor(reference(x, training=False)).cpu()
    reference.load_weights(back)
    after = torch.as_tensor(reference(x, training=False)).cpu()
    assert torch.allclose(before, after, rtol=1e-4, atol=1e-7)
    kernel = reference.get_layer("conv1_conv").bias
    assert not torch.as_tensor(kernel.value).any()  # what has become of the bias
