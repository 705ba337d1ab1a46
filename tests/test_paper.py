"""The transcribed tables, held against a second typing and against torchvision's networks."""

from __future__ import annotations

import pytest
import torch
import torchvision

from resnet_gen.paper import tables
from resnet_gen.paper.tables import Errors, Table1, Table2, Table6, load

PLAIN_TEXT = {  # method: top-1 / top-5, "-" where the table has none
    "table3": """VGG-16 28.07/9.33; GoogLeNet -/9.15; PReLU-net 24.27/7.38; plain-34 28.54/10.02;
        ResNet-34 A 25.03/7.76; ResNet-34 B 24.52/7.46; ResNet-34 C 24.19/7.40;
        ResNet-50 22.85/6.71; ResNet-101 21.75/6.05; ResNet-152 21.43/5.71""",
    "table4": """VGG (ILSVRC'14) -/8.43; GoogLeNet (ILSVRC'14) -/7.89; VGG (v5) 24.4/7.1;
        PReLU-net 21.59/5.71; BN-inception 21.99/5.81; ResNet-34 B 21.84/5.71;
        ResNet-34 C 21.53/5.60; ResNet-50 20.74/5.25; ResNet-101 19.87/4.60;
        ResNet-152 19.38/4.49""",
    "table5": """VGG (ILSVRC'14) -/7.32; GoogLeNet (ILSVRC'14) -/6.66; VGG (v5) -/6.8;
        PReLU-net -/4.94; BN-inception -/4.82; ResNet (ILSVRC'15) -/3.57""",
}


@pytest.mark.parametrize("name", PLAIN_TEXT)
def test_error_tables(name: str) -> None:
    typed = [" ".join(row.split()) for row in PLAIN_TEXT[name].split(";")]
    rows = load(name, Errors).rows
    assert [f"{row.method} {row.top1 or '-'}/{row.top5 or '-'}" for row in rows] == typed


def test_table_2() -> None:
    rows = [(row.layers, row.plain, row.ResNet) for row in load("table2", Table2).rows]
    assert rows == [("18", "27.94", "27.88"), ("34", "28.54", "25.03")]


def test_table_6() -> None:
    rows = [(r.method, r.layers, r.parameters, r.error) for r in load("table6", Table6).rows]
    assert rows == [
        ("Maxout", None, None, "9.38"),
        ("NIN", None, None, "8.81"),
        ("DSN", None, None, "8.22"),
        ("FitNet", "19", "2.5M", "8.39"),
        ("Highway", "19", "2.3M", "7.54"),
        ("Highway", "32", "1.25M", "8.80"),
        ("ResNet", "20", "0.27M", "8.75"),
        ("ResNet", "32", "0.46M", "7.51"),
        ("ResNet", "44", "0.66M", "7.17"),
        ("ResNet", "56", "0.85M", "6.97"),
        ("ResNet", "110", "1.7M", "6.43"),
        ("ResNet", "1202", "19.4M", "7.93"),
    ]
    spreads = {r.layers: r.spread for r in load("table6", Table6).rows if r.spread}
    assert spreads == {"19": "7.72±0.16", "110": "6.61±0.16"}


def test_table_1_prints_these_flops() -> None:
    flops = load("table1", Table1).flops
    printed = [value.removesuffix("×10^9") for value in flops.values()]
    assert printed == ["1.8", "3.6", "3.8", "7.6", "11.3"]


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_table_1_is_torchvisions_network_but_for_the_stride(depth: int) -> None:
    """Every cell: size, kernels, filters and repeats as in torchvision's model of that depth."""
    table, sizes = load("table1", Table1), {}
    with torch.device("meta"):
        model = getattr(torchvision.models, f"resnet{depth}")()
        x = model.bn1(model.conv1(torch.empty(1, 3, 224, 224)))
        sizes["conv1"] = x.shape[-1]
        x = model.maxpool(x)
        for k in range(1, 5):
            x = getattr(model, f"layer{k}")(x)
            sizes[f"conv{k + 1}_x"] = x.shape[-1]
    for row in table.rows[:-1]:
        assert row.output_size == f"{sizes[row.layer_name]}×{sizes[row.layer_name]}"
    assert table.row("conv1").all_columns == "7×7, 64, stride 2"
    assert table.row("conv2_x").all_columns == "3×3 max pool, stride 2"
    for k in range(1, 5):
        stage = getattr(model, f"layer{k}")
        cell = table.row(f"conv{k + 1}_x").columns[f"{depth}-layer"]
        layers = [m for name, m in stage[-1].named_children() if name.startswith("conv")]
        printed = [f"{m.kernel_size[0]}×{m.kernel_size[0]}, {m.out_channels}" for m in layers]
        assert (cell.block, cell.repeats) == (printed, str(len(stage)))
    assert table.downsampling.layers == ["conv3_1", "conv4_1", "conv5_1"]


def test_the_sections() -> None:
    section = load("section4-2", tables.Section42)
    columns = [(s.output_size, s.layers, s.filters) for s in section.stages]
    assert columns == [("32×32", "1+2n", "16"), ("16×16", "2n", "32"), ("8×8", "2n", "64")]
    assert [s.layers_for(9) for s in section.stages] == [19, 18, 18]
    assert section.first_layer == "3×3, 16" and section.shortcut == "A"
    assert load("section3", tables.Section3).options("imagenet", "bottleneck", 50) == ["B"]
    assert load("section3", tables.Section3).options("imagenet", "basic", 18) == ["none", "A"]
    assert len(load("section3", tables.Section3).options("imagenet", "basic", 34)) == 4
