"""What a list of layers amounts to, in the words of the paper's tables.

Applied to the spec's layers and to the measured ones alike; with_paper.py sets the paper beside
them.
"""

from __future__ import annotations

from collections.abc import Sequence

from resnet_gen.network import layers as op
from resnet_gen.network.layers import Layer, Stage

MISSING = "missing"


def square(size: int) -> str:
    """112 is 112×112."""
    return f"{size}×{size}"


def imagenet_figures(layers: Sequence[Layer]) -> dict[str, str]:
    """Table 1's rows, top to bottom: "conv2_x repeats" is "3"."""
    figures = _first_layer(layers)
    pool = next((la for la in layers if "max pool" in la.operation), None)
    figures["max pool output size"] = square(pool.output_size) if pool else MISSING
    figures["max pool"] = str(pool).replace(" max pool", "") if pool else MISSING
    found = op.stages(layers)
    for k in range(max(4, len(found))):
        figures |= _stage(f"conv{k + 2}_x", found[k] if k < len(found) else None)
    return figures | _whole(layers, found, "average pool, {}-d fc")


def cifar_figures(layers: Sequence[Layer]) -> dict[str, str]:
    """Section 4.2's table, column by column: "stage 1 layers" counts conv1 too."""
    figures = _first_layer(layers)
    found = op.stages(layers)
    for k in range(max(3, len(found))):
        stage = found[k] if k < len(found) else None
        figures |= _stage(f"stage {k + 1}", stage)
        repeats = figures.pop(f"stage {k + 1} repeats")
        counted = stage.weighted + (k == 0) if stage else 0
        figures[f"stage {k + 1} layers"] = str(counted) if stage else repeats
    return figures | _whole(layers, found, "global average pooling, {}-way fc")


def _first_layer(layers: Sequence[Layer]) -> dict[str, str]:
    first = layers[0] if layers else None
    if first is None or first.operation != op.CONVOLUTION:
        return dict.fromkeys(
            ("conv1 output size", "conv1 kernel", "conv1 width", "conv1 stride"), MISSING
        )
    return {
        "conv1 output size": square(first.output_size),
        "conv1 kernel": square(first.kernel or 0),
        "conv1 width": str(first.out_channels),
        "conv1 stride": str(first.stride),
    }


def _stage(label: str, stage: Stage | None) -> dict[str, str]:
    words = ("output size", "kernels", "widths", "repeats", "stride")
    if stage is None:
        return {f"{label} {word}": MISSING for word in words}
    written = [c.split(", ") for c in stage.convolutions]
    kernels, widths = [kernel for kernel, _ in written], [width for _, width in written]
    values = (
        square(stage.output_size),
        ", ".join(kernels),
        ", ".join(widths),
        str(stage.repeats),
        _stride(stage),
    )
    return {f"{label} {word}": value for word, value in zip(words, values, strict=True)}


def _stride(stage: Stage) -> str:
    """1, or 2 and where: only a bottleneck leaves a choice."""
    kernels, strides = [k for k, _ in stage.strides], [s for _, s in stage.strides]
    if max(strides, default=1) == 1:
        text = "1"
    elif "1×1" not in kernels and strides[0] > 1 and max(strides[1:], default=1) == 1:
        text = str(strides[0])
    else:
        text = " and ".join(f"{s}, in the {k}" for k, s in stage.strides if s > 1)
    return text if stage.later_strides == 1 else f"{text}; {stage.later_strides} in a later block"


def _whole(layers: Sequence[Layer], found: Sequence[Stage], head: str) -> dict[str, str]:
    pooled = [la.operation for la in layers[-2:]] == [op.AVERAGE_POOL, op.FULLY_CONNECTED]
    orders = dict.fromkeys(order for stage in found for order in stage.orders)
    return {
        "head": head.format(layers[-1].out_channels) if pooled else _tail(layers),
        "block order": " / ".join(orders) or MISSING,
        "shortcuts": op.shortcut_option(found),
        "depth": str(op.depth(layers)),
        "parameters": f"{op.total(layers, 'parameters'):,}",
        "multiply-adds": f"{op.total(layers, 'multiply_adds'):,}",
    }


def _tail(layers: Sequence[Layer]) -> str:
    return ", ".join(str(layer) for layer in layers[-2:]) or MISSING
