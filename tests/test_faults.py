"""Faults planted in generated files: `diff` on the folder must say no, and say where."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import folder

pytestmark = pytest.mark.usefixtures("measured_here")
STRIDED = "nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)"
SECOND = "nn.Conv2d(channels, channels, 3, padding=1, bias=False)"
SUM = "return F.relu(out + self.downsample(x))"
IDENTITY = "nn.Identity() if in_channels == channels else ZeroPadShortcut()"
SUBSAMPLE = "x = x[:, :, ::2, ::2]"
PAD = "return F.pad(x, (0, 0, 0, 0, 0, x.shape[1]))"
FAULTS = {  # what: network, text, its replacement, a row that must differ
    "stride moved to the second convolution": (
        "resnet20",
        f"{STRIDED}|{SECOND}",
        "nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)"
        "|nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)",
        "stage 2 stride",
    ),
    "stride moved into the 3×3": (
        "resnet50_b",
        "conv1 = nn.Conv2d(in_channels, channels, 1, stride, bias=False)|" + SECOND,
        "conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)"
        "|nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)",
        "conv3_x stride",
    ),
    "ReLU dropped after the addition": (
        "resnet20",
        SUM,
        "return out + self.downsample(x)",
        "block order",
    ),
    "ReLU before the addition": (
        "resnet20",
        SUM,
        "return F.relu(out) + self.downsample(x)",
        "block order",
    ),
    "batch norm after the addition": (
        "resnet20",
        "out = self.bn2(self.conv2(out))|" + SUM,
        "out = self.conv2(out)|return F.relu(self.bn2(out + self.downsample(x)))",
        "block order",
    ),
    "projection on an identity shortcut": (
        "resnet20",
        IDENTITY,
        "nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)) "
        "if in_channels == channels else ZeroPadShortcut()",
        "shortcuts",
    ),
    "one block too few": ("resnet20", "blocks=3, stride=1", "blocks=2, stride=1", "stage 1 layers"),
    "one block too many": ("resnet34_b", "blocks=6", "blocks=7", "conv4_x repeats"),
    "3×3 made 5×5": (
        "resnet20",
        SECOND,
        "nn.Conv2d(channels, channels, 5, padding=2, bias=False)",
        "stage 1 kernels",
    ),
    "3×3 dilated": (
        "resnet20",
        SECOND,
        "nn.Conv2d(channels, channels, 3, padding=2, dilation=2, bias=False)",
        "layer1.0.conv2",
    ),
    "a bias added": (
        "resnet20",
        SECOND,
        "nn.Conv2d(channels, channels, 3, padding=1)",
        "parameters",
    ),
    "option A's padding learns": (
        "resnet20",
        "x = x[:, :, ::2, ::2]|class ZeroPadShortcut(nn.Module):",
        "x = x[:, :, ::2, ::2] * self.scale|class ZeroPadShortcut(nn.Module):\n"
        "    def __init__(self) -> None:\n"
        "        super().__init__()\n"
        "        self.scale = nn.Parameter(torch.ones(1))\n",
        "parameters",
    ),
    "width doubled late": (
        "resnet20",
        "stage(32, 64, blocks=3, stride=2)|nn.Linear(64,",
        "nn.Sequential(stage(32, 32, 1, 1), stage(32, 64, blocks=3, stride=2))|nn.Linear(64,",
        "stage 3 layers",
    ),
    "stage 2 as wide as stage 1": (
        "resnet20",
        "stage(16, 32, blocks=3, stride=2)|stage(32, 64, blocks=3, stride=2)|nn.Linear(64,",
        "stage(16, 16, blocks=3, stride=1)|stage(16, 32, blocks=3, stride=2)|nn.Linear(32,",
        "stage 2 widths",
    ),
    "average pooling in place of the strided shortcut": (
        "resnet20",
        SUBSAMPLE,
        "x = F.avg_pool2d(x, 2)",
        "layer2.0.subsample1",
    ),
    "zeros before the channels": (
        "resnet20",
        PAD,
        "return F.pad(x, (0, 0, 0, 0, x.shape[1], 0))",
        "layer2.0.zero_pad1",
    ),
    "shortcut from the wrong place": (
        "resnet20",
        SUM,
        "return F.relu(out + out)",
        "layer1.0.addition1",
    ),
    "shortcut forgotten": ("resnet34_a", SUM, "return F.relu(out)", "shortcuts"),
    "no max pooling": ("resnet18_b", "x = self.maxpool(x)", "pass", "max pool"),
    "max pooling aligned otherwise": (
        "resnet18_b",
        "nn.MaxPool2d(3, stride=2, padding=1)",
        "nn.MaxPool2d(3, stride=2, ceil_mode=True)",
        "max_pool1",
    ),
    "dropout before the last layer": (
        "resnet20",
        "return self.fc(x)",
        "return self.fc(F.dropout(x))",
        "head",
    ),
    "max pooling at the end": ("resnet20", "x.mean(dim=(2, 3))", "x.amax(dim=(2, 3))", "head"),
    "another activation": (
        "resnet20",
        SUM,
        "return F.gelu(out + self.downsample(x))",
        "block order",
    ),
    "another epsilon": (
        "resnet20",
        "self.bn2 = nn.BatchNorm2d(channels)",
        "self.bn2 = nn.BatchNorm2d(channels, eps=1e-3)",
        "layer1.0.bn2",
    ),
    "a layer that is never run": (
        "resnet20",
        "self.fc = nn.Linear(64, num_classes)",
        "self.fc = nn.Linear(64, num_classes)\n        self.spare = nn.Linear(8, 8)",
        "parameters",
    ),
    "a stem of another kernel": (
        "plain18",
        "3, 64, 7, stride=2, padding=3",
        "3, 64, 5, stride=2, padding=2",
        "conv1 kernel",
    ),
    "ten classes too many": ("resnet20", "nn.Linear(64, num_classes)", "nn.Linear(64, 20)", "head"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_planted_fault_is_found(what: str, cli: Callable, tmp_path: Path) -> None:
    name, texts, replacements, expected = FAULTS[what]
    copy = tmp_path / name
    shutil.copytree(folder(name), copy)
    source = (copy / "model.py").read_text()
    for text, replacement in zip(texts.split("|"), replacements.split("|"), strict=True):
        assert text in source
        source = source.replace(text, replacement)
    (copy / "model.py").write_text(source)
    code, out, _ = cli("diff", copy, "--json")
    assert code == 1
    found = json.loads(out)
    assert found["equal"] is False
    different = [row["what"] for row in found["rows"] if row["verdict"] == "differs"]
    assert any(row.startswith(expected) for row in different), different


@pytest.mark.parametrize("name", ["resnet20", "resnet50_b", "plain34"])
def test_an_untouched_copy_is_equal(name: str, cli: Callable, tmp_path: Path) -> None:
    shutil.copytree(folder(name), tmp_path / name)
    code, out, _ = cli("diff", tmp_path / name, "--json")
    assert code == 0 and json.loads(out)["equal"] is True


def test_an_equivalent_edit_is_no_difference(cli: Callable, tmp_path: Path) -> None:
    """Modules for functions, the shortcut computed first, 1×1 average pooling: the same network."""
    copy = tmp_path / "resnet20"
    shutil.copytree(folder("resnet20"), copy)
    source = (copy / "model.py").read_text()
    for text, replacement in {
        "        out = F.relu(self.bn1(self.conv1(x)))\n        out = self.bn2": (
            "        aside = self.downsample(x)\n"
            "        out = self.relu(self.bn1(self.conv1(x)))\n        out = self.bn2"
        ),
        SUM: "return self.relu(out.add_(aside))",
        f"self.downsample = {IDENTITY}": (
            f"self.downsample = {IDENTITY}\n        self.relu = nn.ReLU(inplace=True)"
        ),
        SUBSAMPLE: "x = F.avg_pool2d(x, 1, 2)",
        "x = x.mean(dim=(2, 3))": "x = F.adaptive_avg_pool2d(x, 1).flatten(1)",
    }.items():
        assert text in source
        source = source.replace(text, replacement)
    (copy / "model.py").write_text(source)
    code, out, err = cli("diff", copy)
    assert code == 0, out + err


@pytest.mark.parametrize(
    ("text", "replacement", "words"),
    [
        ("class BasicBlock", "clas BasicBlock", "model.py:30:6:|no Python"),
        ("self.fc(x)", "self.fd(x)", "AttributeError|self.fd(x)"),
        ("nn.Linear(64,", "nn.Linear(65,", "RuntimeError"),
        ("import torch\n", "import torch\nimport no_such_package\n", "no_such_package"),
        ('__all__ = ["ResNet20"]', "", "__all__ names 0 classes"),
        ("import torch\n", "raise SystemExit(0)\n", "SystemExit"),
    ],
)
def test_a_file_that_does_not_run_is_told_by_its_line(
    text: str, replacement: str, words: str, cli: Callable, tmp_path: Path
) -> None:
    copy = tmp_path / "resnet20"
    shutil.copytree(folder("resnet20"), copy)
    source = (copy / "model.py").read_text()
    assert text in source
    (copy / "model.py").write_text(source.replace(text, replacement, 1))
    code, _, err = cli("diff", copy)
    assert code == 2 and "Traceback" not in err and "model.py" in err
    for word in words.split("|"):
        assert word in err


def test_a_folder_that_is_not_ours(cli: Callable, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("import torch\n")
    code, _, err = cli("diff", tmp_path)
    assert code == 2 and "does not begin with the line that names its spec" in err


def test_the_place_is_right_for_a_relative_path_too(cli: Callable, project: Path) -> None:
    shutil.copytree(folder("resnet20"), project / "net")
    source = (project / "net/model.py").read_text()
    line = source[: source.index("x = self.layer2(x)")].count("\n") + 1
    (project / "net/model.py").write_text(source.replace("self.layer2(x)", "self.layer2(y)"))
    err = cli("diff", "net").err
    assert f"net/model.py:{line}:9: error[code]: NameError" in err
    assert "        x = self.layer2(y)\n            ^^^^^^^^^^^^^^^^^^" in err


@pytest.mark.parametrize(
    ("text", "replacement"),
    [
        (
            "    first = BasicBlock(in_channels, channels, stride)",
            "    block = BasicBlock(in_channels, channels, stride)\n"
            "    first = nn.Sequential(nn.Conv2d(in_channels, in_channels, 1), block)",
        ),
        (
            "stage(16, 16, blocks=3, stride=1)",
            "nn.Sequential(nn.Sequential(nn.BatchNorm2d(16)))",
        ),
        (
            "    return nn.Sequential(first, *others)",
            "    wide = nn.Conv2d(in_channels, in_channels, 1)\n"
            "    return nn.Sequential(nn.Sequential(wide, first), *others)",
        ),
        (
            "    return nn.Sequential(first, *others)",
            "    return nn.Sequential(nn.Sequential(nn.ReLU()), first, *others)",
        ),
        ("return self.fc(x)", "return self.fc(x) + x.sum() * 0"),
    ],
)
def test_unusual_edits_are_compared_not_stumbled_over(
    text: str, replacement: str, cli: Callable, tmp_path: Path
) -> None:
    copy = tmp_path / "resnet20"
    shutil.copytree(folder("resnet20"), copy)
    source = (copy / "model.py").read_text()
    assert text in source
    source = source.replace(text, replacement)
    (copy / "model.py").write_text(source)
    code, out, err = cli("diff", copy, "--json")
    assert code == 1, err
    assert json.loads(out)["equal"] is False


def test_scores_alone_are_returned(cli: Callable, tmp_path: Path) -> None:
    copy = tmp_path / "resnet20"
    shutil.copytree(folder("resnet20"), copy)
    source = (copy / "model.py").read_text()
    (copy / "model.py").write_text(source.replace("return self.fc(x)", "return self.fc(x), x"))
    code, _, err = cli("diff", copy)
    assert code == 2 and "forward returns a tuple where scores belong" in err
