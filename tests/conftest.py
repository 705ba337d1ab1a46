"""What the tests share: the networks, their generated modules, and the command line in-process."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from PIL import Image

import photographs
from one_network import FILES, NET, SPEC_PATH, write_spec
from resnet_gen.cli import main as command_line
from resnet_gen.compare import measure, recording
from resnet_gen.generate import render
from resnet_gen.generate.loading import load
from resnet_gen.paper import tables
from resnet_gen.read import folders, library

ROOT = Path(__file__).resolve().parent.parent
SMALL = "resnet18_small"  # a backbone that is no network of the paper
NAMES = sorted(
    path.stem
    for path in (ROOT / "specs").glob("*/*.yaml")
    if path.parent.name in ("cifar", "imagenet") and path.stem != SMALL
)
DETECTORS = sorted(path.stem for path in (ROOT / "specs/detection").glob("*.yaml"))
READING = Namespace(workers=0, skip_bad_images=False, device=torch.device("cpu"))
VGG = [name for name in NAMES if name.startswith("vgg")]
BLOCKS = [name for name in NAMES if name not in VGG]  # networks of blocks, which have a train.py
CIFAR = [name for name in NAMES if (ROOT / "specs/cifar" / f"{name}.yaml").is_file()]

# A shell's background jobs ignore SIGINT, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

RECORDED: dict[tuple[tuple[bytes, ...], str], dict[str, Any]] = {}


class Result(NamedTuple):
    code: int
    out: str
    err: str


def folder(name: str) -> Path:
    family = "detection" if name in DETECTORS else "cifar" if name in CIFAR else "imagenet"
    return ROOT / "generated" / family / name


def network_class(name: str) -> type:
    module = load(folder(name) / "model.py")
    return getattr(module, module.__all__[0])


@pytest.fixture
def cli(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """Runs `resnet-gen ARGS` in this process: exit code, stdout and stderr."""

    def run(*args: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["resnet-gen", *map(str, args)])
        tables.load.cache_clear()
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            command_line.main()
        out, err = capfd.readouterr()
        return Result(int(stop.value.code or 0), out, err)

    return run


@pytest.fixture
def measured_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """`diff` runs files in this process, which has torch already, and the same file once.

    Numbers are left out; `computed_here` has them.
    """
    monkeypatch.setattr(measure, "_record", lambda path, given: recorded(path, without(given)))


@pytest.fixture
def computed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `measured_here`, with all numbers."""
    monkeypatch.setattr(measure, "_record", recorded)


def without(given: dict[str, Any]) -> dict[str, Any]:
    """What is asked of a file, but for its numbers."""
    return {key: value for key, value in given.items() if key != "numbers"}


def recorded(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """What recording.py finds in this process, or has found in the same file before."""
    sources = [path, *(path.parent.glob("*.py") if given.get("recipe") else ())]
    key = (tuple(source.read_bytes() for source in sources), json.dumps(given))
    if "recipe" not in given:  # layers alone, which the answers to more questions have too
        for (contents, asked), document in RECORDED.items():
            same = contents[0] == key[0][0] and given.items() <= json.loads(asked).items()
            if same and "problem" not in document:
                return document
    if key not in RECORDED or "problem" in RECORDED[key]:  # which names the file
        RECORDED[key] = recording.record_file(path, json.loads(json.dumps(given)))
    return RECORDED[key]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "180")


@pytest.fixture
def signals() -> Iterator[None]:
    """A script that runs in this process takes the signals; they are given back."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def spec_of(name: str) -> library.Entry:
    return library.network(name)


TINY = """
name: {name}
design: imagenet
depth: {depth}
block: basic
blocks: {blocks}
shortcut: B
width: 8
image_size: 64
"""


def generate_tiny(root: Path, name: str = "tiny", more: str = "", blocks: int = 1) -> Path:
    """A network of Table 1's shape for images of 64×64, with its train.py; its folder."""
    spec = root / f"{name}.yaml"
    spec.write_text(TINY.format(name=name, depth=2 + 8 * blocks, blocks=[blocks] * 4) + more)
    for path, rendered in render.render([library.read_network(spec)]).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(rendered.text)
    return root / "imagenet" / name


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_tiny(tmp_path_factory.mktemp("generated"))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real pictures in train/ (24) and val/ (12): see photographs.py."""
    return photographs.make(tmp_path_factory.mktemp("pictures"), train=6, validation=3)


def image_folder(root: Path, parts: tuple[str, ...] = ("train", "val")) -> Path:
    """Two classes of six small pictures in each part."""
    for part in parts:
        for k, name in enumerate(("cat", "dog")):
            (root / part / name).mkdir(parents=True)
            for index in range(6):
                colour = (40 * index, 255 * k, 100)
                Image.new("RGB", (40, 24), colour).save(root / part / name / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's specs without a network, so that --all means the user's own."""
    folder = tmp_path_factory.mktemp("package") / "specs"
    for name in ("recipes", "paper"):
        shutil.copytree(ROOT / "specs" / name, folder / name)
    return folder


@pytest.fixture
def house(project: Path, shipped: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without networks, in which nothing is formatted: that takes ruff's time."""
    real = folders.package_folder
    monkeypatch.setattr(
        folders, "package_folder", lambda name: shipped if name == "specs" else real(name)
    )
    monkeypatch.setattr(render, "clean", lambda texts: texts)
    return project


@pytest.fixture
def net(house: Path, cli: Callable) -> Path:
    """A project with one network, generated."""
    write_spec(SPEC_PATH)
    assert cli("generate", "--all").code == 0
    assert sorted(path.name for path in NET.iterdir()) == FILES
    assert cli("generate", "--all", "--check") == (0, "", "")
    return house
