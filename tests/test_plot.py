"""`resnet-gen plot`: what is drawn is what metrics.jsonl says, measured in the files themselves."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from PIL import Image

from conftest import ROOT
from resnet_gen import metrics, plot

EXAMPLE = ROOT / "results/cifar10/resnet20-10000-cpu"
LINES = [json.loads(line) for line in (EXAMPLE / "metrics.jsonl").read_text().splitlines()]
SVG = "{http://www.w3.org/2000/svg}"


def line(step: float, **others: object) -> dict[str, object]:
    return {"step": step, "lr": 0.1, "loss": 1.0, "train_error": 9.0, **others}


def run(folder: Path, lines: list[dict[str, object]], network: str = "") -> Path:
    """A run's folder; results.json is in it once a run has ended."""
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if network:
        (folder / "results.json").write_text(json.dumps({"network": network}))
    return folder


def full_length(lines: int = 64, test_errors: bool = False) -> list[dict[str, object]]:
    """A run of 64,000 iterations with steps of section 4.2, validated at each line or tested."""
    key = "test_error" if test_errors else "val_error"
    found = []
    for step in range(64_000 // lines, 64_001, 64_000 // lines):
        drops = (step > 32_000) + (step > 48_000)
        error = (60 / (1 + step / 2_000) + 12, 9.5, 8.75)[drops]
        found.append(line(step, lr=0.1 / 10**drops, train_error=error / 2, **{key: error}))
    found[-1]["test_error"] = 8.75
    return found


def drawn(folders: list[Path], **options: str) -> matplotlib.figure.Figure:
    return plot.draw(metrics.read(folders), **options)


def lines_of(axes: matplotlib.axes.Axes, width: float) -> list[tuple[list[float], list[float]]]:
    found = [line for line in axes.get_lines() if line.get_linewidth() == width]
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in found]


def texts(path: Path) -> list[str]:
    return [text.text for text in ElementTree.parse(path).iter(f"{SVG}text")]


def strokes(path: Path, axes: str) -> list[tuple[str, list[tuple[float, float]]]]:
    """Style and corners, as fractions of the axes from below left, of each line in an SVG."""
    (group,) = (g for g in ElementTree.parse(path).iter(f"{SVG}g") if g.get("id") == axes)

    def corners(element: ElementTree.Element) -> list[tuple[float, float]]:
        found = re.findall(r"[ML] (\S+) (\S+)", element.get("d", ""))
        return [(float(x), float(y)) for x, y in found]

    frame = corners(group[0][0])
    left, right = min(x for x, _ in frame), max(x for x, _ in frame)
    upper, lower = min(y for _, y in frame), max(y for _, y in frame)
    return [
        (
            path.get("style", ""),
            [
                ((x - left) / (right - left), (lower - y) / (lower - upper))
                for x, y in corners(path)
            ],
        )
        for child in group
        if str(child.get("id")).startswith("line2d")
        for path in child.iter(f"{SVG}path")
    ]


def test_the_example(cli: Callable, project: Path) -> None:
    assert cli("plot", EXAMPLE) == (0, "curves.svg\ncurves.png\n", "")
    assert sorted(path.name for path in project.iterdir()) == ["curves.png", "curves.svg"]
    shown = texts(project / "curves.svg")
    for text in ("error (%)", "learning rate", "iterations", "10,000", "resnet20", "11.75%"):
        assert text in shown
    for text in ("training", "validation", "test, once", "0.1", "0.01", "0.001", "20"):
        assert text in shown


def test_the_picture_is_200_dots_an_inch(cli: Callable, project: Path) -> None:
    cli("plot", EXAMPLE)
    with Image.open("curves.png") as picture:
        picture.load()
        assert picture.format == "PNG" and min(picture.size) > 600
        assert picture.info["dpi"] == pytest.approx((200, 200), rel=1e-3)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24) or []}
    assert (0x00, 0x72, 0xB2) in colours


def test_the_svg_has_the_files_numbers_at_their_places(cli: Callable, project: Path) -> None:
    cli("plot", EXAMPLE)
    bold = [
        points for style, points in strokes(project / "curves.svg", "axes_1") if ": 1.9" in style
    ]
    assert len(bold) == 1
    validated = {m["step"]: m["val_error"] for m in LINES if "val_error" in m}
    for step, error in validated.items():
        if error < 20:  # the axis ends there
            near = [y for x, y in bold[0] if x * 10_000 == pytest.approx(step, abs=1)]
            assert [20 * y for y in near] == pytest.approx([error], abs=0.01)
    dashed = [
        style for style, _ in strokes(project / "curves.svg", "axes_1") if "dasharray" in style
    ]
    assert len(dashed) == 1 and "stroke-width: 0.9" in dashed[0]

    (_, rate) = strokes(project / "curves.svg", "axes_2")[0]
    falls = [x for (x, y), (x2, y2) in pairwise(rate) if x == x2 and y != y2]
    assert [10_000 * x for x in falls] == pytest.approx([5_000, 7_500], abs=1)
    heights = sorted({round(y, 4) for _, y in rate})  # three, as far apart as 0.1 from 0.01
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=1e-3)


