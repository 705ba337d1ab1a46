"""How generated code reads: alone, as long as its siblings, typed, with nothing unused."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from conftest import BLOCKS, CIFAR, NAMES, folder, spec_of
from test_generated import counts

ALONE = """
import builtins, runpy, sys
real = builtins.__import__
def only_torch(name, globals=None, locals=None, fromlist=(), level=0):
    caller = (globals or {}).get("__name__")
    if caller == "__main__" and name.split(".")[0] != "torch":
        raise ImportError(f"a model.py imports only torch, not {name}")
    return real(name, globals, locals, fromlist, level)  # torch itself imports what it likes
import torch
builtins.__import__ = only_torch
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.mark.parametrize(
    "name", ["resnet20", "plain110", "resnet18_a", "resnet34_c", "resnet50_v1_5"]
)
def test_runs_alone_and_checks_its_own_count(name: str, tmp_path: pytest.TempPathFactory) -> None:
    command = [sys.executable, "-c", ALONE, str(folder(name) / "model.py")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{counts(name)[0]:,} parameters as specified" in done.stdout


def siblings(one: str, other: str) -> list[tuple[str, str]]:
    left, right = ((folder(name) / "model.py").read_text().splitlines() for name in (one, other))
    assert len(left) == len(right)
    return [(a, b) for a, b in zip(left, right, strict=True) if a != b]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("resnet20", "resnet110"),
        ("resnet20", "resnet1202"),
        ("plain20", "plain110"),
        ("resnet50_b", "resnet152_b"),
        ("resnet50_v1_5", "resnet101_v1_5"),
        ("plain18", "plain34"),
        ("resnet18_c", "resnet34_c"),
    ],
)
def test_siblings_differ_only_in_numbers_names_and_hashes(one: str, other: str) -> None:
    different = siblings(one, other)
    assert 0 < len(different) <= 20  # the others are equal to the letter

    def without(line: str) -> str:
        line = re.sub(r"sha256 [0-9a-f]+", "sha256", line)
        line = re.sub(r"; best of 5 runs, mean|top-5|top-1|Table \d|[\d.,±_]+%?", "", line)
        return re.sub(r"\s+", " ", line)

    for left, right in different:
        if re.match(r"(test )?error ", left):
            continue  # one may have none in the paper
        assert without(left) == without(right)


def test_lengths() -> None:
    for name in NAMES:
        lines = len((folder(name) / "model.py").read_text().splitlines())
        assert lines <= (120 if name in CIFAR else 150), name
    assert siblings("resnet20", "resnet1202")  # asserts equal lengths


def test_nothing_that_the_network_does_not_use() -> None:
    for name in BLOCKS:
        source, shortcut = (folder(name) / "model.py").read_text(), spec_of(name).spec.shortcut
        assert ("ZeroPadShortcut" in source) == (shortcut == "A")
        assert ("def projection" in source) == (shortcut in "BC")
        assert ("downsample" in source) == (shortcut != "none")
        assert ("MaxPool2d" in source) == (name not in CIFAR)
        train = (folder(name) / "train.py").read_text()
        assert ("WARMUP" in train) == bool(getattr(spec_of(name).recipe, "warmup", None))
        assert ("PADDING" in train) == (name in CIFAR) and ("JPEG" in train) == (name not in CIFAR)


def test_generated_code_is_typed() -> None:
    command = [sys.executable, "-m", "mypy", "--config-file=", "--disallow-untyped-defs"]
    command.append("--disable-error-code=import-untyped")  # torchvision and scikit-learn
    for name in ("resnet110", "resnet50_b"):
        done = subprocess.run(
            [*command, "."], capture_output=True, text=True, cwd=folder(name), check=False
        )
        assert done.returncode == 0, done.stdout
