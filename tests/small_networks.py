"""Small networks, generated, with checkpoints as their scripts write them: to be exported."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from resnet_gen.generate import render
from resnet_gen.generate.loading import load
from resnet_gen.read import library
from test_generated import randomised

SPECS = {  # small, of both designs and blocks; plain's weights have the keys and shapes of small's
    "small": "design: cifar\ndepth: 8\nwidth: 4\nshortcut: A\n",
    "plain": "design: cifar\ndepth: 8\nwidth: 4\nshortcut: none\n",
    "deep": "design: imagenet\ndepth: 14\nblock: bottleneck\nblocks: [1, 1, 1, 1]\nshortcut: B\n"
    "width: 8\nimage_size: 64\n",
}
CLASSES = ["ant", "bee", "cow"]


def make(root: Path) -> Path:
    """Those networks, generated, each with a checkpoint as its script writes one."""
    for name, text in SPECS.items():
        (root / f"specs/{name}.yaml").parent.mkdir(exist_ok=True)
        (root / f"specs/{name}.yaml").write_text(f"name: {name}\n{text}")
    entries = [library.read_network(root / f"specs/{name}.yaml") for name in SPECS]
    for path, made in render.render(entries).items():
        (root / "generated" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "generated" / path).write_text(made.header + made.text)
    for entry in entries:
        save(root / f"{entry.name}.pt", entry, built(root, entry.name))
    return root


def built(root: Path, name: str) -> nn.Module:
    """The generated network with three classes and weights of its own, in eval mode."""
    (code,) = root.glob(f"generated/*/{name}/model.py")
    module = load(code)
    torch.manual_seed(0)
    return randomised(getattr(module, module.__all__[0])(num_classes=3)).eval()


def mean_of(name: str) -> Tensor:
    """Per pixel, as a CIFAR script has it, or per channel, as an ImageNet script has."""
    shape = (3, 1, 1) if name == "deep" else (3, 32, 32)
    return 100 + 40 * torch.rand(shape, generator=torch.Generator().manual_seed(1))


def save(path: Path, entry: library.Entry, network: nn.Module, /, **more: object) -> None:
    content = {
        "network": entry.name,
        "network_sha256": entry.network_sha256,
        "model": network.state_dict(),
        "classes": CLASSES,
        "mean": mean_of(entry.name),
        "optimizer": {},
        "progress": {"step": 4},
    }
    torch.save({**content, **more}, path)


def pixels(name: str, count: int) -> Tensor:
    size = 64 if name == "deep" else 32
    return torch.randint(256, (count, 3, size, size)).float()


def apart(one: Tensor, other: Tensor) -> float:
    """The largest difference, relative to the largest score."""
    return ((one - other).abs().max() / one.abs().max()).item()


def weights_file(path: Path, **more: str) -> Path:
    metadata = {"format": "resnet-gen weights 1", "network": "small"}
    metadata["network_sha256"] = library.network("small").network_sha256
    save_file(built(Path(), "small").state_dict(), path, {**metadata, **more})
    return path
