"""What appendices A to C print about detectors, and what they take from Faster R-CNN."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from resnet_gen.paper.forms import Printed, PrintedCount, PrintedNumber


class OfNetwork(Printed):
    """A figure of one network."""

    network: str
    printed: PrintedCount


class CocoTraining(Printed):
    """How detectors for COCO were trained, each of the four steps alike."""

    images_of_rpn: PrintedCount
    images_of_regions: PrintedCount
    iterations: str = Field(description="At each learning rate.")
    learning_rates: str


class Refinement(Printed):
    """Box refinement."""

    nms: PrintedNumber


class PrintedAnchors(Printed):
    """Faster R-CNN's anchors."""

    areas: str
    ratios: str


class RpnTraining(Printed):
    """Which anchors the RPN learns from, and its proposals' NMS."""

    anchors: PrintedCount
    positive: PrintedNumber
    negative: PrintedNumber
    nms: PrintedNumber


class RegionTraining(Printed):
    """Which proposals the regions' layers learn from."""

    images: PrintedCount
    positive: PrintedNumber
    share: str = Field(description="Of them that may be objects.")


class FasterRcnn(Printed):
    """What the appendix refers to and does not print again (Ren et al. 2015)."""

    anchors: PrintedAnchors
    rpn: RpnTraining
    regions: RegionTraining
    momentum: PrintedNumber
    weight_decay: PrintedNumber
    steps: PrintedCount


class Localization(Printed):
    """The per-class RPN and the R-CNN."""

    outputs: str
    crop: PrintedCount
    images: PrintedCount
    anchors: PrintedCount
    share: str
    proposals: PrintedCount


class Appendix(Printed):
    """Appendices A to C."""

    appendix: Literal["A to C"]
    shared: str
    shared_convolutions: OfNetwork
    stride: PrintedCount
    pooled_before: str
    siblings: str
    proposals: PrintedCount
    batch_norm: str
    shorter_side: PrintedCount
    coco: CocoTraining
    refinement: Refinement
    context: str
    scales: str
    merged_by: str
    faster_rcnn: FasterRcnn
    localization: Localization
