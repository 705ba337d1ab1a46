"""What a model.py of blocks says: final words and numbers, so that its template decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

from resnet_gen.network.expansion import Network
from resnet_gen.network.layers import Operation, square
from resnet_gen.paper import says, tables
from resnet_gen.paper.says import title_of
from resnet_gen.read.network_spec import (
    CifarSpec,
    ImagenetSpec,
    NetworkSpec,
    ResidualDesign,
    class_name,
)

SHORTCUT_FACTS = {
    "none": "none: a plain network",
    "A": "option A: identity, zero-padded where the dimensions grow; no parameters",
    "B": "option B: identity, projections where the dimensions grow",
    "C": "option C: every one a projection",
}
EQUATIONS = {
    "none": "",
    "A": "Eq. (1): y = F(x) + x; where the dimensions grow, x is zero-padded (option A).",
    "B": "Eq. (1): y = F(x) + x; where the dimensions grow, Eq. (2): y = F(x) + W_s x (option B).",
    "C": "Eq. (2), y = F(x) + W_s x, in every block (section 4.1, option C).",
}
FANS = {
    "fan_out": ("fan-out", "fan-out is what fb.resnet.torch and torchvision take"),
    "fan_in": ("fan-in", "fan-in keeps the variance of the forward pass"),
}


@dataclass(frozen=True)
class StageView:
    """A line of the constructor: `self.layer1 = stage(16, 16, blocks=3, stride=1)  # 32×32`."""

    name: str
    in_channels: int
    width: int
    blocks: int
    stride: int
    comment: str


@dataclass(frozen=True)
class BlockView:
    """The one block that the network is made of, and the one shortcut that it has."""

    class_name: str
    template: str
    equation: str
    is_plain: bool
    zero_pads: bool
    shortcut_template: str  # of what blocks add where x does not fit; none for plain networks
    zeros_on_both_sides: bool
    projects_where_it_grows: bool
    projects_always: bool
    strides_in_3x3: bool


@dataclass(frozen=True)
class InitialisationView:
    """He's initialisation, with the fan that the spec chose."""

    mode: str
    fan: str
    whose: str
    zero_gamma_of: str  # the last batch norm of a block, or nothing


@dataclass(frozen=True)
class NetworkView:
    """What every model.py says, whatever its design: its docstring, and its class's interface."""

    title: str
    table: tuple[str, ...]
    facts: tuple[str, ...]
    class_name: str
    class_docstring: str
    num_classes: int
    image_channels: int
    image_size: int


@dataclass(frozen=True)
class ModelView(NetworkView):
    """All that a model.py of blocks says."""

    width: int
    conv1_size: str
    pool_size: str
    pool_is_padded: bool
    stages: tuple[StageView, ...]
    features: int
    block: BlockView
    initialisation: InitialisationView
    parameters: str


def model_view(network: Network, spec: ResidualDesign) -> ModelView:
    """The view of a model.py of this spec, whose network has blocks."""
    column = says.table1_column(spec) if isinstance(spec, ImagenetSpec) else None
    where = f"Table 1{f', {column}' if column else ''}"
    where = "section 4.2" if isinstance(spec, CifarSpec) else where
    conv1 = network.layers[0]
    pool = next((la for la in network.layers if la.name == "max_pool1"), conv1)
    name = class_name(spec.name)
    size, channels = spec.image_size, spec.image_channels
    return ModelView(
        title=f"{title_of(spec)} for {data_of(spec)}: He et al. 2015 (arXiv:1512.03385), {where}.",
        table=_table(network, spec),
        facts=_facts(network, spec),
        class_name=name,
        class_docstring=f"Images (N, {channels}, {size}, {size}) to scores (N, num_classes).",
        num_classes=spec.classes,
        image_channels=channels,
        image_size=size,
        width=spec.width,
        conv1_size=square(conv1.output_size),
        pool_size=square(pool.output_size),
        pool_is_padded=isinstance(spec, ImagenetSpec) and spec.pooling == "padded",
        stages=tuple(
            StageView(
                s.name,
                s.in_channels,
                s.width,
                s.blocks,
                s.stride,
                f"{s.label}{', ' if s.label else ''}{square(s.output_size)}",
            )
            for s in network.stages
        ),
        features=network.stages[-1].out_channels,
        block=_block(spec),
        initialisation=_initialisation(spec),
        parameters=f"{network.parameters:_}",
    )


def data_of(spec: NetworkSpec) -> str:
    """What the network's images are: ImageNet, CIFAR-10 or their number of classes."""
    if spec.image_channels != 3:
        return f"images of {spec.image_channels} channels"
    standard = {
        ("cifar", 10): "CIFAR-10",
        ("cifar", 100): "CIFAR-100",
        ("imagenet", 1000): "ImageNet",
    }
    return standard.get((spec.family, spec.classes), f"{spec.classes} classes")


