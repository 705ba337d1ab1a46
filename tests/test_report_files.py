"""`resnet-gen report`: the files that it writes and leaves alone, and what it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import made_up_runs
from conftest import ROOT
from resnet_gen import files
from resnet_gen.errors import Failure
from resnet_gen.experiments.definitions import experiment
from resnet_gen.report import making, writing

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ["curves.csv", "curves.png", "curves.svg", "errors.png", "errors.svg", "files.json"]
NAMES += ["findings.csv", "report.html", "report.md", "results.csv", "runs.csv"]


def fill(folder: Path, **more: Any) -> Path:
    """Runs of two plain and two residual networks."""
    for network in ("plain20", "plain56", "resnet20", "resnet110"):
        for seed in range(2):
            made_up_runs.make(folder / f"{network}-{seed}", network, seed, 200, **more)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of them, and of the experiment that they are from."""
    root = tmp_path_factory.mktemp("report")
    making.make([fill(root / "runs", manifest="short")], root / "out", experiment("figure6"))
    return root / "out"


def test_the_same_runs_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    """In another place, with another's settings of matplotlib; no clock, host or path is in it."""
    fill(tmp_path / "elsewhere/runs", manifest="short")
    (tmp_path / "matplotlibrc").write_text("axes.facecolor: red\nsavefig.facecolor: red\n")
    code = "from resnet_gen.cli.main import main; main()"
    arguments = ["report", "elsewhere/runs", "-e", "figure6", "-o", "out"]
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in made.iterdir()) == NAMES
    for name in NAMES:
        text = (made / name).read_bytes()
        assert text == (tmp_path / "out" / name).read_bytes(), name
        assert not re.search(rb"20\d\d-\d\d-\d\d", text) and str(ROOT).encode() not in text


def test_the_page_needs_nothing_but_itself(made: Path) -> None:
    page = (made / "report.html").read_text()
    beside = {name for name in NAMES if name.endswith(".csv")}
    for link in re.findall(r'(?:href|src)="([^"]*)"', page):
        assert link in beside or link[:1] == "#" or link.startswith("data:"), link
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"@import|url\((?!#)|<script|<link(?! rel=\"icon\")", page)
    ids = Counter(re.findall(r'\sid="([^"]+)"', page))
    assert [name for name, count in ids.items() if count > 1] == []
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', page)) <= set(ids)


def test_figures_say_in_words_what_they_show(made: Path) -> None:
    for name in ("curves", "errors"):
        svg = ElementTree.parse(made / f"{name}.svg").getroot()
        label = svg.get("aria-label", "")
        assert svg.get("role") == "img" and label in (made / "report.md").read_text().replace(
            "\\", ""
        )
        assert "The deeper plain network has the higher" in label
        assert "(2 seeds)" in label and "plain" in label
        sheet = next(style.text or "" for style in svg.iter(f"{SVG}style"))
        assert "prefers-color-scheme:dark" in sheet
        colours = set(re.findall(r"(?:fill|stroke): (#\w{6})", (made / f"{name}.svg").read_text()))
        assert all(f": {colour}" in sheet for colour in colours), colours


@pytest.mark.parametrize(
    ("ends", "top"),
    [
        ([6.4, 6.9, 7.5, 8.8, 9.5, 60.0], 20),  # Figure 6: plain-110 stays above the axis
        ([3.5, 18.9, 56.9, 60.8, 84.6, 90.2], 100),  # most are far above the best: all are shown
        ([8.0, 90.0], 100),
    ],
)
def test_few_curves_stay_above_the_axis(ends: list[float], top: float) -> None:
    from resnet_gen.report import style

    assert style.bound(ends) == top


def test_what_a_report_lacks_now_goes(cli: Callable, project: Path) -> None:
    for network in ("resnet20", "resnet56"):
        made_up_runs.make(project / "runs" / network, network, 0, 200)
    assert cli("report", "runs").code == 0
    assert sorted(path.name for path in Path("report").iterdir()) == NAMES
    assert cli("report", "runs/resnet20").code == 0
    left = {path.name for path in Path("report").iterdir()}
    assert left == set(NAMES) - {"errors.svg", "errors.png", "findings.csv"}


@pytest.mark.parametrize("name", ["report.html", "curves.png", "runs.csv", "files.json"])
def test_a_file_of_somebody_else_is_kept(name: str, project: Path) -> None:
    (project / "report").mkdir()
    (project / "report" / name).write_text("by hand")
    new = dict.fromkeys(NAMES, "made")
    with pytest.raises(Failure) as failure:
        writing.write(Path("report"), {key: new[key] for key in new if key != writing.LIST})
    (problem,) = failure.value.problems
    assert (failure.value.exit_code, problem.file) == (2, f"report/{name}")
    assert [path.name for path in Path("report").iterdir()] == [name]
    assert (project / "report" / name).read_text() == "by hand"


