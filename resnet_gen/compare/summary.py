"""What a list of layers amounts to, in the figures of the paper's tables.

Applied to the spec's layers and to the measured ones alike; with_paper.py sets the paper beside
them.
"""

from __future__ import annotations

from collections.abc import Sequence

from resnet_gen.compare.rows import MISSING
from resnet_gen.network import layers as op
from resnet_gen.network.layers import Layer, Operation, Stage, square
from resnet_gen.paper.figures import Figure, Key


def summary(layers: Sequence[Layer], design: str) -> dict[Key, str]:
    """Table 1's rows or Figure 3's from top to bottom, or section 4.2's columns from left to right.

    In section 4.2 the first stage counts conv1 too.
    """
    return {"cifar": _cifar, "imagenet": _imagenet, "vgg": _vgg}[design](layers)


def strided_in(stride: str, kernel: str) -> str:
    """`2, in the 1×1`: a stride where a block leaves a choice of the layer that has it."""
    return f"{stride}, in the {kernel}"


def _imagenet(layers: Sequence[Layer]) -> dict[Key, str]:
    figures = _first_layer(layers)
    pool = next((la for la in layers if la.operation == Operation.MAX_POOL), None)
    size, window = Key(Figure.OUTPUT_SIZE, "max pool"), Key(Figure.WINDOW, "max pool")
    figures[size] = square(pool.output_size) if pool else MISSING
    figures[window] = str(pool).replace(" max pool", "") if pool else MISSING
    found = op.stages(layers)
    for k in range(max(4, len(found))):
        stage, place = found[k] if k < len(found) else None, f"conv{k + 2}_x"
        figures |= _stage(place, stage, Figure.REPEATS, str(stage.repeats) if stage else MISSING)
    return figures | _whole(layers, found, "average pool, {}-d fc")


def _cifar(layers: Sequence[Layer]) -> dict[Key, str]:
    figures = _first_layer(layers)
    found = op.stages(layers)
    for k in range(max(3, len(found))):
        stage, place = found[k] if k < len(found) else None, f"stage {k + 1}"
        counted = str(stage.weighted + (k == 0)) if stage else MISSING
        figures |= _stage(place, stage, Figure.LAYERS, counted)
    return figures | _whole(layers, found, "global average pooling, {}-way fc")


def _vgg(layers: Sequence[Layer]) -> dict[Key, str]:
    """A stage is what stands before a max pool."""
    stages: list[list[Layer]] = [[]]
    pools = []
    for layer in layers:
        if layer.operation == Operation.CONVOLUTION:
            stages[-1].append(layer)
        elif layer.operation == Operation.MAX_POOL:
            pools.append(layer)
            stages.append([])
    found = stages if stages[-1] else stages[:-1]
    figures: dict[Key, str] = {}
    for k in range(max(5, len(found))):
        stage = found[k] if k < len(found) else []
        pool = pools[k] if k < len(pools) else None
        figures |= _convolutions(f"conv{k + 1}", stage)
        figures[Key(Figure.STRIDE, f"pool{k + 1}")] = str(pool.stride) if pool else MISSING
    last = square(pools[-1].output_size) if pools else MISSING
    head = [la for la in layers if la.operation == Operation.FULLY_CONNECTED]
    figures[Key(Figure.OUTPUT_SIZE, f"pool{max(5, len(pools))}")] = last
    figures[Key(Figure.HEAD)] = ", ".join(f"fc {la.out_channels}" for la in head) or MISSING
    return figures | _counts(layers)


def _convolutions(place: str, stage: Sequence[Layer]) -> dict[Key, str]:
    """What all convolutions of a stage have; where they are not alike, each kind."""
    words = {
        Figure.OUTPUT_SIZE: [square(layer.output_size) for layer in stage],
        Figure.KERNEL: [square(layer.kernel or 0) for layer in stage],
        Figure.WIDTH: [str(layer.out_channels) for layer in stage],
        Figure.LAYERS: [str(len(stage))] if stage else [],
    }
    return {
        Key(figure, place): " / ".join(dict.fromkeys(each)) or MISSING
        for figure, each in words.items()
    }


def _first_layer(layers: Sequence[Layer]) -> dict[Key, str]:
    first = layers[0] if layers else None
    sizes = Figure.OUTPUT_SIZE, Figure.KERNEL, Figure.WIDTH, Figure.STRIDE
    values = [MISSING] * len(sizes)
    if first is not None and first.operation == Operation.CONVOLUTION:
        kernel = square(first.kernel or 0)
        values = [square(first.output_size), kernel, str(first.out_channels), str(first.stride)]
    return {Key(figure, "conv1"): v for figure, v in zip(sizes, values, strict=True)}


def _stage(place: str, stage: Stage | None, counted: Figure, count: str) -> dict[Key, str]:
    sizes = Figure.OUTPUT_SIZE, Figure.KERNELS, Figure.WIDTHS, Figure.STRIDE
    values = [MISSING] * len(sizes)
    if stage is not None:
        written = [c.split(", ") for c in stage.convolutions]
        kernels, widths = ", ".join(k for k, _ in written), ", ".join(w for _, w in written)
        values = [square(stage.output_size), kernels, widths, _stride(stage)]
    figures = {Key(figure, place): v for figure, v in zip(sizes, values, strict=True)}
    return figures | {Key(counted, place): count}


def _stride(stage: Stage) -> str:
    """The stage's stride, with the layer that has it where a block leaves a choice."""
    kernels, strides = [k for k, _ in stage.strides], [s for _, s in stage.strides]
    if max(strides, default=1) == 1:
        text = "1"
    elif "1×1" not in kernels and strides[0] > 1 and max(strides[1:], default=1) == 1:
        text = str(strides[0])
    else:
        text = " and ".join(strided_in(str(s), k) for k, s in stage.strides if s > 1)
    return text if stage.later_strides == 1 else f"{text}; {stage.later_strides} in a later block"


def _whole(layers: Sequence[Layer], found: Sequence[Stage], head: str) -> dict[Key, str]:
    pooled = [la.operation for la in layers[-2:]] == [
        Operation.AVERAGE_POOL,
        Operation.FULLY_CONNECTED,
    ]
    orders = dict.fromkeys(order for stage in found for order in stage.orders)
    return {
        Key(Figure.HEAD): head.format(layers[-1].out_channels) if pooled else _tail(layers),
        Key(Figure.BLOCK_ORDER): " / ".join(orders) or MISSING,
        Key(Figure.SHORTCUTS): op.shortcut_option(found),
        **_counts(layers),
    }


def _counts(layers: Sequence[Layer]) -> dict[Key, str]:
    return {
        Key(Figure.DEPTH): str(op.depth(layers)),
        Key(Figure.PARAMETERS): f"{op.total(layers, 'parameters'):,}",
        Key(Figure.MULTIPLY_ADDS): f"{op.total(layers, 'multiply_adds'):,}",
    }


def _tail(layers: Sequence[Layer]) -> str:
    return ", ".join(str(layer) for layer in layers[-2:]) or MISSING