def _table(network: Network, spec: ResidualDesign) -> tuple[str, ...]:
    if isinstance(spec, CifarSpec):
        return _cifar_table(network, spec)
    return _imagenet_table(network)


def _cifar_table(network: Network, spec: CifarSpec) -> tuple[str, ...]:
    """Section 4.2's table: a column for each stage."""
    columns = [
        (square(stage.output_size), "1+2n" if index == 0 else "2n", str(stage.width))
        for index, stage in enumerate(network.stages)
    ]
    heads = ("output size", "layers", "filters")
    rows = [
        (head.ljust(14) + "".join(column[k].ljust(8) for column in columns)).rstrip()
        for k, head in enumerate(heads)
    ]
    rows[1] = f"{rows[1].ljust(38)}with fc 6n+2 = {spec.depth} layers, n = {spec.n}"
    return tuple(rows)


def _imagenet_table(network: Network) -> tuple[str, ...]:
    """The network's column of Table 1: a row for each group of layers."""
    by_stage = {stage.name: stage for stage in network.stages}
    conv1 = network.layers[0]
    pool = next(layer for layer in network.layers if layer.name == "max_pool1")
    rows = [("conv1", conv1.output_size, str(conv1)), ("", pool.output_size, str(pool))]
    for name, stage in by_stage.items():
        convolutions = [
            f"{layer.kernel}×{layer.kernel}, {layer.out_channels}"
            for layer in network.layers
            if layer.name.startswith(f"{name}.0.conv") and layer.operation == Operation.CONVOLUTION
        ]
        block = f"[{'; '.join(convolutions)}] ×{stage.blocks}"
        rows.append((stage.label, stage.output_size, block))
    rows.append(("", 1, f"average pool, {network.spec.classes}-d fc, softmax"))
    return tuple(f"{label:9}{square(size):10}{text}" for label, size, text in rows)


def _facts(network: Network, spec: ResidualDesign) -> tuple[str, ...]:
    size = square(spec.image_size)
    known = not says.departures(spec)
    parameters, work = f"{network.parameters:,}", f"{network.multiply_adds:,} for one {size} image"
    error = says.reported_error(spec) or "not reported in the paper"
    facts = []
    if isinstance(spec, CifarSpec):
        row = tables.load("table6", tables.Table6).resnet(spec.depth)
        if row and known and spec.shortcut == "A":
            parameters += f"; Table 6: {row.parameters}"
    else:
        column = says.table1_column(spec)
        if column:
            printed = tables.load("table1", tables.Table1).flops[column]
            work += f"; Table 1: {printed}{_beside_table_1(spec)}"
        if spec.block == "bottleneck":
            release = "on each first 1×1, as in the authors' release"
            stride = "on each 3×3, as in torchvision (v1.5)"
            facts = [("stride", release if spec.strided_convolution == 1 else stride)]
    head = [
        ("parameters", parameters),
        ("multiply-adds", work),
        ("test error" if spec.design == "cifar" else "error", error),
        ("shortcuts", SHORTCUT_FACTS[spec.shortcut]),
    ]
    return tuple(fact(label, text) for label, text in [*head, *facts])


def fact(label: str, text: str) -> str:
    """A line of the docstring below its table."""
    return f"{label:16}{text}"


def _beside_table_1(spec: ImagenetSpec) -> str:
    """What Table 1's figure is of, where it may not be of this network."""
    if spec.strided_convolution == 2:
        return ", with the stride on the 1×1"
    return ", option unnamed" if spec.shortcut in "BC" and spec.depth < 50 else ""


def _block(spec: ResidualDesign) -> BlockView:
    bottleneck = spec.block == "bottleneck"
    pad = "zero_pad_shortcut_of_any_width" if bottleneck else "zero_pad_shortcut"
    shortcut = {"none": "", "A": f"sections/{pad}.jinja"}.get(
        spec.shortcut, "sections/projection.jinja"
    )
    return BlockView(
        class_name="Bottleneck" if bottleneck else "BasicBlock",
        template=f"sections/{'bottleneck' if bottleneck else 'basic_block'}.jinja",
        equation=EQUATIONS[spec.shortcut],
        is_plain=spec.shortcut == "none",
        zero_pads=spec.shortcut == "A",
        shortcut_template=shortcut,
        zeros_on_both_sides=spec.zero_padding == "both",
        projects_where_it_grows=spec.shortcut == "B",
        projects_always=spec.shortcut == "C",
        strides_in_3x3=isinstance(spec, ImagenetSpec) and spec.strided_convolution == 2,
    )


def _initialisation(spec: ResidualDesign) -> InitialisationView:
    fan, whose = FANS[spec.initialisation]
    last = "bn3" if spec.block == "bottleneck" else "bn2"
    return InitialisationView(spec.initialisation, fan, whose, last if spec.zero_gamma else "")
