"""The generated training scripts on a CUDA device: the captured step is the step, only faster.

Needs torch, torchvision and pytest, not resnet-gen: `pytest --confcutdir tests/cuda tests/cuda`.
"""

from __future__ import annotations

import copy
import gc
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[2]
TEN = [str(k) for k in range(10)]
NO_CUDA = "needs a CUDA device: torch.cuda.is_available() is false"
pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason=NO_CUDA),
    pytest.mark.filterwarnings("default"),  # torch's compiler warns of what is no fault here
]
CUDA = torch.device("cuda")
BATCH = 128


def load(name: str) -> Any:
    """The modules of a generated folder, by the one file of resnet-gen that needs nothing else."""
    path = ROOT / "resnet_gen/generate/loading.py"
    spec = importlib.util.spec_from_file_location("loading", path)
    assert spec and spec.loader
    loading = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loading)
    return loading.load_folder(ROOT / "generated/cifar" / name)


@pytest.fixture(scope="module")
def net() -> Any:
    return load("resnet20")


@pytest.fixture(autouse=True)
def as_main_sets_it() -> Iterator[None]:
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    gc.collect()  # graphs of earlier tests, before one is captured
    torch._dynamo.reset()
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        yield


def images(net: Any, n: int = 2_000, device: torch.device = CUDA) -> Any:
    """Images that can be told apart: ten patterns in noise."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(n) % 10
    patterns = torch.randint(256, (10, 3, 4, 4), generator=generator)
    patterns = patterns.repeat_interleave(8, 2).repeat_interleave(8, 3)  # coarse: crops keep them
    noise = torch.randint(-60, 61, (n, 3, 32, 32), generator=generator)
    pixels = (patterns[labels] + noise).clamp(0, 255).to(torch.uint8)
    return net.data.Images(pixels, labels).to(device)


class Run:
    """Some steps of a script: losses and errors of each, and the weights after the last."""

    def __init__(self, net: Any, how: str, precision: str, steps: int = 50) -> None:
        torch.manual_seed(0)
        data = images(net)
        mean = data.pixels.mean(dim=0, dtype=torch.float32)
        self.trainer = net.train.Trainer(TEN, mean, precision)
        self.indices = torch.zeros(BATCH, dtype=torch.long, device=CUDA)
        self.stream = net.data.batches(len(data.labels), BATCH, 0, CUDA)
        self.data = data

        def step() -> None:
            self.trainer.train_step(data, self.indices, True)

        self.step: Callable[[], None] = step
        if how != "eager":
            iterations = net.fast_step.COMPILE_FROM if how == "compiled" else 0
            self.step = net.fast_step.as_cuda_graph(step, self.trainer.model, iterations)
        before = torch.zeros(2)
        self.losses, self.errors = [], []
        for k in range(steps):
            self.once(0.05 if k < steps // 2 else 0.0)  # without a rate, nothing is learnt
            now = self.trainer.sums.cpu()
            self.losses.append((now - before)[0].item())
            self.errors.append((now - before)[1].item())
            before = now
            if k == steps // 2:
                self.halfway = {n: p.clone() for n, p in self.trainer.model.named_parameters()}

    def once(self, rate: float) -> None:
        self.trainer.lr.fill_(rate)
        self.indices.copy_(next(self.stream))
        self.step()


@pytest.fixture(scope="module")
def runs(net: Any) -> Callable[[str, str], Run]:
    made: dict[tuple[str, str], Run] = {}

    def run(how: str, precision: str) -> Run:
        if (how, precision) not in made:
            made[how, precision] = Run(net, how, precision)
        return made[how, precision]

    return run


@pytest.mark.parametrize("how", ["captured", "compiled"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_losses_as_eager_over_50_steps(
    runs: Callable[[str, str], Run], how: str, precision: str
) -> None:
    """Within the rounding of the precision, of which eager runs in fp32 and bf16 are the measure.

    Differences grow as training goes on, so that the first steps are held to more.
    """
    eager, fast = (torch.tensor(runs(kind, precision).losses) for kind in ("eager", how))
    fp32, bf16 = (torch.tensor(runs("eager", each).losses) for each in ("fp32", "bf16"))
    difference, rounding = (eager - fast).abs(), (fp32 - bf16).abs()
    assert difference[0] < (1e-4 if precision == "fp32" else 0.05)
    assert difference[:3].max() < (1e-3 if precision == "fp32" else 0.1)
    assert difference.max() < 2 * rounding.max() + 1e-3, (difference, rounding)
    assert eager[0] > 2 and eager[-1] < 1  # it learns, so that a wrong step would show


@pytest.mark.parametrize("how", ["captured", "compiled"])
def test_the_learning_rate_is_not_frozen(runs: Callable[[str, str], Run], how: str) -> None:
    """A graph that kept its first rate would go on to learn when the rate is 0."""
    run = runs(how, "fp32")
    for name, parameter in run.trainer.model.named_parameters():
        assert torch.equal(parameter, run.halfway[name]), name


def test_momentum_is_not_begun_anew_by_each_replay(runs: Callable[[str, str], Run]) -> None:
    """With a rate of 0 it decays by 0.9 a step and takes in the gradients, as eager's does."""
    eager, fast = (runs(kind, "fp32").trainer for kind in ("eager", "captured"))
    mine, theirs = (
        torch.cat([state["momentum_buffer"].flatten() for state in t.optimizer.state.values()])
        for t in (fast, eager)
    )
    assert (mine - theirs).norm() < 0.35 * theirs.norm()
    for parameter in fast.model.parameters():
        anew = parameter.grad + 1e-4 * parameter
        momentum = fast.optimizer.state[parameter]["momentum_buffer"]
        assert not torch.allclose(momentum, anew, rtol=1e-2, atol=0)


