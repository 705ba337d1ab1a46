"""Edits of a generated model.py: what changes the computation differs, what does not is equal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import folder

pytestmark = pytest.mark.usefixtures("measured_here")
SUM = "return F.relu(out + self.downsample(x))"
BN2 = "self.bn2 = nn.BatchNorm2d(channels)"
STRIDED = "nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)"
SECOND = "out = self.bn2(self.conv2(out))"
SUBSAMPLE = "x = x[:, :, ::2, ::2]"
PAD = "F.pad(x, (0, 0, 0, 0, 0, x.shape[1]))"
POOL = "x = x.mean(dim=(2, 3))"
SHUFFLE = (
    "n, c, h, w = out.shape\n"
    "        out = out.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)\n        "
)
CHANGES = {  # what: the text, its replacement, the layer that differs, words of its row
    "a tenth of the shortcut": (
        SUM,
        "return F.relu(torch.add(out, self.downsample(x), alpha=0.1))",
        "layer1.0.addition1",
        "alpha 0.1",
    ),
    "channels shuffled": (SUM, SHUFFLE + SUM, "layer1.0.transpose1", "transpose"),
    "the other pixels": (SUBSAMPLE, "x = x[:, :, 1::2, 1::2]", "layer2.0.subsample1", "offset 1"),
    "other columns": (SUBSAMPLE, "x = x[:, :, ::2, 1::2]", "layer2.0.subsample1", "offset (0, 1)"),
    "another momentum": (BN2, BN2[:-1] + ", momentum=0.2)", "layer1.0.bn2", "momentum 0.2"),
    "another eps": (BN2, BN2[:-1] + ", eps=1e-3)", "layer1.0.bn2", "eps 0.001"),
    "no gamma and beta": (BN2, BN2[:-1] + ", affine=False)", "layer1.0.batch_norm1", "batch norm"),
    "no running statistics": (
        BN2,
        BN2[:-1] + ", track_running_stats=False)",
        "layer1.0.bn2",
        "no running",
    ),
    "frozen statistics": (
        SECOND,
        "self.bn2.eval()\n        " + SECOND,
        "layer1.0.bn2",
        "statistics running",
    ),
    "ones for zeros": (PAD, PAD[:-1] + ", value=1.0)", "layer2.0.zero_pad1", "value 1.0"),
    "zeros on both sides": (
        PAD,
        "F.pad(x, (0, 0, 0, 0, x.shape[1] // 2, x.shape[1] // 2))",
        "layer2.0.zero_pad1",
        "before 8",
    ),
    "two groups": (STRIDED, STRIDED[:-1] + ", groups=2)", "layer1.0.conv1", "groups 2"),
    "not padded, but before": (
        f"self.conv1 = {STRIDED}|out = F.relu(self.bn1(self.conv1(x)))",
        "self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, bias=False)"
        "|out = F.relu(self.bn1(self.conv1(F.pad(x, (2, 0, 2, 0)))))",
        "layer1.0.constant_pad_nd1",
        "pad (2, 0, 2, 0)",
    ),
    "mirrored padding": (
        STRIDED,
        STRIDED[:-1] + ", padding_mode='reflect')",
        "layer1.0.conv1.reflection_pad2d1",
        "padding (1, 1, 1, 1)",
    ),
    "gradients of the shortcut cut off": (
        SUM,
        "return F.relu(out + self.downsample(x).detach())",
        "layer1.0.addition1",
        "relu1, detached",
    ),
    "a block without gradients": (
        SECOND,
        "with torch.no_grad():\n            " + SECOND,
        "layer1.0.conv2",
        "no gradient",
    ),
    "a frozen weight": (
        BN2,
        BN2 + "\n        self.conv2.requires_grad_(False)",
        "layer1.0.conv2",
        "frozen",
    ),
    "weights scaled": (
        SECOND,
        "out = self.bn2(F.conv2d(out, 2 * self.conv2.weight, padding=1))",
        "layer1.0.conv2",
        "weights mul",
    ),
    "halves in another order": (
        SUM,
        "a, b = out.chunk(2, 1)\n        out = torch.cat([b, a], 1)\n        " + SUM,
        "layer1.0.cat1",
        "cat",
    ),
    "another order of the images": (SUM, f"out = out.flip(0)\n        {SUM}", "layer1.0.flip1", ""),
    "half precision": (
        SUM,
        "return F.relu((out.half() + self.downsample(x)).float())",
        "layer1.0._to_copy1",
        "",
    ),
    "rows for channels": (POOL, "x = x.mean(dim=(1, 3)).repeat(1, 8)", "mean1", "dim (1, 3)"),
    "sharper scores in evaluation": (
        "return self.fc(x)",
        "return self.fc(x) if self.training else 2 * self.fc(x)",
        "mul1 in evaluation",
        "mul",
    ),
    "no shortcut in evaluation": (
        SUM,
        "return F.relu(out + self.downsample(x)) if self.training else F.relu(out)",
        "layer1.0.addition1",
        "evaluation left out",
    ),
    "another tensor returned": (
        "return self.fc(x)",
        "self.fc(x)\n        return x[:, :10].contiguous()",
        "slice1",
        "",
    ),
    "scores without their gradients": (
        "return self.fc(x)",
        "return self.fc(x).detach()",
        "output",
        "",
    ),
}
SAME = {
    "ReLU in place": [("F.relu(", "F.relu_(")],
    "addition as a call": [(SUM, "return F.relu(torch.add(out, self.downsample(x)))")],
    "addition turned round": [(SUM, "return F.relu(self.downsample(x) + out)")],
    "addition in place": [(SUM, "return F.relu(out.add_(self.downsample(x)))")],
    "adaptive pooling and flatten": [(POOL, "x = F.adaptive_avg_pool2d(x, 1).flatten(1)")],
    "pooling with a window": [(POOL, "x = F.avg_pool2d(x, 8).flatten(1)")],
    "pooling of a row of pixels": [(POOL, "x = x.flatten(2).mean(2)")],
    "channels last": [(POOL, POOL + "\n        x = x.contiguous()")],
    "columns before rows": [(SUBSAMPLE, "x = x[:, :, :, ::2][:, :, ::2]")],
    "max pooling of one pixel": [(SUBSAMPLE, "x = F.max_pool2d(x, 1, 2)")],
    "torch's functions, by keyword": [
        (
            SECOND,
            "out = self.bn2(F.conv2d(bias=None, padding=1, weight=self.conv2.weight, input=out))",
        )
    ],
    "reshaped there and back": [
        (POOL, "x = x.view(x.shape[0], 8, 8, 8, 8).view(x.shape)\n        " + POOL)
    ],
    "a lazy last layer": [("nn.Linear(64, num_classes)", "nn.LazyLinear(num_classes)")],
}


def edited(path: Path, edits: list[tuple[str, str]]) -> Path:
    """A copy of resnet20's folder with these replacements."""
    copy = path / "resnet20"
    shutil.copytree(folder("resnet20"), copy)
    source = (copy / "model.py").read_text()
    for text, replacement in edits:
        assert text in source
        source = source.replace(text, replacement)
    (copy / "model.py").write_text(source)
    return copy


@pytest.mark.parametrize("what", CHANGES)
def test_an_edit_that_changes_the_computation_differs(
    what: str, cli: Callable, tmp_path: Path
) -> None:
    texts, replacements, layer, words = CHANGES[what]
    edits = list(zip(texts.split("|"), replacements.split("|"), strict=True))
    code, out, err = cli("diff", edited(tmp_path, edits), "--json")
    assert code == 1, err
    found = {r["what"]: r["right"] for r in json.loads(out)["rows"] if r["verdict"] == "differs"}
    assert words in found[layer], found


@pytest.mark.parametrize("what", SAME)
def test_an_edit_that_changes_nothing_is_equal(what: str, cli: Callable, tmp_path: Path) -> None:
    code, out, err = cli("diff", edited(tmp_path, SAME[what]))
    assert code == 0, out + err
