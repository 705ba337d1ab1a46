"""Wrong checkpoints of tiny networks of both families, resumed and evaluated in this process."""

from __future__ import annotations

import io
import random
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

import mutations
import sandbox
from resnet_gen.generate.loading import load_folder
from sandbox import Project
from wrong_files import CIFAR, IMAGENET, Case

SPECS = {"cifar": CIFAR.split(b"training:")[0], "imagenet": IMAGENET}
FLAGS = ("--data", "pictures", "--batch-size", 4, "--iterations", 4, "--device", "cpu")
FLAGS = (*FLAGS, "--precision", "fp32", "--eager", "--workers", 0)
NO_WORKERS = FLAGS[:-2]  # CIFAR's script has none


class WrongCheckpoints:
    """A run of four steps that was stopped after the second, and wrong versions of it."""

    def __init__(self, root: Path, design: str) -> None:
        self.project, self.design = Project(root), design
        self.flags = FLAGS if design == "imagenet" else NO_WORKERS
        (self.project.path / "net.yaml").write_bytes(SPECS[design])
        _pictures(self.project.path / "pictures")
        with sandbox.working_in(self.project.path):
            told = sandbox.resnet_gen("generate", "net.yaml")
            assert told.code == 0, told.err
            self.script = load_folder(Path("generated", design, "net"))
            self._stop_after_two_steps()
        self.files = sandbox.contents(self.project.path)
        self.whole = self.files["run/checkpoint.pt"]

    def case(self, kind: str, number: int) -> Case:
        """Puts the checkpoint of that number in place, and runs the script on it."""
        rng = random.Random(f"{kind} {self.design} {number}")
        wrong = self._wrong(rng)
        sandbox.restore(self.project.path, {**self.files, "run/checkpoint.pt": wrong})
        is_resumed = rng.random() < 0.5
        given = ("--evaluate", "run/checkpoint.pt")
        if is_resumed:
            given = ("--out", "run", "--resume")
        told = self._run(*given)
        goes_on = is_resumed and (told.code == 0 or "resuming at step" in told.err)
        before = {**self.files, "run/checkpoint.pt": wrong}
        fault = self.project.fault(told, before, lambda name: goes_on and name.startswith("run/"))
        return (f"{kind} {self.design} {number}: {' '.join(given)}", fault) if fault else ("", "")

    def _run(self, *given: object) -> sandbox.Told:
        argv = ["train.py", *map(str, self.flags), *map(str, given)]
        with sandbox.working_in(self.project.path), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of odd numbers; a user sees them too
            return sandbox.told_by(self.script.train.main, argv)

    def _stop_after_two_steps(self) -> None:
        save = self.script.checkpoint.save

        def keep(path: Path, of: Any, progress: Any, state: Any) -> None:
            save(path, of, progress, state)
            if progress.step == 2 and path.name == "checkpoint.pt":
                shutil.copytree(path.parent, "stopped", dirs_exist_ok=True)

        self.script.checkpoint.save = keep
        told = self._run("--out", "run")
        self.script.checkpoint.save = save
        assert told.code == 0, told.err
        shutil.rmtree("run")
        Path("stopped").rename("run")

    def _wrong(self, rng: random.Random) -> bytes:
        kind = rng.random()
        if kind < 0.1:
            return mutations.of_bytes(rng, self.whole)
        if kind < 0.25:
            return _of_pickle(rng, self.whole)
        content = torch.load(io.BytesIO(self.whole), weights_only=True)
        key = rng.choice(sorted(content))
        if rng.random() < 0.25:
            if rng.random() < 0.5:
                del content[key]
            else:
                content[key] = _value(rng, content)
        else:
            part = mutations.of_tree(rng, {key: content[key]})  # now and then something else
            if isinstance(part, dict):
                del content[key]
                content |= part
        if rng.random() < 0.3:
            _change_a_tensor(rng, content)
        file = io.BytesIO()
        try:
            torch.save(content, file)
        except Exception:  # not every such thing can be written
            return mutations.of_bytes(rng, self.whole)
        return file.getvalue()


def _value(rng: random.Random, content: Any) -> Any:
    return rng.choice((*mutations.NUMBERS, *mutations.ODD, None, [], {}, *content.values()))


def _change_a_tensor(rng: random.Random, content: dict[Any, Any]) -> None:
    """One of the tensors gets other numbers, another type, shape or layout."""
    places = list(_tensors(content))
    if not places:
        return
    owner, key = rng.choice(places)
    value: Tensor = owner[key]
    others: list[Callable[[], Any]] = [
        lambda: torch.full_like(value, float("nan")) if value.is_floating_point() else value + 1,
        lambda: torch.full_like(value, float("inf")) if value.is_floating_point() else -value,
        lambda: -abs(value),
        lambda: value.to(rng.choice((torch.float16, torch.int8, torch.complex64, torch.bool))),
        lambda: value.to(torch.float64).to_sparse(),
        lambda: value.to("meta"),
        lambda: value.flatten()[:1].expand(value.numel()).reshape(value.shape),
        lambda: torch.zeros(1).expand(10**9),
        lambda: value[None],
        value.flatten,
        lambda: value.new_zeros(()),
        lambda: value.new_zeros(0),
        value.tolist,
        lambda: torch.nn.Parameter(value.float()),
    ]
    owner[key] = rng.choice(others)()


def _tensors(owner: Any) -> Any:
    for key, value in owner.items() if isinstance(owner, dict) else enumerate(owner):
        if isinstance(value, Tensor):
            yield owner, key
        elif isinstance(value, (dict, list)):
            yield from _tensors(value)


def _of_pickle(rng: random.Random, whole: bytes) -> bytes:
    """The same zip, its checksums right, with other bytes in its pickle or its small parts."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(made, "w") as new:
        names = old.namelist()
        chosen = next(n for n in names if n.endswith("data.pkl"))
        chosen = chosen if rng.random() < 0.8 else rng.choice(names)
        for name in names:
            content = old.read(name)
            new.writestr(name, mutations.of_bytes(rng, content) if name == chosen else content)
    return made.getvalue()


def _pictures(folder: Path) -> None:
    """Two classes of four small pictures to train on, and of two for each test."""
    for part, count in (("train", 4), ("val", 2), ("test", 2)):
        for k, name in enumerate(("cat", "dog")):
            (folder / part / name).mkdir(parents=True)
            for index in range(count):
                colour = (40 * index, 255 * k, 100)
                Image.new("RGB", (24, 16), colour).save(folder / part / name / f"{index}.png")
