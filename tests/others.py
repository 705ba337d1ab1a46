"""Weights files for tests: networks with random statistics, written as others write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from conftest import network_class
from resnet_gen.generate.loading import load

SMALL = """name: small
design: imagenet
depth: {depth}
block: bottleneck
blocks: {blocks}
shortcut: B
stride_in: {stride_in}
pooling: {pooling}
width: {width}
classes: 7
"""


def settle(model: nn.Module, seed: int = 0) -> nn.Module:
    """Statistics, scales and biases as training leaves them: none is 0 or 1."""
    draw = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.weight.data, module.running_var):
                value.copy_(0.5 + torch.rand(value.shape, generator=draw))
            for value in (module.bias.data, module.running_mean):
                value.copy_(0.3 * torch.randn(value.shape, generator=draw))
    return model


def imported(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def ours(name: str, path: Path, **build: Any) -> nn.Module:
    """Our network with the weights of a file, all of them."""
    model: nn.Module = network_class(name)(**build)
    model.load_state_dict(imported(path)[0], strict=True)
    return model


def small(
    cli: Callable[..., Any], folder: Path, *, stride_in: str, pooling: str = "padded",
    blocks: tuple[int, ...] = (2, 1, 1, 1), width: int = 8,
) -> tuple[Path, type[nn.Module]]:  # fmt: skip
    """The spec and the class of a small bottleneck network, which the paper does not have."""
    spec = folder / f"small_{stride_in}_{pooling}.yaml"
    fields = {"stride_in": stride_in, "pooling": pooling, "width": width}
    spec.write_text(SMALL.format(depth=2 + 3 * sum(blocks), blocks=list(blocks), **fields))
    code = folder / spec.stem
    assert cli("generate", spec, "--out", code).code == 0
    return spec, load(code / "imagenet/small/model.py").Small


def images(size: int = 64, count: int = 2) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def gradients(model: nn.Module, x: Tensor, scores: Callable[[Any], Tensor]) -> list[Tensor]:
    model.train()
    model.zero_grad()
    nn.functional.cross_entropy(scores(model(x)), torch.tensor([0, 1])).backward()
    return [weight.grad for weight in model.parameters() if weight.grad is not None]


def require_scores(made: type[nn.Module], out: Path, x: Tensor, wanted: Tensor) -> None:
    mine = made()
    mine.load_state_dict(imported(out)[0], strict=True)
    with torch.no_grad():
        scores = mine.eval()(x)
    assert wanted.std() > 1e-3
    assert torch.allclose(scores, wanted, rtol=1e-4, atol=1e-5), (scores - wanted).abs().max()
