"""Wrong files, one for each number, and what a command that reads one must keep to.

Whatever stands in a file: a command ends in time with a documented exit code and sentences, writes
nothing outside of the project, and leaves what is the user's as it was.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mutations
import sandbox
from resnet_gen.compare import measure, recording
from resnet_gen.generate import header, render
from resnet_gen.read import folders
from resnet_gen.read.folders import package_folder
from sandbox import Project

CIFAR = b"""# a comment
name: net
design: cifar
depth: 8
shortcut: A
classes: 4
width: 4
image_size: 8
image_channels: 3
zero_padding: both
training:
  recipe: cifar-paper
  iterations: 40
  drops: [20, 30]
  warmup: {learning_rate: 0.01, until_training_error: 80}
"""
IMAGENET = b"""name: net
design: imagenet
depth: 14
block: bottleneck
blocks: [1, 1, 1, 1]
stride_in: conv3x3
shortcut: B
width: 4
image_size: 32
pooling: ceil
initialisation: fan_in
zero_gamma: true
training: {recipe: imagenet-paper, patience: null, drops: [300, 400], iterations: 500}
"""
# Near the paper's own networks, so that its tables are asked about them.
NETWORKS = {
    "specs/cifar/net.yaml": CIFAR,
    "specs/cifar/resnet20.yml": b"name: resnet20\ndesign: cifar\ndepth: 20\nshortcut: A\n",
    "specs/cifar/other.yaml": b"name: other\ndesign: cifar\ndepth: 26\nshortcut: none\n",
    "specs/imagenet/resnet18_b.yaml": b"name: resnet18_b\ndesign: imagenet\ndepth: 18\n"
    b"block: basic\nblocks: [2, 2, 2, 2]\nshortcut: B\nwidth: 8\n",
    "specs/imagenet/near50.yaml": b"name: near50\ndesign: imagenet\ndepth: 17\n"
    b"block: bottleneck\nblocks: [1, 1, 2, 1]\nshortcut: B\nstride_in: conv3x3\n",
}
Case = tuple[str, str]  # what was run, and what is wrong with how it went; empty if nothing is


def mutated(rng: random.Random, content: bytes) -> bytes:
    """A wrong version of a YAML file: of its bytes, or of its tree."""
    if rng.random() < 0.5:
        return mutations.of_bytes(rng, content)
    return mutations.as_yaml(rng, mutations.of_tree(rng, mutations.tree_of(content)))


class WrongYaml:
    """Specs, recipes and tables."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root)
        shipped = package_folder("specs")
        self.recipes = {path.name: path.read_bytes() for path in shipped.glob("recipes/*.yaml")}
        self.tables = {path.name: path.read_bytes() for path in shipped.glob("paper/*.yaml")}

    def case(self, kind: str, number: int) -> Case:
        """Writes the file of that number, and runs a command that reads it."""
        rng = random.Random(f"{kind} {number}")
        path, content = getattr(self, f"_{kind}")(rng)
        wanted = {**NETWORKS, path: mutated(rng, content)}
        sandbox.restore(self.project.path, wanted)
        with sandbox.working_in(self.project.path):
            arguments = rng.choice(self._commands(kind, path))
            told = sandbox.resnet_gen(*arguments)
        fault = self.project.fault(told, wanted, lambda name: name.startswith("out/"))
        return (f"{kind} {number}: {' '.join(map(str, arguments))}", fault) if fault else ("", "")

    def _spec(self, rng: random.Random) -> tuple[str, bytes]:
        return "specs/cifar/net.yaml", rng.choice((*[CIFAR] * 9, *[IMAGENET] * 9, LONG))

    def _recipe(self, rng: random.Random) -> tuple[str, bytes]:
        name = rng.choice(sorted(self.recipes))
        return f"specs/recipes/{name}", self.recipes[name]

    def _table(self, rng: random.Random) -> tuple[str, bytes]:
        name = rng.choice(sorted(self.tables))
        return f"specs/paper/{name}", self.tables[name]

    def _commands(self, kind: str, path: str) -> list[tuple[object, ...]]:
        if kind == "spec":
            named: list[tuple[object, ...]] = [("check", path), ("show", path, "--json")] * 3
            named += [("show", path), ("generate", path, "--out", "out"), ("diff", path)]
            named += [("train", path, "--slurm"), ("check", "specs", "--json")]
            return [*named, ("list",), ("generate", "--all", "--out", "out", "--check")]
        names = sorted(NETWORKS)
        named = [("check", path), ("check", path, "--json"), ("check",)]
        named += [(command, name) for name in names for command in ("show", "diff")]
        named += [("generate", name, "--out", "out") for name in names]
        return [*named, ("list",), ("diff", names[0], names[1], "--json")]


