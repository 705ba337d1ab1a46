"""`resnet-gen draw`: what a drawing shows is what the paper and torchvision have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from torch import nn
from torchvision import models

from conftest import NAMES
from resnet_gen.draw import architecture
from resnet_gen.draw.blocks import blocks
from resnet_gen.draw.columns import Box, Column, Kind, column
from resnet_gen.draw.folding import fold
from resnet_gen.draw.layout import BOX, lay_out
from resnet_gen.errors import Failure
from resnet_gen.network.expansion import Network, expand
from resnet_gen.read import library

SVG = "{http://www.w3.org/2000/svg}"
TORCHVISION = {
    "resnet18_b": models.resnet18,
    "resnet34_b": models.resnet34,
    "resnet50_v1_5": models.resnet50,
    "resnet101_v1_5": models.resnet101,
    "resnet152_v1_5": models.resnet152,
    "vgg16": models.vgg16,
    "vgg19": models.vgg19,
}
# Table 1's blocks in conv2_x to conv5_x.
TABLE_1 = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
TABLE_1 |= {152: (3, 8, 36, 3)}


def network(name: str) -> Network:
    return expand(library.network(name).spec)


def weighted(whole: Column) -> list[str]:
    kinds = (Kind.CONVOLUTION, Kind.FULLY_CONNECTED)
    return [box.label for box in whole.boxes if box.kind in kinds]


@pytest.mark.parametrize("name", sorted(set(TORCHVISION) & set(NAMES)))
def test_boxes_are_torchvisions_layers(name: str) -> None:
    with torch.device("meta"):
        theirs = TORCHVISION[name]()
    labels = []
    for path, module in theirs.named_modules():
        if isinstance(module, nn.Conv2d) and "downsample" not in path:
            size, _ = module.kernel_size
            stride = f", /{module.stride[0]}" if module.stride[0] > 1 else ""
            labels.append(f"{size}×{size} conv, {module.out_channels}{stride}")
        elif isinstance(module, nn.Linear):
            labels.append(f"fc {module.out_features}")
    assert weighted(column(network(name))) == labels


@pytest.mark.parametrize("name", NAMES)
def test_boxes_are_as_many_as_the_name_says(name: str) -> None:
    assert len(weighted(column(network(name)))) == int(re.findall(r"\d+", name)[0])


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("resnet")])
def test_shortcuts_are_those_of_section_3_3(name: str) -> None:
    whole, spec = column(network(name)), network(name).spec
    counts = TABLE_1.get(spec.depth) or ((spec.depth - 2) // 6,) * 3
    width = 3 if spec.block == "bottleneck" else 2
    assert len(whole.shortcuts) == sum(counts)
    assert {each.last - each.first + 1 for each in whole.shortcuts} == {width}
    # Dimensions grow where a stage begins; conv2_x's first block grows in bottlenecks alone.
    begins = {sum(counts[:stage]) for stage in range(len(counts))} - ({0} if width == 2 else set())
    lines = [each.line for each in whole.shortcuts]
    assert {index for index, line in enumerate(lines) if line == "dotted"} == begins
    by = Counter(each.by for each in whole.shortcuts)
    if spec.shortcut == "C":
        assert by == {"projection": sum(counts)} and set(lines) == {"dotted", "dashed"}
    else:
        grows = {"A": "zero padding", "B": "projection"}[spec.shortcut]
        assert by == {grows: len(begins), "identity": sum(counts) - len(begins)}
        assert set(lines) == {"dotted", "solid"}


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("resnet")])
def test_plain_networks_have_no_shortcuts(name: str) -> None:
    assert not column(network(name)).shortcuts
    with pytest.raises(Failure):
        blocks(network(name))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_folded_unfolds(name: str) -> None:
    whole = column(network(name))
    folded = fold(whole)
    times = {each.first: each for each in folded.folds}
    boxes: list[Box] = []
    lines: list[str] = []
    index = 0
    while index < len(folded.boxes):
        each = times.get(index)
        after, repeats = (each.last + 1, each.times) if each else (index + 1, 1)
        boxes += folded.boxes[index:after] * repeats
        lines += [s.line for s in folded.shortcuts if index <= s.first < after] * repeats
        index = after
    assert tuple(boxes) == whole.boxes
    assert lines == [each.line for each in whole.shortcuts]
    assert len(fold(folded).boxes) == len(folded.boxes) < len(whole.boxes)


def test_repeats_are_table_1s_and_section_4_2s() -> None:
    folds = {name: [f.times for f in fold(column(network(name))).folds] for name in NAMES}
    assert folds["resnet152_b"] == [2, 7, 35, 2]  # the first block of each stage is another
    assert folds["resnet34_a"] == [3, 3, 5, 2]
    assert folds["plain34"] == [6, 7, 11, 5]
    assert folds["resnet1202"] == [200, 199, 199]


def test_figure_3(cli: Callable) -> None:
    """34 weighted layers each, 13 identities and 3 dotted shortcuts, rows beside each other."""
    root = ElementTree.fromstring(cli("draw", "plain34", "resnet34_a", "--format", "svg").out)
    boxes = [r.attrib for r in root.iter(f"{SVG}rect") if r.get("class", "").startswith("box")]
    plain, residual = ([b for b in boxes if b["x"] == x] for x in sorted({b["x"] for b in boxes}))
    coloured = [box for box in boxes if box["class"] != "box"]
    assert len(plain) == len(residual) == 37 and len(coloured) == 2 * 33  # 34 but for the fc
    assert [box["y"] for box in plain] == [box["y"] for box in residual]
    curves = [p.get("class") for p in root.iter(f"{SVG}path") if "C" in p.get("d", "")]
    assert Counter(curves) == {"line": 13, "line dotted": 3}


def test_rows_are_aligned_by_output_size() -> None:
    names = ["plain34", "resnet50_v1_5", "resnet20"]
    layout = lay_out(architecture.columns([network(name) for name in names]))
    bands = {band.size: band for band in layout.bands}
    assert list(bands) == [224, 112, 56, 32, 28, 16, 14, 8, 7, 1]
    assert all(above.bottom < below.top for above, below in pairwise(layout.bands))
    for placed in layout.columns:
        first = {}
        for box, top in zip(placed.column.boxes, placed.tops, strict=True):
            assert bands[box.size].top <= top and top + BOX <= bands[box.size].bottom
            first.setdefault(box.size, top)
        assert all(top == bands[size].top for size, top in first.items())
        assert all(above + BOX < below for above, below in pairwise(placed.tops))


def test_figure_5() -> None:
    """Its two blocks have 73,728 and 69,632 weights at each of 56×56 places."""
    basic, bottleneck = (blocks(network(name))["solid"] for name in ("resnet34_a", "resnet50_b"))
    assert basic.steps == (("3×3, 64", True), ("3×3, 64", False))
    assert bottleneck.steps == (("1×1, 64", True), ("3×3, 64", True), ("1×1, 256", False))
    assert (basic.channels, bottleneck.channels) == ((64, 64), (256, 256))
    assert basic.relu and bottleneck.relu and not basic.aside and not bottleneck.aside
    assert basic.multiply_adds == 73_728 * 56**2
    assert bottleneck.multiply_adds == 69_632 * 56**2


def test_blocks_where_dimensions_grow() -> None:
    grows = {name: blocks(network(name))["dotted"] for name in ("resnet34_a", "resnet50_b")}
    assert grows["resnet34_a"].aside == "zero padding, /2"
    assert grows["resnet50_b"].aside == "1×1, 512, /2"  # of conv3_x, which strides too
    assert blocks(network("resnet34_c")).keys() == {"dotted", "dashed"}
    assert blocks(network("resnet34_c"))["dashed"].aside == "1×1, 64"


def test_what_fits_a_page_is_whole(cli: Callable) -> None:
    for name in ("resnet34_a", "plain34", "resnet20"):
        assert not any(each.folds for each in architecture.columns([network(name)]))
    for name in ("resnet152_b", "resnet1202"):
        (found,) = architecture.columns([network(name)])
        assert found.folds
        (found,) = architecture.columns([network(name)], folded=False)
        assert not found.folds
    # One long network folds those beside it, so that rows still stand side by side.
    assert all(c.folds for c in architecture.columns([network("plain20"), network("resnet1202")]))
    assert "folded" in cli("draw", "resnet1202").err
    assert cli("draw", "resnet1202", "--fold").err == "" == cli("draw", "resnet20").err
    assert len(cli("draw", "resnet1202", "--no-fold").out.splitlines()) > 1202


@pytest.mark.parametrize("names", [["resnet18_c"], ["plain34", "resnet34_a", "resnet50_v1_5"]])
def test_the_terminal_shows_the_same(names: list[str], cli: Callable) -> None:
    found = architecture.columns([network(name) for name in names])
    drawn = cli("draw", *names).out
    assert drawn.splitlines()[0].split() == ["output", "size", *names]
    labels = Counter(box.label for column in found for box in column.boxes)
    assert {label: len(re.findall(rf"{label}(?![\d,])", drawn)) for label in labels} == labels
    repeats = sorted(each.times for column in found for each in column.folds)
    assert sorted(map(int, re.findall(r"×(\d+) [\[╭]", drawn))) == repeats
    sizes = re.findall(r"^ *(\d+)   ", drawn, re.M)
    assert sizes == ["224", "112", "56", "28", "14", "7", "1"]


def test_a_narrow_terminal_gets_columns_below_each_other(
    cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = cli("draw", "plain34", "resnet34_c").out
    monkeypatch.setattr("resnet_gen.console.PIPED_WIDTH", 50)
    narrow = cli("draw", "plain34", "resnet34_c").out
    assert max(map(len, wide.splitlines())) > 50 >= max(map(len, narrow.splitlines()))
    assert narrow.count("output size") == 2 and wide.count("output size") == 1


def test_blocks_in_a_terminal(cli: Callable) -> None:
    drawn = cli("draw", "resnet50_b", "resnet34_a", "--block").out
    assert drawn.count("x, identity") == 2 and drawn.count("F(x) + x\n") == 3
    assert "1×1, 512, /2" in drawn and "zero padding, /2" in drawn


def test_files(cli: Callable, project: Path) -> None:
    done = cli("draw", "resnet20", "-o", "made/networks.svg")
    assert done == (0, "made/networks.svg\n", "")
    made = Path("made/networks.svg").read_text()
    assert cli("draw", "resnet20", "--format", "svg").out == made
    assert cli("draw", "plain20", "-o", "made/networks.svg").code == 0  # our own is replaced
    Path("mine.svg").write_text("<svg/>")
    for arguments in (
        ["-o", "mine.svg"],
        ["-o", "drawing.png"],
        ["-o", "a.svg", "--format", "text"],
    ):
        done = cli("draw", "resnet20", *arguments)
        assert done.code == 2 and done.out == "" and "error[" in done.err
    assert Path("mine.svg").read_text() == "<svg/>"
    assert sorted(path.name for path in project.iterdir()) == ["made", "mine.svg"]


def test_mistakes(cli: Callable) -> None:
    done = cli("draw", "resnet21", "plain33")
    assert done.code == 2 and done.err.count("error[name]") == 2  # all of them at once
    for arguments in (["plain20", "--block"], ["resnet20", "--block", "--fold"], []):
        done = cli("draw", *arguments)
        assert done.code == 2 and "Traceback" not in done.err
