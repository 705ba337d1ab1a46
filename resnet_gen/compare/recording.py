"""The process in which a generated file is run: its layers, or what is wrong with it, as JSON.

Layers are recorded on torch's meta device, where tensors have a shape and no numbers. Where numbers
are asked for too, the network is built again and computed.
"""

from __future__ import annotations

import importlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from resnet_gen.compare.layer_json import fields_of
from resnet_gen.errors import Failure, Problem
from resnet_gen.generate.apart import broken
from resnet_gen.generate.loading import load

WITHOUT_NUMBERS = (
    "`diff` runs the file on torch's meta device, where tensors have a shape but no numbers, and "
    "cannot follow what depends on them"
)

INSTALL = "pip install 'resnet-gen[train]'"
MADE_UP = "`diff` runs the main() and train() of this file with made-up images, errors and network"


def record_file(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """`{"layers": [...]}`, or `{"problem": {...}, "exit_code": ...}` where there are none.

    "numbers" and "recipe" stand beside the layers where they are asked for; the recipe's are the
    answers of the train.py beside the file.
    """
    running = path
    try:
        document = _examined(path, given)
        if given.get("recipe"):
            running = path.with_name("train.py")
            document["recipe"] = _recipe(running, given["recipe"])
        return document
    except Failure as failure:
        return {"problem": asdict(failure.problems[0]), "exit_code": failure.exit_code}
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        return {"problem": asdict(_broken(running, error)), "exit_code": 2}


def _recipe(script: Path, questions: dict[str, Any]) -> dict[str, Any]:
    try:
        importlib.import_module("torchvision")  # which every train.py imports
    except ImportError as error:
        message = f"torchvision cannot be imported ({error})"
        raise Failure(Problem("torchvision", message, INSTALL), exit_code=4) from None
    from resnet_gen.compare.recipe.asking import ask  # noqa: PLC0415
    from resnet_gen.compare.recipe.rehearsal import CannotAsk  # noqa: PLC0415

    try:
        return ask(script, questions)
    except CannotAsk as error:
        raise Failure(Problem("code", str(error), MADE_UP, script.as_posix())) from None


def _examined(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    try:
        import torch  # noqa: PLC0415  (so that the process that waits need not)

        from resnet_gen.compare.recorder import record  # noqa: PLC0415
    except ImportError as error:
        message = f"torch cannot be imported ({error})"
        raise Failure(Problem("torch", message, INSTALL), exit_code=4) from None
    module = load(path)
    names: list[str] = list(getattr(module, "__all__", []))
    if len(names) != 1:
        message = f"__all__ names {len(names)} classes where a generated file names its network"
        raise Failure(Problem("code", message, "", path.as_posix()))
    network: type[torch.nn.Module] = getattr(module, names[0])
    with torch.device("meta"):
        size = given["image_size"]
        layers = record(network(), torch.empty(2, given["image_channels"], size, size))
    document: dict[str, Any] = {"layers": [fields_of(layer) for layer in layers]}
    if "numbers" in given:
        from resnet_gen.compare.computation import compare_numbers  # noqa: PLC0415

        order = [layer.name for layer in layers]
        findings = compare_numbers(network, given["numbers"], order)
        document["numbers"] = [asdict(finding) for finding in findings]
    return document


def _broken(path: Path, error: BaseException) -> Problem:
    """Where in the file the error arose, and why where that is not the file's own fault."""
    hint = WITHOUT_NUMBERS if "meta" in str(error).lower() else ""
    return broken(path, error, MADE_UP if path.name == "train.py" else hint)
