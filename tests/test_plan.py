"""`train --plan`: what a run will be, against what torch and the paper say."""

from __future__ import annotations

import math
import os
import re
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from conftest import CIFAR, Result, folder, load, network_class, spec_of
from resnet_gen.network.expansion import expand
from resnet_gen.train import launch, plan

Cli = Callable[..., Result]


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        *(("resnet20", "fp32"), ("plain32", "fp32"), ("resnet56", "fp32"), ("resnet18_b", "fp32")),
        *(("plain34", "fp32"), ("resnet50_b", "fp32")),
        *(("resnet20", "bf16"), ("resnet18_b", "bf16")),  # slow where there are no instructions
    ],
)
def test_activations_are_what_autograd_keeps(name: str, precision: str) -> None:
    """Counted by torch, each piece of memory once."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 4 and tensor.shape[0] == 4:  # of the batch, not of the weights
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        held.append(tensor)  # so that no address is used twice
        return tensor

    held: list[torch.Tensor] = []
    size = 32 if name in CIFAR else 224
    images = torch.randn(4, 3, size, size)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), autocast:
        network_class(name)()(images)
    network = expand(spec_of(name).spec)
    numbers = plan.activations(network.layers, 3 * size * size)
    indices = plan.INDEX * plan.indices(network.layers)
    expected = 4 * (numbers * plan.BYTES[precision] + indices)
    assert math.isclose(sum(kept.values()), expected, rel_tol=0.02)


def test_memory_of_the_networks_of_section_4_2() -> None:
    """1202 layers fill a card of 12 GB in fp32, and half of it in bf16."""
    network = expand(spec_of("resnet1202").spec)
    assert 11 < plan.memory(network, 128, "fp32", 45_000) / plan.GIB < 13
    assert 6 < plan.memory(network, 128, "bf16", 45_000) / plan.GIB < 8
    assert 1 < plan.memory(expand(spec_of("resnet20").spec), 128, "bf16", 45_000) / plan.GIB < 2
    assert plan.may_be_too_large(network, 128, [])
    assert not plan.may_be_too_large(network, 128, ["--batch-size", "8"])
    assert not plan.may_be_too_large(network, 128, ["--batch-size=8"])
    assert not plan.may_be_too_large(expand(spec_of("resnet110").spec), 128, [])


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="Linux says it there")
def test_free_memory_is_what_linux_says() -> None:
    free = plan.free_memory()
    assert free and 0 < free <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("iterations", [64_000, 6_400, 999, 7, 2, 1])
def test_the_schedule_is_the_scripts(iterations: int) -> None:
    """What the plan says by arithmetic is what the generated function gives at every iteration."""
    script, recipe = load(folder("resnet20") / "train.py"), spec_of("resnet20").recipe
    planned = [
        part.rate
        for part in plan.schedule(recipe, iterations)
        for _ in range(part.first, part.last + 1)
    ]
    assert planned == [script.learning_rate(step, iterations) for step in range(iterations)]
    if iterations == 64_000:
        assert [tuple(part) for part in plan.schedule(recipe, iterations)] == [
            (1, 32_000, 0.1),
            (32_001, 48_000, 0.01),
            (48_001, 64_000, 0.001),
        ]


def test_images_to_train_on(tmp_path: Path) -> None:
    recipe = spec_of("resnet20").recipe

    def images(data: str, *, full_train: bool = False) -> tuple[int | None, int]:
        return plan.images(recipe, Namespace(data=data, root=tmp_path, full_train=full_train))

    assert images("cifar10") == (45_000, 5_000)
    assert images("cifar10", full_train=True) == (50_000, 0)
    assert images("digits") == (1_294, 143)  # as the script has them
    assert images(str(tmp_path)) == (None, 0)


def test_an_edited_script_that_cannot_be_asked_is_the_users(cli: Cli, project: Path) -> None:
    assert cli("generate", "resnet20").code == 0
    path = Path("generated/cifar/resnet20/train.py")
    for edit in ("def rehearse(|def rehearsal(", "ITERATIONS = 64_000|ITERATIONS = 1 / 0"):
        text = path.read_text()
        path.write_text(text.replace(*edit.split("|")))
        done = cli("train", "resnet20", "--plan", "--", "--iterations", 10, "--device", "cpu")
        assert done.code == 2 and "train.py: error[code]: " in done.err, done.err
        assert "parse_arguments() and rehearse(args)" in done.err
        path.write_text(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.3, "12 s"), (250, "4 min 10 s"), (9_240, "2 h 34 min"), (10**6, "12 days")],
)
def test_durations(seconds: float, text: str) -> None:
    assert plan.duration(seconds) == text


def test_a_plan(cli: Cli) -> None:
    done = cli("train", "resnet20", "--plan", "--", "--iterations", 4000, "--device", "cpu")
    assert done.code == 0 and not done.err
    assert "resnet20 on cifar10: 4,000 iterations of 128, 11.4 epochs of 45,000 images" in done.out
    for span in ("1 to 2,000  0.1\n", "2,001 to 3,000  0.01\n", "3,001 to 4,000  0.001\n"):
        assert span in done.out
    # 3 * 40,551,040 * 128 * 4,000
    assert "multiply-adds  6.23e+13 in all: 40,551,040 forward for an image" in done.out
    assert "memory         about 1." in done.out and "time           about " in done.out


def test_a_plan_for_imagenet(cli: Cli, pictures: Path) -> None:
    arguments = ("--data", pictures, "--iterations", 100, "--batch-size", 2, "--device", "cpu")
    done = cli("train", "resnet18_b", "--plan", "--", *arguments)
    assert done.code == 0 and not done.err
    assert f"resnet18_b on {pictures}: 100 iterations of 2, 8.3 epochs of 24 images" in done.out
    words = "0.1, divided by 10 each time that 5 validations, one each 10 iterations, bring no"
    assert words in done.out
    # 3 * 1,814,073,344 * 2 * 100
    assert "multiply-adds  1.09e+12 in all: 1,814,073,344 forward for an image" in done.out
    assert "; reading images comes on top" in done.out


def test_a_plan_for_a_folder_that_is_not_there(cli: Cli) -> None:
    for name in ("resnet20", "resnet18_b"):
        arguments = ("--data", "nothing", "--iterations", 10, "--batch-size", 2)
        done = cli("train", name, "--plan", "--", *arguments)
        assert done.code == 0 and done.out.startswith(f"{name} on nothing: 10 iterations of 2\n")


def test_a_plan_of_the_warm_up(cli: Cli) -> None:
    done = cli("train", "resnet110", "--plan", "--", "--iterations", 10, "--batch-size", 2)
    assert "0.01 until the training error is below 80%" in done.out


def test_what_does_not_fit_is_told_before_it_runs(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "free_memory", lambda: plan.GIB)
    arguments = ("--device", "cpu", "--precision", "fp32")
    planned = cli("train", "resnet1202", "--plan", "--", *arguments)
    assert planned.code == 0 and "time           not measured" in planned.out
    words = r"warning: this run needs about 1\d\.\d GiB and 1\.0 GiB are free"
    assert re.search(words, planned.out)
    run = cli("train", "resnet1202", "--", *arguments, "--data", "nothing")
    assert run.code == 2 and "warning: this run needs about" in run.err


def test_the_batch_size_of_a_spec_of_ones_own_is_known(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recipe's batch size is warned of before a run, and a flag takes its place."""
    training = "training: {recipe: cifar-paper, batch_size: 4096}"
    spec = f"name: large\ndesign: cifar\ndepth: 56\nshortcut: A\n{training}\n"
    (project / "large.yaml").write_text(spec)
    assert cli("generate", "large.yaml").code == 0
    monkeypatch.setattr(plan, "free_memory", lambda: plan.GIB)
    monkeypatch.setattr(launch, "run", lambda script, arguments: 0)  # what comes before is tested
    arguments = ("--", "--data", "nothing", "--device", "cpu", "--precision", "fp32")
    assert "warning: this run needs about" in cli("train", "large.yaml", *arguments).err
    for flags in (("--batch-size", 2), ("--batch=2",)):
        assert "warning" not in cli("train", "large.yaml", *arguments, *flags).err


def test_wrong_arguments_are_told_by_the_script(cli: Cli) -> None:
    done = cli("train", "resnet20", "--plan", "--", "--iterations", "many")
    assert done.code == 2 and "invalid int value: 'many'" in done.err