def test_an_edited_report_is_kept(cli: Callable, project: Path) -> None:
    made_up_runs.make(project / "run", "resnet20", 0, 200)
    assert cli("report", "run").code == 0
    page = Path("report/report.md")
    page.write_text(page.read_text() + "My own words.\n")
    before = {path.name: path.read_bytes() for path in Path("report").iterdir()}
    made_up_runs.make(project / "other", "resnet20", 1, 200)
    code, _, err = cli("report", "run", "other")
    assert code == 2 and "report/report.md: error[file]: the file that is there was edited" in err
    assert before == {path.name: path.read_bytes() for path in Path("report").iterdir()}


def test_an_interrupted_report_can_be_made_again(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real = Path("report"), files.write
    writing.write(out, {"a": "1", "b": "1", "c": "1"})

    def write(path: Path, content: str | bytes, **more: bool) -> None:
        if path.name == "b":
            raise KeyboardInterrupt
        real(path, content, **more)

    monkeypatch.setattr(files, "write", write)
    with pytest.raises(KeyboardInterrupt):
        writing.write(out, {"a": "2", "b": "2"})
    monkeypatch.setattr(files, "write", real)
    assert [(out / name).read_text() for name in "abc"] == ["2", "1", "1"]
    writing.write(out, {"a": "3", "b": "3"})
    assert [(out / name).read_text() for name in "ab"] == ["3", "3"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("results.json", "{", "a/results.json: error[json]: is not a JSON document"),
        ("results.json", "[" * 100_000, "a/results.json: error[json]: is not a JSON document"),
        ("results.json", '{"iterations": 5}', "error[results]: `network` is missing"),
        ("results.json", '{"network": "a", "iterations": "x"}', '`iterations` is "x"'),
        ("results.json", '{"network": "a", "iterations": 5, "test_error": 200}', "is 200"),
        ("results.json", '{"network": "a", "iterations": 5, "test_error": NaN}', "is nan"),
        ("manifest.json", "[]", "a/manifest.json: error[results]: `the document` is a list"),
        ("tests.json", '{"10-crop": {}}', "`10-crop.top1_error` is missing"),
        ("metrics.jsonl", "{}\n{}\n", "a/metrics.jsonl:1: error[metrics]"),
    ],
)
def test_wrong_files_are_told_and_nothing_is_written(
    name: str, text: str, words: str, cli: Callable, project: Path
) -> None:
    (made_up_runs.make(project / "a", "resnet20", 0, 200) / name).write_text(text)
    code, out, err = cli("report", "a")
    assert (code, out) == (2, "") and words in err and "Traceback" not in err, err
    assert not Path("report").exists()


def test_wrong_usage(cli: Callable, project: Path) -> None:
    made_up_runs.make(project / "run", "resnet20", 0, 200)
    (project / "file").write_text("")
    for arguments, words in (
        (["nowhere"], "nowhere: error[file]: there is no such file"),
        (["run", "-o", "file"], "file: error[out]: is a file"),
        (["run", "-e", "figur6"], "hint: did you mean `figure6`?"),
        ([], "error[usage]"),
    ):
        code, out, err = cli("report", *arguments)
        assert (code, out) == (2, "") and words in err and "Traceback" not in err, err
    code, out, _ = cli("report", "nowhere", "--json")
    assert code == 2 and json.loads(out)["errors"][0]["file"] == "nowhere"


@pytest.mark.parametrize("package", ["matplotlib", "scipy"])
def test_what_is_not_installed_is_4(
    package: str, cli: Callable, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    code, out, err = cli("report", ROOT / "results/cifar10/resnet20-10000-cpu")
    assert (code, out) == (4, "") and f"{package} is not installed" in err


def test_json_is_one_document(cli: Callable, project: Path) -> None:
    fill(project / "runs")
    code, out, _ = cli("report", "runs", "--json")
    found = json.loads(out)
    assert code == 0 and [Path(name).is_file() for name in found["files"]] == [True] * 10
    assert len(found["runs"]) == 8 and len(found["results"]) == 4
    assert {row["greater"] for row in found["findings"]} == {"plain56"}  # no run of resnet56


def test_names_are_no_markup(cli: Callable, project: Path) -> None:
    odd = "a|b*c_<img src=x>&[d](e)"
    made_up_runs.make(project / odd, "resnet20", 0, 200)
    assert cli("report", odd, "--title", "<script>alert(1)</script> **x**").code == 0
    page, text = (Path(f"report/report.{kind}").read_text() for kind in ("html", "md"))
    assert "<img" not in page and "<script" not in page and "&lt;img src=x&gt;" in page
    lines = [line for line in text.splitlines() if line.startswith("| a\\|b")]
    assert len(lines) == 1 and "<script" not in text.replace("\\<", "") and "**x" not in text
    cells = re.split(r"(?<!\\)\|", lines[0])
    assert len(cells) == len(re.split(r"(?<!\\)\|", text.split("| run |")[1].splitlines()[1])) + 0
