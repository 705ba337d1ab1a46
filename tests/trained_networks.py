"""Small networks with weights that are trained or drawn, and asking of them in this process."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from resnet_gen.generate import apart, render
from resnet_gen.generate.loading import load, load_folder
from resnet_gen.read import library
from small_networks import save
from test_generated import randomised
from training import main

SPEC = "name: {name}\ndesign: cifar\ndepth: {depth}\nwidth: 4\nshortcut: {shortcut}\n"
SHORTCUTS = {"plain": "none", "a": "A", "b": "B", "c": "C"}
STEPS = ("--data", "digits", "--batch-size", 32)
TRAINED = ("a", "plain")


def make(root: Path, depths: tuple[int, ...] = (8, 14)) -> Path:
    """Networks a8, a14, plain8 and so on, generated; runs/ has weights of those of 8 layers.

    Those of TRAINED have been trained on digits for some steps, the others are drawn at random.
    """
    (root / "specs").mkdir()
    for kind, shortcut in SHORTCUTS.items():
        for depth in depths:
            text = SPEC.format(name=f"{kind}{depth}", depth=depth, shortcut=shortcut)
            (root / f"specs/{kind}{depth}.yaml").write_text(text)
    entries = [library.read_network(path) for path in sorted(root.glob("specs/*.yaml"))]
    for path, made in render.render(entries).items():
        (root / "generated" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "generated" / path).write_text(made.header + made.text)
    for kind in SHORTCUTS:
        run = root / f"runs/{kind}8-seed0"
        if kind in TRAINED:
            train(root, f"{kind}8", run, "--iterations", 10)
            continue
        (entry,) = (each for each in entries if each.name == f"{kind}8")
        drawn = randomised(network_of(root, entry.name))
        run.mkdir()
        save(run / "checkpoint.pt", entry, drawn, classes=[*"0123456789"], same={"data": "digits"})
    return root


def train(root: Path, name: str, out: Path, *arguments: object) -> None:
    """A run of a network, in this process."""
    script = load_folder(root / "generated/cifar" / name).train
    assert main(script, *STEPS, "--out", out, *arguments) == 0


def network_of(root: Path, name: str, state: dict[str, Any] | None = None) -> nn.Module:
    """The generated network in eval mode, with these weights or as it is drawn."""
    (code,) = root.glob(f"generated/*/{name}/model.py")
    module = load(code)
    torch.manual_seed(0)
    network: nn.Module = getattr(module, module.__all__[0])()
    if state is not None:
        network.load_state_dict(state)
    return network.eval()


def checkpoint(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def ask_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generated code runs in this process, which has torch already."""

    def ask(function: str, path: Path, given: dict[str, Any], _: int) -> dict[str, Any]:
        module, _, name = function.partition(":")
        answer = getattr(importlib.import_module(module), name)
        document: dict[str, Any] = json.loads(
            json.dumps(answer(path, json.loads(json.dumps(given))))
        )
        return document

    monkeypatch.setattr(apart, "ask", ask)
