"""The README and docs/: every command runs, prints what is shown, and figures are the real ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from torchvision import datasets

from conftest import NAMES, ROOT, load
from test_cifar_data import cifar_like

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BIN = Path(sys.executable).parent
TWO_RANKS = "torchrun --nproc_per_node 2 generated/cifar/resnet20/train.py --data digits"
GENTLE = "--data photographs --iterations 400 --batch-size 16"
DIGITS = "--data digits --iterations 400"
SHORTER = {  # the same command for fewer iterations, or with what is installed here
    "python3 -m venv .venv && . .venv/bin/activate": "test -e .venv/bin/activate",
    "pip install --quiet --editable '.[train,plot]'": "test -e pyproject.toml",
    "pip install --quiet --editable '.[train,weights]'": "test -e pyproject.toml",
    "pip install --quiet --editable '.[train,export]'": "test -e pyproject.toml",
    "pip install --quiet --editable '.[train,detection]' scikit-image": "test -e pyproject.toml",
    "pip install --quiet scikit-image": "python -c 'import skimage'",
    "python generated/imagenet/resnet50_b/train.py --data imagenet": (
        "python generated/imagenet/resnet50_b/train.py --data imagenet --help"
    ),
}


def shorter(command: str) -> str:
    """The command for fewer iterations and pictures, or with FULL_LENGTH (make long) as it is."""
    command = SHORTER.get(command, command)
    if os.environ.get("FULL_LENGTH"):
        return command
    if command == "resnet-gen reproduce figure1":  # tests/test_experiments_verified.py runs two
        command += " --dry-run"
    if "tests/photographs.py" in command:  # ten crops of one picture a class take seconds enough
        command += " && find data/photographs/val data/photographs/test -name '*[1-9].jpg' -delete"
    if command == "python tests/cards.py data":
        few = "cards.make(Path('data'), train=100, val=4, crops=600)"
        command = f'cd tests && python -c "import cards; from pathlib import Path; {few}"'
        command = command.replace("Path('data')", "Path('../data')")
    if command.startswith("resnet-gen train ") and "_small " in command:
        command += " --iterations 2"
    command = command.replace(GENTLE, "--data photographs --iterations 2 --batch-size 4")
    return command.replace(DIGITS, "--data digits --iterations 4 --precision fp32")


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """Each command with the lines of output that are shown below it."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy to work in, with an environment that is activated already."""
    for name in ("specs", "templates", "generated", "tests", "Makefile", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").write_text("")
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda p: p.stem)
def test_every_command_runs_and_prints_what_is_shown(
    page: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    monkeypatch.chdir(checkout)
    for command, shown in commands(page):
        if command == "python generated/cifar/resnet20/train.py --data cifar10 --root data":
            train_on_little(checkout, command, monkeypatch)
            continue
        done = subprocess.run(
            ["bash", "-c", shorter(command)],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        output = done.stdout + done.stderr
        assert "Traceback" not in output and "error[bug]" not in output, (command, output)
        expected = 2 if "error[" in "".join(shown) else 1 if "4 differs" in str(shown) else 0
        expected = 1 if command == "resnet-gen diff resnet34_a resnet34_c" else expected
        assert done.returncode == expected, (command, output)
        printed = [line.rstrip() for line in output.splitlines()]
        for line in shown:
            assert line == "..." or line.rstrip() in printed, (command, line, output)


def test_make_demo(checkout: Path) -> None:
    """What it does after installing, for a few iterations."""
    command = ["make", "-o", ".venv/train", "demo", f"BIN={BIN}", "DEMO_ITERATIONS=2"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (checkout / "runs/demo/results.json").is_file()


def train_on_little(checkout: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command as it stands, on 120 images in CIFAR-10's own format, for 4 iterations."""
    _, path, *arguments = command.split()
    script = load(checkout / path)
    for key, value in cifar_like(checkout / "data").items():
        monkeypatch.setattr(datasets.CIFAR10, key, value)
    monkeypatch.setattr(sys, "argv", [path, *arguments, "--iterations", "4"])
    script.main()
    assert (checkout / "runs/resnet20/results.json").is_file()


def test_the_excerpt_is_the_generated_file() -> None:
    (excerpt,) = re.findall(r"```python\n(.*?)```", README, re.S)
    assert excerpt.strip() in (ROOT / "generated/imagenet/resnet34_b/model.py").read_text()
    column = README.split("```\n")[1]
    assert column in (ROOT / "generated/imagenet/resnet34_b/model.py").read_text()


def test_the_table_of_networks(cli: object) -> None:
    import json

    from resnet_gen.paper import says
    from resnet_gen.read import library

    rows = {row["name"]: row for row in json.loads(cli("list", "--json").out)}
    found = re.findall(
        r"^\| \[`(\w+)`\]\((\S+)\) \| (\d+) \| (\w+) \| ([\d,]+) \| ([\d,]+) \| (.*?) ?\|$",
        (ROOT / "docs/networks.md").read_text(),
        re.M,
    )
    assert sorted(name for name, *_ in found) == NAMES
    for name, path, depth, shortcut, parameters, multiply_adds, error in found:
        row = rows[name]
        assert path == f"../{row['generated']}/model.py"
        assert (int(depth), shortcut) == (row["depth"], row["shortcut"])
        assert parameters == f"{row['parameters']:,}"
        assert multiply_adds == f"{row['multiply_adds']:,}"
        assert error == (says.reported_error(library.network(name).spec) or "")


def test_its_links_lead_somewhere() -> None:
    for page in (
        *PAGES,
        ROOT / "results/README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
    ):
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert (page.parent / link).exists(), link
