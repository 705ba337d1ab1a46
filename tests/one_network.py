"""A project of one network: its files, and what `generate --all --check` says of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

SPEC = "name: {name}\ndesign: cifar\ndepth: {depth}\nshortcut: A\n"


NET, SPEC_PATH = Path("generated/cifar/net"), "specs/cifar/net.yaml"
HUB = Path("generated/hubconf.py")  # of all networks


FILES = [
    *("checkpoint.py", "data.py", "distributed.py", "fast_step.py", "flags.py", "folder.py"),
    *("model.py", "predict.py", "run.py", "train.py", "weights.py"),
]


def write_spec(path: str, name: str = "net", depth: int = 20, more: str = "") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(SPEC.format(name=name, depth=depth) + more)


def lines(folder: Path, words: str, names: list[str] = FILES) -> list[str]:
    return [f"{(folder / name).as_posix()}: {words}" for name in names]


def edit(path: Path) -> None:
    path.write_text(path.read_text() + "# mine\n")


def check(cli: Callable, *more: str) -> list[str]:
    """What --all --check names of networks' folders, by name; test_hub.py has the rest."""
    code, out, err = cli("generate", "--all", "--check", *more)
    assert (code, err) == (1 if out else 0, "")
    return sorted(line for line in out.splitlines() if not line.startswith(HUB.as_posix()))
