"""The authors' Caffe models and Caffe2's pickles: v1, ceil pooling, BGR, biases, a third blob.

The reference is a small interpreter of prototxt, which knows nothing of our code.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from others import images, imported, require_scores, small
from resnet_gen.weights.layouts import layout
from resnet_gen.weights.naming import Naming

STAGES = (2, 1, 1, 1)


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


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("suffix", ["npz", "pth"])
def test_caffe(suffix: str, bias: bool, cli: Callable, tmp_path: Path) -> None:
    spec, made = small(cli, tmp_path, stride_in="conv1x1", pooling="ceil")
    text = prototxt(STAGES, bias)
    blobs, x = caffe_blobs(text, bias), images(66)
    flat = {f"{name}/{i}": blob for name, each in blobs.items() for i, blob in enumerate(each)}
    path, out = tmp_path / f"c.{suffix}", tmp_path / "out.safetensors"
    if suffix == "npz":
        numpy.savez(path, **{name: blob.numpy() for name, blob in flat.items()})
    else:
        torch.save(flat, path)
    done = cli("weights", "import", path, "--to", spec, "-o", out)
    assert done.code == 0, done.err
    require_scores(made, out, x, run_caffe(text, blobs, x.flip(1)))
    metadata = imported(out)[1]
    assert ("inference_only" in metadata) == bias
    assert "input" not in metadata  # its mean is an image in a file of its own
    padded, _ = small(cli, tmp_path, stride_in="conv1x1")
    done = cli("weights", "import", path, "--to", padded, "-o", out)
    assert done.code == 2 and "does not pad its max pooling" in done.err
    other, _ = small(cli, tmp_path, stride_in="conv3x3", pooling="ceil")
    done = cli("weights", "import", path, "--to", other, "-o", out)
    assert done.code == 2 and "strides in the 1×1" in done.err


SUFFIXES = [
    ("s", "b", "rm", "riv"),
    ("gamma", "beta", "running_mean", "running_var"),
    ("s", "b", "", ""),  # statistics folded into scale and shift, as in MSRA's
]


@pytest.mark.parametrize("words", SUFFIXES)
def test_caffe2(words: tuple[str, ...], cli: Callable, tmp_path: Path) -> None:
    spec, made = small(cli, tmp_path, stride_in="conv1x1", pooling="ceil")
    text = prototxt(STAGES, bias=True)
    blobs, x = caffe_blobs(text, bias=True), images(66)
    arrays = {}
    for name, each in blobs.items():
        if name.startswith("bn"):
            if not words[2]:
                channels = len(each[0])
                each[:] = [torch.zeros(channels), torch.ones(channels) - 1e-5, torch.ones(1)]
            key = _caffe2_name(name.removeprefix("bn")) + "_bn_"
            scaled = [blob / each[2] for blob in each[:2]]
            arrays |= {key + w: b.numpy() for w, b in zip(words[2:], scaled, strict=True) if w}
        elif name.startswith("scale"):
            key = _caffe2_name(name.removeprefix("scale")) + "_bn_"
            arrays |= {key + w: b.numpy() for w, b in zip(words[:2], each, strict=True)}
        else:
            key = {"fc1000": "pred", "conv1": "conv1"}.get(name) or _caffe2_name(name[3:])
            arrays |= {f"{key}_{w}": b.numpy() for w, b in zip("wb", each, strict=False)}
    arrays["pred_w_momentum"] = numpy.zeros(3, numpy.float32)
    path, out = tmp_path / "R.pkl", tmp_path / "out.safetensors"
    with path.open("wb") as file:
        pickle.dump({"blobs": arrays}, file, protocol=2)
    done = cli("weights", "import", path, "--to", spec, "-o", out)
    assert done.code == 0, done.err
    assert "pred_w_momentum" in done.err  # left out, and said
    require_scores(made, out, x, run_caffe(text, blobs, x.flip(1)))
    mean = json.loads(imported(out)[1]["input"])["mean"]
    assert mean == [122.7717, 115.9465, 102.9801]


def _caffe2_name(norm: str) -> str:
    if norm == "_conv1":
        return "res_conv1"
    stage, letter, branch = norm[0], norm[1], norm.partition("_")[2]
    return f"res{stage}_{'abcdef'.index(letter)}_{branch}"


@pytest.mark.parametrize("depth", [50, 101, 152])
def test_caffes_names_of_blocks(depth: int) -> None:
    """As in the authors' prototxts."""
    naming = Naming(layout("caffe"))
    blocks = {50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}[depth]
    fourth = naming.theirs("layer3.5.conv2.weight", blocks)
    assert fourth == ("res4f_branch2b/0" if depth == 50 else "res4b5_branch2b/0")
    assert naming.theirs("layer2.1.bn3.bias", blocks) == (
        "scale3b_branch2c/1" if depth == 50 else "scale3b1_branch2c/1"
    )
    assert naming.theirs("layer4.2.conv1.weight", blocks) == "res5c_branch2a/0"
    assert naming.theirs("layer3.0.downsample.1.running_var", blocks) == "bn4a_branch1/1"
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            name = f"layer{stage}.{block}.conv3.weight"
            assert naming.ours(naming.theirs(name, blocks)) == name
