"""The process in which a deeper network is made of a trained one, and both are shown images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resnet_gen.errors import Failure, Problem
from resnet_gen.export.building import build
from resnet_gen.generate.apart import broken
from resnet_gen.generate.loading import load
from resnet_gen.network.expansion import Network, expand
from resnet_gen.network.layers import Layer, Operation
from resnet_gen.read import library
from resnet_gen.responses import recording
from resnet_gen.responses.images import images
from resnet_gen.responses.spread import Spread
from resnet_gen.weights.writing import write_safetensors

TOLERANCE = 1e-4  # of the largest score, where a batch norm has to undo itself
State = dict[str, Tensor]


def construct(code: Path, given: dict[str, Any]) -> dict[str, Any]:
    """How the two networks compare, once the deeper one's weights are written.

    Args:
        code: the shallower network's model.py.
        given: its name, `shallower`, and the path of its `weights`; the `deeper` network's name and
            the path of its `code`; the path to write, `out`; the `seed` of what is drawn; and the
            images: `data`, `root`, `count`.
    """
    return recording.in_words(code, lambda: _construct(code, given))


def _construct(code: Path, given: dict[str, Any]) -> dict[str, Any]:
    entry, deeper = library.network(given["shallower"]), library.network(given["deeper"])
    few, many = expand(entry.spec), expand(deeper.spec)
    shallow = recording.opened(entry, code, Path(given["weights"]))
    asked = (given["data"], Path(given["root"]), given["count"])
    shown = list(images(code, entry.spec, *asked, "train"))
    of_stages = {stage.name: Spread(of_channels=True) for stage in few.stages}
    with recording.recorded(shallow.network, of_stages):
        before = list(recording.shown_to(shallow, shown))

    blocks = added_blocks(few, many)
    own, trained = Path(given["code"]), shallow.trained
    state = _drawn(own, len(trained.state["fc.bias"]), given["seed"]) | trained.state
    for block in blocks:
        stage = block.partition(".")[0]
        make_identity(state, _layers_of(many, block), of_stages[stage])
    made = replace(trained, state=state)
    deep = shallow._replace(network=build(own, own, made).to(shallow.device))
    after = list(recording.shown_to(deep, shown))

    pairs = [(one, other) for (one, _), (other, _) in zip(before, after, strict=True)]
    apart = float(torch.stack([(one - other).abs().max() for one, other in pairs]).max())
    largest = float(torch.stack([one.abs().max() for one, _ in pairs]).max())
    allowed = 0.0 if _is_exact(many, blocks) else TOLERANCE * largest
    if not apart <= allowed:  # nor where it is NaN
        message = f"its scores are {apart:.1g} from {entry.name}'s, the largest being {largest:.3g}"
        hint = "nothing was written; is one of the two model.py edited?"
        raise Failure(Problem("constructed", message, hint, own.as_posix()), exit_code=3)
    told = f"{entry.name} with {len(blocks)} blocks added that pass on what they are given"
    metadata = {
        **trained.metadata,
        "network": deeper.name,
        "network_sha256": deeper.network_sha256,
        "transforms": json.dumps([told]),
        "constructed_from": entry.name,
    }
    try:
        write_safetensors(Path(given["out"]), state, metadata)
    except OSError as error:
        message = f"cannot be written: {error.strerror or error}"
        raise Failure(Problem("file", message, "", given["out"])) from None
    errors = [_error(before), _error(after)]
    counts = {"blocks": len(blocks), "images": sum(len(labels) for _, labels in shown)}
    return {**counts, "apart": apart, "largest": largest, "errors": errors}


def added_blocks(few: Network, many: Network) -> list[str]:
    """The blocks that the deeper network has more of, which are the last ones of each stage."""
    return [
        f"{stage.name}.{number}"
        for fewer, stage in zip(few.stages, many.stages, strict=True)
        for number in range(fewer.blocks, stage.blocks)
    ]


def make_identity(state: State, block: Sequence[Layer], taken: Spread) -> None:
    """Makes a block pass on what it is given, which nothing in it makes smaller or larger.

    Args:
        state: the network's weights, which are changed.
        block: the layers of a block that keeps the dimensions.
        taken: the mean and variance of each channel that it is given, which is never negative.
    """
    kernels = [layer for layer in block if layer.operation == Operation.CONVOLUTION]
    norms = {layer.inputs[0]: layer for layer in block if layer.operation == Operation.BATCH_NORM}
    is_plain = not any(layer.operation == Operation.ADDITION for layer in block)
    for kernel in kernels:
        if is_plain or ".downsample." in kernel.name:  # option C has a projection in each block
            _pass_on(state, kernel.name, norms[kernel.name], taken)
    if not is_plain:
        last = [norm.name for norm in norms.values() if ".downsample." not in norm.name][-1]
        state[f"{last}.weight"] = torch.zeros_like(state[f"{last}.weight"])
        state[f"{last}.bias"] = torch.zeros_like(state[f"{last}.bias"])


def _pass_on(state: State, kernel: str, norm: Layer, taken: Spread) -> None:
    """A kernel that passes each channel on, and a batch norm that undoes what it does to it."""
    weight = torch.zeros_like(state[f"{kernel}.weight"])
    channel, middle = torch.arange(weight.shape[0]), weight.shape[2] // 2
    weight[channel, channel, middle, middle] = 1
    mean, variance = taken.mean.float(), taken.variance.float()
    arguments: dict[str, Any] = dict(norm.arguments)
    state[f"{kernel}.weight"] = weight
    state[f"{norm.name}.running_mean"] = mean
    state[f"{norm.name}.running_var"] = variance
    state[f"{norm.name}.weight"] = (variance.double() + arguments["eps"]).sqrt().float()
    state[f"{norm.name}.bias"] = mean.clone()  # safetensors writes no memory twice


def _is_exact(network: Network, blocks: Sequence[str]) -> bool:
    """Whether the added blocks are identities to the bit: residual ones without a projection."""
    layers = [layer for block in blocks for layer in _layers_of(network, block)]
    adds = any(layer.operation == Operation.ADDITION for layer in layers)
    return adds and not any(".downsample." in layer.name for layer in layers)


def _layers_of(network: Network, block: str) -> list[Layer]:
    return [layer for layer in network.layers if layer.name.startswith(f"{block}.")]


def _drawn(code: Path, classes: int, seed: int) -> State:
    """The weights with which the deeper network would begin by itself."""
    torch.manual_seed(seed)
    try:
        module = load(code)
        network: torch.nn.Module = getattr(module, module.__all__[0])(num_classes=classes)
    except (Exception, SystemExit) as error:  # it is somebody's code, maybe edited
        raise Failure(broken(code, error)) from None
    return dict(network.state_dict())


def _error(shown: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Top-1 error in percent."""
    wrong = sum(int((scores.argmax(1) != labels).sum()) for scores, labels in shown)
    return 100 * wrong / sum(len(labels) for _, labels in shown)
