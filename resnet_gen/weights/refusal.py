"""How this package says no: a sentence about the file, and what would be right."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from resnet_gen.errors import Failure, Problem

FEW = 4  # the most names that a sentence lists


def refused(path: Path, message: str, hint: str = "") -> Failure:
    """The failure for a weights file (exit code 2)."""
    return Failure(Problem("weights", message, hint, path.as_posix()))


def listed(names: list[str]) -> str:
    """The first few names, and how many others there are."""
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


def needed(module: str) -> Any:
    """An optional library.

    Raises:
        Failure: it is not installed (exit code 4).
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        name = module.partition(".")[0]
        hint = "pip install 'resnet-gen[weights]'"
        raise Failure(Problem(name, f"{name} is not installed", hint), exit_code=4) from None
