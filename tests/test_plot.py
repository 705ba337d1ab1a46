"""`resnet-gen plot`: what is drawn is what metrics.jsonl says, measured in the files themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from PIL import Image

from conftest import ROOT
from resnet_gen.plot import drawing, runs

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
    return drawing.draw(runs.read(folders), **options)


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
    (found,) = runs.read([run(tmp_path / "a", lines)])
    assert found.training == ([10, 25, 40], [50, 30, 8])
    lines = [line(step, train_error=error) for step, error, _ in values]
    (found,) = runs.read([run(tmp_path / "b", lines)])
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
    assert runs.names(runs.read([*folders, file, renamed])) == [
        *("resnet20 (x/seed0)", "resnet20 (y/seed0)", "resnet20 (seed1)"),
        *("unfinished", "plain20", "elsewhere.jsonl"),
    ]


@pytest.mark.parametrize("results", ["", "{", "[]", "{}", "7"])
def test_results_that_cannot_be_read_are_no_obstacle(results: str, tmp_path: Path) -> None:
    folder = run(tmp_path / "mine", full_length())
    (folder / "results.json").write_text(results)
    assert runs.names(runs.read([folder])) == ["mine"]


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
