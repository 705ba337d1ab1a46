"""The command line: exit codes, streams, JSON, and what it does not import."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from conftest import NAMES, ROOT, folder
from resnet_gen.read import library
from resnet_gen.read.schema import schemas

COMMANDS = [
    *("new", "check", "list", "show", "generate", "diff", "train", "plot", "schema", "doctor"),
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


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--help"], ["check"], ["list"], ["show", "resnet20"], ["generate", "--all", "--check"]),
        *(["schema"], ["new", "net", "--design", "cifar", "--depth", "20"], ["diff", "nothing"]),
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_command_imports_torch_unless_it_must(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['resnet-gen', *sys.argv[1:]]\n"
        "from resnet_gen.cli.main import main\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules, 'pydantic' in sys.modules, file=sys.stderr)"
    )
    cwd = tmp_path if arguments[0] == "new" else ROOT
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )
    torch, pydantic = done.stderr.split()[-2:]
    assert torch == "False"
    if arguments == ["--help"]:
        assert pydantic == "False"  # --help is instant


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
    from resnet_gen.read import library

    monkeypatch.setattr(library, "all_networks", lambda: 1 / 0)
    code, _, err = cli("list")
    assert code == 3 and "ZeroDivisionError" in err and "bug in resnet-gen" in err


def test_interrupted_is_130(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    from resnet_gen.read import library

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
    assert (code, err) == (0, "") and sorted(rows) == NAMES
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


def test_new_takes_what_a_spec_has(cli: Callable, project: Path) -> None:
    basic = ("new", "small", "--design", "imagenet", "--depth", "18", "--blocks", "[2, 2, 2,2]")
    sizes = ("--width", "32", "--classes", "200", "--image-size", "64", "--image-channels", "3")
    assert cli(*basic, *sizes, "--pooling", "ceil", "--zero-gamma").code == 0
    made = library.network("small").spec
    assert made.block == "basic" and made.blocks == [2, 2, 2, 2] and made.zero_gamma
    assert (made.width, made.classes, made.image_size) == (32, 200, 64)
    assert made.pooling == "ceil"
    lines = (project / "specs/imagenet/small.yaml").read_text().splitlines()
    assert len({line.index("#") for line in lines if "#" in line}) == 1
    other = ("new", "other", "--design", "cifar", "--depth", "20", "--zero-padding", "both")
    assert cli(*other, "--training", "cifar-paper-warmup", "--initialisation", "fan_in").code == 0
    entry = library.network("other")
    assert entry.recipe and entry.recipe.name == "cifar-paper-warmup"
    assert (entry.spec.zero_padding, entry.spec.initialisation) == ("both", "fan_in")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--pooling", "ceil"), "`pooling` is not a key of a cifar network|--design imagenet"),
        (("--blocks", "3,3,3"), "--block and --blocks are for --design imagenet"),
        (("--width", "0"), "0 is too small"),
        (("--shortcut", "A # B"), '"A # B" is not one of'),
        (("--training", "cifar-papr"), "did you mean `cifar-paper`?"),
        (("--training", "imagenet-paper"), "of the imagenet design"),
        (("--training", "x: [y]"), "there is no recipe called"),
    ],
)
def test_new_says_what_cannot_be(more: tuple, words: str, cli: Callable, project: Path) -> None:
    code, out, err = cli("new", "net", "--design", "cifar", "--depth", "20", *more)
    assert code == 2 and not out and not (project / "specs").exists()
    assert all(word in err for word in words.split("|"))


@pytest.mark.parametrize("blocks", ["", "[2,2,2,2", "2,2,2,2]", "2;2", "a", ",", "9" * 5000])
def test_blocks_that_are_no_list(blocks: str, cli: Callable, project: Path) -> None:
    code, _, err = cli("new", "n", "--design", "imagenet", "--depth", "18", "--blocks", blocks)
    assert code == 2 and "is not a list of numbers" in err and "Traceback" not in err


def test_new_writes_a_spec_that_is_right(cli: Callable, project: Path) -> None:
    code, out, _ = cli("new", "resnet26", "--design", "cifar", "--depth", "26")
    assert (code, out) == (0, "specs/cifar/resnet26.yaml\n")
    text = (project / "specs/cifar/resnet26.yaml").read_text()
    assert "# 6n+2 with n = 4" in text
    assert cli("check") == (0, "", "")
    arguments = (
        "new",
        "resnet200",
        "--design",
        "imagenet",
        "--depth",
        "200",
        "--blocks",
        "3,24,36,3",
    )
    assert cli(*arguments).code == 0
    assert cli("new", "net50", "--design", "imagenet", "--depth", "50").code == 0
    assert cli("check") == (0, "", "")
    shown = json.loads(cli("show", "net50", "--json").out)
    assert shown["parameters"] == 25_557_032
    before = (project / "specs/cifar/resnet26.yaml").read_text()
    assert cli("new", "resnet26", "--design", "cifar", "--depth", "32").code == 2
    assert (project / "specs/cifar/resnet26.yaml").read_text() == before


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


def test_schemas_are_committed_as_they_are(cli: Callable, project: Path) -> None:
    assert cli("schema", "--out", "made").code == 0
    made = {path.name: path.read_text() for path in (project / "made").iterdir()}
    committed = {path.name: path.read_text() for path in (ROOT / "specs/schema").iterdir()}
    assert made == committed


def test_every_file_fits_the_schema_that_it_names() -> None:
    """By a validator that knows nothing of the models; and a wrong file does not."""
    found = schemas()
    for path in (ROOT / "specs").rglob("*.yaml"):
        first, *_ = path.read_text().splitlines()
        name = first.removeprefix("# yaml-language-server: $schema=../schema/").removesuffix(
            ".json"
        )
        data = YAML(typ="safe", pure=True).load(path.read_text())
        jsonschema.Draft202012Validator(found[name]).validate(data)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(found[name]).validate({**data, "unknown": 1})


def test_no_color_is_honoured(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[" in cli("diff", "resnet50_v1_5").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in cli("diff", "resnet50_v1_5").out


@pytest.mark.parametrize(
    ("table", "text", "replacement"),
    [
        ("table1", "layer_name: conv1\n", "layer_name: conv9\n"),
        ("table1", "7×7, 64, stride 2", "7×7"),
        ("table6", "method: ResNet", "method: Net"),
        ("table6", 'layers: "20"', 'layers: "20.5"'),
    ],
)
def test_an_own_copy_of_a_table_that_cannot_be_used(
    table: str, text: str, replacement: str, cli: Callable, project: Path
) -> None:
    own = project / f"specs/paper/{table}.yaml"
    own.parent.mkdir(parents=True)
    shipped = (ROOT / f"specs/paper/{table}.yaml").read_text()
    assert text in shipped
    own.write_text(shipped.replace(text, replacement))
    network = "resnet34_b" if table == "table1" else "resnet20"
    shutil.copytree(folder(network), project / network)
    for arguments in (("check",), ("diff", project / network)):
        code, _, err = cli(*arguments)
        assert code == 2 and f"specs/paper/{table}.yaml:" in err and "Traceback" not in err
