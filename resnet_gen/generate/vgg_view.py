"""What the model.py of a VGG network says, as model_view.py does for networks of blocks."""

from __future__ import annotations

from dataclasses import dataclass

from resnet_gen.generate.model_view import FANS, NetworkView, data_of, fact
from resnet_gen.network.expansion import Network
from resnet_gen.network.initialisation import VGG_DEVIATION
from resnet_gen.network.layers import Layer, Operation, square
from resnet_gen.network.vgg import POOLED
from resnet_gen.paper import says, tables
from resnet_gen.paper.vgg import Vgg
from resnet_gen.read.network_spec import VggSpec, class_name

SOURCE = "Simonyan & Zisserman 2014 (arXiv:1409.1556)"


@dataclass(frozen=True)
class VggStageView:
    """A line of the constructor: `*stage(64, 128, convolutions=2),  # conv2, pooled to 56×56`."""

    in_channels: int
    width: int
    convolutions: int
    comment: str


@dataclass(frozen=True)
class VggView(NetworkView):
    """All that a VGG network's model.py says."""

    stages: tuple[VggStageView, ...]
    features: int
    pooled: int
    pooling_comment: str
    hidden: int
    dropout: float
    fan: str
    mode: str
    deviation: float
    parameters: str


def vgg_view(network: Network, spec: VggSpec) -> VggView:
    """The view of a model.py of this spec."""
    size, channels = spec.image_size, spec.image_channels
    configuration = says.vgg_configuration(spec)
    of = f"configuration {configuration}" if configuration else "another configuration"
    stages = _stages(network)
    last = stages[-1][-1]
    same = "changes nothing" if last.output_size == POOLED else f"from {square(last.output_size)}"
    return VggView(
        title=f"{says.title_of(spec)} for {data_of(spec)}: {SOURCE}, {of}.",
        table=_table(network),
        facts=_facts(network, spec),
        class_name=class_name(spec.name),
        class_docstring=f"Images (N, {channels}, {size}, {size}) to scores (N, num_classes).",
        num_classes=spec.classes,
        image_channels=channels,
        image_size=size,
        stages=tuple(
            VggStageView(
                layers[0].in_channels,
                layers[0].out_channels,
                len(layers) - 1,
                f"conv{number}, pooled to {square(layers[-1].output_size)}",
            )
            for number, layers in enumerate(stages, start=1)
        ),
        features=last.out_channels,
        pooled=POOLED,
        pooling_comment=f"{same} at {square(size)}",
        hidden=spec.hidden,
        dropout=spec.dropout,
        fan=FANS[spec.initialisation][0],
        mode=spec.initialisation,
        deviation=VGG_DEVIATION,
        parameters=f"{network.parameters:_}",
    )


def _stages(network: Network) -> list[list[Layer]]:
    """The convolutions of each stage, and the max pool after them."""
    stages: list[list[Layer]] = [[]]
    for layer in network.layers:
        if layer.operation in (Operation.CONVOLUTION, Operation.MAX_POOL):
            stages[-1].append(layer)
        if layer.operation == Operation.MAX_POOL:
            stages.append([])
    return stages[:-1]


def _table(network: Network) -> tuple[str, ...]:
    """The network as Table 1 would write it: a row for each stage, and one for its max pool."""
    rows = []
    for number, layers in enumerate(_stages(network), start=1):
        first, pool = layers[0], layers[-1]
        rows.append((f"conv{number}", first.output_size, f"[{first}] ×{len(layers) - 1}"))
        rows.append(("", pool.output_size, str(pool)))
    head = [str(la) for la in network.layers if la.operation == Operation.FULLY_CONNECTED]
    rows.append(("", 1, f"{', '.join(head)}, softmax"))
    return tuple(f"{label:9}{square(size):10}{text}" for label, size, text in rows)


def _facts(network: Network, spec: VggSpec) -> tuple[str, ...]:
    work = f"{network.multiply_adds:,} for one {square(spec.image_size)} image"
    flops = tables.load("vgg", Vgg).flops_of(says.title_of(spec))
    if flops and not says.departures(spec):
        work += f"; {flops.place}: {flops.printed}"
    return (
        fact("parameters", f"{network.parameters:,}"),
        fact("multiply-adds", work),
        fact("error", says.reported_error(spec) or "not reported in the paper"),
        fact("the paper", "He et al. 2015 (arXiv:1512.03385), who compare with VGG"),
    )
