"""The process in which a network is shown images, and its layers' outputs are recorded."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from resnet_gen.errors import Failure, Problem
from resnet_gen.export.building import build
from resnet_gen.export.reading import Input, Trained, read
from resnet_gen.generate.apart import broken
from resnet_gen.read import library
from resnet_gen.read.library import Entry
from resnet_gen.responses.images import images, prepared
from resnet_gen.responses.spread import Spread


def record(code: Path, given: dict[str, Any]) -> dict[str, Any]:
    """`{"images": N, "deviations": [...]}`: one number for each module that is named.

    Args:
        code: the network's model.py.
        given: the `network`, the path of its `weights`, the `modules` whose outputs are measured,
            and the images: `data`, `root`, `count`.
    """
    return in_words(code, lambda: _record(code, given))


def _record(code: Path, given: dict[str, Any]) -> dict[str, Any]:
    entry = library.network(given["network"])
    ready = opened(entry, code, Path(given["weights"]))
    spreads = {name: Spread() for name in given["modules"]}
    asked = (given["data"], Path(given["root"]), given["count"])
    shown = 0
    with recorded(ready.network, spreads):
        for scores, _ in shown_to(ready, images(code, entry.spec, *asked, "test")):
            shown += len(scores)
    idle = [name for name, spread in spreads.items() if not spread.count]
    if idle:
        message = f"its forward pass does not run {idle[0]}"
        raise Failure(Problem("code", message, "is it edited?", code.as_posix()))
    deviations = [math.sqrt(spread.variance.item()) for spread in spreads.values()]
    if not all(map(math.isfinite, deviations)):
        message = "its layers put out numbers that are not finite: its training has diverged"
        raise Failure(Problem("weights", message, "", given["weights"]))
    return {"images": shown, "deviations": deviations}


class Ready(NamedTuple):
    """A network with its weights, in eval mode, ready to be shown images."""

    network: nn.Module
    made_of: Input
    trained: Trained

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.network.parameters()).device


def opened(entry: Entry, code: Path, weights: Path) -> Ready:
    """The network of a model.py with the weights in a file.

    Raises:
        Failure: they do not belong together, or the file does not say which mean was subtracted.
    """
    trained = read(weights, entry)
    if trained.input is None:
        message = "it does not say which mean was subtracted from its images"
        raise Failure(Problem("weights", message, "", weights.as_posix()))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.allow_tf32 = False  # the numbers are those of fp32
    return Ready(build(code, weights, trained).to(device), trained.input, trained)


@contextlib.contextmanager
def recorded(network: nn.Module, spreads: Mapping[str, Spread]) -> Iterator[None]:
    """Adds the outputs of the modules that are named, while it lasts."""

    def adding(spread: Spread) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda module, taken, output: spread.add(output)

    handles = [
        network.get_submodule(name).register_forward_hook(adding(spread))
        for name, spread in spreads.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.inference_mode()
def shown_to(
    ready: Ready, batches: Iterable[tuple[Tensor, Tensor]]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Scores (N, classes) and labels (N,) of each batch."""
    for pixels, labels in batches:
        scores: Tensor = ready.network(prepared(pixels.to(ready.device), ready.made_of))
        yield scores.cpu(), labels


def in_words(code: Path, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The document of some work, or of what went wrong in it."""
    try:
        return work()
    except Failure as failure:
        return {"problem": asdict(failure.problems[0]), "exit_code": failure.exit_code}
    except (Exception, SystemExit) as error:  # it is somebody's code, maybe edited
        return {"problem": asdict(broken(code, error)), "exit_code": 2}
