"""What runs need before the first one starts: packages, and data, made or downloaded once."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from resnet_gen import console
from resnet_gen.errors import Failure, Problem
from resnet_gen.experiments import pictures
from resnet_gen.experiments.manifest import CIFAR
from resnet_gen.experiments.plan import MADE_DATA, PHOTOGRAPHS, Run
from resnet_gen.train import launch

DOWNLOAD = """
import sys
from torchvision import datasets
getattr(datasets, sys.argv[1])(sys.argv[2], download=True)
"""


def prepare(runs: Sequence[Run]) -> None:
    """Makes sure that runs can start.

    Raises:
        Failure: something is not installed or could not be downloaded (exit code 4), or a folder
            of images is not there (exit code 2).
    """
    if not runs:
        return
    launch.require_torch()
    wanted = {(run.data, run.root) for run in runs}
    if any(data in ("digits", PHOTOGRAPHS) for data, _ in wanted):
        require_scikit_learn()
    for data, root in sorted(wanted):
        if data == PHOTOGRAPHS:
            pictures.make(MADE_DATA / PHOTOGRAPHS)
        elif data in CIFAR:
            _require_cifar(data, root)
        elif problem := missing(data, root):
            raise Failure(problem)


def missing(data: str, root: Path) -> Problem | None:
    """The problem of a folder of images that is not there."""
    if data in CIFAR or data in ("digits", PHOTOGRAPHS):
        return None
    if (root / data).is_dir() or Path(data).is_dir():
        return None
    message = f"there is no folder {(root / data).as_posix()} with train/ and val/"
    hint = "--root names the folder that it is in; --size smoke makes its own pictures"
    return Problem("data", message, hint)


def require_scikit_learn() -> None:
    """Raises Failure (exit code 4) where scikit-learn, whose images smoke runs use, is missing."""
    if importlib.util.find_spec("sklearn") is None:
        hint = "pip install 'resnet-gen[train]'"
        raise Failure(Problem("scikit-learn", "scikit-learn is not installed", hint), exit_code=4)


def require_plot() -> None:
    """Raises Failure (exit code 4) where a package that reports are made with is missing."""
    for package in ("matplotlib", "scipy"):
        if importlib.util.find_spec(package) is None:
            hint = "pip install 'resnet-gen[plot]'"
            raise Failure(Problem(package, f"{package} is not installed", hint), exit_code=4)


def _require_cifar(data: str, root: Path) -> None:
    """Downloads CIFAR once, where several runs at once would each do so."""
    if (root / CIFAR[data]).is_dir():  # the scripts check each file of it
        return
    console.note(f"downloading {data} into {root.as_posix()}")
    command = [sys.executable, "-c", DOWNLOAD, data.upper(), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        message = f"{data} could not be downloaded: {reason}"
        hint = f"put {CIFAR[data]}/ into {root.as_posix()}, or name its folder with --root"
        raise Failure(Problem("data", message, hint), exit_code=4)
