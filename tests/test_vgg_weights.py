"""torchvision's weights of VGG, read and written, and exported with the network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torchvision.models import AlexNet, resnet18

import narrow_vgg

FILE = "theirs.pth"
OURS = "ours.safetensors"


@pytest.fixture
def theirs(project: Path) -> dict[str, torch.Tensor]:
    """A project with the spec and its code, and a file with torchvision's names."""
    narrow_vgg.write_spec()
    narrow_vgg.generated()
    state = narrow_vgg.reference().state_dict()
    torch.save(state, FILE)
    return state


def test_they_are_recognised(theirs: dict, cli: Callable) -> None:
    found = json.loads(cli("weights", "inspect", FILE, "--json").out)
    assert (found["layout"], found["design"], found["depth"]) == ("torchvision-vgg", "vgg", 10)
    assert (found["blocks"], found["width"], found["classes"]) == ([1, 1, 2, 1, 2], 4, 7)
    assert found["fits"] == ["narrow"] and not found["unmatched"] and not found["refused"]
    assert "convolutions [1, 1, 2, 1, 2]" in cli("weights", "inspect", FILE).out


def test_there_and_back_is_the_same_to_the_bit(theirs: dict, cli: Callable) -> None:
    done = cli("weights", "import", FILE, "--to", "narrow", "-o", OURS)
    assert (done.code, done.out) == (0, f"{OURS}\n"), done.err
    assert same(load_file(OURS), theirs)
    with safe_open(OURS, "pt") as file:
        assert json.loads(file.metadata()["transforms"]) == []
        assert json.loads(file.metadata()["input"])["mean"] == [123.675, 116.28, 103.53]
    assert json.loads(cli("weights", "inspect", OURS, "--json").out)["network"] == "narrow"
    done = cli("weights", "export", OURS, "--as", "torchvision-vgg", "-o", "back.pth")
    assert done.code == 0, done.err
    back = torch.load("back.pth", weights_only=True)
    assert same(back, theirs) and list(back) == list(theirs)
    model = narrow_vgg.reference()
    model.load_state_dict(back, strict=True)


def test_another_number_of_classes(theirs: dict, cli: Callable) -> None:
    narrow_vgg.write_spec().write_text(narrow_vgg.SPEC.replace("classes: 7", "classes: 5"))
    done = cli("weights", "import", FILE, "--to", "narrow", "-o", OURS)
    assert done.code == 2 and "7 classes, not 5" in done.err and "--new-head" in done.err
    assert cli("weights", "import", FILE, "--to", "narrow", "-o", OURS, "--new-head").code == 0
    assert theirs.keys() - load_file(OURS).keys() == {"classifier.6.weight", "classifier.6.bias"}
    with safe_open(OURS, "pt") as file:
        assert "new_head: classifier.6 was left out" in file.metadata()["transforms"]


def test_channels_in_the_opposite_order(theirs: dict, cli: Callable) -> None:
    done = cli("weights", "import", FILE, "--to", "narrow", "-o", OURS, "--input", "bgr")
    assert done.code == 0, done.err
    flipped = load_file(OURS)["features.0.weight"]
    assert torch.equal(flipped, theirs["features.0.weight"].flip(1))


def test_what_is_no_vgg_of_ours_is_refused(theirs: dict, cli: Callable) -> None:
    with torch.device("meta"):
        shapes = AlexNet().state_dict()
    others = {
        "with batch norms": narrow_vgg.reference(batch_norm=True).state_dict(),
        "alexnet": {name: torch.zeros(value.shape[:1]) for name, value in shapes.items()},
        "resnet18": resnet18().state_dict(),
        "a stage too few": {k: v for k, v in theirs.items() if k[:11] != "features.16"},
        "narrower": theirs | {"classifier.0.weight": torch.zeros(20, 1568)},
    }
    for what, state in others.items():
        torch.save(state, "other.pth")
        done = cli("weights", "import", "other.pth", "--to", "narrow", "-o", OURS)
        assert done.code == 2 and "Traceback" not in done.err and not Path(OURS).exists(), what
    cli("weights", "import", FILE, "--to", "narrow", "-o", OURS)
    done = cli("weights", "export", OURS, "--as", "torchvision", "-o", "back.pth")
    assert done.code == 2 and "torchvision cannot have narrow" in done.err


def test_it_is_exported(theirs: dict, cli: Callable) -> None:
    cli("weights", "import", FILE, "--to", "narrow", "-o", OURS)
    done = cli("export", "narrow", OURS, "--format", "pt2", "-o", "narrow.pt2")
    assert done.code == 0, done.err
    images = torch.randn(3, 3, 40, 40)
    model = narrow_vgg.reference().eval()
    model.load_state_dict(theirs)
    with torch.no_grad():
        exported = torch.export.load("narrow.pt2").module()(images)
        assert torch.allclose(exported, model(images), atol=1e-6)


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