def test_random_crops_are_the_ones_of_eager(net: Any) -> None:
    """The generator advances with each replay as it does with each step."""
    data = images(net, BATCH).pixels.float()
    crops: dict[str, list[Tensor]] = {"eager": [], "captured": []}
    for how, found in crops.items():
        torch.manual_seed(3)
        kept = torch.zeros_like(data)

        def step(kept: Tensor = kept) -> None:
            kept.copy_(net.train.augment(data, True))

        call = step if how == "eager" else net.fast_step.as_cuda_graph(step, nn.Module(), 0)
        for _ in range(8):
            call()
            found.append(kept.clone())
    for one, other in zip(crops["eager"], crops["captured"], strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(crops["captured"][6], crops["captured"][7])


@pytest.mark.parametrize("how", ["eager", "captured", "compiled"])
def test_no_step_waits_for_the_device(net: Any, how: str) -> None:
    """Not even at the end of all images, where a new order is drawn."""
    run = Run(net, how, "bf16", steps=6)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(40):  # 2,000 images are 15.6 batches
            run.once(0.1)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", ["resnet20", "resnet110", "plain20"])
def test_five_graphs_are_compiled_and_none_for_evaluation(name: str) -> None:
    torch._dynamo.utils.counters.clear()
    net = load(name)
    run = Run(net, "compiled", "bf16", steps=5)
    stats = torch._dynamo.utils.counters["stats"]
    assert stats["unique_graphs"] == 5
    assert 0 <= run.trainer.error(run.data) <= 100
    run.once(0.1)
    assert stats["unique_graphs"] == 5
    names = set(run.trainer.model.state_dict())
    fresh = net.train.Trainer(TEN, run.trainer.mean, "bf16").model
    assert names == set(fresh.state_dict()) and not [n for n in names if "_orig_mod" in n]


def test_batch_norm_counts_and_averages_in_the_graph(runs: Callable[[str, str], Run]) -> None:
    for how in ("eager", "captured", "compiled"):
        batch_norm = runs(how, "fp32").trainer.model.bn1
        assert batch_norm.num_batches_tracked.item() == 50
        assert batch_norm.running_mean.dtype == torch.float32
    eager, fast = (runs(how, "fp32").trainer.model.bn1 for how in ("eager", "captured"))
    assert torch.allclose(eager.running_mean, fast.running_mean, rtol=0.02, atol=0.02)


def test_weights_stay_fp32_and_channels_last(runs: Callable[[str, str], Run]) -> None:
    for how in ("captured", "compiled"):
        weight = runs(how, "bf16").trainer.model.layer1[0].conv1.weight
        assert weight.dtype == weight.grad.dtype == torch.float32
        assert weight.is_contiguous(memory_format=torch.channels_last)


def test_the_same_network_has_the_same_error_as_on_the_cpu(
    net: Any, runs: Callable[[str, str], Run]
) -> None:
    run = runs("captured", "fp32")
    cpu = net.train.Trainer(TEN, run.trainer.mean.cpu(), "fp32")
    cpu.model.load_state_dict(copy.deepcopy(run.trainer.model.state_dict()))
    part = net.data.Images(run.data.pixels[:500], run.data.labels[:500])
    assert abs(run.trainer.error(part) - cpu.error(part.to(torch.device("cpu")))) <= 0.4


def test_the_same_order_of_images_as_on_the_cpu(net: Any) -> None:
    here, there = (
        net.data.batches(500, 64, 7, CUDA),
        net.data.batches(500, 64, 7, torch.device("cpu")),
    )
    for _ in range(20):
        assert torch.equal(next(here).cpu(), next(there))


@pytest.mark.parametrize("flags", [["--eager"], []], ids=["eager", "captured"])
def test_a_stopped_run_goes_on_from_the_same_point(
    net: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    """Steps, batches, crops and rates are those of an uninterrupted run, up to rounding."""
    data = images(net, 2_200, torch.device("cpu"))
    train, test = net.data.split(data, 200)
    parts = net.data.Data("folder", TEN, train, None, test)
    monkeypatch.setattr(net.train, "load", lambda *_: parts)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    whole, parted = tmp_path / "whole", tmp_path / "parted"

    def run(out: Path, *more: str) -> int:
        arguments = ["--data", "patterns", "--iterations", "130", "--out", str(out), *flags, *more]
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        try:
            net.train.main()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    try:
        assert run(whole) == 0
        real, count = net.train.learning_rate, [0]

        def stop_in_between(*args: Any) -> float:
            count[0] += 1
            if count[0] == 70:
                os.kill(os.getpid(), signal.SIGTERM)
            return float(real(*args))

        monkeypatch.setattr(net.train, "learning_rate", stop_in_between)
        assert run(parted) == 143
        monkeypatch.setattr(net.train, "learning_rate", real)
        assert run(parted, "--resume") == 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    found, expected = (
        [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        for out in (parted, whole)
    )
    assert [(line["step"], line["lr"]) for line in found] == [
        (line["step"], line["lr"]) for line in expected
    ]
    assert abs(found[0]["loss"] - expected[0]["loss"]) < 0.1
    assert found[-1]["test_error"] < 50 and expected[-1]["test_error"] < 50
    states = [torch.load(out / "checkpoint.pt", weights_only=True) for out in (parted, whole)]
    assert torch.equal(states[0]["rng"], states[1]["rng"])
    results = json.loads((parted / "results.json").read_text())
    assert results["eager"] == bool(flags) and results["peak_memory_gib"] > 0.05
