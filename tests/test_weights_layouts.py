"""Layouts whose libraries are not installed: files built by hand, references of our own making.

The references are torchvision's network renamed, and akamaster's as it is published.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import ResNet

from others import images, imported, require_scores, settle, small
from references import DETECTRON2, MMPRETRAIN, PYCLS, akamaster, reference, renamed, without_counts
from resnet_gen.generate.loading import load

# ---- torchvision's network by other names --------------------------------------------------------


@pytest.mark.parametrize("kind", ["pycls", "mmpretrain", "detectron2"])
def test_renamed(kind: str, cli: Callable, tmp_path: Path) -> None:
    spec, made = small(cli, tmp_path, stride_in="conv3x3", width=64)
    theirs, x = reference(), images()
    rules = {"pycls": PYCLS, "mmpretrain": MMPRETRAIN, "detectron2": DETECTRON2}[kind]
    state, out = renamed(theirs.state_dict(), rules), tmp_path / "out.safetensors"
    if kind == "pycls":  # its network was fed BGR
        state["stem.conv.weight"] = state["stem.conv.weight"].flip(1)
        document: Any = {"epoch": 99, "model_state": state, "cfg": "MODEL: ..."}
    elif kind == "mmpretrain":
        document = {"meta": {"mmcls_version": "0.1"}, "state_dict": state}
    else:
        arrays = {name: value.numpy() for name, value in without_counts(state).items()}
        document = {"model": arrays, "__author__": "someone", "matching_heuristics": True}
    path = tmp_path / ("x.pkl" if kind == "detectron2" else "x.pth")
    with path.open("wb") as file:
        pickle.dump(document, file) if kind == "detectron2" else torch.save(document, file)
    command = ("weights", "import", path, "--to", spec, "-o", out)
    flags = ["--stride-in", "conv3x3"] + (["--input", "rgb"] if kind == "detectron2" else [])
    for left_out in range(0, len(flags), 2):
        done = cli(*command, *flags[:left_out], *flags[left_out + 2 :])
        assert (done.code, out.exists()) == (2, False)
        assert flags[left_out] in done.err and "error[ambiguous]" in done.err
    done = cli(*command, *flags)
    assert done.code == 0, done.err
    with torch.no_grad():
        require_scores(made, out, x, theirs.eval()(x))
    found = json.loads(cli("weights", "inspect", path, "--json").out)
    assert (found["layout"], found["depth"], found["shortcut"]) == (kind, 17, "B")
    assert len(found["ambiguous"]) == len(flags) / 2
    # the other strides load just as well: they are refused because they compute something else
    done = cli(*command, "--stride-in", "conv1x1", *flags[2:])
    assert done.code == 2 and "strides in the 1×1" in done.err


def test_detectron2s_torchvision_says_its_strides(cli: Callable, tmp_path: Path) -> None:
    spec, made = small(cli, tmp_path, stride_in="conv3x3", width=64)
    theirs, x, path = reference(), images(), tmp_path / "R.pkl"
    state = without_counts(renamed(theirs.state_dict(), DETECTRON2))
    for prefix in ("", "backbone.", "backbone.bottom_up."):
        arrays = {prefix + name: value.numpy() for name, value in state.items()}
        with path.open("wb") as file:  # as Python 2 and 3 write arrays, and since Python 3.14
            document = {"model": arrays, "__author__": "torchvision"}
            pickle.dump(document, file, protocol={"": 2, "backbone.": 4}.get(prefix, 5))
        out = tmp_path / "out.safetensors"
        done = cli("weights", "import", path, "--to", spec, "-o", out)
        assert done.code == 0, done.err
        with torch.no_grad():
            require_scores(made, out, x, theirs.eval()(x))


# ---- option A: akamaster -------------------------------------------------------------------------


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("padding", ["after", "both"])
def test_akamaster(
    padding: str, legacy: bool, cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out, spec = tmp_path / "a.th", tmp_path / "out.safetensors", tmp_path / "r.yaml"
    theirs, x = akamaster(path, legacy=legacy), images(32)
    text = "name: r\ndesign: cifar\ndepth: 20\nshortcut: A\n"
    spec.write_text(text + f"zero_padding: {padding}\n")
    assert cli("generate", spec, "--out", tmp_path / "code").code == 0
    made = load(tmp_path / "code/cifar/r/model.py").R
    done = cli("weights", "import", path, "--to", spec, "-o", out)
    assert done.code == 0, done.err
    with torch.no_grad():
        require_scores(made, out, x, theirs.eval()(x))
    transforms = json.loads(imported(out)[1]["transforms"])
    assert any("zero channels" in said for said in transforms) == (padding == "after")
    back = tmp_path / "back.pth"
    (tmp_path / "specs/cifar").mkdir(parents=True)
    spec.rename(tmp_path / "specs/cifar/r.yaml")  # where a network is found by its name
    monkeypatch.chdir(tmp_path)
    done = cli("weights", "export", out, "--as", "akamaster", "-o", back)
    assert done.code == 0, done.err
    again = torch.load(back, weights_only=True)["state_dict"]
    before = torch.load(path, weights_only=True)["state_dict"]
    assert all(torch.equal(again[name], value) for name, value in before.items())


def test_option_a_is_not_a_plain_network(cli: Callable, tmp_path: Path) -> None:
    path, out = tmp_path / "a.th", tmp_path / "out.safetensors"
    akamaster(path)
    done = cli("weights", "import", path, "--to", "plain20", "-o", out)
    assert done.code == 2 and "option A" in done.err


# ---- CIFAR by torchvision's names: chenyaofo, bearpaw --------------------------------------------


def test_a_cifar_network_with_projections_needs_option_b(cli: Callable, tmp_path: Path) -> None:
    spec, out = tmp_path / "b20.yaml", tmp_path / "out.safetensors"
    spec.write_text("name: b20\ndesign: cifar\ndepth: 20\nshortcut: B\n")
    assert cli("generate", spec, "--out", tmp_path / "code").code == 0
    made = load(tmp_path / "code/cifar/b20/model.py").B20

    class Three(ResNet):  # torchvision's with three stages and a stem of 3×3
        def __init__(self) -> None:
            super().__init__(torchvision.models.resnet.BasicBlock, [3, 3, 3, 1], num_classes=10)
            self.inplanes = 16
            self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
            block = torchvision.models.resnet.BasicBlock
            self.maxpool = self.layer4 = nn.Identity()  # type: ignore[assignment]
            for stage, width in enumerate((16, 32, 64), start=1):
                stride = 1 if stage == 1 else 2
                setattr(self, f"layer{stage}", self._make_layer(block, width, 3, stride=stride))
            self.fc = nn.Linear(64, 10)

    theirs, x = settle(Three()), images(32)
    torch.save(
        {"net": {f"module.{n}": v for n, v in theirs.state_dict().items()}}, tmp_path / "c.pth"
    )
    done = cli("weights", "import", tmp_path / "c.pth", "--to", spec, "-o", out)
    assert done.code == 0, done.err
    mine = made()
    mine.load_state_dict(imported(out)[0], strict=True)
    with torch.no_grad():
        assert torch.equal(mine.eval()(x), theirs.eval()(x))
    done = cli("weights", "import", tmp_path / "c.pth", "--to", "resnet20", "-o", out)
    assert done.code == 2 and "shortcut B, not none or A" in done.err  # fmt: skip
