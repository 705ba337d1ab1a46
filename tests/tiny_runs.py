"""What the tests of ImageNet's scripts share: a small network's folder, run in this process."""

from __future__ import annotations

import random
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision.transforms.functional as T
from PIL import Image
from torch import nn

import photographs
from conftest import READING
from resnet_gen.generate.loading import load

FLAGS = "--iterations 40 --batch-size 4 --device cpu --precision fp32"
CLASSES = sorted(photographs.PHOTOGRAPHS)


def reading(**more: object) -> Namespace:
    """The flags of reading images, with others."""
    args = {**vars(READING), "seed": 0, "decode": "cpu", "data": "data", "root": Path()}
    return Namespace(**{**args, **more})


def runner(script: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs train.py in this process; gives its exit code."""

    def main(*arguments: object) -> int:
        given = ["train.py", *FLAGS.split(), "--workers", 0, *arguments]
        monkeypatch.setattr(sys, "argv", [*map(str, given)])
        try:
            script.train.main()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return main


def last_line(capture: pytest.CaptureFixture[str]) -> str:
    return capture.readouterr().err.strip().splitlines()[-1]


def untrained(path: Path, seed: int, classes: int = 4) -> nn.Module:
    """Random weights, statistics of real pictures, scores of their own for each: to be compared."""
    torch.manual_seed(seed)
    module = load(path / "model.py")
    model: nn.Module = getattr(module, module.__all__[0])(num_classes=classes)
    numbers, size = random.Random(0), 64
    seen = []
    for source in photographs.PHOTOGRAPHS.values():
        with Image.open(source) as image:
            photograph = image.convert("RGB")
        pieces = (photographs.piece(photograph, numbers, size) for _ in range(4))
        seen += [T.pil_to_tensor(T.center_crop(piece, [size])) for piece in pieces]
    images = torch.stack(seen).float() - 120
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        model(images)
        scores = model.eval()(images)
        fc = model.get_submodule("fc")
        fc.bias -= scores.mean(0)
        fc.weight /= scores.std()
        fc.bias /= scores.std()
    return model


def save(script: Any, model: nn.Module, path: Path, **more: object) -> Path:
    """A checkpoint as that network's script writes it; its path."""
    train = script.train
    content = {
        "network": train.NETWORK,
        "spec_sha256": train.SPEC_SHA256,
        "network_sha256": train.NETWORK_SHA256,
        "same": {},
        "progress": {"step": 0},
        "model": model.state_dict(),
        "classes": CLASSES,
        "mean": torch.tensor(train.MEAN)[:, None, None],
    }
    torch.save({**content, **more}, path)
    return path