LONG = CIFAR.replace(b"depth: 8", b"depth: 302").replace(b"width: 4", b"width: 4096")


class WrongCode:
    """Generated files, read by `generate` in all its forms and by `diff`, which runs them."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root)
        sandbox.restore(self.project.path, {"specs/cifar/net.yaml": CIFAR})
        with sandbox.working_in(self.project.path):
            told = sandbox.resnet_gen("generate", "net")
            assert told.code == 0, told.err
        self.files = sandbox.contents(self.project.path)

    def case(self, kind: str, number: int) -> Case:
        """Writes the file of that number, and runs a command that reads it."""
        rng = random.Random(f"{kind} {number}")
        path = rng.choice([name for name in self.files if name.endswith(".py")])
        content = self.files[path]
        if rng.random() < 0.4:  # the header alone
            first, second, code = content.split(b"\n", 2)
            content = mutations.of_bytes(rng, first + b"\n" + second + b"\n") + code
        else:
            content = mutations.of_bytes(rng, content)
        wanted = {**self.files, path: content}
        sandbox.restore(self.project.path, wanted)
        folder = "generated/cifar/net"
        commands: list[tuple[str, ...]] = [
            *(("generate", "net"), ("generate", "--all"), ("generate", "--all", "--prune")),
            *(("generate", "net", "--check"), ("generate", "--all", "--diff")),
            *(("diff", folder), ("diff", path), ("train", folder, "--slurm")),
        ]
        arguments = rng.choice(commands)
        with sandbox.working_in(self.project.path):
            told = sandbox.resnet_gen(*arguments)
        after = sandbox.contents(self.project.path)

        def may_change(name: str) -> bool:
            """Whether this loses nothing: what stood there was ours, below some header."""
            if name == "generated/hubconf.py":  # which `generate --all` writes
                return name not in self.files
            return name == path and code_in(content) == code_in(self.files[path])

        fault = self.project.fault(told, wanted, may_change)
        if not fault and arguments == ("generate", "net") and told.code == 0:
            fault = "" if code_in(after[path]) == code_in(self.files[path]) else "not made right"
        return (f"{kind} {number}: {' '.join(arguments)}", fault) if fault else ("", "")


def code_in(content: bytes) -> str | None:
    """What stands below the two lines of a header, as Python reads it."""
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        return None
    found = header.LINES.match(text)
    return text[found.end() :] if found else None


def run_all(
    cases: Iterable[tuple[Callable[[str, int], Case], str, int]],
    progress: Callable[[int, int], Any] = lambda done, faults: None,
) -> list[dict[str, Any]]:
    """The faults of all these cases, one of each."""
    faults: list[dict[str, Any]] = []
    for done, (case, kind, number) in enumerate(cases, start=1):
        what, fault = case(kind, number)
        if fault:
            faults.append({"case": what, "fault": fault})
        progress(done, len(faults))
    return sandbox.counted(faults)


@contextmanager
def quick(root: Path) -> Iterator[None]:
    """Without the package's own networks, ruff and processes, which would take all of the time.

    A file of code is run once in this process; specs alone decide what `diff` says of it.
    """
    shipped = root / "package/specs"
    for name in ("recipes", "paper"):
        shutil.copytree(package_folder("specs") / name, shipped / name)
    real, clean, record = folders.package_folder, render.clean, measure._record
    recorded: dict[tuple[bytes, str], str] = {}

    def record_here(path: Path, given: dict[str, Any]) -> dict[str, Any]:
        asked = {key: value for key, value in given.items() if key != "numbers"}
        key = (path.read_bytes(), json.dumps(asked))
        if key not in recorded:
            recorded[key] = json.dumps(recording.record_file(path, asked))
        document: dict[str, Any] = json.loads(recorded[key])
        return document

    folders.package_folder = lambda name: shipped if name == "specs" else real(name)
    render.clean, measure._record = dict, record_here
    try:
        yield
    finally:
        folders.package_folder, render.clean, measure._record = real, clean, record
