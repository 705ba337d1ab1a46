"""A detector, from the image to scores and boxes (appendix A), with what each part costs.

What stands in a frame is done once for each region; to its left is what an image goes through once.
"""

from __future__ import annotations

from dataclasses import dataclass

from resnet_gen.draw.layout import MARGIN, TEXT, text_width
from resnet_gen.draw.svg import Picture, coloured
from resnet_gen.draw.words import multiply_adds
from resnet_gen.network.detector import DetectorNetwork, shared_convolutions
from resnet_gen.network.layers import Operation

BOX, GAP, HEAD = 42.0, 30.0, 52.0  # heights of a box, of an arrow, and of what stands above all
BETWEEN = 92.0  # from the shared layers to the frame
PADDING = 18.0  # within the frame
MIDDLE = 0.35 * TEXT  # how far below the middle of a line of text its baseline lies


@dataclass(frozen=True)
class Step:
    """A box: its words, what is said of it below, and its colour."""

    words: str
    more: str
    look: str = "box"


def steps(network: DetectorNetwork, backbone: str) -> tuple[list[Step], list[Step], list[Step]]:
    """What an image goes through once, what each region does, and the two layers at the end."""
    spec, trunk, region = network.spec, network.trunk, network.region
    convolutions = sum(layer.operation == Operation.CONVOLUTION for layer in region.layers)
    anchors = len(spec.anchors.sizes) * len(spec.anchors.ratios)
    shared = [
        Step(f"image, {network.height}×{network.width}", "", "box s0"),
        Step(
            f"conv1 to conv4_x of {backbone}",
            f"{shared_convolutions(trunk.layers)} convolutions, stride 16; "
            f"{multiply_adds(trunk.multiply_adds)}",
            coloured(4),
        ),
        Step(
            f"RPN: 3×3, then {anchors} anchors at each place",
            f"{spec.proposals} proposals; {multiply_adds(network.rpn.multiply_adds)}",
            coloured(1),
        ),
    ]
    kind = "RoI pooling" if spec.roi.kind == "pool" else "RoIAlign"
    channels = trunk.layers[-1].out_channels
    each = [
        Step(f"{kind}, {spec.roi.size}×{spec.roi.size}", f"{channels}-d"),
        Step(
            "conv5_x",
            f"{convolutions} convolutions; {multiply_adds(region.multiply_adds)}",
            coloured(5),
        ),
        Step("average pool", f"{region.layers[-1].out_channels}-d"),
    ]
    if spec.context:
        each.append(Step("beside the whole image's", f"{2 * region.layers[-1].out_channels}-d"))
    siblings = [
        Step(f"{spec.classes + 1} scores", "classes and background"),
        Step(f"{spec.classes + 1} boxes", "one for each"),
    ]
    return shared, each, siblings


def draw(network: DetectorNetwork, backbone: str, by: str) -> str:
    """The SVG of a detector; `by` is the command that makes it, which is written into it."""
    shared, each, siblings = steps(network, backbone)
    left_width, each_width = _width(shared), _width(each)
    sibling_width = max(_width(siblings), (each_width - 16) / 2)
    frame_width = max(each_width, 2 * sibling_width + 16) + 2 * PADDING
    rows = len(each) + 1
    height = MARGIN + HEAD + PADDING + rows * (BOX + GAP) - GAP + PADDING + MARGIN
    width = MARGIN + left_width + BETWEEN + frame_width + MARGIN
    title = f"{network.spec.name}, from image to boxes"
    picture = Picture(width, height, title, in_words(network, backbone), by)
    whole = network.multiply_adds(network.spec.proposals)
    picture.text(MARGIN, MARGIN + 14, network.spec.name, "name")
    picture.text(MARGIN, MARGIN + 32, multiply_adds(whole), "soft")

    top = MARGIN + HEAD + PADDING
    middle = MARGIN + left_width / 2
    tops = [top + k * (BOX + GAP) for k in range(len(shared))]
    for step, y in zip(shared, tops, strict=True):
        _box(picture, step, MARGIN, y, left_width)
    for y in tops[:-1]:
        picture.arrow(middle, y + BOX, y + BOX + GAP)

    frame = MARGIN + left_width + BETWEEN
    picture.box(frame, top - PADDING, frame_width, height - top + PADDING - MARGIN, "rule")
    words = f"for each of {network.spec.proposals} regions"
    picture.text(frame + PADDING, top - PADDING - 8, words, "soft")
    axis, edge = frame + frame_width / 2, frame + (frame_width - each_width) / 2
    below = [top + k * (BOX + GAP) for k in range(rows)]
    for step, y in zip(each, below, strict=False):
        _box(picture, step, edge, y, each_width)
    for y in below[: len(each) - 1]:
        picture.arrow(axis, y + BOX, y + BOX + GAP)
    for k, step in enumerate(siblings):
        x = axis - sibling_width - 8 if k == 0 else axis + 8
        _box(picture, step, x, below[-1], sibling_width)
        picture.arrow(x + sibling_width / 2, below[-1] - GAP, below[-1])

    # The maps go from the trunk to RoI pooling, and the proposals say where to pool.
    pooled = top + BOX / 2
    for y, at, label in ((tops[1], pooled - 6, "maps"), (tops[2], pooled + 10, "proposals")):
        x, turn = MARGIN + left_width, frame - (28 if label == "maps" else 14)
        picture.path(f"M{x:g} {y + BOX / 2:g}H{turn:g}V{at:g}H{edge - 5:g}")
        picture.path(f"M{edge:g} {at:g}l-5 -2.6v5.2z", "head")
        picture.text(x + 5, y + BOX / 2 - 5, label, "soft")
    return str(picture)


def in_words(network: DetectorNetwork, backbone: str) -> str:
    """The same in words, a line a part; what `draw` prints without a file."""
    shared, each, siblings = steps(network, backbone)
    lines = [_line(step) for step in shared]
    lines.append(f"for each of {network.spec.proposals} regions:")
    lines += [f"  {_line(step)}" for step in (*each, *siblings)]
    whole = network.multiply_adds(network.spec.proposals)
    of = f"{network.parameters:,} parameters, {whole:,} multiply-adds"
    return "\n".join([f"{network.spec.name}: {of}", *lines]) + "\n"


def _line(step: Step) -> str:
    return f"{step.words} ({step.more})" if step.more else step.words


def _box(picture: Picture, step: Step, x: float, y: float, width: float) -> None:
    picture.box(x, y, width, BOX, step.look)
    lift = 8 if step.more else 0
    picture.text(x + width / 2, y + BOX / 2 + MIDDLE - lift, step.words, "mid")
    if step.more:
        picture.text(x + width / 2, y + BOX / 2 + MIDDLE + 9, step.more, "mid soft")


def _width(found: list[Step]) -> float:
    return max(text_width(words) for step in found for words in (step.words, step.more)) + 20
