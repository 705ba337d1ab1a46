"""The command line: exit codes, streams, JSON, and what it does not import."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from conftest import DETECTORS, NAMES, ROOT, SMALL
from resnet_gen.read import library

COMMANDS = [
    *("new", "check", "list", "show", "generate", "diff", "draw", "train", "plot", "export"),
    *("schema", "doctor"),
]


def process(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "resnet_gen", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_help_names_every_command() -> None:
    for arguments in ((), ("--help",), ("-h",)):
        done = process(*arguments)
        assert done.returncode == 0 and done.stderr == ""
        assert all(f"  {command} " in done.stdout for command in COMMANDS)
    for command in COMMANDS:
        assert process(command, "--help").returncode == 0


WITHOUT_TORCH = """
import json, sys
from resnet_gen.cli.main import main
for command in (
    "--help", "check", "list", "show resnet20", "draw resnet20", "generate --all --check",
    "schema", "diff nothing",
    "new net --design cifar --depth 20", "export plain20 nothing --format tflite -o a", "--help",
):
    sys.argv = ["resnet-gen", *command.split()]
    before = "pydantic" in sys.modules
    try:
        main()
    except SystemExit:
        print(json.dumps([command, "torch" in sys.modules, before]), file=sys.stderr)
"""


def test_no_command_imports_torch_unless_it_must(project: Path) -> None:
    """In one process, one after the other; --help, the first, is instant: not even pydantic."""
    shutil.copytree(ROOT / "generated", project / "generated")
    command = [sys.executable, "-c", WITHOUT_TORCH]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("[")]
    assert [command for command, *_ in told[:2]] == ["--help", "check"] and len(told) == 11
    assert not any(torch for _, torch, _ in told), told
    assert not told[1][2]  # before `check`, after --help


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["generat"], 2, "generate"),
        (["show"], 2, "NAME"),
        (["show", "resnet21"], 2, "did you mean `resnet"),
        (["show", "resnet20", "--jso"], 2, "--json"),
        (["show", "nothing.yaml"], 2, "there is no such file"),
        (["generate"], 2, "name specs, or say --all"),
        (["generate", "--all", "resnet20"], 2, "name specs, or say --all"),
        (["new", "net", "--design", "imagnet", "--depth", "18"], 2, "did you mean `imagenet`?"),
        (["new", "net", "--design", "cifar", "--depth", "27"], 2, "26 (n=4) and 32 (n=5)"),
        (["new", "net", "--design", "cifar", "--depth", "x"], 2, "Invalid value for '--depth'"),
        (["new", "3x", "--design", "cifar", "--depth", "20"], 2, "Python identifier"),
        (["new", "resnet20", "--design", "cifar", "--depth", "20"], 2, "called resnet20 already"),
        (["new", "net", "--design", "imagenet", "--depth", "60"], 2, "--blocks"),
        (["new", "n", "--design", "imagenet", "--depth", "50", "--blocks", "a"], 2, "not a list"),
        (["schema", "netwrk"], 2, "did you mean `network`?"),
        (["diff", "resnet20", "resnet21"], 2, "did you mean `resnet"),
        (["train", "resnet50_b"], 2, "required: --data"),
        (["train", "nothing"], 2, "there is no network"),
    ],
)
def test_wrong_usage_is_2_and_on_stderr(
    arguments: list[str], code: int, words: str, cli: Callable
) -> None:
    found = cli(*arguments)
    assert (found.code, found.out) == (code, "")
    assert words in found.err and "Traceback" not in found.err


def test_json_is_one_document_also_for_a_failure(cli: Callable) -> None:
    for arguments in (
        ["show", "resnet21", "--json"],
        ["diff", "x.yaml", "--json"],
        ["show", "--json"],
    ):
        code, out, err = cli(*arguments)
        (error,) = json.loads(out)["errors"]
        assert code == 2 and error["message"] in err
    assert json.loads(cli("check", "--json").out) == {"errors": []}


def test_a_bug_is_3(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(library, "all_networks", lambda: 1 / 0)
    code, _, err = cli("list")
    assert code == 3 and "ZeroDivisionError" in err and "bug in resnet-gen" in err


def test_interrupted_is_130(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(library, "all_networks", interrupt)
    assert cli("list").code == 130


INTERRUPTED = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == package:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
package = sys.argv.pop(1)
sys.meta_path.insert(0, Interrupting())
from resnet_gen.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("typer", ["--help"]),
        ("rich.console", ["list"]),
        ("rich.console", ["show", "nothing"]),
        ("pydantic", ["check"]),
        ("ruamel.yaml", ["show", "resnet20"]),
        ("jinja2", ["generate", "resnet20", "--check"]),
        ("matplotlib.figure", ["plot", "results"]),
        ("torch", ["train", "resnet20", "--plan"]),
        ("torch.nn", ["train", "resnet20", "--plan"]),
        ("torchvision", ["train", "resnet18_b", "--plan"]),
    ],
)
def test_ctrl_c_during_an_import_is_quiet(package: str, arguments: list[str]) -> None:
    command = [sys.executable, "-c", INTERRUPTED, package, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_not_installed_is_4(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    code, _, err = cli("train", "resnet20")
    assert code == 4 and "pip install 'resnet-gen[train]'" in err


def test_diff_without_torch_is_4() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['resnet-gen', 'diff', 'resnet20']\n"
        "from resnet_gen.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 4 and "torch is not installed" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_is_silent_when_all_is_well(cli: Callable) -> None:
    assert cli("check") == (0, "", "")
    assert cli("check", "resnet20", "specs/cifar/resnet32.yaml") == (0, "", "")


def test_check_looks_at_recipes_and_tables_too(cli: Callable, project: Path) -> None:
    for path, text in (("recipes/own.yaml", "name: own\n"), ("paper/table2.yaml", "table: '3'\n")):
        (project / "specs" / path).parent.mkdir(parents=True, exist_ok=True)
        (project / "specs" / path).write_text(text)
    code, _, err = cli("check")
    assert code == 2
    assert "specs/recipes/own.yaml:1:1: error[missing-key]" in err
    assert "specs/paper/table2.yaml:1:8: error[table]" in err


def test_list(cli: Callable) -> None:
    code, out, err = cli("list", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert (code, err) == (0, "") and sorted(rows) == sorted([*NAMES, SMALL, *DETECTORS])
    assert rows["resnet50_b"] == {
        "name": "resnet50_b",
        "design": "imagenet",
        "depth": 50,
        "shortcut": "B",
        "parameters": 25_557_032,
        "multiply_adds": 3_857_973_248,
        "generated": "generated/imagenet/resnet50_b",
    }
    table = cli("list").out
    assert all(name in table for name in NAMES) and "25,557,032" in table and "\x1b" not in table


def test_show(cli: Callable) -> None:
    code, out, _ = cli("show", "resnet20", "--json")
    found = json.loads(out)
    assert code == 0
    keys = ["name", "design", "depth", "shortcut", "parameters", "multiply_adds", "layers"]
    assert list(found) == keys
    assert list(found["layers"][0]) == [
        *("name", "operation", "kernel", "stride", "in_channels", "out_channels"),
        *("output_size", "parameters", "multiply_adds"),
    ]
    assert sum(layer["parameters"] for layer in found["layers"]) == found["parameters"] == 269_722
    work = sum(layer["multiply_adds"] for layer in found["layers"])
    assert work == found["multiply_adds"] == 40_551_040

    code, out, _ = cli("show", "specs/cifar/resnet20.yaml")
    assert code == 0 and "3×3, 32, stride 2" in out and "269,722" in out
    resolved = YAML(typ="safe", pure=True).load(out.partition("resolved;")[2].partition("\n")[2])
    assert resolved["training"]["drops"] == [32_000, 48_000] and resolved["width"] == 16


def test_the_totals_of_the_shown_table_are_sums_of_its_rows(cli: Callable) -> None:
    for name in ("resnet34_c", "plain20", "resnet50_v1_5"):
        rows = cli("show", name).out.split("\n\n")[0].splitlines()[2:]
        weighted = [row for row in rows[:-1] if row.split()[-1].replace(",", "").isdigit()]
        figures = [[int(f.replace(",", "")) for f in row.split()[-2:]] for row in weighted]
        totals = [int(cell.replace(",", "")) for cell in rows[-1].split()[-2:]]
        assert [sum(column) for column in zip(*figures, strict=True)] == totals


def test_train_hands_its_arguments_and_its_exit_code_on(cli: Callable, capfd: object) -> None:
    code, out, _ = cli("train", "resnet20", "--", "--help")
    assert code == 0 and "--batch-size" in out
    code, _, err = cli("train", "resnet20", "--", "--data", "nothing")
    assert code == 2 and "--data takes cifar10" in err


def test_train_ends_with_its_script(tmp_path: Path) -> None:
    """Asked to stop, it has the script stop, which saves and says 143."""
    flags = ["--data", "digits", "--out", str(tmp_path), "--batch-size", "8"]
    command = [sys.executable, "-m", "resnet_gen", "train", "resnet20", "--", *flags]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "metrics.jsonl").exists():
        time.sleep(0.05)
    process.terminate()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 143 and "stopped at step" in told
    assert (tmp_path / "checkpoint.pt").exists()


SLOW_TORCH = """
import sys, time
print("importing", file=sys.stderr, flush=True)
time.sleep(60)
"""


def test_ctrl_c_while_the_script_imports_torch_is_quiet(tmp_path: Path) -> None:
    """As a terminal sends it: to `resnet-gen train` and to the script that it started."""
    (tmp_path / "torch.py").write_text(SLOW_TORCH)
    command = [sys.executable, "-m", "resnet_gen", "train", "resnet20", "--", "--data", "digits"]
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    with subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr and process.stderr.readline() == "importing\n"
        os.killpg(process.pid, signal.SIGINT)
        told = process.stderr.read()
    assert (process.returncode, told) == (130, "")


def test_doctor(cli: Callable) -> None:
    code, out, _ = cli("doctor", "--json")
    found = {finding["what"]: finding for finding in json.loads(out)}
    assert code == 0 and not any(finding["missing"] for finding in found.values())
    assert found["torch"]["found"] and found["device"]["found"].startswith(("cpu", "cuda", "mps"))


def test_doctor_says_what_is_missing(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    real = metadata.version

    def without_torchvision(name: str) -> str:
        if name == "torchvision":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", without_torchvision)
    code, out, _ = cli("doctor")
    assert code == 4 and "pip install 'resnet-gen[train]'" in out


def test_no_color_is_honoured(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[" in cli("show", "resnet20").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in cli("show", "resnet20").out
