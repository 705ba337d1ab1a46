"""The arithmetic against the field's exact counts (torch's counters confirm them elsewhere)."""

from __future__ import annotations

import pytest

from resnet_gen.network import layers as op
from resnet_gen.network.expansion import expand
from resnet_gen.read.network_spec import CifarSpec, ImagenetSpec

BLOCKS = {
    18: ("basic", [2, 2, 2, 2]),
    34: ("basic", [3, 4, 6, 3]),
    50: ("bottleneck", [3, 4, 6, 3]),
    101: ("bottleneck", [3, 4, 23, 3]),
    152: ("bottleneck", [3, 8, 36, 3]),
}
# depth, shortcuts, parameters, multiply-adds with the stride in the 1×1 and in the 3×3, projections
IMAGENET = [
    (18, "none A", 11_515_688, 1_794_805_760, None, 0),
    (18, "B", 11_689_512, 1_814_073_344, None, 3),
    (18, "C", 12_043_816, 1_878_298_624, None, 8),
    (34, "none A", 21_623_848, 3_644_493_824, None, 0),
    (34, "B", 21_797_672, 3_663_761_408, None, 3),
    (34, "C", 22_716_840, 3_830_747_136, None, 16),
    (50, "none A", 22_780_456, 3_498_311_680, 3_729_522_688, 0),
    (50, "B", 25_557_032, 3_857_973_248, 4_089_184_256, 4),
    (50, "C", 40_128_552, 6_324_224_000, 6_555_435_008, 16),
    (101, "none A", 41_772_584, 7_210_532_864, 7_441_743_872, 0),
    (101, "B", 44_549_160, 7_570_194_432, 7_801_405_440, 4),
    (101, "C", 76_981_288, 13_530_300_416, 13_761_511_424, 33),
    (152, "none A", 57_416_232, 10_922_754_048, 11_153_965_056, 0),
    (152, "B", 60_192_808, 11_282_415_616, 11_513_626_624, 4),
    (152, "C", 107_335_720, 20_736_376_832, 20_967_587_840, 50),
]
# depth: parameters and multiply-adds of plain and A, of B, of C
CIFAR = {
    20: ((269_722, 40_551_040), (272_474, 40_813_184), (283_962, 42_648_192)),
    32: ((464_154, 68_862_592), (466_906, 69_124_736), (489_594, 72_532_608)),
    44: ((658_586, 97_174_144), (661_338, 97_436_288), (695_226, 102_417_024)),
    56: ((853_018, 125_485_696), (855_770, 125_747_840), (900_858, 132_301_440)),
    110: ((1_727_962, 252_887_680), (1_730_714, 253_149_824), (1_826_202, 266_781_312)),
    1202: ((19_421_274, 2_829_238_912), (19_424_026, 2_829_501_056), (20_538_714, 2_986_263_168)),
}

# parameters and multiply-adds
VGG_COUNTS = {
    "vgg16": (138_357_544, 15_470_264_320),
    "vgg19": (143_667_240, 19_632_062_464),
}


def imagenet(
    depth: int, shortcut: str, stride_in: str | None = None, **more: object
) -> ImagenetSpec:
    block, blocks = BLOCKS[depth]
    fields = {"block": block, "blocks": blocks, "depth": depth, "shortcut": shortcut}
    if stride_in and block == "bottleneck":
        fields["stride_in"] = stride_in
    return ImagenetSpec(name="net", design="imagenet", **fields, **more)


@pytest.mark.parametrize("row", IMAGENET, ids=lambda row: f"{row[0]}-{row[1]}")
def test_imagenet_counts_are_exact(row: tuple) -> None:
    depth, shortcuts, parameters, in_1x1, in_3x3, projections = row
    for shortcut in shortcuts.split():
        for stride_in, work in (("conv1x1", in_1x1), ("conv3x3", in_3x3 or in_1x1)):
            network = expand(imagenet(depth, shortcut, stride_in))
            assert (network.parameters, network.multiply_adds) == (parameters, work)
            assert op.depth(network.layers) == depth
            names = [layer.name for layer in network.layers]
            assert sum(name.endswith("downsample.0") for name in names) == projections


@pytest.mark.parametrize("depth", CIFAR)
def test_cifar_counts_are_exact(depth: int) -> None:
    plain_and_a, b, c = CIFAR[depth]
    for shortcut, counts in {"none": plain_and_a, "A": plain_and_a, "B": b, "C": c}.items():
        network = expand(CifarSpec(name="net", design="cifar", depth=depth, shortcut=shortcut))
        assert (network.parameters, network.multiply_adds) == counts
        assert op.depth(network.layers) == depth
        convolutions = [la for la in network.layers if la.operation == op.Operation.CONVOLUTION]
        assert sum(la.kernel == 3 for la in convolutions) == depth - 1  # 6n+1


def test_moving_the_stride_adds_the_same_everywhere() -> None:
    for depth in (50, 101, 152):
        v1, v1_5 = (expand(imagenet(depth, "B", s)) for s in ("conv1x1", "conv3x3"))
        assert v1_5.multiply_adds - v1.multiply_adds == 231_211_008


def test_building_blocks_of_the_counts() -> None:
    """conv1, the last layer, and what the projections of option B cost."""
    network = expand(imagenet(50, "B"))
    work = {layer.name: layer.multiply_adds for layer in network.layers}
    assert work["conv1"] == 118_013_952 and work["fc"] == 2_048_000
    assert sum(w for name, w in work.items() if "downsample" in name) == 359_661_568
    basic = {la.name: la.multiply_adds for la in expand(imagenet(34, "B")).layers}
    assert basic["fc"] == 512_000
    assert sum(w for name, w in basic.items() if "downsample" in name) == 19_267_584


@pytest.mark.parametrize(("padded", "sizes"), [("padded", [56, 57]), ("ceil", [56, 56])])
def test_pooling_sizes(padded: str, sizes: list[int]) -> None:
    """At 225 pixels the two ways of pooling part: 113 pixels become 57 or 56."""
    for image_size, size in zip((224, 225), sizes, strict=True):
        network = expand(imagenet(18, "B", image_size=image_size, pooling=padded))
        pool = next(layer for layer in network.layers if layer.name == "max_pool1")
        assert pool.output_size == size
