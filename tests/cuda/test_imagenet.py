"""The ImageNet scripts on a CUDA device: the GPU's JPEGs, the compiled step, whole runs and ranks.

On pictures made here: nothing but torch, torchvision, Pillow and pytest is needed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "generated/imagenet"
NO_CUDA = "needs a CUDA device: torch.cuda.is_available() is false"
pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason=NO_CUDA),
    pytest.mark.filterwarnings("default"),  # torch's compiler warns of what is no fault here
]
CUDA = torch.device("cuda")


@pytest.fixture(scope="module")
def script() -> Any:
    """The modules of a generated folder, by the one file of resnet-gen that needs nothing else."""
    path = ROOT / "resnet_gen/generate/loading.py"
    spec = importlib.util.spec_from_file_location("loading", path)
    assert spec and spec.loader
    loading = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loading)
    return loading.load_folder(GENERATED / "resnet18_b")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("pictures"), height=300)


def make(root: Path, height: int) -> Path:
    """Three classes that differ in colour, in soft noise; of each, one grey and one CMYK."""
    width = height * 4 // 3
    generator = torch.Generator().manual_seed(0)
    for label, colour in enumerate(("red", "green", "blue")):
        for part, count in (("train", 8), ("val", 4)):
            folder = root / part / colour
            folder.mkdir(parents=True)
            for k in range(count):
                noise = torch.randn(1, 3, 9, 12, generator=generator) * 30 + 100
                noise[0, label] += 60
                pixels = F.interpolate(noise, (height, width), mode="bicubic")[0].clamp(0, 255)
                content = pixels.to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
                image = Image.fromarray(content)
                mode = {0: "L", 1: "CMYK"}.get(k, "RGB") if part == "train" else "RGB"
                image.convert(mode).save(folder / f"{k}.jpg", quality=95)
    return root


def batch(script: Any, folder: Path, decode: str, n: int = 24) -> Any:
    args = Namespace(seed=0, decode=decode)
    samples = script.data.load(folder).train.samples
    return script.data.Crops(samples, script.train.draw, args)[range(n)]


@pytest.mark.filterwarnings("error:the CPU decodes")
@pytest.mark.parametrize(("height", "at_once"), [(300, 32), (1_500, 5)])
def test_the_gpu_decodes_what_the_processor_does(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, height: int, at_once: int
) -> None:
    """In one part and in several, on the stream of the training and on one beside it."""
    monkeypatch.setattr(script.data, "DECODE_AT_ONCE", at_once)
    folder = make(tmp_path, height)
    files, pixels = batch(script, folder, "gpu"), batch(script, folder, "cpu")
    assert len(files.lengths) == 21  # all but the CMYK ones
    for beside in (None, torch.cuda.Stream()):
        for _ in range(3):
            made = script.data.decode(files, CUDA, beside).pixels
            assert made.device.type == "cuda" and made.dtype == torch.uint8
            difference = (made.cpu().float() - pixels.pixels.float()).abs()
            assert difference.flatten(1).mean(dim=1).max() < 4  # of 255: whole pixels here


def trained(script: Any, pictures: Path, precision: str, compiled: bool) -> list[float]:
    """The losses of ten steps."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    mean = torch.tensor(script.train.MEAN, device=CUDA)[:, None, None]
    trainer = script.train.Trainer(["red", "green", "blue"], mean, precision)
    trainer.optimizer.param_groups[0]["lr"] = 0.01
    if compiled:
        trainer.model.compile(dynamic=False)
    images, losses = batch(script, pictures, "cpu"), []
    for _ in range(10):
        trainer.sums.zero_()
        trainer.train_step(*images[:4])
        losses.append(trainer.sums[0].item())
    assert all("_orig_mod" not in key for key in trainer.model.state_dict())
    return losses


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 2e-2), ("bf16", 0.15)])
def test_the_compiled_step_has_the_losses_of_the_eager_one(
    script: Any, pictures: Path, precision: str, tolerance: float
) -> None:
    torch.backends.cudnn.allow_tf32 = False
    eager, compiled = (trained(script, pictures, precision, c) for c in (False, True))
    assert eager[-1] < eager[0] and compiled[-1] < compiled[0]
    first = torch.tensor(compiled[:3]), torch.tensor(eager[:3])  # differences grow with each step
    assert torch.allclose(*first, rtol=tolerance, atol=0.02)


def run(*arguments: object, ranks: int = 0) -> subprocess.CompletedProcess[str]:
    launch = ["-m", "torch.distributed.run", "--nproc_per_node", str(ranks)] if ranks else []
    command = [sys.executable, *launch, GENERATED / "resnet18_b/train.py", "--workers", "2"]
    return subprocess.run(
        [*map(str, [*command, *arguments])],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


@pytest.mark.parametrize("decode", ["gpu", "cpu"])
def test_a_run_and_the_papers_tests(pictures: Path, tmp_path: Path, decode: str) -> None:
    flags = ["--data", pictures, "--out", tmp_path, "--batch-size", 8, "--decode", decode]
    done = run(*flags, "--iterations", 40)
    assert done.returncode == 0, done.stderr
    assert "the CPU decodes" not in done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["precision"] == "bf16" and not results["eager"] and results["bad_images"] == 0
    assert results["decode"] == decode
    assert results["best_val_error"] < 50  # chance has 67
    for test in ("1-crop", "10-crop", "multi-scale"):
        done = run("--data", pictures, "--evaluate", tmp_path / "best.pt", "--test", test)
        assert done.returncode == 0 and f"{test} error " in done.stdout, done.stderr


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_ranks_train(pictures: Path, tmp_path: Path) -> None:
    flags = ["--data", pictures, "--out", tmp_path, "--batch-size", 8, "--iterations", 10]
    done = run(*flags, ranks=2)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "results.json").read_text())["ranks"] == 2


def test_more_ranks_than_gpus_are_told(pictures: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "RANK": "0", "WORLD_SIZE": "99", "LOCAL_RANK": "98"}
    command = [sys.executable, GENERATED / "resnet18_b/train.py", "--data", pictures]
    done = subprocess.run(
        [*map(str, [*command, "--batch-size", 99])],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 4 and "fewer than ranks" in done.stderr