def test_the_figure_has_the_files_numbers() -> None:
    errors, rates = drawn([EXAMPLE]).axes
    validated = [(m["step"], m["val_error"]) for m in LINES if "val_error" in m]
    assert list(zip(*lines_of(errors, 1.9)[0], strict=True)) == validated
    ((steps, means),) = lines_of(errors, 0.9)
    parts = [LINES[start : start + 20] for start in range(0, 200, 20)]  # 20 lines a validation
    assert steps == pytest.approx([sum(m["step"] for m in part) / 20 for part in parts])
    assert means == pytest.approx([sum(m["train_error"] for m in part) / 20 for part in parts])
    (rate,) = rates.get_lines()
    assert rate.get_drawstyle() == "steps-pre" and rates.get_yscale() == "log"
    assert list(rate.get_xdata()) == [m["step"] for m in LINES]
    assert list(rate.get_ydata()) == [m["lr"] for m in LINES]
    (dot,) = (each for each in errors.get_lines() if each.get_marker() == "o")
    assert (list(dot.get_xdata()), list(dot.get_ydata())) == ([10_000], [11.75])
    assert errors.get_shared_x_axes().joined(errors, rates)
    assert errors.get_ylim() == (0, 20) and errors.get_xlim() == (0, 10_000)


def test_means_end_at_validations_and_at_the_end(tmp_path: Path) -> None:
    values = [(10, 50.0, True), (20, 40.0, False), (30, 20.0, True), (40, 8.0, False)]
    lines = [
        line(step, train_error=error, **({"val_error": 9.0} if validated else {}))
        for step, error, validated in values
    ]
    (found,) = metrics.read([run(tmp_path / "a", lines)])
    assert found.training == ([10, 25, 40], [50, 30, 8])
    lines = [line(step, train_error=error) for step, error, _ in values]
    (found,) = metrics.read([run(tmp_path / "b", lines)])
    assert found.training == ([10, 20, 30, 40], [50, 40, 20, 8])


def test_a_test_error_on_several_lines_is_the_bold_curve(cli: Callable, project: Path) -> None:
    tested, validated = full_length(test_errors=True), full_length()
    errors = drawn([run(project / "tested", tested, "resnet20")]).axes[0]
    assert lines_of(errors, 1.9) == [
        ([m["step"] for m in tested], [m["test_error"] for m in tested])
    ]
    assert not any(each.get_marker() == "o" for each in errors.get_lines())
    run(project / "validated", validated, "resnet32")
    cli("plot", "tested", "-o", "one.svg")
    assert {"test", "training"} <= set(texts(project / "one.svg"))
    assert not {"validation", "test, once"} & set(texts(project / "one.svg"))
    cli("plot", "tested", "validated", "-o", "both.svg")
    shown = texts(project / "both.svg")
    assert {"resnet20, test", "resnet32, validation", "test, once"} <= set(shown)


def test_long_runs_are_counted_in_ten_thousands(cli: Callable, project: Path) -> None:
    run(project / "long", full_length())
    cli("plot", "long")
    shown = texts(project / "curves.svg")
    assert "iter. (1e4)" in shown and "iterations" not in shown
    assert " 1 2 3 4 5 6 " in " ".join(shown)
    rates = drawn([project / "long"]).axes[1].get_lines()[0]
    falls = [x for x, y in zip(*rates.get_data(), strict=True) if y < 0.1]
    assert falls[0] == 33_000  # the line after the one at 32k, from where the step is drawn


@pytest.mark.parametrize(
    ("last", "bound"), [(1.0, 20), (20.0, 20), (25.0, 30), (28.0, 40), (60.0, 80), (99.0, 100)]
)
def test_the_axis_shows_the_second_half(last: float, bound: float, tmp_path: Path) -> None:
    lines = [line(50, val_error=95.0, train_error=95.0), line(100, val_error=last)]
    errors, _ = drawn([run(tmp_path / "a", lines)]).axes
    assert errors.get_ylim() == (0, bound)


@pytest.mark.parametrize("count", [2, 7, 12])
def test_each_run_has_a_colour_and_a_name(count: int, tmp_path: Path) -> None:
    folders = [run(tmp_path / f"run{i}", full_length(), f"net{i}") for i in range(count)]
    errors, rates = drawn(folders).axes
    dashed = [each.get_color() for each in errors.get_lines() if each.get_linewidth() == 0.9]
    bold = [each.get_color() for each in errors.get_lines() if each.get_linewidth() == 1.9]
    assert len(set(bold)) == count and bold == dashed
    legend = errors.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        *(f"net{i}" for i in range(count)),
        *("training", "validation", "test, once"),
    ]
    shown = [handle.get_color() for handle in legend.get_lines()]
    assert shown[:count] == bold and not set(shown[count:]) & set(bold)
    assert {each.get_color() for each in rates.get_lines()} == {"#999999"}  # one rate for all


