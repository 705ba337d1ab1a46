"""The authors' Caffe models and Caffe2's pickles: v1, ceil pooling, BGR, biases, a third blob.

The reference is an interpreter of prototxt (references.py), which knows nothing of our code.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch

from others import images, imported, require_scores, small
from references import caffe2_name, caffe_blobs, prototxt, run_caffe
from resnet_gen.weights.layouts import layout
from resnet_gen.weights.naming import Naming

STAGES = (2, 1, 1, 1)


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
            key = caffe2_name(name.removeprefix("bn")) + "_bn_"
            scaled = [blob / each[2] for blob in each[:2]]
            arrays |= {key + w: b.numpy() for w, b in zip(words[2:], scaled, strict=True) if w}
        elif name.startswith("scale"):
            key = caffe2_name(name.removeprefix("scale")) + "_bn_"
            arrays |= {key + w: b.numpy() for w, b in zip(words[:2], each, strict=True)}
        else:
            key = {"fc1000": "pred", "conv1": "conv1"}.get(name) or caffe2_name(name[3:])
            arrays |= {f"{key}_{w}": b.numpy() for w, b in zip("wb", each, strict=False)}
    arrays["pred_w_momentum"] = numpy.zeros(3, numpy.float32)
    path, out = tmp_path / "R.pkl", tmp_path / "out.safetensors"
    with path.open("wb") as file:
        pickle.dump({"blobs": arrays}, file, protocol=2)
    done = cli("weights", "import", path, "--to", spec, "-o", out)
    assert done.code == 0, done.err
    assert "pred_w_momentum" in done.err  # left out, and said
    require_scores(made, out, x, run_caffe(text, blobs, x.flip(1)))
    if not words[2]:  # what a batch norm divides by is then 1
        variance = imported(out)[0]["layer1.0.bn1.running_var"].double() + 1e-5
        assert torch.allclose(variance, torch.ones(()).double(), rtol=1e-7, atol=0)
    mean = json.loads(imported(out)[1]["input"])["mean"]
    assert mean == [122.7717, 115.9465, 102.9801]


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
