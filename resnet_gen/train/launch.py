"""Running a network's generated train.py, here or on a cluster."""

from __future__ import annotations

import importlib.util
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from resnet_gen.errors import Failure, Problem
from resnet_gen.generate import origin, render
from resnet_gen.network.expansion import Network, expand
from resnet_gen.read.detectors import OnBackbone
from resnet_gen.read.recipes import AnyRecipe

# Python's own answer to Ctrl-C is a traceback: until the script handles the signal, which it does
# once it trains and there is something to save, the system's ends it without a word.
START = (
    "import pathlib, runpy, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "del sys.argv[0]; sys.path[0] = str(pathlib.Path(sys.argv[0]).resolve().parent); "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


def detector_script(name: str, out: Path) -> Path | None:
    """The train.py of a detector called `name`, or in the folder `name`; None of what is none.

    Raises:
        Failure: it has not been generated (exit code 2).
    """
    entry, code = origin.code_of(name, out)
    if not isinstance(entry, OnBackbone):
        return None
    script = code.with_name("train.py")
    if not script.is_file():
        hint = origin.command(name, entry)
        raise Failure(Problem("file", "there is no such file", hint, script.as_posix()))
    return script


class Script(NamedTuple):
    """A network, its train.py, and the recipe that this follows."""

    network: Network
    path: Path
    recipe: AnyRecipe


def find_script(name: str, out: Path) -> Script:
    """The train.py of the network called `name`, below `out`.

    Raises:
        Failure: it has none, or it has not been generated (exit code 2).
    """
    entry, code = origin.code_of(name, out)
    script = code.with_name("train.py")
    if isinstance(entry, OnBackbone):
        message = "this is a detector, and not a network that classifies"
        raise Failure(Problem("training", message, f"resnet-gen train {name}"))
    if entry.recipe is None:
        message = f"there is no train.py: {entry.spec.why_no_script}"
        raise Failure(Problem("training", message, "its model.py can be imported and trained"))
    for path in (code, script):
        if not path.is_file():
            hint = origin.command(name, entry)
            raise Failure(Problem("file", "there is no such file", hint, path.as_posix()))
    return Script(expand(entry.spec), script, entry.recipe)


def slurm_script(script: Path, data: str, arguments: Sequence[str]) -> str:
    """A batch script for several machines; on `data` if no --data is among the arguments."""
    if not any(argument.split("=")[0] == "--data" for argument in arguments):
        arguments = ["--data", data, *arguments]
    given = [argument for argument in arguments if argument != "--resume"]
    template = render.environment().get_template("slurm.sh.jinja")
    return template.render(
        name=script.parent.name,
        script=shlex.quote(script.as_posix()),
        arguments=shlex.join(given),
    )


def run(script: Path, arguments: Sequence[str]) -> int:
    """Runs the script and returns its exit code, 128 and more for a signal."""
    command = [sys.executable, "-c", START, str(script), *arguments]
    with subprocess.Popen(command) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        while True:
            try:
                status = process.wait()
                break
            except KeyboardInterrupt:  # the script has the signal too, and ends in its own way
                continue
    return status if status >= 0 else 128 - status


def require_torch() -> None:
    """Raises Failure (exit code 4) where torch or torchvision is not installed."""
    needed = ("torch", "torchvision")
    if missing := [package for package in needed if importlib.util.find_spec(package) is None]:
        hint = "pip install 'resnet-gen[train]'"
        raise Failure(Problem("torch", f"{' and '.join(missing)} not installed", hint), exit_code=4)
