"""docs/counting.md: each figure is what its tool prints, and what it is said to be made of."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from conftest import ROOT, network_class
from resnet_gen.network.expansion import expand
from resnet_gen.network.layers import Layer, Operation
from resnet_gen.read import library

PAGE = (ROOT / "docs/counting.md").read_text()
NETWORKS = ("resnet50_b", "resnet50_v1_5")
SHAPE = (1, 3, 224, 224)


def printed(tool: str) -> dict[str, int]:
    """The page's figures of a tool, by network."""
    (row,) = re.findall(rf"(?m)^\| [^|]*{re.escape(tool)} \| ([\d,]+) \| ([\d,]+) \|", PAGE)
    return {name: int(cell.replace(",", "")) for name, cell in zip(NETWORKS, row, strict=True)}


def of_torch(model: nn.Module) -> int:
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(SHAPE, device="meta"))
    return counter.get_total_flops()


def of_fvcore(model: nn.Module) -> int:
    analysis = importlib.import_module("fvcore.nn").FlopCountAnalysis(model, torch.zeros(SHAPE))
    return int(analysis.unsupported_ops_warnings(False).total())


def of_thop(model: nn.Module) -> int:
    found = importlib.import_module("thop").profile(model, (torch.zeros(SHAPE),), verbose=False)
    return int(found[0])


def of_ptflops(backend: str) -> Callable[[nn.Module], int]:
    def count(model: nn.Module) -> int:
        ptflops = importlib.import_module("ptflops")
        more = {"as_strings": False, "print_per_layer_stat": False, "backend": backend}
        return int(ptflops.get_model_complexity_info(model, SHAPE[1:], **more)[0])

    return count


def of_torchinfo(model: nn.Module) -> int:
    torchinfo = importlib.import_module("torchinfo")
    return int(torchinfo.summary(model, input_size=SHAPE, verbose=0).total_mult_adds)


def of_calflops(number: int) -> Callable[[nn.Module], int]:
    def count(model: nn.Module) -> int:
        more = {"output_as_string": False, "print_results": False, "print_detailed": False}
        calflops = importlib.import_module("calflops")
        return int(calflops.calculate_flops(model, input_shape=SHAPE, **more)[number])

    return count


COUNTERS: dict[str, tuple[str, Callable[[nn.Module], int]]] = {
    "torch's FlopCounterMode": ("torch", of_torch),
    "fvcore": ("fvcore", of_fvcore),
    "thop": ("thop", of_thop),
    "ptflops, backend aten": ("ptflops", of_ptflops("aten")),
    "ptflops, backend pytorch": ("ptflops", of_ptflops("pytorch")),
    "torchinfo": ("torchinfo", of_torchinfo),
    "calflops, FLOPS": ("calflops", of_calflops(0)),
    "calflops, MACs": ("calflops", of_calflops(1)),
}


@pytest.mark.parametrize("tool", COUNTERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_tool_prints_what_the_page_says(name: str, tool: str) -> None:
    module, count = COUNTERS[tool]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tools' own
        try:
            importlib.import_module(module)
        except ImportError as error:
            pytest.skip(f"{module} is not installed ({error}): pip install 'resnet-gen[counters]'")
        with torch.device("meta" if module == "torch" else "cpu"):
            model = network_class(name)().eval()
        assert count(model) == printed(tool)[name]


def elements(layers: tuple[Layer, ...], operation: Operation) -> int:
    """The numbers that come out of all layers of a kind."""
    found = [layer for layer in layers if layer.operation is operation]
    return sum(layer.out_channels * layer.output_size**2 for layer in found)


@pytest.mark.parametrize("name", NETWORKS)
def test_each_figure_is_made_of_what_the_page_says(name: str) -> None:
    network = expand(library.network(name).spec)
    layers, ours = network.layers, network.multiply_adds
    bn, relu = elements(layers, Operation.BATCH_NORM), elements(layers, Operation.RELU)
    learned = sum(la.parameters for la in layers if la.operation is Operation.BATCH_NORM)
    pool = next(la for la in layers if la.operation is Operation.MAX_POOL)
    pooled, bias = pool.in_channels * pool.input_size**2, layers[-1].out_channels
    made: dict[str, int] = {
        "calflops, MACs": ours,
        "torch's FlopCounterMode": 2 * ours,
        "calflops, FLOPS": 2 * ours + 2 * bn + relu + pooled,
        "ptflops, backend aten": ours + bias,
        "torchinfo": ours + bias + learned,
        "fvcore": ours + 2 * bn,
        "ptflops, backend pytorch": ours + 2 * bn + relu + bias + 2 * pooled,
        "thop": ours + 4 * bn,
    }
    assert made.keys() == COUNTERS.keys()
    assert made == {tool: printed(tool)[name] for tool in made}
    for figure in (bn, relu, pooled, bias, learned):
        assert f"{figure:,}" in PAGE


def test_the_page_rounds_rightly() -> None:
    counts: dict[str, Any] = {name: expand(library.network(name).spec) for name in NETWORKS}
    ours, theirs = (network.multiply_adds for network in counts.values())
    assert f"{theirs - ours:,} multiply-adds more" in PAGE
    for count in (ours, 2 * ours, theirs, 2 * theirs):
        assert f" {count / 1e9:.3f} billion" in PAGE
    assert (f"{theirs / 1e9:.1f}", f"{2 * theirs / 1e9:.1f}") == ("4.1", "8.2")
    assert int(ours / 1e8) == 38 and f"{ours / 1e9:.1f}" == "3.9"  # cut off, not rounded
