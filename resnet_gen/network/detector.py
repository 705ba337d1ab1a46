"""What a detector's spec means: its parts, each with layers, parameters and multiply-adds.

An image has a height and a width of its own. Each of the two is drafted as the side of a square,
and a layer's work is its work at one place times the places of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from resnet_gen.network import layers as op
from resnet_gen.network.draft import Draft, Feature
from resnet_gen.network.expansion import expand
from resnet_gen.network.layers import Layer, Operation
from resnet_gen.read.detector_spec import FasterRcnnSpec
from resnet_gen.read.detectors import DetectorEntry
from resnet_gen.read.network_spec import ImagenetSpec

STRIDE = 16  # of conv4_x
ASPECT = 4 / 3  # of the image that is shown: 600×800
DIVISIBLE = 32  # pixels: images are padded to multiples of it, so that every stride divides them
REGION_LAYERS = ("layer4.",)
HEAD_LAYERS = ("average_pool1", "fc")


@dataclass(frozen=True)
class Part:
    """A part of the detector."""

    name: str
    layers: tuple[Layer, ...]
    parameters: int  # learned ones
    multiply_adds: int  # of one pass: of an image, or of a region


@dataclass(frozen=True)
class DetectorNetwork:
    """A detector's parts for images of one size, in pixels after resizing and padding."""

    spec: FasterRcnnSpec
    height: int
    width: int
    trunk: Part
    rpn: Part
    region: Part
    siblings: Part

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts in the order in which an image goes through them."""
        return self.trunk, self.rpn, self.region, self.siblings

    @property
    def parameters(self) -> int:
        """Learned values; frozen scales and shifts are not learned."""
        return sum(part.parameters for part in self.parts)

    def times(self, part: Part, regions: int | None = None) -> int:
        """How often a part is gone through for an image with so many proposals, or the spec's."""
        regions = self.spec.proposals if regions is None else regions
        if part in (self.trunk, self.rpn):
            return 1
        return regions + (1 if part is self.region and self.spec.context else 0)

    def multiply_adds(self, regions: int) -> int:
        """Of an image with so many proposals; the context is one region more."""
        return sum(self.times(part, regions) * part.multiply_adds for part in self.parts)


def padded(side: int) -> int:
    """A side as the detector sees it."""
    return -(-side // DIVISIBLE) * DIVISIBLE


def expand_detector(
    spec: FasterRcnnSpec, backbone: ImagenetSpec, height: int, width: int
) -> DetectorNetwork:
    """The detector for resized images of this height and width."""
    height, width = padded(height), padded(width)
    tall, wide = (_trunk(backbone, side) for side in (height, width))
    trunk = _at_both_sides(tall, wide)
    channels, places = trunk[-1].out_channels, (tall[-1].output_size, wide[-1].output_size)
    anchors = len(spec.anchors.sizes) * len(spec.anchors.ratios)
    region = _region(backbone, spec.roi.size)
    features = region[-1].out_channels * (2 if spec.context else 1)
    return DetectorNetwork(
        spec,
        height,
        width,
        _part("trunk", trunk),
        _part("RPN", _at_both_sides(*(_rpn(channels, anchors, side) for side in places))),
        _part("conv5_x", region),
        _part("siblings", _siblings(features, spec.classes)),
    )


def of_an_image(entry: DetectorEntry) -> DetectorNetwork:
    """The detector for an image of three to four, as large as it resizes images to: 600×800."""
    side = entry.spec.shorter_side
    wide = min(round(side * ASPECT), entry.spec.longer_side)
    return expand_detector(entry.spec, entry.backbone_spec, side, wide)


def shared_convolutions(trunk: Sequence[Layer]) -> int:
    """The trunk's convolutions, those of projections left out: 91 of ResNet-101 (appendix A)."""
    return op.depth(trunk)


def _trunk(backbone: ImagenetSpec, side: int) -> list[Layer]:
    network = expand(backbone.model_copy(update={"image_size": side}))
    skipped = (*REGION_LAYERS, *HEAD_LAYERS)
    return [layer for layer in network.layers if not layer.name.startswith(skipped)]


def _region(backbone: ImagenetSpec, size: int) -> list[Layer]:
    """conv5_x and the average pool of one region: maps of 14×14 are strided to 7×7, of 7×7 not.

    Both have 7×7 maps from the stride on. The backbone is drafted for the image whose conv4_x has
    14×14 maps; without the stride, the layers before it have a quarter of the places.
    """
    network = expand(backbone.model_copy(update={"image_size": STRIDE * 14}))
    layers = [la for la in network.layers if la.name.startswith((*REGION_LAYERS, "average_pool1"))]
    return layers if size == 14 else [_unstrided(layer) for layer in layers]


def _unstrided(layer: Layer) -> Layer:
    """The layer of a region of 7×7, where conv5_1 does not stride."""
    if layer.input_size != 14:
        return layer
    was = layer.output_size
    return replace(
        layer,
        input_size=7,
        output_size=7,
        stride=1 if layer.stride else layer.stride,
        multiply_adds=layer.multiply_adds * 49 // was**2,
    )


def _rpn(channels: int, anchors: int, side: int) -> list[Layer]:
    """3×3, ReLU, and two sibling 1×1 layers (Ren et al. 2015)."""
    draft, maps = Draft(), Feature("trunk", channels, side)
    x = draft.convolution("rpn.conv", maps, channels, 3, 1, bias=True)
    x = draft.relu("rpn.relu1", x)
    draft.convolution("rpn.cls_logits", x, anchors, 1, 1, bias=True)
    draft.convolution("rpn.bbox_pred", x, 4 * anchors, 1, 1, bias=True)
    return draft.layers


def _siblings(features: int, classes: int) -> list[Layer]:
    """The scores of the classes and of background, and a box for each of them."""
    draft, pooled = Draft(), Feature("conv5_x", features, 1)
    draft.fully_connected("cls_score", pooled, classes + 1)
    draft.fully_connected("bbox_pred", pooled, 4 * (classes + 1))
    return draft.layers


def _at_both_sides(tall: Sequence[Layer], wide: Sequence[Layer]) -> list[Layer]:
    """The layers of an image as high as one and as wide as the other; sizes are heights."""
    return [
        replace(one, multiply_adds=one.multiply_adds // one.output_size * other.output_size)
        for one, other in zip(tall, wide, strict=True)
    ]


def _part(name: str, layers: Sequence[Layer]) -> Part:
    learned = [layer for layer in layers if layer.operation != Operation.BATCH_NORM]
    parameters, work = op.total(learned, "parameters"), op.total(layers, "multiply_adds")
    return Part(name, tuple(layers), parameters, work)
