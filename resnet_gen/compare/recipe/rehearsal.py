"""A run of train.py up to its loop and in it, with made-up images and errors and a small network.

The script's own main() makes the trainer, and its own train() sets the rates: what it reads,
writes and computes in between is replaced.
"""

from __future__ import annotations

import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resnet_gen.compare.recipe.planted import CIFAR_IMAGES
from resnet_gen.generate.loading import load

STAGES = 4
WIDTH = 4


NAMES = {  # what a train.py has, of its own or imported, for its main() and train()
    "cifar": (
        *("main", "train", "load", "Data", "Images", "Run", "Trainer", "learning_rate", "augment"),
    ),
    "imagenet": (
        *("main", "train", "load", "find", "Run", "Trainer", "learning_rate", "augment", "draw"),
        *("training_batches", "errors"),
    ),
}


class CannotAsk(Exception):
    """The script has been edited so that it cannot be run like this; the message says how."""


class Block(nn.Module):
    """A convolution and its batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(WIDTH, WIDTH, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 4, height, width) to the same."""
        normalized: Tensor = self.bn1(self.conv1(x))
        return normalized


class Small(nn.Module):
    """A network with the parts of any other under their names, whose weights are float64."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, WIDTH, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        for k in range(1, STAGES + 1):
            self.add_module(f"layer{k}", nn.Sequential(Block()))
        self.fc = nn.Linear(WIDTH, num_classes)
        self.double()
        for parameter in self.parameters():
            nn.init.normal_(parameter)  # none is zero, so that weight decay shows on all

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, channels, height, width) to scores (N, num_classes)."""
        x = self.bn1(self.conv1(images.double()))
        for k in range(1, STAGES + 1):
            x = self.get_submodule(f"layer{k}")(x)
        scores: Tensor = self.fc(x.mean(dim=(2, 3)))
        return scores


class Reached(BaseException):
    """main() has come to train(): what it was given."""

    def __init__(self, *given: Any) -> None:
        super().__init__()
        self.trainer, self.data, self.run = given


class Run:
    """What train() asks of a run, in place of the one that writes files."""

    def __init__(self, args: Namespace) -> None:
        self.args = args
        self.progress = Namespace(step=0, line={"step": 0})
        self.logging = self.evaluating = self.finishing = False
        self.evaluate_every = 0
        self.planned: Sequence[tuple[int, float | None]] = ()  # steps, and the errors after them
        self.error = 0.0

    def open(self, *_: Any) -> None:
        """Nothing to open."""

    def steps(self, evaluate_every: int) -> Iterator[int]:
        """The planned steps; those with an error are logged and evaluated."""
        self.evaluate_every = evaluate_every
        for step, error in self.planned:
            self.progress.step = step + 1
            self.logging = error is not None
            self.error = error or 0.0
            yield step

    def figures(self) -> dict[str, float]:
        """A line of figures with the planned training error."""
        step = self.progress.step
        return {"step": step, "loss": 1.0, "train_error": self.error, "images_per_second": 1.0}

    def log(self, _: dict[str, float]) -> None:
        """Nothing to write."""

    def finish(self, **_: Any) -> None:
        """Nothing to write."""


