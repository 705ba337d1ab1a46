"""What each format needs, and where its file may go: asked before torch is imported."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from resnet_gen.errors import Failure, Problem, did_you_mean

NEEDS = {
    "onnx": ("torch", "onnx", "onnxruntime", "onnxscript"),
    "pt2": ("torch",),
    "safetensors": ("torch", "safetensors"),
}


def require_format(form: str, *, fold: bool, subtract_mean: bool) -> None:
    """Raises Failure: there is no such format (exit code 2), or a package is missing (4)."""
    if form not in NEEDS:
        message = f"--format {form} is not one of {', '.join(NEEDS)}"
        raise Failure(Problem("usage", message, did_you_mean(form, NEEDS)))
    if form == "safetensors" and (fold or subtract_mean):
        flag = "--fold" if fold else "--subtract-mean"
        message = f"{flag} changes the graph, and a safetensors file has weights without a graph"
        if fold:
            message = "folded weights have biases and no batch norms: they fit no network of ours"
        raise Failure(Problem("usage", message, f"{flag} goes with --format onnx or pt2"))
    require_packages(NEEDS[form])


def require_packages(names: Iterable[str]) -> None:
    """Raises Failure (exit code 4) where one of these packages is not installed."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        message = f"{' and '.join(missing)} {verb} not installed"
        raise Failure(Problem(missing[0], message, "pip install 'resnet-gen[export]'"), exit_code=4)


def require_place(out: Path, checkpoint: Path) -> None:
    """Raises Failure where a file cannot be put at `out`, or would take the checkpoint's place."""
    message = ""
    if out.is_dir():
        message = "this is a folder: name the file to write, such as network.onnx in it"
    elif not out.parent.is_dir():
        message = f"there is no folder {out.parent.as_posix()} to write it into"
    elif out.exists() and not out.is_file():
        message = "this is no ordinary file, and is not replaced"
    elif out.exists() and checkpoint.exists() and out.samefile(checkpoint):
        message = "this is the checkpoint itself: give the new file another name"
    if message:
        raise Failure(Problem("file", message, "", out.as_posix()))