def test_labels_of_near_test_errors_do_not_meet(tmp_path: Path) -> None:
    values = [8.75, 8.8, 9.1, 8.75, 9.0]
    folders = [
        run(tmp_path / f"run{i}", [line(50), line(100, test_error=value)])
        for i, value in enumerate(values)
    ]
    figure = drawn(folders)
    figure.canvas.draw()
    labels = sorted(figure.axes[0].texts, key=lambda text: text.xy[1])
    assert [label.get_text() for label in labels] == [f"{value:.2f}%" for value in sorted(values)]
    boxes = [label.get_window_extent() for label in labels]
    assert all(low.y1 <= high.y0 for low, high in pairwise(boxes))
    assert sum(label.xy[1] for label in labels) == pytest.approx(sum(values))


def test_a_rate_of_its_own_has_the_runs_colour(tmp_path: Path) -> None:
    warm = full_length()
    warm[0]["lr"] = 0.01
    folders = [run(tmp_path / name, full_length()) for name in "ab"]
    errors, rates = drawn([*folders, run(tmp_path / "c", warm)]).axes
    bold = [each.get_color() for each in errors.get_lines() if each.get_linewidth() == 1.9]
    assert [each.get_color() for each in rates.get_lines()] == ["#999999", "#999999", bold[2]]


def test_a_rate_that_ends_near_0_leaves_the_others_room(tmp_path: Path) -> None:
    rates = drawn([run(tmp_path / "a", [line(50), line(100, lr=1e-17)])]).axes[1]
    low, high = rates.get_ylim()
    assert 1e-10 < low < 1e-4 and 0.1 < high < 1


def test_names_are_told_apart(tmp_path: Path) -> None:
    folders = [
        run(tmp_path / "x/seed0", full_length(), "resnet20"),
        run(tmp_path / "y/seed0", full_length(), "resnet20"),
        run(tmp_path / "y/seed1", full_length(), "resnet20"),
        run(tmp_path / "unfinished", full_length()),
        run(tmp_path / "other", full_length(), "plain20"),
    ]
    file = folders[4] / "metrics.jsonl"  # the same run once more
    renamed = tmp_path / "elsewhere.jsonl"
    renamed.write_text(file.read_text())
    assert metrics.names(metrics.read([*folders, file, renamed])) == [
        *("resnet20 (x/seed0)", "resnet20 (y/seed0)", "resnet20 (seed1)"),
        *("unfinished", "plain20", "elsewhere.jsonl"),
    ]


@pytest.mark.parametrize("results", ["", "{", "[]", "{}", "7"])
def test_results_that_cannot_be_read_are_no_obstacle(results: str, tmp_path: Path) -> None:
    folder = run(tmp_path / "mine", full_length())
    (folder / "results.json").write_text(results)
    assert metrics.names(metrics.read([folder])) == ["mine"]


def test_signs_in_names_and_titles_stay_what_they_are(cli: Callable, project: Path) -> None:
    run(project / "_a$b^$", full_length())
    assert cli("plot", "_a$b^$", "--title", r"5$ and \alpha$ <&>") == (
        *(0, "curves.svg\ncurves.png\n", ""),
    )
    shown = texts(project / "curves.svg")
    assert "_a$b^$" in shown and r"5$ and \alpha$ <&>" in shown
    code, _, err = cli("plot", "_a$b^$", "--title", "\U0001ff80")
    assert code == 0 and err.startswith("note: Glyph") and "Warning" not in err
    assert cli("plot", "_a$b^$", "--title", "word " * 2_000).code == 0


def test_the_same_runs_give_the_same_bytes(cli: Callable, project: Path) -> None:
    cli("plot", EXAMPLE, "-o", "first")
    code = "from resnet_gen.cli import main; main()"
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
        "from resnet_gen import metrics, plot; from pathlib import Path\n"
        "plot.save(plot.draw(metrics.read([Path(sys.argv[1])])), Path('curves'))\n"
        "print('matplotlib.pyplot' in sys.modules, before == matplotlib.rcParams.copy())"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(EXAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False True\n", "")


def test_only_this_command_imports_matplotlib() -> None:
    code = (
        "import sys; sys.argv[1:] = ['list', '--json']\n"
        "from resnet_gen.cli import main\n"
        "try: main()\n"
        "finally: print('matplotlib' in sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stderr == "False\n"
