"""Exported networks give the generated ones' scores, and say what goes in and what comes out."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import onnx
import onnxruntime
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

import small_networks
from conftest import ROOT
from resnet_gen.export import onnx_file
from resnet_gen.read import library
from small_networks import CLASSES, apart, built, mean_of, pixels, weights_file


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_networks.make(tmp_path_factory.mktemp("networks"))


@pytest.fixture
def here(networks: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(networks)
    return networks


def in_onnxruntime(path: Path, images: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (found,) = session.run(["scores"], {"images": images.numpy()})
    return torch.from_numpy(numpy.asarray(found))


def operations(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path, load_external_data=False).graph.node]


def run_example(word: str, names: dict[str, Path]) -> None:
    """The code in docs/production.md that has this word, on other files."""
    page = (ROOT / "docs/production.md").read_text()
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.S) if word in block]
    for name, path in names.items():
        code = code.replace(f'"{name}"', repr(str(path)))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_onnx_of_a_cifar_network(here: Path, cli: Callable, tmp_path: Path) -> None:
    out = tmp_path / "small.onnx"
    code, printed, err = cli("export", "small", "small.pt", "--format", "onnx", "-o", out)
    assert (code, printed) == (0, f"{out}\n"), err
    assert re.fullmatch(
        r"onnx: scores differ from the generated network's by at most \d\.\de-\d\d, "
        r"where the largest is [\d.]+, for 1 and 3 images\n",
        err,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["small.onnx"]  # no weights beside it
    network = built(here, "small")
    for count in (1, 3, 4):
        images = pixels("small", count) - mean_of("small")
        assert apart(network(images), in_onnxruntime(out, images)) < 1e-5
    model = onnx.load(out)
    onnx.checker.check_model(model)
    said = {each.key: each.value for each in model.metadata_props}
    assert said["network"] == "small" and json.loads(said["classes"]) == CLASSES
    assert said["network_sha256"] == library.network("small").network_sha256
    assert said["images"] == "float32 (N, 3, 32, 32): RGB, 0 to 255, minus `mean`"
    assert torch.equal(torch.tensor(json.loads(said["mean"])), mean_of("small"))
    assert [(each.domain, each.version) for each in model.opset_import] == [("", onnx_file.OPSET)]
    assert operations(out).count("BatchNormalization") == 7
    run_example("onnxruntime", {"digits.onnx": out})
    assert str(here).encode() not in out.read_bytes() and b"torch/nn" not in out.read_bytes()


def test_onnx_of_a_bottleneck_folded_and_from_pixels(
    here: Path, cli: Callable, tmp_path: Path
) -> None:
    out = tmp_path / "deep.onnx"
    given = ("--format", "onnx", "--fold", "--subtract-mean", "-o", out)
    code, _, err = cli("export", "generated/imagenet/deep", "deep.pt", *given)
    assert code == 0 and err.startswith("folded: scores differ from") and "\nonnx: scores" in err
    network = built(here, "deep")
    for count in (1, 3):
        images = pixels("deep", count)
        assert apart(network(images - mean_of("deep")), in_onnxruntime(out, images)) < 1e-5
    assert "BatchNormalization" not in operations(out) and operations(out).count("Conv") == 17
    said = {each.key: each.value for each in onnx.load(out).metadata_props}
    assert said["images"].endswith("RGB, 0 to 255; the mean is subtracted inside")
    assert "mean" not in said  # so that nobody subtracts it twice


def test_pt2(here: Path, cli: Callable, tmp_path: Path) -> None:
    out = tmp_path / "small.pt2"
    code, _, err = cli("export", "small", "small.pt", "--format", "pt2", "-o", out)
    told = "pt2: the same scores as the generated network, to the bit, for 1 and 3 images\n"
    assert (code, err) == (0, told)
    said: dict[str, Any] = dict.fromkeys(("network", "classes", "images", "mean"), "")
    program = torch.export.load(io.BytesIO(out.read_bytes()), extra_files=said)
    assert said["network"] == "small" and json.loads(said["classes"]) == CLASSES
    assert torch.equal(torch.tensor(json.loads(said["mean"])), mean_of("small"))
    for count in (1, 4):
        images = pixels("small", count) - mean_of("small")
        assert torch.equal(program.module()(images), built(here, "small")(images))
    run_example("torch.export", {"digits.pt2": out})
    assert norms(program) == 7 and str(here).encode() not in out.read_bytes()


def norms(program: Any) -> int:
    return sum("batch_norm" in str(node.target) for node in program.graph.nodes)


def test_safetensors(here: Path, cli: Callable, tmp_path: Path) -> None:
    out = tmp_path / "deep.safetensors"
    code, _, err = cli("export", "deep", "deep.pt", "--format", "safetensors", "-o", out)
    assert code == 0 and "tensors, the checkpoint's" in err
    state, found = built(here, "deep").state_dict(), load_file(out)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)
    with safe_open(out, "pt") as file:
        said = file.metadata()
    made_of = json.loads(said.pop("input"))
    assert said == {
        "format": "resnet-gen weights 1",
        "network": "deep",
        "network_sha256": library.network("deep").network_sha256,
        "classes": '["ant", "bee", "cow"]',
        "source_layout": "resnet-gen",
        "source_sha256": hashlib.sha256(Path("deep.pt").read_bytes()).hexdigest(),
        "transforms": "[]",
    }
    assert made_of == {"order": "rgb", "mean": mean_of("deep").flatten().tolist(), "std": [1] * 3}


# ---- From a weights file -------------------------------------------------------------------------


def test_a_weights_file_with_a_standard_deviation(
    here: Path, cli: Callable, tmp_path: Path
) -> None:
    mean, std = [120.0, 110.0, 100.0], [60.0, 50.0, 40.0]
    made_of = json.dumps({"order": "rgb", "mean": mean, "std": std})
    source, out = weights_file(tmp_path / "source.safetensors", input=made_of), tmp_path / "a.pt2"
    given = ("--format", "pt2", "--fold", "--subtract-mean", "-o", out)
    assert cli("export", "small", source, *given).code == 0
    images, network = pixels("small", 2), built(here, "small")
    prepared = (images - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    program = torch.export.load(io.BytesIO(out.read_bytes()))
    assert apart(network(prepared), program.module()(images)) < 1e-5 and norms(program) == 0


def test_a_weights_file_that_does_not_tell_of_its_input(
    here: Path, cli: Callable, tmp_path: Path
) -> None:
    source, out = weights_file(tmp_path / "source.safetensors"), tmp_path / "a.pt2"
    given = ("--format", "pt2", "-o", out)
    code, _, err = cli("export", "small", source, *given, "--subtract-mean")
    assert code == 2 and "it does not say which mean was subtracted for its training" in err
    assert cli("export", "small", source, *given).code == 0
    said = {"images": "", "network": ""}
    torch.export.load(io.BytesIO(out.read_bytes()), extra_files=said)
    assert "which is not known here" in said["images"]
