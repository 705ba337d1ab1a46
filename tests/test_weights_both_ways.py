"""Export and import give back every bit; our own checkpoints, of this version and of 0.1.0."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from conftest import folder, network_class
from others import imported, settle, small
from resnet_gen.generate.loading import load_folder
from resnet_gen.read import library
from resnet_gen.weights.layouts import all_layouts
from training import DIGITS, main

BOTTLENECK = {  # layout: what its networks compute, a kind of file, and the flags for the way back
    "torchvision": ("conv3x3", "padded", "pth", ()),
    "transformers": ("conv3x3", "padded", "safetensors", ("--stride-in", "conv3x3")),
    "mmpretrain": ("conv1x1", "padded", "pth", ("--stride-in", "conv1x1")),
    "pycls": ("conv3x3", "padded", "pth", ("--stride-in", "conv3x3")),
    "detectron2": ("conv1x1", "padded", "pkl", ("--stride-in", "conv1x1", "--input", "rgb")),
    "caffe2": ("conv1x1", "ceil", "pkl", ()),
    "caffe": ("conv1x1", "ceil", "npz", ()),
    "keras": ("conv1x1", "padded", "h5", ()),
}


def checkpoint(path: Path, spec: Path | str, model: nn.Module) -> dict[str, torch.Tensor]:
    """best.pt of our train.py, of this network."""
    entry = library.network(str(spec))
    state = model.state_dict()
    document = {
        "network": entry.name,
        "spec_sha256": entry.sha256,
        "network_sha256": entry.network_sha256,
        "versions": {"torch": "2.14", "python": "3.14"},
        "same": {},
        "progress": {"step": 7},
        "model": state,
        "optimizer": {"state": {}, "param_groups": [{"lr": torch.tensor(0.1)}]},
        "classes": [f"class {index}" for index in range(entry.spec.classes)],
        "mean": torch.tensor([123.68, 116.779, 103.939])[:, None, None],
        "sums": torch.zeros(2),
    }
    torch.save(document, path)
    return state


@pytest.mark.parametrize("name", BOTTLENECK)
def test_both_ways(
    name: str, cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stride_in, pooling, suffix, flags = BOTTLENECK[name]
    spec, made = small(cli, tmp_path, stride_in=stride_in, pooling=pooling)
    (tmp_path / "specs/imagenet").mkdir(parents=True)
    spec = spec.rename(tmp_path / "specs/imagenet/small.yaml")
    monkeypatch.chdir(tmp_path)
    before = checkpoint(tmp_path / "best.pt", spec, settle(made()))
    there, back = tmp_path / f"there.{suffix}", tmp_path / "back.safetensors"
    done = cli("weights", "export", "best.pt", "--as", name, "-o", there)
    assert (done.code, done.out) == (0, f"{there.as_posix()}\n"), done.err
    assert json.loads(cli("weights", "inspect", there, "--json").out)["layout"] == name
    done = cli("weights", "import", there, "--to", "small", "-o", back, *flags)
    assert done.code == 0, done.err
    after, metadata = imported(back)
    assert after.keys() == before.keys() and metadata["source_layout"] == name
    for key, value in before.items():
        counted = key.endswith("num_batches_tracked")
        assert counted or torch.equal(after[key], value), key


def test_every_layout_that_is_written_is_tested() -> None:
    written = {layout.name for layout in all_layouts() if layout.exports}
    # akamaster's test is with its reference, VGG's in test_vgg_weights.py
    assert written == {*BOTTLENECK, "akamaster", "torchvision-vgg"}


def test_what_torchvision_reads(cli: Callable, tmp_path: Path) -> None:
    before = checkpoint(
        tmp_path / "b.pt", "resnet50_v1_5", settle(network_class("resnet50_v1_5")())
    )
    done = cli(
        "weights", "export", tmp_path / "b.pt", "--as", "torchvision", "-o", tmp_path / "t.pth"
    )
    assert done.code == 0, done.err
    reads = torchvision.models.resnet50(weights=None)
    reads.load_state_dict(torch.load(tmp_path / "t.pth", weights_only=True), strict=True)
    assert all(torch.equal(reads.state_dict()[name], value) for name, value in before.items())


CANNOT = [
    ("resnet18_a", "torchvision", "none of shortcut A"),
    ("resnet18_c", "transformers", "none of shortcut C"),
    ("resnet50_b", "torchvision", "none that strides in the 1×1"),
    ("resnet50_v1_5", "keras", "none that strides in the 3×3"),
    ("resnet50_b", "caffe", "none that pads its max pooling"),
    ("resnet18_b", "keras", "none of basic blocks"),
    ("resnet20", "pycls", "none of cifar's design"),
    ("plain20", "akamaster", "none without shortcuts"),
    ("resnet18_b", "resnet-gen", "`weights import`"),
]


@pytest.mark.parametrize(("network", "layout", "words"), CANNOT)
def test_what_a_layout_cannot_have(
    network: str, layout: str, words: str, cli: Callable, tmp_path: Path
) -> None:
    checkpoint(tmp_path / "best.pt", network, network_class(network)())
    suffix = {"keras": "h5", "caffe": "npz"}.get(layout, "pth")
    out = tmp_path / f"out.{suffix}"
    done = cli("weights", "export", tmp_path / "best.pt", "--as", layout, "-o", out)
    assert done.code == 2 and words in done.err and not out.exists()


def test_an_eps_that_would_make_a_variance_negative(cli: Callable, tmp_path: Path) -> None:
    model: Any = network_class("resnet50_b")()
    model.bn1.running_var[3] = 0.0
    checkpoint(tmp_path / "best.pt", "resnet50_b", model)
    done = cli("weights", "export", tmp_path / "best.pt", "--as", "keras", "-o", tmp_path / "o.h5")
    assert done.code == 2 and "bn1.running_var would be negative" in done.err


def test_keras_has_another_eps(cli: Callable, tmp_path: Path) -> None:
    """1.001e-5 in its ResNets: what is added to the variances is the same sum."""
    model: Any = network_class("resnet50_b")()
    model.bn1.running_var[:] = torch.logspace(-7, 3, 64)
    checkpoint(tmp_path / "best.pt", "resnet50_b", model)
    out = tmp_path / "o.h5"
    assert cli("weights", "export", tmp_path / "best.pt", "--as", "keras", "-o", out).code == 0
    with h5py.File(out) as file:
        variance = torch.from_numpy(file["conv1_bn/conv1_bn/moving_variance:0"][()]).double()
    wanted = model.bn1.running_var.double() + 1e-5
    assert torch.allclose(variance + 1.001e-5, wanted, rtol=1e-7, atol=0)
    assert not torch.allclose(variance + 1e-5, wanted, rtol=1e-4, atol=0)


# ---- Our own -------------------------------------------------------------------------------------


def test_a_checkpoint_of_train_py(cli: Callable, tmp_path: Path) -> None:
    net = load_folder(folder("resnet20"))
    assert main(net.train, *DIGITS, "--iterations", 2, "--out", tmp_path / "run") == 0
    path, out = tmp_path / "run/checkpoint.pt", tmp_path / "out.safetensors"
    found = json.loads(cli("weights", "inspect", path, "--json").out)
    assert (found["layout"], found["network"]) == ("resnet-gen", "resnet20")
    assert found["fits"] == ["resnet20"]
    assert cli("weights", "import", path, "--to", "resnet20", "-o", out).code == 0
    tensors, metadata = imported(out)
    had = torch.load(path, weights_only=True)
    assert all(torch.equal(tensors[name], value) for name, value in had["model"].items())
    assert json.loads(metadata["classes"]) == had["classes"]
    said = json.loads(metadata["input"])
    assert torch.equal(torch.tensor(said["mean"]), had["mean"]) and said["std"] == [1.0] * 3
    assert metadata["network_sha256"] == library.network("resnet20").network_sha256
    for other in ("plain20", "resnet32"):
        done = cli("weights", "import", path, "--to", other, "-o", out)
        assert done.code == 2 and f"another network than {other}" in done.err
    done = cli("weights", "import", path, "--to", "resnet20", "-o", out, "--input", "bgr")
    assert done.code == 2 and "says itself which network" in done.err


@pytest.mark.parametrize("mean", [torch.zeros(()), torch.zeros(2, 2), "none", [1, 2]])
def test_a_mean_that_is_none(mean: object, cli: Callable, tmp_path: Path) -> None:
    of_0_1_0(tmp_path / "b.pt", mean=mean)
    out = tmp_path / "out.safetensors"
    done = cli("weights", "import", tmp_path / "b.pt", "--to", "resnet20", "-o", out)
    assert done.code == 2 and "its mean is neither of a channel nor of a pixel" in done.err


def test_own_weights_of_other_classes_leave_too(cli: Callable, tmp_path: Path) -> None:
    """A network that was trained on two classes, where its spec has ten."""
    model, classes = settle(network_class("resnet20")(num_classes=2)), ["cat", "dog"]
    of_0_1_0(tmp_path / "pets.pt", model=model.state_dict(), classes=classes)
    out, theirs = tmp_path / "pets.safetensors", tmp_path / "pets.pth"
    done = cli("weights", "import", tmp_path / "pets.pt", "--to", "resnet20", "-o", out)
    assert done.code == 0, done.err
    assert json.loads(imported(out)[1]["classes"]) == classes
    assert cli("weights", "export", out, "--as", "akamaster", "-o", theirs).code == 0
    assert torch.load(theirs, weights_only=True)["state_dict"]["module.linear.weight"].shape[0] == 2


def test_metadata_that_are_no_json(cli: Callable, tmp_path: Path) -> None:
    model = network_class("resnet20")()
    said = {"format": "resnet-gen weights 1", "network": "resnet20"}
    said["network_sha256"] = library.network("resnet20").network_sha256
    path, out = tmp_path / "a.safetensors", tmp_path / "out.safetensors"
    for wrong in ({"classes": "{}"}, {"input": "[1]"}, {"classes": "["}, {"network": "resnet2"}):
        save_file(model.state_dict(), path, said | wrong)
        for command in (("export", "--as", "akamaster", "-o", tmp_path / "o.pth"), ("inspect",)):
            done = cli("weights", command[0], path, *command[1:])
            told = json.dumps(done.out + done.err)
            assert done.code == (2 if command[0] == "export" else 0), told
    done = cli("weights", "import", path, "--to", "resnet20", "-o", out)
    assert done.code == 0  # by the hash, whatever its name


def of_0_1_0(path: Path, **other: Any) -> nn.Module:
    """What the scripts of 0.1.0 saved: ResNet-20 and the hash of its spec with the recipe."""
    model: nn.Module = settle(network_class("resnet20")())
    spec = "449f134502987f413e5ac5278fdd76126e004981793e9ca1c0ef4f01f3bc58b6"
    document = {
        "network": "resnet20",
        "spec_sha256": spec,
        "versions": {"torch": "2.9.1", "python": "3.12.1"},
        "run": {"data": "cifar10", "iterations": "64000", "batch_size": "128", "seed": "0"},
        "progress": {"step": 64000, "line": {"step": 64000}, "best_val_error": 8.5},
        "mean": torch.rand(3, 32, 32) * 255,
        "sums": torch.zeros(2),
        "model": model.state_dict(),
        "optimizer": {"state": {}, "param_groups": []},
        "rng": torch.get_rng_state(),
    }
    torch.save(document | other, path)
    return model


def test_a_checkpoint_of_0_1_0(cli: Callable, tmp_path: Path) -> None:
    path, out = tmp_path / "best.pt", tmp_path / "out.safetensors"
    model = of_0_1_0(path)
    assert "resnet-gen-0.1" in cli("weights", "inspect", path).out
    assert cli("weights", "import", path, "--to", "resnet20", "-o", out).code == 0
    tensors, metadata = imported(out)
    assert all(torch.equal(tensors[name], value) for name, value in model.state_dict().items())
    assert "classes" not in metadata and len(json.loads(metadata["input"])["mean"][0]) == 32
    done = cli("weights", "import", path, "--to", "plain20", "-o", out)
    assert done.code == 2 and "another network than plain20" in done.err
    of_0_1_0(path, spec_sha256="0" * 64)
    done = cli("weights", "import", path, "--to", "resnet20", "-o", out)
    assert done.code == 2 and "by a spec that is not here" in done.err


def test_new_head(cli: Callable, tmp_path: Path) -> None:
    reference = torchvision.models.resnet18(weights=None, num_classes=10)
    torch.save(reference.state_dict(), tmp_path / "r.pth")
    out, again = tmp_path / "out.safetensors", tmp_path / "again.safetensors"
    command = ("weights", "import", tmp_path / "r.pth", "--to", "resnet18_b", "-o", out)
    done = cli(*command)
    assert done.code == 2 and "10 classes, not 1,000" in done.err and "--new-head" in done.err
    assert cli(*command, "--new-head").code == 0
    tensors, metadata = imported(out)
    assert reference.state_dict().keys() - tensors.keys() == {"fc.weight", "fc.bias"}
    assert "new_head: fc was left out" in json.loads(metadata["transforms"])
    headless = {n: v for n, v in reference.state_dict().items() if not n.startswith("fc.")}
    torch.save(headless, tmp_path / "r.pth")
    done = cli(*command)
    assert done.code == 2 and "lacks fc.weight" in done.err and "--new-head" in done.err
    assert cli(*command, "--new-head").code == 0
    assert cli("weights", "import", out, "--to", "resnet18_b", "-o", again, "--new-head").code == 0
    done = cli("weights", "export", out, "--as", "torchvision", "-o", tmp_path / "t.pth")
    assert done.code == 0, done.err


def test_every_name_maps_or_is_listed(cli: Callable, tmp_path: Path) -> None:
    state = torchvision.models.resnet18(weights=None).state_dict()
    path, out = tmp_path / "r.pth", tmp_path / "out.safetensors"
    command = ("weights", "import", path, "--to", "resnet18_b", "-o", out)
    for name in ("layer1.0.se.weight", "aux.weight", "layer1.0.conv1.extra"):
        torch.save(state | {name: torch.zeros(3)}, path)
        done = cli(*command)
        assert done.code == 2 and name in done.err
        assert json.loads(cli("weights", "inspect", path, "--json").out)["unmatched"] == [name]
    for name in ("layer1.0.conv3.weight", "layer1.0.downsample.0.weight", "conv1.bias"):
        torch.save(state | {name: torch.ones(3)}, path)
        assert cli(*command).code == 2
    for name in ("layer3.1.bn2.running_var", "layer2.0.downsample.1.weight", "conv1.weight"):
        torch.save({key: value for key, value in state.items() if key != name}, path)
        assert cli(*command).code == 2
    torch.save(state | {"layer3.1.conv2.weight": torch.zeros(256, 256, 1, 1)}, path)
    done = cli(*command)
    assert done.code == 2 and "256×256×1×1, not 256×256×3×3" in done.err
    assert not out.exists()


def test_networks_of_other_sizes(cli: Callable, tmp_path: Path) -> None:
    torch.save(torchvision.models.wide_resnet50_2(weights=None).state_dict(), tmp_path / "w.pth")
    torch.save(torchvision.models.resnet34(weights=None).state_dict(), tmp_path / "r.pth")
    out = tmp_path / "out.safetensors"
    done = cli("weights", "import", tmp_path / "w.pth", "--to", "resnet50_v1_5", "-o", out)
    assert done.code == 2 and "layer1.0.conv1.weight is 128×64×1×1" in done.err
    done = cli("weights", "import", tmp_path / "r.pth", "--to", "resnet18_b", "-o", out)
    assert done.code == 2 and "blocks [3, 4, 6, 3], not [2, 2, 2, 2]" in done.err
    assert "resnet34_b" in cli("weights", "inspect", tmp_path / "r.pth").out


# ---- The tables ----------------------------------------------------------------------------------


def test_layouts_are_printed(cli: Callable) -> None:
    assert "akamaster" in cli("weights", "layouts").out
    assert "s1.b1.f.a.weight" in cli("weights", "layouts", "pycls").out
    assert len(json.loads(cli("weights", "layouts", "--json").out)) == len(all_layouts())
    done = cli("weights", "layouts", "keros")
    assert done.code == 2 and "did you mean `keras`?" in done.err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("stem.conv\n", "stem.{stage}\n", "is no name for conv1"),
        ("  fc: head.fc\n", "", "there is no name for fc"),
        ("pooling", "poling", "did you mean"),
        ("bgr", "gbr", "gbr"),
    ],
)
def test_wrong_tables_are_told(
    old: str, new: str, words: str, cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = cli("weights", "layouts", "pycls").out.replace("input:", "pooling: padded\ninput:")
    (tmp_path / "specs/weights").mkdir(parents=True)
    assert old in text
    (tmp_path / "specs/weights/pycls.yaml").write_text(text.replace(old, new, 1))
    monkeypatch.chdir(tmp_path)
    done = cli("check")
    assert done.code == 2 and words in done.err and "pycls.yaml:" in done.err
    assert cli("check", "specs/weights/pycls.yaml").code == 2


def test_a_layout_of_ones_own(
    cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = cli("weights", "layouts", "pycls").out
    table = table.replace("name: pycls", "name: mine").replace("f.{layer}", "g.{layer}")
    (tmp_path / "specs/weights").mkdir(parents=True)
    table = table.replace("s1.b1.f.a", "s1.b1.g.a").replace("stride_in: ask", "stride_in: conv3x3")
    (tmp_path / "specs/weights/mine.yaml").write_text(table)
    monkeypatch.chdir(tmp_path)
    checkpoint(Path("b.pt"), "resnet18_b", network_class("resnet18_b")())
    assert cli("weights", "export", "b.pt", "--as", "mine", "-o", "m.pth").code == 0
    assert "s1.b1.g.a.weight" in torch.load("m.pth", weights_only=True)["model_state"]
    assert cli("weights", "import", "m.pth", "--to", "resnet18_b", "-o", "m.safetensors").code == 0


def test_what_is_exported_is_a_plain_pickle(cli: Callable, tmp_path: Path) -> None:
    checkpoint(tmp_path / "b.pt", "resnet50_b", network_class("resnet50_b")())
    out = tmp_path / "d.pkl"
    assert cli("weights", "export", tmp_path / "b.pt", "--as", "detectron2", "-o", out).code == 0
    with out.open("rb") as file:
        assert pickle.load(file)["model"]["res2.0.conv1.norm.weight"].shape == (64,)
