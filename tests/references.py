"""Networks of libraries that are not installed for tests, as those publish them.

torchvision's own network by other names; akamaster's for CIFAR; an interpreter of Caffe's prototxt.
None of it knows of our code.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from others import settle


def reference() -> ResNet:
    """torchvision's own network, small: v1.5, 7 classes."""
    return settle(ResNet(Bottleneck, [2, 1, 1, 1], num_classes=7))  # type: ignore[return-value]


def renamed(state: dict[str, Tensor], rules: list[tuple[str, Any]]) -> dict[str, Tensor]:
    """The tensors by other names: the first expression that fits renames."""
    found = {}
    for name, value in state.items():
        for expression, other in rules:
            new, count = re.subn(f"^{expression}", other, name)
            if count:
                found[new] = value
                break
        else:
            raise AssertionError(name)
    return found


def letter(layer: str) -> str:
    return "abc"[int(layer) - 1]


PYCLS = [
    (r"conv1\.", "stem.conv."),
    (r"bn1\.", "stem.bn."),
    (r"fc\.", "head.fc."),
    (r"layer(\d)\.(\d)\.downsample\.0\.", lambda m: f"s{m[1]}.b{int(m[2]) + 1}.proj."),
    (r"layer(\d)\.(\d)\.downsample\.1\.", lambda m: f"s{m[1]}.b{int(m[2]) + 1}.bn."),
    (r"layer(\d)\.(\d)\.conv(\d)\.", lambda m: f"s{m[1]}.b{int(m[2]) + 1}.f.{letter(m[3])}."),
    (r"layer(\d)\.(\d)\.bn(\d)\.", lambda m: f"s{m[1]}.b{int(m[2]) + 1}.f.{letter(m[3])}_bn."),
]
MMPRETRAIN = [(r"fc\.", "head.fc."), (r"", "backbone.")]
DETECTRON2 = [
    (r"conv1\.", "stem.conv1."),
    (r"bn1\.", "stem.conv1.norm."),
    (r"fc\.", "stem.fc."),
    (r"layer(\d)\.(\d)\.downsample\.0\.", lambda m: f"res{int(m[1]) + 1}.{m[2]}.shortcut."),
    (r"layer(\d)\.(\d)\.downsample\.1\.", lambda m: f"res{int(m[1]) + 1}.{m[2]}.shortcut.norm."),
    (r"layer(\d)\.(\d)\.conv(\d)\.", lambda m: f"res{int(m[1]) + 1}.{m[2]}.conv{m[3]}."),
    (r"layer(\d)\.(\d)\.bn(\d)\.", lambda m: f"res{int(m[1]) + 1}.{m[2]}.conv{m[3]}.norm."),
]


def without_counts(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: v for name, v in state.items() if not name.endswith("num_batches_tracked")}


# ---- akamaster, option A -----------------------------------------------------------------------


class _AkamasterBlock(nn.Module):
    """Its block: zeros on both sides of the shortcut's channels."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.grows, self.quarter = channels != out, out // 4

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.grows:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.quarter, self.quarter))
        return F.relu(y + x)


class _Akamaster(nn.Module):
    def __init__(self, n: int = 3) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        channels = 16
        for stage, out in enumerate((16, 32, 64), start=1):
            blocks = []
            for block in range(n):
                blocks.append(_AkamasterBlock(channels, out, 2 if stage > 1 and not block else 1))
                channels = out
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))  # type: ignore[operator]
        return self.linear(x.mean((2, 3)))


def akamaster(path: Path, *, legacy: bool = False) -> nn.Module:
    model = settle(_Akamaster())
    state = without_counts({f"module.{name}": v for name, v in model.state_dict().items()})
    document = {"state_dict": state, "best_prec1": 91.7}
    torch.save(document, path, _use_new_zipfile_serialization=not legacy)
    return model


# ---- Caffe ---------------------------------------------------------------------------------------


def prototxt(stages: tuple[int, ...], bias: bool) -> str:
    """The authors' deploy file for a bottleneck network of these blocks."""
    lines: list[str] = []

    def layer(kind: str, name: str, bottoms: list[str], top: str, **given: object) -> None:
        fields = " ".join(f"{key}: {value}" for key, value in given.items())
        feeds = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
        lines.append(f'layer {{ name: "{name}" type: "{kind}" {feeds} top: "{top}" {fields} }}')

    def unit(name: str, norm: str, bottom: str, top: str, **given: object) -> None:
        layer("Convolution", name, [bottom], top, **given)
        layer("BatchNorm", f"bn{norm}", [top], top)
        layer("Scale", f"scale{norm}", [top], top)

    unit("conv1", "_conv1", "data", "conv1", kernel_size=7, pad=3, stride=2, bias_term=bias)
    layer("ReLU", "conv1_relu", ["conv1"], "conv1")
    layer("Pooling", "pool1", ["conv1"], "pool1", pool="MAX", kernel_size=3, stride=2)
    x = "pool1"
    for stage, count in enumerate(stages, start=2):
        for block in range(count):
            place = f"{stage}{'abcdef'[block]}"
            stride, aside = (2 if stage > 2 and not block else 1), x
            if not block:
                aside = f"res{place}_branch1"
                unit(aside, f"{place}_branch1", x, aside, kernel_size=1, stride=stride)
            for letter, kernel in zip("abc", (1, 3, 1), strict=True):
                name = f"{place}_branch2{letter}"
                step = stride if letter == "a" else 1
                unit(
                    f"res{name}",
                    name,
                    x,
                    f"res{name}",
                    kernel_size=kernel,
                    pad=kernel // 2,
                    stride=step,
                )
                x = f"res{name}"
                if letter != "c":
                    layer("ReLU", f"{x}_relu", [x], x)
            layer("Eltwise", f"res{place}", [aside, x], f"res{place}")
            x = f"res{place}"
            layer("ReLU", f"{x}_relu", [x], x)
    layer("Pooling", "pool5", [x], "pool5", pool="AVE", global_pooling="true")
    layer("InnerProduct", "fc1000", ["pool5"], "fc1000")
    return "\n".join(lines)


