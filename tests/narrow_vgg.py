"""A narrow VGG: as a spec, as torchvision's own class builds it, and generated."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torchvision.models.vgg import VGG, make_layers

from resnet_gen.generate import render
from resnet_gen.generate.loading import load
from resnet_gen.read import library

SPEC = """
name: narrow
design: vgg
depth: 10
blocks: [1, 1, 2, 1, 2]
width: 4
hidden: 24
classes: 7
dropout: 0.25
image_size: 40
"""
WIDTHS = [4, "M", 8, "M", 16, 16, "M", 32, "M", 32, 32, "M"]


def write_spec(more: str = "") -> Path:
    """The spec, below the current folder; its path."""
    path = Path("specs/imagenet/narrow.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SPEC + more)
    return path


def generated() -> Path:
    """The folder of the code of the spec that `write_spec` wrote."""
    entry = library.network("narrow")
    for path, rendered in render.render([entry]).items():
        target = Path("generated", path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(rendered.header + rendered.text)
    return Path("generated", entry.folder)


def network(folder: Path) -> nn.Module:
    """The generated network."""
    module = load(folder / "model.py")
    return getattr(module, module.__all__[0])()


def reference(*, batch_norm: bool = False) -> nn.Module:
    """torchvision's class with these layers; its classifier is made narrow."""
    features = make_layers(WIDTHS, batch_norm)
    with torch.device("meta"):  # where a classifier of 4096 units costs nothing
        model = VGG(features, num_classes=7, init_weights=False, dropout=0.25)
    for index, (inputs, outputs) in {0: (32 * 49, 24), 3: (24, 24), 6: (24, 7)}.items():
        model.classifier[index] = nn.Linear(inputs, outputs)
    return model
