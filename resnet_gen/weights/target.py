"""The network that weights go to: what it must be given, and whether a file's is the same."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from resnet_gen.network.expansion import expand
from resnet_gen.network.layers import Operation
from resnet_gen.read.network_spec import ImagenetSpec, NetworkSpec, ResidualSpec
from resnet_gen.weights.conventions import Conventions
from resnet_gen.weights.structure import Structure, of_spec

HEADS = ("fc.", "classifier.6.")  # how the tensors of the last layer begin
STRIDES = {"conv1x1": "the 1×1 convolutions (v1)", "conv3x3": "the 3×3 convolutions (v1.5)"}
POOLS = {"padded": "pads its max pooling", "ceil": "does not pad its max pooling and rounds up"}


def shapes(spec: NetworkSpec) -> dict[str, tuple[int, ...]]:
    """Every name of the network's state dict, with its shape."""
    found: dict[str, tuple[int, ...]] = {}
    for layer in expand(spec).layers:
        if layer.operation == Operation.CONVOLUTION and layer.kernel:
            kernel = (layer.kernel, layer.kernel)
            found[f"{layer.name}.weight"] = (layer.out_channels, layer.in_channels, *kernel)
            if dict(layer.arguments)["bias"]:
                found[f"{layer.name}.bias"] = (layer.out_channels,)
        elif layer.operation == Operation.BATCH_NORM:
            for part in ("weight", "bias", "running_mean", "running_var"):
                found[f"{layer.name}.{part}"] = (layer.out_channels,)
            found[f"{layer.name}.num_batches_tracked"] = ()
        elif layer.operation == Operation.FULLY_CONNECTED:
            found[f"{layer.name}.weight"] = (layer.out_channels, layer.in_channels)
            found[f"{layer.name}.bias"] = (layer.out_channels,)
    return found


def is_head(name: str) -> bool:
    """Whether a tensor belongs to the last layer, which has an output for each class."""
    return name.startswith(HEADS)


def head_of(spec: NetworkSpec) -> str:
    """The name of the last layer: fc, or VGG's classifier.6."""
    return expand(spec).layers[-1].name


def pads_after(spec: NetworkSpec) -> bool:
    """Whether its shortcuts have zero channels, after the others."""
    return isinstance(spec, ResidualSpec) and (spec.shortcut, spec.zero_padding) == ("A", "after")


def strided(spec: NetworkSpec) -> str | None:
    """The layer of a bottleneck that strides; None for networks without bottlenecks."""
    if not isinstance(spec, ImagenetSpec) or spec.block == "basic":
        return None
    return "conv3x3" if spec.strided_convolution == 2 else "conv1x1"


def differences(
    found: Structure, known: Conventions, spec: NetworkSpec, *, new_head: bool
) -> list[str]:
    """Why the file's network is not this one, in sentences that begin with what the file has."""
    wanted, told = of_spec(spec), []
    for what in ("design", "block", "width", "image_channels"):
        one, other = getattr(found, what), getattr(wanted, what)
        if one != other:
            told.append(f"{what.replace('_', ' ')} {one}, not {other}")
    if found.blocks != wanted.blocks:
        told.append(f"blocks {list(found.blocks)}, not {list(wanted.blocks)}")
    if found.shortcut != wanted.shortcut:
        told.append(f"shortcut {found.shortcut}, not {wanted.shortcut}")
    if not new_head and found.classes not in (None, wanted.classes):
        told.append(f"{found.classes:,} classes, not {wanted.classes:,}")
    if told:
        return told
    strides = strided(spec)
    if known.stride_in and strides and known.stride_in != strides:
        told.append(f"strides in {STRIDES[known.stride_in]}, not in {STRIDES[strides]}")
    if known.pooling and isinstance(spec, ImagenetSpec) and known.pooling != spec.pooling:
        told.append(f"{POOLS[known.pooling]}; this network {POOLS[spec.pooling]}")
    if found.shortcut == "none or A" and not known.zero_padding:
        told.append("has no projections: its names do not tell option A from a plain network")
    elif found.shortcut == "none or A" and spec.shortcut == "none":
        told.append("has option A's shortcuts; this network has none")
    return told


def missing_and_added(
    tensors: Mapping[str, Tensor], spec: NetworkSpec, *, new_head: bool
) -> list[str]:
    """What is missing from the tensors, is not in the network, or has another shape."""
    told, wanted = [], shapes(spec)
    if new_head:
        wanted = {name: shape for name, shape in wanted.items() if not is_head(name)}
    told += [f"it lacks {name}" for name in wanted if name not in tensors]
    told += [f"it has {name} too" for name in tensors if name not in wanted]
    for name, shape in wanted.items():
        if name in tensors and tuple(tensors[name].shape) != shape:
            shown = ["×".join(map(str, s)) or "a number" for s in (tensors[name].shape, shape)]
            told.append(f"its {name} is {shown[0]}, not {shown[1]}")
    return told
