"""The generated network with trained weights, ready to be exported."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from resnet_gen.errors import Failure, Problem
from resnet_gen.export.reading import Input, Trained
from resnet_gen.generate.loading import load
from resnet_gen.weights.target import is_head


class FromPixels(nn.Module):
    """A network behind what its images go through: pixels (N, C, H, W) of 0 to 255 to scores."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, made_of: Input) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", made_of.mean)
        self.register_buffer("std", made_of.std)
        self.divides = bool((made_of.std != 1).any())

    def forward(self, images: Tensor) -> Tensor:
        """Subtracts the mean, and divides by the standard deviation where it is not 1."""
        images = images - self.mean
        return self.network(images / self.std if self.divides else images)  # type: ignore[no-any-return]


def build(code: Path, checkpoint: Path, trained: Trained) -> nn.Module:
    """The network of a generated model.py with these weights, in eval mode.

    It has as many scores as the weights, which need not be the spec's number of classes.

    Raises:
        Failure: the file cannot be run, or the weights are not this network's (exit code 2).
    """
    heads = [name for name in trained.state if is_head(name) and name.endswith("bias")]
    if not heads:
        message = "it lacks the bias of the last layer"
        raise Failure(Problem("checkpoint", message, "", checkpoint.as_posix()))
    bias = trained.state[heads[0]]
    if trained.classes is not None and len(trained.classes) != len(bias):
        message = f"it has {len(bias)} scores, and names {len(trained.classes)} classes"
        raise Failure(Problem("checkpoint", message, "", checkpoint.as_posix()))
    try:
        module = load(code)
        (name,) = module.__all__
        network: nn.Module = getattr(module, name)(num_classes=len(bias))
    except (Exception, SystemExit) as error:  # it is somebody's code, maybe edited
        message = f"it cannot be run: {type(error).__name__}: {error}".splitlines()[0]
        raise Failure(Problem("code", message, "", code.as_posix())) from None
    _require_same_shapes(checkpoint, trained, network)
    network.load_state_dict(trained.state)
    return network.eval()


def _require_same_shapes(checkpoint: Path, trained: Trained, network: nn.Module) -> None:
    own = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    has = {key: tuple(value.shape) for key, value in trained.state.items()}
    if own == has:
        return
    lacking, added = sorted(own.keys() - has.keys()), sorted(has.keys() - own.keys())
    other = [key for key in own if key in has and own[key] != has[key]]
    told = [f"it lacks {key}" for key in lacking[:1]] + [f"it has {key}" for key in added[:1]]
    told += [f"its {key} is of shape {has[key]}, not {own[key]}" for key in other[:1]]
    message = f"its weights are not those of the code: {', '.join(told)}"
    hint = "is model.py as it was when this was trained?"
    raise Failure(Problem("checkpoint", message, hint, checkpoint.as_posix()))


def example_images(count: int, shape: tuple[int, int, int]) -> Tensor:
    """Pixels (count, *shape) of 0 to 255, drawn at random, the same at each call."""
    numbers = torch.Generator().manual_seed(count)
    return torch.rand(count, *shape, generator=numbers) * 255


def prepared(images: Tensor, made_of: Input | None) -> Tensor:
    """What the network itself takes for these pixels; an unknown mean is taken for mid-grey."""
    if made_of is None:
        return images - 127.5
    return (images - made_of.mean) / made_of.std
