"""The fast path where there is no CUDA: capturing with a stand-in, compiling without a compiler.

tests/cuda has the same on a GPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import recorded_graph
from conftest import folder, image_folder
from resnet_gen.generate.loading import load_folder
from training import main

CPU = torch.device("cpu")
TEN = [str(k) for k in range(10)]


@pytest.fixture(scope="module")
def net() -> Any:
    return load_folder(folder("resnet20"))


def images(net: Any, n: int = 64) -> tuple:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (n, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return net.data.Images(pixels, torch.arange(n) % 10)


Steps = tuple[list[list[float]], dict[str, Tensor]]


def steps(
    net: Any,
    faster: Callable[[Callable[[], None], nn.Module], Callable[[], None]],
    n: int = 12,
    prepare: Callable[[object], None] = lambda trainer: None,
) -> Steps:
    """Losses and errors of n steps, the rate falling by 10 in the middle; and the weights after."""
    torch.manual_seed(0)
    data = images(net)
    trainer = net.train.Trainer(TEN, torch.full((3, 32, 32), 120.0), "fp32")
    prepare(trainer)
    indices = torch.zeros(16, dtype=torch.long)
    step = faster(lambda: trainer.train_step(data, indices, True), trainer.model)
    stream = net.data.batches(64, 16, 0, CPU)
    sums = []
    for k in range(n):
        rate = 0.1 if k < n // 2 else 0.01
        for group in trainer.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        indices.copy_(next(stream))
        step()
        sums.append(trainer.sums.tolist())
    return sums, trainer.model.state_dict()


def same(one: Steps, other: Steps) -> bool:
    return one[0] == other[0] and all(torch.equal(one[1][key], other[1][key]) for key in one[1])


def eager(step: Callable[[], None], _: nn.Module) -> Callable[[], None]:
    return step


def captured(
    net: Any, iterations: int = 100
) -> Callable[[Callable[[], None], nn.Module], Callable[[], None]]:
    return lambda step, model: net.fast_step.as_cuda_graph(step, model, iterations)


def test_replaying_a_step_is_the_step(net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit: weights, momentum, batch norm's statistics, losses, errors, random crops."""
    plain = steps(net, eager)
    graphs = recorded_graph.pretend(monkeypatch)
    fast = steps(net, captured(net))
    assert same(plain, fast)
    assert [graph.replays for graph in graphs] == [9]  # 12 steps, the first three eager


def test_a_number_for_a_learning_rate_would_be_frozen(
    net: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in shows the fault that the script avoids: SGD does not refuse to be captured."""

    def with_number(trainer: object) -> None:
        parameters = trainer.model.parameters()
        trainer.optimizer = torch.optim.SGD(parameters, 0.1, 0.9, weight_decay=1e-4, fused=True)

    plain = steps(net, eager, prepare=with_number)
    recorded_graph.pretend(monkeypatch)
    fast = steps(net, captured(net), prepare=with_number)
    assert plain[0][:7] == fast[0][:7]  # until the first step after the rate has changed
    assert plain[0][7] != fast[0][7]


def test_what_is_captured(net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the device, and momentum that exists already."""
    (graphs := recorded_graph.pretend(monkeypatch)).clear()
    steps(net, captured(net), n=4)
    calls = {str(operation): (args, kwargs) for operation, args, kwargs, _ in graphs[0].calls}
    assert not [name for name in calls if "_local_scalar_dense" in name or "nonzero" in name]
    _, kwargs = calls["aten._fused_sgd_.tensor_lr"]
    assert kwargs["is_first_step"] is False
    assert "aten.randint.default" in calls or "aten.randint.low" in calls


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """Compiles without generating code; tells how often, and fails where Dynamo would give up."""
    compiled = nn.Module.compile

    def traced(self: nn.Module, **options: object) -> None:
        compiled(self, backend="aot_eager", **options)

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    monkeypatch.setattr(nn.Module, "compile", traced)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)  # as if Triton were here
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        yield lambda: torch._dynamo.utils.counters["stats"]["unique_graphs"]
    torch._dynamo.reset()


# Dynamo looks at the gradient of a block's input, and silences what torch says to that.
looks_at_gradients = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")


