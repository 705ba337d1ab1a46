"""The README: every command in it runs, prints what it shows, and its figures are the real ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import NAMES, ROOT, load
from test_cifar_data import cifar_like

README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent
TWO_RANKS = "torchrun --nproc_per_node 2 generated/cifar/resnet26/train.py --data digits"
SHORTER = {  # the same command for fewer iterations, or with what is installed here
    "make demo": f"make -o .venv/train demo BIN={BIN} DEMO_ITERATIONS=10",
    "make test": "make -o .venv/dev -n test",  # it is what runs this test
    "resnet-gen train resnet26 -- --data digits --iterations 400": (
        "resnet-gen train resnet26 -- --data digits --iterations 10"
    ),
    "python generated/cifar/resnet26/train.py --data digits --iterations 400 --resume": (
        "python generated/cifar/resnet26/train.py --data digits --iterations 10 --resume"
    ),
    "python generated/imagenet/resnet50_b/train.py --data imagenet": (
        "python generated/imagenet/resnet50_b/train.py --data imagenet --help"
    ),
    **{
        f"{train} --iterations 400 --batch-size 16": f"{train} --iterations 2 --batch-size 4"
        for train in (
            "python gentle/imagenet/resnet18_b/train.py --data data/photographs",
            "python gentle/imagenet/resnet50_b/train.py --data data/photographs",
        )
    },
    f"{TWO_RANKS} --iterations 400 --device cpu --out runs/two-ranks": (
        f"{TWO_RANKS} --iterations 4 --device cpu --out runs/two-ranks"
    ),
}


def commands() -> list[tuple[str, list[str]]]:
    """Each command with the lines of output that are shown below it."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", README, re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to work in, with an environment that is activated already."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("specs", "templates", "generated", "tests", "Makefile", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/activate").write_text("")
    return folder


def test_every_command_runs_and_prints_what_is_shown(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert len(commands()) >= 15
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    monkeypatch.chdir(checkout)
    for command, shown in commands():
        if command == "python generated/cifar/resnet20/train.py --data cifar10 --root data":
            train_on_little(checkout, command, monkeypatch)
            continue
        done = subprocess.run(
            ["bash", "-c", SHORTER.get(command, command)],
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
    assert "ruff" in SHORTER["make test"] or "pytest" in (ROOT / "Makefile").read_text()


def train_on_little(checkout: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command as it stands, on 120 images in CIFAR-10's own format, for 4 iterations."""
    _, path, *arguments = command.split()
    script = load(checkout / path)
    for key, value in cifar_like(checkout / "data").items():
        monkeypatch.setattr(script.datasets.CIFAR10, key, value)
    monkeypatch.setattr(sys, "argv", [path, *arguments, "--iterations", "4"])
    script.main()
    assert (checkout / "runs/resnet20/results.json").is_file()


def test_the_excerpt_is_the_generated_file() -> None:
    (excerpt,) = re.findall(r"```python\n(.*?)```", README, re.S)
    assert excerpt.strip() in (ROOT / "generated/cifar/resnet20/model.py").read_text()


def test_the_table_of_networks(cli: object) -> None:
    import json

    from resnet_gen.paper import says
    from resnet_gen.read import library

    rows = {row["name"]: row for row in json.loads(cli("list", "--json").out)}
    found = re.findall(
        r"^\| \[`(\w+)`\]\((\S+)\) \| (\d+) \| (\w+) \| ([\d,]+) \| ([\d,]+) \| (.*?) ?\|$",
        README,
        re.M,
    )
    assert sorted(name for name, *_ in found) == NAMES
    for name, path, depth, shortcut, parameters, multiply_adds, error in found:
        row = rows[name]
        assert path == f"{row['generated']}/model.py"
        assert (int(depth), shortcut) == (row["depth"], row["shortcut"])
        assert parameters == f"{row['parameters']:,}"
        assert multiply_adds == f"{row['multiply_adds']:,}"
        assert error == (says.reported_error(library.network(name).spec) or "")


def test_its_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "results/README.md"):
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert (page.parent / link).exists(), link


def test_the_parts_come_in_their_order() -> None:
    heads = re.findall(r"^## (.*)$", README, re.M)
    assert heads[:7] == [
        *("Two commands", "A new depth", "The comparison with Table 1", "Training on CIFAR-10"),
        *("Training on ImageNet", "Many GPUs, many machines", "The networks"),
    ]
