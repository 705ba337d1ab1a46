"""What a localizer's spec means: its parts, each with layers, parameters and multiply-adds."""

from __future__ import annotations

from dataclasses import dataclass

from resnet_gen.network import layers as op
from resnet_gen.network.detector import HEAD_LAYERS, Part
from resnet_gen.network.draft import Draft, Feature
from resnet_gen.network.expansion import expand
from resnet_gen.network.layers import Layer
from resnet_gen.read.detector_spec import LocalizerSpec
from resnet_gen.read.detectors import LocalizerEntry
from resnet_gen.read.network_spec import ImagenetSpec

STRIDE = 32  # of conv5_x


@dataclass(frozen=True)
class LocalizerNetwork:
    """A localizer's parts for one crop of the size that it is trained on."""

    spec: LocalizerSpec
    size: int  # height and width of a crop, and of a warped region, in pixels
    trunk: Part  # conv1 to conv5_x
    rpn: Part
    region: Part  # the R-CNN: the backbone again, with weights of its own
    siblings: Part

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts in the order in which an image goes through them."""
        return self.trunk, self.rpn, self.region, self.siblings

    @property
    def places(self) -> int:
        """The places of the trunk's maps at which anchors stand."""
        return self.trunk.layers[-1].output_size ** 2


def of_a_crop(entry: LocalizerEntry) -> LocalizerNetwork:
    """The localizer for one crop."""
    spec, backbone = entry.spec, entry.backbone_spec
    trunk = _trunk(backbone)
    channels, side = trunk[-1].out_channels, trunk[-1].output_size
    anchors = len(spec.anchors.sizes) * len(spec.anchors.ratios)
    draft, maps = Draft(), Feature("trunk", channels, side)
    x = draft.convolution("conv", maps, spec.width, 3, 1, bias=True)
    x = draft.relu("relu1", x)
    draft.convolution("cls", x, anchors * spec.classes, 1, 1, bias=True)
    draft.convolution("reg", x, 4 * anchors * spec.classes, 1, 1, bias=True)
    head, pooled = Draft(), Feature("average_pool1", channels, 1)
    head.fully_connected("cls", pooled, spec.classes)
    head.fully_connected("reg", pooled, 4 * spec.classes)
    return LocalizerNetwork(
        spec,
        backbone.image_size,
        _part("trunk", trunk),
        _part("per-class RPN", draft.layers),
        _part("R-CNN", trunk),
        _part("siblings", head.layers),
    )


def _trunk(backbone: ImagenetSpec) -> list[Layer]:
    layers = expand(backbone).layers
    return [layer for layer in layers if not layer.name.startswith(HEAD_LAYERS)]


def _part(name: str, layers: list[Layer]) -> Part:
    parameters, work = op.total(layers, "parameters"), op.total(layers, "multiply_adds")
    return Part(name, tuple(layers), parameters, work)