@looks_at_gradients
@pytest.mark.parametrize("name", ["resnet20", "resnet56", "plain32"])
def test_five_kinds_of_block_are_compiled(
    name: str, monkeypatch: pytest.MonkeyPatch, counted: Callable[[], int]
) -> None:
    """Whatever the depth, evaluation included; and the names in the state dict stay."""
    net = load_folder(folder(name))
    data = images(net)
    recorded_graph.pretend(monkeypatch)
    torch.manual_seed(0)
    trainer = net.train.Trainer(TEN, torch.full((3, 32, 32), 120.0), "fp32")
    names = list(trainer.model.state_dict())
    indices = torch.arange(16)
    step = net.fast_step.as_cuda_graph(
        lambda: trainer.train_step(data, indices, True), trainer.model, 64_000
    )
    assert counted() == 0
    for _ in range(3):
        step()
        assert counted() == 5
        assert 0 <= trainer.error(data) <= 100
    assert counted() == 5
    assert list(trainer.model.state_dict()) == names


@looks_at_gradients
def test_compiled_blocks_train_alike(
    net: Any, monkeypatch: pytest.MonkeyPatch, counted: Callable[[], int]
) -> None:
    plain = steps(net, eager, n=3)
    recorded_graph.pretend(monkeypatch)
    fused = steps(net, captured(net, 64_000), n=3)
    assert counted() == 5
    assert torch.allclose(torch.tensor(plain[0]), torch.tensor(fused[0]), rtol=1e-4)


@pytest.fixture
def amx(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the processor had AMX, and a C++ compiler were here."""
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False
    )  # torch 2.9 has none
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


@pytest.mark.parametrize(
    ("how", "changed"),
    [
        ("compiled", {}),
        ("eager", {"eager": True}),
        ("eager", {"precision": "fp32"}),
        ("eager", {"iterations": 9_999}),
        ("captured", {"device": torch.device("cuda")}),
        ("captured", {"device": torch.device("cuda"), "iterations": 1, "precision": "fp32"}),
        ("eager", {"device": torch.device("cuda"), "eager": True}),
    ],
)
def test_how_steps_are_run(
    net: Any, amx: None, monkeypatch: pytest.MonkeyPatch, how: str, changed: dict
) -> None:
    given = {"device": CPU, "eager": False, "precision": "bf16", "iterations": 10_000}
    args = argparse.Namespace(**given | changed)
    assert net.fast_step.fast_path(args) == how
    monkeypatch.setattr(net.fast_step, "RANKS", 2)
    assert net.fast_step.fast_path(args) == "eager"


@pytest.mark.parametrize(
    ("module", "name", "found"), [(torch.cpu, "get_capabilities", {}), (shutil, "which", None)]
)
def test_without_amx_or_a_compiler_the_cpu_runs_eagerly(
    net: Any, amx: None, monkeypatch: pytest.MonkeyPatch,
    module: ModuleType, name: str, found: object,
) -> None:  # fmt: skip
    args = argparse.Namespace(device=CPU, eager=False, precision="bf16", iterations=10_000)
    assert net.fast_step.fast_path(args) == "compiled"
    monkeypatch.setattr(module, name, lambda *_: found)
    assert net.fast_step.fast_path(args) == "eager"


@looks_at_gradients
def test_a_compiled_run_on_a_cpu_is_the_eager_one(
    net: Any, amx: None, counted: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    """One graph, whatever is validated between; the same losses, and the same names."""
    monkeypatch.setattr(net.fast_step, "COMPILE_FROM", 20)
    monkeypatch.setattr("training.EXACT", ("--device", "cpu"))
    data = image_folder(tmp_path / "pets")  # few: without AVX512, bf16 is slow
    flags = ["--data", data, "--batch-size", 4, "--iterations", 20, "--precision", "bf16"]
    losses = []
    for how, more in (("eager", ["--eager"]), ("compiled", [])):
        assert counted() == 0
        assert main(net.train, *flags, "--out", tmp_path / how, *more) == 0
        made = (tmp_path / how / "metrics.jsonl").read_text().splitlines()
        losses.append([json.loads(line)["loss"] for line in made])
        results = json.loads((tmp_path / how / "results.json").read_text())
        assert results["eager"] == (how == "eager")
    assert counted() == 1
    assert len(losses[0]) == 10 and losses[1] == pytest.approx(losses[0], rel=0.05)
    eager, compiled = (
        torch.load(tmp_path / how / "checkpoint.pt", weights_only=True)["model"]
        for how in ("eager", "compiled")
    )
    assert list(compiled) == list(eager)
