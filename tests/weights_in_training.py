"""What the tests of weights in training share: brief runs of ResNet-20 on digits."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from training import DIGITS, main
from weight_files import images, write

Capture = pytest.CaptureFixture[str]
TEN = [str(k) for k in range(10)]
BRIEF = (*DIGITS, "--iterations", 6)  # a line of figures for each step


def whole(net: Any, path: Path, learned: dict[str, Any], **more: object) -> Path:
    """The run's weights and all that is known of them, with `more`."""
    known = {"classes": TEN, "input": images(learned["mean"], [1.0] * 3)}
    return write(path, net.train, learned["model"], **{**known, **more})


def evaluated(net: Any, path: Path, capsys: Capture) -> str:
    """The error that is printed."""
    capsys.readouterr()
    assert main(net.train, "--data", "digits", "--evaluate", path) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return told.out


def refused(net: Any, capsys: Capture, *arguments: object) -> str:
    """The sentence that ends the script."""
    capsys.readouterr()
    assert main(net.train, *arguments) == 2
    told = capsys.readouterr()
    said = [line for line in told.err.splitlines() if "test images of" not in line]
    assert len(said) == 1 and said[0].startswith("train.py: ") and not told.out, told
    return said[0]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
