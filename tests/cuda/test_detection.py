"""Detectors on a CUDA device: what the processor finds, and a whole run with every step of it.

On pictures made here: nothing but torch, torchvision, Pillow and pytest is needed.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
NO_CUDA = "needs a CUDA device: torch.cuda.is_available() is false"
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason=NO_CUDA)
CUDA, CPU = torch.device("cuda"), torch.device("cpu")
COLOURS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def code() -> Any:
    """The modules of the small detector's folder."""
    path = ROOT / "resnet_gen/generate/loading.py"
    spec = importlib.util.spec_from_file_location("loading", path)
    assert spec and spec.loader
    loading = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loading)
    return loading.load_folder(ROOT / "generated/detection/faster_rcnn_small")


def normalising(code: Any) -> Any:
    """The backbone with statistics of random images, as if it were trained."""
    torch.manual_seed(0)
    net = code.model.ResNet18Small(num_classes=3)
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    with torch.no_grad():
        net.train()(torch.randn(16, 3, 64, 64) * 60)
    return net


def trainer(code: Any, device: torch.device, precision: str) -> Any:
    args = Namespace(device=device, precision=precision, measure="voc", seed=0)
    mean = torch.full((3, 1, 1), 110.0)
    training = code.train.Trainer(list(COLOURS), mean, normalising(code), args)
    training.optimizer.param_groups[0]["lr"] = 0.002  # the recipe's is for a trained backbone
    return training


def examples(code: Any) -> list[Any]:
    """Four grey pictures with a coloured rectangle each."""
    found = []
    for k in range(4):
        left, top = 20 + 10 * k, 60 - 10 * k
        pixels = torch.full((3, 160, 160), 110, dtype=torch.uint8)
        pixels[:, top : top + 60, left : left + 50] = 20
        pixels[k % 3, top : top + 60, left : left + 50] = 230
        box = torch.tensor([[left, top, left + 50.0, top + 60.0]])
        found.append(code.data.Example(pixels, box, torch.tensor([k % 3 + 1]), ""))
    return found


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_learns_four_pictures(code: Any, precision: str) -> None:
    training, batch = trainer(code, CUDA, precision), examples(code)
    for step in range(150):
        torch.manual_seed(step)
        training.train_step(batch)
        if step == 9:
            first = training.figures(10)["loss"]
    training.figures(140)
    training.train_step(batch)
    assert training.figures(1)["loss"] < 0.5 * first
    training.model.eval()
    for each in batch:
        with torch.inference_mode():
            found = training.detect(each.pixels.to(CUDA).float())
        assert found["labels"][0] == each.labels[0] and found["scores"][0] > 0.5


def test_it_finds_what_the_processor_finds(code: Any) -> None:
    training, batch = trainer(code, CUDA, "fp32"), examples(code)
    for step in range(60):
        torch.manual_seed(step)
        training.train_step(batch)
    on_cpu = trainer(code, CPU, "fp32")
    on_cpu.model.load_state_dict(training.model.state_dict())
    torch.backends.cudnn.allow_tf32 = False
    for each in batch:
        with torch.inference_mode():
            training.model.eval()
            on_cpu.model.eval()
            expected = on_cpu.detect(each.pixels.float())
            found = training.detect(each.pixels.to(CUDA).float())
        certain = expected["scores"] > 0.2  # of others the order may be another
        assert certain.any()
        for key, value in expected.items():
            ours = found[key][: len(value)].cpu()[certain[: len(found[key])]]
            torch.testing.assert_close(ours, value[certain], rtol=1e-3, atol=1e-2)


def test_a_run_from_a_classifier_to_a_picture_with_boxes(code: Any, tmp_path: Path) -> None:
    """train.py as people call it: training, validation, results, --evaluate and --predict."""
    data = tmp_path / "data/shapes"
    for part in ("train", "val"):
        (data / part).mkdir(parents=True)
        for k, each in enumerate(examples(code)):
            pixels = each.pixels.permute(1, 2, 0).contiguous().numpy()
            Image.fromarray(pixels).save(data / part / f"{k}.png")
            edges = zip(("xmin", "ymin", "xmax", "ymax"), each.boxes[0].tolist(), strict=True)
            box = "".join(f"<{name}>{round(value)}</{name}>" for name, value in edges)
            name = COLOURS[int(each.labels[0]) - 1]
            (data / part / f"{k}.xml").write_text(
                f"<annotation><filename>{k}.png</filename><size><width>160</width>"
                f"<height>160</height><depth>3</depth></size><object><name>{name}</name>"
                f"<bndbox>{box}</bndbox></object></annotation>"
            )
    for k, each in enumerate(examples(code) * 12):
        left, top, right, bottom = (round(edge) for edge in each.boxes[0].tolist())
        crop = each.pixels[:, top:bottom, left:right].permute(1, 2, 0).contiguous().numpy()
        part = "val" if k < 4 else "train"
        place = data.parent / "crops" / part / COLOURS[int(each.labels[0]) - 1]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(crop).resize((64, 64)).save(place / f"{k}.png")
    run = tmp_path / "run"
    common = ["--data", "shapes", "--root", data.parent, "--workers", 0]
    detector = ROOT / "generated/detection/faster_rcnn_small/train.py"

    def call(script: Path, *arguments: object) -> str:
        command = [sys.executable, script, *arguments]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    classifier = ROOT / "generated/imagenet/resnet18_small/train.py"
    crops = ["--data", "crops", "--root", data.parent, "--out", tmp_path / "backbone", "--eager"]
    call(classifier, *crops, "--iterations", 20, "--batch-size", 16)
    begin = ["--backbone", tmp_path / "backbone/checkpoint.pt", "--out", run]
    call(detector, *common, *begin, "--iterations", 20)
    results = json.loads((run / "results.json").read_text())
    assert results["device"] == "cuda" and 0 <= results["test_map"] <= 100
    shown = call(detector, *common, "--evaluate", run / "checkpoint.pt")
    assert shown.startswith(f"map {results['test_map']:.2f}%")
    call(
        detector, "--predict", data / "val/0.png", "--evaluate", run / "checkpoint.pt", "--out", run
    )
    assert (run / "0.detections.png").is_file()
