"""A network's folder as one whole: which file imports which, and that it needs nothing else."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import BLOCKS, folder, network_class
from resnet_gen.generate.loading import load, load_folder
from training import DIGITS, command, environment, files, main

Capture = pytest.CaptureFixture[str]
MAY_IMPORT = {
    "model": set(),
    "distributed": set(),
    "folder": {"distributed"},
    "checkpoint": {"distributed"},
    "weights": {"distributed", "folder", "checkpoint"},
    "flags": {"distributed"},
    "predict": {"distributed", "folder"},
    "workers": {"distributed"},
    "data": {"distributed", "folder", "workers"},
    "run": {"distributed", "checkpoint", "weights"},
    "fast_step": {"distributed", "flags"},
    "evaluate": {"distributed", "folder", "checkpoint", "data", "weights", "predict", "workers"},
}
INSTALLED = {"torch", "torchvision", "PIL", "sklearn"}


def imports(path: Path) -> set[str]:
    """The first names of all modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a folder that is no package has no relative imports"
            found.add((node.module or "").split(".")[0])
    return found - set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", BLOCKS)
def test_imports_go_one_way(name: str) -> None:
    paths = {path.stem: path for path in folder(name).glob("*.py")}
    train = imports(paths.pop("train"))
    assert train - paths.keys() <= INSTALLED
    by_others = {
        "checkpoint",
        "folder",
        "weights",
        "predict",
        "workers",
    }  # of which other rooms import some
    assert paths.keys() - train <= by_others
    assert paths.keys() <= MAY_IMPORT.keys()
    for stem, path in paths.items():
        of_folder = imports(path) & (paths.keys() | {"train"})
        assert of_folder <= MAY_IMPORT[stem], stem
        assert imports(path) - of_folder <= INSTALLED, stem  # and not resnet_gen


def test_files_that_no_spec_changes_are_the_same_everywhere() -> None:
    of_one_network = {"model", "train"}
    for design in ("cifar", "imagenet"):
        contents: dict[str, set[str]] = {}
        for path in folder("resnet20").parent.parent.glob(f"{design}/*/*.py"):
            contents.setdefault(path.stem, set()).add(path.read_text())
        assert {stem for stem, texts in contents.items() if len(texts) > 1} <= of_one_network


def test_a_copied_folder_trains_anywhere(tmp_path: Path) -> None:
    """Without resnet_gen, from another place, and by another name than its network's."""
    copy = shutil.copytree(folder("resnet20"), tmp_path / "a copy")
    (tmp_path / "resnet_gen.py").write_text("raise ImportError('it needs resnet_gen')\n")
    flags = (*DIGITS, "--iterations", 2, "--out", tmp_path / "run")
    done = subprocess.run(
        command(copy / "train.py", *flags), cwd=tmp_path, capture_output=True, text=True,
        env=environment(PYTHONPATH=str(tmp_path), PYTHONDONTWRITEBYTECODE="1"), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run/results.json").read_text())["network"] == "resnet20"
    assert files(copy).keys() == {path.name for path in folder("resnet20").glob("*.py")}


# ---- The recipe stands in train.py, and a resumed run has the same (T1) --------------------------


def recipe(path: Path) -> dict[str, str]:
    """The constants of train.py's recipe, with the text of their values."""
    text = path.read_text()
    block = text[text.index("# ---- The recipe of section") : text.index("SAME_ON_RESUME = (")]
    return {
        target.id: ast.unparse(node.value)
        for node in ast.parse(block).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


# Defaults of flags; and what a test of a trained network shows, which no run hangs on.
NOT_COMPARED = {"BATCH_SIZE", "TEST_SIDES"}


@pytest.mark.parametrize("name", BLOCKS)
def test_a_resumed_run_has_every_constant_of_its_recipe(name: str) -> None:
    same = load(folder(name) / "train.py").SAME_ON_RESUME
    assert len(set(same)) == len(same)
    assert recipe(folder(name) / "train.py").keys() - NOT_COMPARED <= set(same)
    assert {"iterations", "batch_size", "seed", "precision"} <= set(same)


OTHER = {"True": "False", "(32000, 48000)": "(32000, 50000)", "0.0001": "0.0002", "4": "2"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a network with all constants that there are, and a run of it."""
    root = tmp_path_factory.mktemp("recipe")
    shutil.copytree(folder("resnet110"), root / "net")
    text = (root / "net/train.py").read_text()  # as much shorter as it can be
    (root / "net/model.py").write_text((folder("resnet20") / "model.py").read_text())
    (root / "net/train.py").write_text(text.replace("model.ResNet110", "model.ResNet20"))
    net = load_folder(root / "net")
    assert main(net.train, *DIGITS, "--iterations", 2, "--out", root / "run") == 0
    return root


@pytest.mark.parametrize("constant", sorted(recipe(folder("resnet110") / "train.py")))
def test_an_edited_constant_is_named_with_both_values(
    trained: Path, tmp_path: Path, capsys: Capture, constant: str
) -> None:
    old = recipe(trained / "net/train.py")[constant]
    new = OTHER.get(old) or repr(2 * ast.literal_eval(old))
    copy = shutil.copytree(trained / "net", tmp_path / "net")
    text = (copy / "train.py").read_text()
    edited = re.sub(rf"(?m)^{constant} = [^#\n]*", f"{constant} = {new}  ", text, count=1)
    assert edited != text
    (copy / "train.py").write_text(edited)
    net, before = load_folder(copy), files(trained / "run")
    flags = ["--data", "digits", "--iterations", 2, "--out", trained / "run", "--resume"]
    flags += [] if constant == "BATCH_SIZE" else ["--batch-size", 8]
    assert main(net.train, *flags) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    name = {"BATCH_SIZE": "batch_size"}.get(constant, constant)
    values = ("8", new) if constant == "BATCH_SIZE" else (old, new)
    assert f"is of a run with {name} {values[0]}, not {values[1]}" in told
    assert files(trained / "run") == before


# ---- The code may be looked into -----------------------------------------------------------------

KINDS = {  # of block, shortcut and stem
    *("plain20", "resnet20", "plain18", "resnet18_a", "resnet18_b", "resnet18_c"),
    *("resnet50_b", "resnet50_v1_5"),
}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_module_takes_full_backward_hooks(name: str) -> None:
    """Which an operation in place on a module's output would forbid."""
    model: Any = network_class(name)()
    seen = set()
    for key, module in model.named_modules():
        module.register_full_backward_hook(lambda *_, key=key: seen.add(key))
    size = 32 if name in ("plain20", "resnet20") else 64
    model(torch.randn(2, 3, size, size, requires_grad=True)).sum().backward()
    assert seen == {key for key, _ in model.named_modules()} - unused(model)


def unused(model: Any) -> set[str]:
    """Modules that are called by no forward pass: containers that others go through."""
    called: set[str] = set()
    handles = [
        module.register_forward_hook(lambda *_, key=key: called.add(key))
        for key, module in model.named_modules()
    ]
    size = 32 if type(model).__name__ in ("Plain20", "ResNet20") else 64
    model(torch.randn(2, 3, size, size))
    for handle in handles:
        handle.remove()
    return {key for key, _ in model.named_modules()} - called