def run_caffe(text: str, blobs: dict[str, list[Tensor]], data: Tensor) -> Tensor:
    """What Caffe computes of a prototxt with one layer a line, by its documentation."""
    tops, last = {"data": data.double()}, "data"
    for line in text.splitlines():
        given = dict(re.findall(r"(\w+): \"?([\w]+)\"?", line))
        bottoms = [tops[name] for name in re.findall(r'bottom: "(\w+)"', line)]
        weights = [blob.double() for blob in blobs.get(given["name"], [])]
        x, kind = bottoms[0], given["type"]
        stride, pad = int(given.get("stride", 1)), int(given.get("pad", 0))
        if kind == "Convolution":
            y = F.conv2d(x, weights[0], weights[1] if len(weights) > 1 else None, stride, pad)
        elif kind == "BatchNorm":
            scale = 0 if weights[2] == 0 else 1 / weights[2]
            mean, var = (blob[:, None, None] * scale for blob in weights[:2])
            y = (x - mean) / (var + 1e-5).sqrt()
        elif kind == "Scale":
            y = x * weights[0][:, None, None] + weights[1][:, None, None]
        elif kind == "ReLU":
            y = x.relu()
        elif kind == "Eltwise":
            y = bottoms[0] + bottoms[1]
        elif kind == "InnerProduct":
            y = F.linear(x.flatten(1), *weights)
        elif given["pool"] == "AVE":
            y = x.mean((2, 3), keepdim=True)
        else:
            y = F.max_pool2d(x, int(given["kernel_size"]), stride, pad, ceil_mode=True)
        tops[last := given["top"]] = y
    return tops[last].float()


def caffe_blobs(text: str, bias: bool, width: int = 8) -> dict[str, list[Tensor]]:
    """Random blobs of the shapes that its layers have."""
    draw = torch.Generator().manual_seed(3)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    channels, blobs = {"data": 3}, {}
    for line in text.splitlines():
        given = dict(re.findall(r"(\w+): \"?([\w]+)\"?", line))
        name, kind, top = given["name"], given["type"], given["top"]
        bottom = re.findall(r'bottom: "(\w+)"', line)[0]
        c = channels[bottom]
        if kind == "Convolution":
            stage = int(m[1]) if (m := re.match(r"res(\d)", name)) else 2
            out = width * 2 ** (stage - 2) * (4 if name.endswith(("branch1", "2c")) else 1)
            k = int(given["kernel_size"])
            blobs[name] = [random(out, c, k, k) * (2 / (k * k * c)) ** 0.5]
            blobs[name] += [random(out)] if name == "conv1" and bias else []
            c = out
        elif kind == "BatchNorm":  # sums, of which the third says how many
            blobs[name] = [random(c), 999.98 * (0.5 + random(c).abs()), torch.tensor([999.98])]
            blobs[name][0] *= 100
        elif kind == "Scale":
            blobs[name] = [0.5 + random(c).abs(), random(c)]
        elif kind == "InnerProduct":
            blobs[name] = [random(7, c), random(7)]
        channels[top] = c
    return blobs


def caffe2_name(norm: str) -> str:
    if norm == "_conv1":
        return "res_conv1"
    stage, letter, branch = norm[0], norm[1], norm.partition("_")[2]
    return f"res{stage}_{'abcdef'.index(letter)}_{branch}"