class Rehearsal:
    """A train.py whose main() has run as far as its loop."""

    def __init__(self, path: Path, design: str, shape: tuple[int, int, int]) -> None:
        """Imports the script at `path`; made-up images have `shape`: channels, height, width.

        Raises:
            CannotAsk: it has been edited so that it cannot be asked.
            Exception: whatever the script raises.
        """
        self.script: Any = load(path)
        self.design, self.shape = design, shape
        missing = [name for name in NAMES[design] if not hasattr(self.script, name)]
        if missing:
            raise CannotAsk(f"it has no `{missing[0]}`")
        prefix = self.script.__name__.removesuffix(path.stem)
        self.modules = [m for name, m in sys.modules.items() if name.startswith(prefix)]
        self.draw: Callable[..., Any] = self.script.draw if design == "imagenet" else Run
        self._replace(self._network(path), lambda num_classes: Small(shape[0], num_classes))
        self._replace(self.script.Run, Run)
        self._replace(self.script.load, lambda *_, **__: self._images())
        self._silence()
        if design == "imagenet":
            self._replace(self.script.find, lambda *_, **__: Path("made-up"))
        self.train = self.script.train
        self._replace(self.train, self._reached)
        reached = self._main()
        self.trainer, self.data, self.run = reached.trainer, reached.data, reached.run
        self.args: Namespace = self.run.args

    def loop(self, planned: Sequence[tuple[int, float | None]]) -> list[float]:
        """The rate that train() sets for each planned step, given the errors after the others."""
        rates: list[float] = []
        step, self.trainer.train_step = (
            self.trainer.train_step,
            lambda *_, **__: rates.append(float(self.trainer.rate())),
        )
        self.run.planned = planned
        self.run.evaluating = self.design == "imagenet"
        if self.design == "imagenet":
            self._replace(self.script.errors, lambda *_, **__: (self.run.error, 0.0))
            self._replace(self.script.training_batches, self._batches)
        self.run.progress.step = 0
        self.train(self.trainer, self.data, self.run)
        self.trainer.train_step = step
        return rates

    def first_step(self) -> tuple[Any, ...]:
        """What train() gives to train_step first."""
        given: list[tuple[Any, ...]] = []
        step, self.trainer.train_step = self.trainer.train_step, lambda *args: given.append(args)
        self.run.planned = [(0, None)]
        self.run.progress.step = 0
        self.train(self.trainer, self.data, self.run)
        self.trainer.train_step = step
        return given[0]

    def _network(self, path: Path) -> Any:
        """The class of the network, of the model.py beside the script."""
        found = [m for m in self.modules if m.__file__ == str(path.resolve().with_name("model.py"))]
        if not found:
            raise CannotAsk("it does not import model")
        return getattr(found[0], found[0].__all__[0])

    def _silence(self) -> None:
        """Remarks on made-up images are for nobody."""
        for module in self.modules:
            if hasattr(module, "note"):
                self._replace(module.note, lambda _: None)

    def _replace(self, old: Any, new: Any) -> None:
        """Puts `new` wherever a module of the folder has `old`, by whatever name."""
        for module in self.modules:
            for name, value in list(vars(module).items()):
                if value is old:
                    setattr(module, name, new)

    def _reached(self, trainer: Any, data: Any, run: Any) -> None:
        raise Reached(trainer, data, run)

    def _main(self) -> Reached:
        before = sys.argv
        data = "cifar10" if self.design == "cifar" else "imagenet"
        with tempfile.TemporaryDirectory() as folder:
            sys.argv = [str(self.script.__file__), "--data", data, "--root", folder]
            sys.argv += ["--out", str(Path(folder, "run")), "--device", "cpu"]
            sys.argv += ["--precision", "fp32"]
            try:
                self.script.main()
            except Reached as reached:
                return reached
            finally:
                sys.argv = before
        raise CannotAsk("its main() does not call train(trainer, data, run)")

    def _images(self) -> Any:
        """Training images; on CIFAR's side each pixel of a place has another mean."""
        classes = [str(k) for k in range(10)]
        if self.design == "imagenet":
            part = Namespace(path=Path("val"), classes=classes, samples=[("made-up", 0)] * 10)
            return Namespace(train=part, validation=part, test=part)
        places = torch.arange(self.shape[0] * self.shape[1] * self.shape[2]).view(self.shape) % 200
        numbers = torch.arange(CIFAR_IMAGES)
        pixels = (numbers[:, None, None, None] % 50 + places).to(torch.uint8)
        images = self.script.Images(pixels, numbers % 10)
        return self.script.Data("cifar10", classes, images, None, images.at(numbers[:10]))

    def _batches(self, _: Any, draw: Callable[..., Any], *__: Any, **___: Any) -> Iterator[Any]:
        self.draw = draw
        while True:
            yield Namespace(pixels=None, labels=None, mirrored=None, colour=None)
