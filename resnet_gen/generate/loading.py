"""Importing generated files: those of one network's folder together, apart from any other's.

Needs the standard library alone, so that benchmarks and tests can use it where nothing else is
installed.
"""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

_loaded = itertools.count(1)


def load(path: Path) -> ModuleType:
    """A generated file as a module, with the files beside it that it imports.

    Raises:
        Exception: whatever the file raises; it is somebody's code, maybe edited.
    """
    with _apart(path.parent):
        return importlib.import_module(path.stem)


def load_folder(folder: Path) -> Any:
    """All modules of a network's folder, as attributes: `.train`, `.model`, `.data` and so on.

    Raises:
        Exception: whatever one of the files raises.
    """
    with _apart(folder) as names:
        return SimpleNamespace(**{name: importlib.import_module(name) for name in names})


@contextmanager
def _apart(folder: Path) -> Iterator[list[str]]:
    """Makes the files of `folder` importable by their names, and no longer when it is left.

    Networks have files of the same names: another network's, imported before, would be taken for
    this one's. What has been imported stays importable under a new name, as torch.compile wants,
    and pickle, by which a DataLoader's workers send their batches.
    """
    names = sorted(path.stem for path in folder.glob("*.py"))
    others = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    wrote_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(folder.resolve()))
    importlib.invalidate_caches()
    try:
        yield names
    finally:
        number = next(_loaded)
        sys.path.remove(str(folder.resolve()))
        sys.dont_write_bytecode = wrote_bytecode
        for name in names:
            if module := sys.modules.pop(name, None):
                _rename(module, f"generated_{number}_{name}")
        sys.modules.update(others)


def _rename(module: ModuleType, name: str) -> None:
    for value in vars(module).values():
        if isinstance(value, (type, FunctionType)) and value.__module__ == module.__name__:
            value.__module__ = name
    module.__name__ = name
    sys.modules[name] = module
