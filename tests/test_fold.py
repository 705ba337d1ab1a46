"""Batch norms folded into convolutions change no score, in float64, for every kind of block."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from conftest import network_class
from resnet_gen.export.folding import fold
from resnet_gen.generate import render
from resnet_gen.generate.loading import load
from resnet_gen.read import library
from small_networks import apart
from test_generated import randomised

KINDS = [
    (block, shortcut, stride)
    for block in ("basic", "bottleneck")
    for shortcut in ("none", "A", "B", "C")
    for stride in (("conv1x1", "conv3x3") if block == "bottleneck" else ("",))
]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with each kind of block and shortcut, and section 4.2's two."""
    root = tmp_path_factory.mktemp("kinds")
    for block, shortcut, stride in KINDS:
        depth = 2 + 4 * {"basic": 2, "bottleneck": 3}[block]
        text = f"design: imagenet\ndepth: {depth}\nblock: {block}\nblocks: [1, 1, 1, 1]\n"
        text += f"shortcut: {shortcut}\nwidth: 4\nimage_size: 32\n"
        text += f"stride_in: {stride}\n" if stride else ""
        name = f"{block}_{shortcut}_{stride or 'first'}"
        (root / f"{name}.yaml").write_text(f"name: {name}\n{text}")
    entries = [library.read_network(path) for path in sorted(root.glob("*.yaml"))]
    for path, made in render.render(entries).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(made.text)
    return root / "imagenet"


def require_folded(network: nn.Module) -> None:
    network = randomised(network).double().eval()
    folded = fold(network)
    images = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    assert apart(network(images), folded(images)) < 1e-9
    convolutions = [m for m in folded.modules() if isinstance(m, nn.Conv2d)]
    assert convolutions and all(each.bias is not None for each in convolutions)
    assert not any("BatchNorm" in type(module).__name__ for module in folded.modules())
    parameters = sum(weight.numel() for weight in folded.parameters())
    own = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert parameters == sum(w.numel() for w in network.parameters()) - sum(
        len(each.weight) for each in own
    )


@pytest.mark.parametrize(("block", "shortcut", "stride"), KINDS)
def test_folded_blocks_are_equal(kinds: Path, block: str, shortcut: str, stride: str) -> None:
    module = load(kinds / f"{block}_{shortcut}_{stride or 'first'}" / "model.py")
    require_folded(getattr(module, module.__all__[0])())


@pytest.mark.parametrize("name", ["plain20", "resnet20"])
def test_folded_networks_of_section_4_2_are_equal(name: str) -> None:
    require_folded(network_class(name)())


def test_folding_leaves_the_network_alone() -> None:
    network = randomised(network_class("resnet20")()).eval()
    before = copy.deepcopy(network.state_dict())
    fold(network)
    after = network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
