"""`resnet-gen plot`: which files it reads and writes, and what it says of those it cannot."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT
from test_plot import EXAMPLE, drawn, full_length, line, lines_of, run


def test_the_same_runs_give_the_same_bytes(cli: Callable, project: Path) -> None:
    cli("plot", EXAMPLE, "-o", "first")
    code = "from resnet_gen.cli.main import main; main()"
    (project / "matplotlibrc").write_text("axes.facecolor: red\nsavefig.facecolor: red\n")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, "plot", str(EXAMPLE), "-o", "second.png"],
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    for kind in ("svg", "png"):
        first, second = (Path(f"{name}.{kind}").read_bytes() for name in ("first", "second"))
        assert first == second
        assert not re.search(rb"20\d\d-\d\d-\d\d", first) and str(ROOT).encode() not in first


@pytest.mark.parametrize("out", ["new/deep/fig6", "fig6.svg", "fig6.png", "fig6.PNG", "v1.2/fig6"])
def test_both_files_are_written_whatever_the_suffix(out: str, cli: Callable, project: Path) -> None:
    stem = (Path(out).parent / "fig6").as_posix()
    for _ in range(2):  # an own plot may be overwritten
        assert cli("plot", EXAMPLE, "--out", out) == (0, f"{stem}.svg\n{stem}.png\n", "")
    assert sorted(path.name for path in Path(stem).parent.iterdir() if path.is_file()) == [
        "fig6.png",
        "fig6.svg",
    ]


@pytest.mark.parametrize("out", ["curves.pdf", "curves.v2", ".", "..", "/", ""])
def test_another_suffix_is_wrong_usage(out: str, cli: Callable, project: Path) -> None:
    code, shown, err = cli("plot", EXAMPLE, "-o", out)
    assert (code, shown) == (2, "") and "error[out]: is no name for a plot" in err
    assert list(project.iterdir()) == []


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_file_of_somebody_else_is_kept(kind: str, cli: Callable, project: Path) -> None:
    Path(f"curves.{kind}").write_text("drawn by hand")
    code, out, err = cli("plot", EXAMPLE)
    assert (code, out) == (2, "") and f"curves.{kind}: error[file]: the file that is there" in err
    assert [path.name for path in project.iterdir()] == [f"curves.{kind}"]
    assert Path(f"curves.{kind}").read_text() == "drawn by hand"


def test_what_cannot_be_written_is_2(cli: Callable, project: Path) -> None:
    Path("file").write_text("")
    Path("taken.svg").mkdir()
    for out in ("file/curves", "taken"):
        code, shown, err = cli("plot", EXAMPLE, "-o", out)
        assert (code, shown) == (2, "") and "cannot be written" in err and "Traceback" not in err
    assert sorted(path.name for path in project.rglob("*")) == ["file", "taken.svg"]


GOOD = json.dumps(line(50)) + "\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a/metrics.jsonl: error[file]: has no whole line"),
        ("\n\n", "has no whole line"),
        ('{"step": 5', "has no whole line"),
        (GOOD + '{"step": 5\n', "a/metrics.jsonl:2:11: error[json]: is not JSON|    ^"),
        (GOOD + "nonsense\n" + GOOD, "a/metrics.jsonl:2:1: error[json]: is not JSON"),
        ("[" * 100_000 + "\n", "a/metrics.jsonl:1:1: error[json]: is not JSON"),
        ("\x00\x01\xff\n", "a/metrics.jsonl:1:1: error[json]: is not JSON"),
        (GOOD + "7\n", "a/metrics.jsonl:2: error[metrics]: is not an object"),
        (GOOD + "null\n", "a/metrics.jsonl:2: error[metrics]: is not an object"),
        (GOOD + '{"step": 100, "loss": 1}\n', "metrics.jsonl:2: |`lr` and `train_error` missing"),
        ('{"lr": 0.1, "train_error": 1}', "metrics.jsonl:1: error[metrics]: `step` missing"),
        (json.dumps(line(50, lr="0.1")), '`lr` is "0.1", which is no number'),
        (json.dumps(line(50, lr=None)), "`lr` is nothing, which is no number"),
        (json.dumps(line(50, val_error=True)), "`val_error` is true, which is no number"),
        (json.dumps(line(50, train_error=float("nan"))), "`train_error` is nan"),
        (json.dumps(line(10**400)), "`step` is inf, which is no number"),
        (json.dumps(line(50, test_error=[1])), "`test_error` is a list"),
        (json.dumps(line(50, train_error=101)), "`train_error` is 101, which is not in 0 to 100"),
        (json.dumps(line(-50)), "`step` is -50, which is not in 0 to 1e+12"),
        (GOOD + GOOD, "metrics.jsonl:2: error[metrics]: step 50 comes after step 50"),
    ],
)
def test_a_file_that_is_not_right(text: str, words: str, cli: Callable, project: Path) -> None:
    Path("a").mkdir()
    Path("a/metrics.jsonl").write_bytes(text.encode("latin-1"))
    code, out, err = cli("plot", "a")
    assert (code, out) == (2, "") and "Traceback" not in err
    assert all(word in err for word in words.split("|")), err
    assert not Path("curves.svg").exists()


def test_runs_that_are_not_there_are_told_all_at_once(cli: Callable, project: Path) -> None:
    Path("empty").mkdir()
    run(project / "runs/real", full_length())
    code, out, err = cli("plot", "runs/real", "empty", "nothing", "runs", "runs/real/x/y")
    assert (code, out) == (2, "") and "Traceback" not in err
    for place in ("empty/metrics.jsonl", "nothing", "runs/metrics.jsonl", "runs/real/x/y"):
        assert f"{place}: error[file]: there is no such file" in err
    assert "hint: there is runs/real\n" in err


def test_the_torn_last_line_of_a_killed_run_is_skipped(cli: Callable, project: Path) -> None:
    whole = full_length()[:10]
    file = run(project / "a", whole) / "metrics.jsonl"
    file.write_text(file.read_text() + json.dumps(full_length()[10])[:30])
    code, out, err = cli("plot", "a")
    assert (code, out) == (0, "curves.svg\ncurves.png\n")
    assert err == "note: a/metrics.jsonl:11 is unfinished, and skipped\n"
    ((steps, _),) = lines_of(drawn([Path("a")]).axes[0], 1.9)
    assert steps == [m["step"] for m in whole]


@pytest.mark.parametrize(
    "lines",
    [
        [line(0)],
        [line(1, lr=0)],
        [line(50, val_error=0, train_error=0, test_error=0, lr=0.03)],
        [line(50, lr=1e-320), line(100, lr=1e12), line(150, lr=1e-320)],
        [line(50, lr=1e-320)],
        [line(50, lr=0.5), line(100, lr=0)],
        [line(10**12, val_error=100)],
    ],
)
def test_runs_that_have_hardly_begun_or_are_odd(
    lines: list[dict[str, object]], cli: Callable, project: Path
) -> None:
    run(project / "a", lines)
    assert cli("plot", "a") == (0, "curves.svg\ncurves.png\n", "")


def test_without_matplotlib_it_is_4(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, out, err = cli("plot", EXAMPLE)
    assert (code, out) == (4, "") and "matplotlib is not installed" in err
    assert "hint: pip install 'resnet-gen[plot]'" in err


def test_it_leaves_pyplot_and_the_settings_alone(project: Path) -> None:
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy()\n"
        "from resnet_gen.plot import drawing, runs; from pathlib import Path\n"
        "drawing.save(drawing.draw(runs.read([Path(sys.argv[1])])), Path('curves'))\n"
        "print('matplotlib.pyplot' in sys.modules, before == matplotlib.rcParams.copy())"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(EXAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False True\n", "")


def test_only_this_command_imports_matplotlib() -> None:
    code = (
        "import sys; sys.argv[1:] = ['list', '--json']\n"
        "from resnet_gen.cli.main import main\n"
        "try: main()\n"
        "finally: print('matplotlib' in sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stderr == "False\n"
