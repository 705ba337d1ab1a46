"""What a detector's detector.py and testing.py say: final words and numbers for their templates."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from resnet_gen.network.detector import DetectorNetwork, of_an_image, shared_convolutions
from resnet_gen.network.layers import Operation
from resnet_gen.paper.says import title_of
from resnet_gen.read.detector_spec import FasterRcnnSpec
from resnet_gen.read.detectors import DetectorEntry
from resnet_gen.read.network_spec import ImagenetSpec, class_name

TRAINING_CANDIDATES, TESTING_CANDIDATES = 12_000, 6_000  # Faster R-CNN's, before NMS
PAPER = "He et al. 2015 (arXiv:1512.03385)"
POOLING = {"pool": ("roi_pool", ""), "align": ("roi_align", ", aligned=True")}


@dataclass(frozen=True)
class DetectorView:
    """All that a detector.py says."""

    title: str
    table: tuple[str, ...]
    facts: tuple[str, ...]
    pooling: str
    pooling_arguments: str
    backbone_class: str
    shorter_side: int
    longer_side: int
    trunk_channels: int
    region_channels: int
    predictor_channels: int
    regions_docstring: str
    context: bool
    roi_size: int
    unstrided: str  # the convolutions that no longer stride, or nothing
    classes: int
    anchor_sizes: str
    anchor_ratios: str
    anchors: int
    rpn_batch: int
    region_batch: int
    training_candidates: str
    testing_candidates: str
    training_proposals: int
    testing_proposals: int
    nms: str
    parameters: str


@dataclass(frozen=True)
class TestingView:
    """All that a testing.py says."""

    adds: str
    paragraph: tuple[str, ...]
    nms: str
    refine: bool
    scales: str  # as Python's tuple without its brackets, or nothing
    region: int
    ensemble: bool


def detector_view(entry: DetectorEntry) -> DetectorView:
    """The view of the detector.py of this spec."""
    spec, backbone, network = entry.spec, entry.backbone_spec, of_an_image(entry)
    pooling, arguments = POOLING[spec.roi.kind]
    channels = network.region.layers[-1].out_channels
    where = "appendices A and B" if _departs(spec) else "appendix A"
    beside = " beside the whole image's" if spec.context else ""
    return DetectorView(
        title=f"Faster R-CNN on {title_of(backbone)}: {PAPER}, {where}.",
        table=_table(network),
        facts=_facts(network),
        pooling=pooling,
        pooling_arguments=arguments,
        backbone_class=class_name(backbone.name),
        shorter_side=spec.shorter_side,
        longer_side=spec.longer_side,
        trunk_channels=network.trunk.layers[-1].out_channels,
        region_channels=channels,
        predictor_channels=channels * (2 if spec.context else 1),
        regions_docstring=f"RoI pooling, conv5_x and the average pool: each region{beside}.",
        context=spec.context,
        roi_size=spec.roi.size,
        unstrided=", ".join(_striding(backbone)) if spec.roi.size == 7 else "",
        classes=spec.classes,
        anchor_sizes=str(tuple(spec.anchors.sizes)),
        anchor_ratios=str(tuple(spec.anchors.ratios)),
        anchors=len(spec.anchors.sizes) * len(spec.anchors.ratios),
        rpn_batch=entry.recipe.anchors,
        region_batch=entry.recipe.regions,
        training_candidates=f"{max(TRAINING_CANDIDATES, entry.recipe.proposals):_}",
        testing_candidates=f"{max(TESTING_CANDIDATES, spec.proposals):_}",
        training_proposals=entry.recipe.proposals,
        testing_proposals=spec.proposals,
        nms=f"{spec.testing.nms:g}",
        parameters=f"{network.parameters:_}",
    )


def testing_view(spec: FasterRcnnSpec) -> TestingView:
    """The view of the testing.py of this spec, which adds something at test time."""
    testing = spec.testing
    added = {
        "box refinement": testing.refine,
        "multi-scale testing": testing.scales is not None,
        "ensembles": testing.ensemble,
    }
    proposals = f"The RPN's {spec.proposals} proposals come from one scale"
    proposals += ", and of all networks together" if testing.ensemble else ""
    sentences = [f"{proposals}."]
    if testing.scales:
        sentences.append(
            "Regions are classified at two adjacent scales, whose features are merged by maxout."
        )
    if testing.refine:
        sentences.append(
            "Boxes are pooled from once more where they were regressed to; old and new ones "
            "together go through NMS, and those that overlap with a winner vote for its place."
        )
    if spec.context:
        sentences.append("The context, which is part of training too, is in detector.py.")
    return TestingView(
        adds=_listed([name for name, is_added in added.items() if is_added]),
        paragraph=tuple(textwrap.wrap(" ".join(sentences), 98)),
        nms=f"{testing.nms:g}",
        refine=testing.refine,
        scales=", ".join(map(str, testing.scales or ())),
        region=testing.region,
        ensemble=testing.ensemble,
    )


def _departs(spec: FasterRcnnSpec) -> bool:
    return spec.context or spec.testing.adds


def _table(network: DetectorNetwork) -> tuple[str, ...]:
    """The parts in the order in which an image goes through them."""
    spec, size = network.spec, network.spec.roi.size
    trunk, region = network.trunk.layers, network.region.layers
    anchors = f"{len(spec.anchors.sizes)} areas × {len(spec.anchors.ratios)} ratios"
    count = len(spec.anchors.sizes) * len(spec.anchors.ratios)
    convolutions = sum(layer.operation == Operation.CONVOLUTION for layer in region)
    kind = "RoI pooling" if spec.roi.kind == "pool" else "RoIAlign"
    strides = "before conv5_1, which strides to 7×7" if size == 14 else "conv5_1 does not stride"
    context = ", and of the whole image" if spec.context else ""
    rows = (
        ("conv1 to conv4_x", f"{trunk[-1].out_channels}-d, stride 16", "once for the image: "
         f"{shared_convolutions(trunk)} convolutions"),
        ("RPN", f"{count} anchors", f"{anchors} at each place; {spec.proposals} proposals"),
        (kind, f"{size}×{size}, {trunk[-1].out_channels}-d", strides),
        ("conv5_x", f"7×7, {region[-1].out_channels}-d",
         f"of each region{context}: {convolutions} convolutions"),
        ("average pool", f"{region[-1].out_channels}-d",
         "then the siblings: classes + 1 scores, and a box for each"),
    )  # fmt: skip
    return tuple(f"{name:17} {what:17} {how}" for name, what, how in rows)


def _facts(network: DetectorNetwork) -> tuple[str, ...]:
    regions = network.spec.proposals
    whole = network.multiply_adds(regions)
    share = regions * network.region.multiply_adds / whole
    work = f"{whole:,} for an image of {network.height}×{network.width} and {regions} regions"
    return (
        f"parameters     {network.parameters:,}",
        f"multiply-adds  {work}, {share:.0%} of them in conv5_x",
        "batch norm     frozen: fixed scales and shifts (appendix A)",
    )


def _striding(backbone: ImagenetSpec) -> list[str]:
    """The convolutions of conv5_1 that stride, as Python names them."""
    main = f"net.layer4[0].conv{backbone.strided_convolution}"
    return [main] if backbone.shortcut == "none" else [main, "net.layer4[0].downsample[0]"]


def _listed(words: list[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
