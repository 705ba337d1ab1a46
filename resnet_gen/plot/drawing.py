"""Curves of training runs, after Figure 6: error above, the learning rate that was applied below.

Training error is dashed and thin, test error bold. A run that read its test set once has its
validation error bold instead, and the test error as one labelled dot. A line of metrics.jsonl has
the training error of a few iterations only, which is noisy: each point of the dashed curve is the
plain mean, in step and in error, of the lines since the previous point of the bold curve. Without
a bold curve it is drawn as it was written. Early errors above the axis are cut off. A learning
rate that several runs share is grey.
"""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MultipleLocator, NullLocator

from resnet_gen import console, files
from resnet_gen.errors import Failure, Problem
from resnet_gen.plot.runs import Run, names

MADE_BY = "resnet-gen plot"  # written into each plot, and asked for before one is replaced
BOUNDS = (20, 30, 40, 50, 60, 80, 100)  # where the error axis may end, in %; Figure 6 has 20
LONG = 20_000  # longer runs count their iterations in 1e4, as Figure 6 does
# Okabe and Ito's colours, which colour-blind readers tell apart, without the pale yellow.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
BOLD: dict[str, Any] = {"linewidth": 1.9}
THIN: dict[str, Any] = {"linewidth": 0.9, "linestyle": (0, (4, 1.6))}
DOT: dict[str, Any] = {"linestyle": "", "marker": "o", "markeredgecolor": "white"}
KEY: dict[str, Any] = {"xdata": [], "ydata": [], "color": "#555555"}  # the legend's own strokes
STYLE = {
    **{"font.size": 8.5, "axes.titlesize": 10, "axes.linewidth": 0.7, "axes.axisbelow": True},
    **{"axes.grid": True, "grid.color": "#e4e4e4", "grid.linewidth": 0.6},
    **{"svg.fonttype": "none", "svg.hashsalt": MADE_BY},  # text stays text, ids stay the same
}


def draw(runs: Sequence[Run], title: str = "") -> Figure:
    """The figure: errors in %, and below them the learning rate, over the same iterations."""
    colours = COLOURS[: len(runs)]
    if len(runs) > len(COLOURS):
        shades = matplotlib.colormaps["viridis"]  # without the yellow at its end, which is too pale
        colours = tuple(to_hex(shades(0.9 * i / (len(runs) - 1))) for i in range(len(runs)))
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(5, 4.4))
        errors, rates = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
        figure.subplots_adjust(hspace=0.09)
        _draw_errors(errors, runs, colours)
        _draw_rates(rates, runs, colours)
        errors.set_title(textwrap.fill(title, 72)).set_parse_math(False)
        longest = max(run.rate.steps[-1] for run in runs)
        unit = 10_000 if longest >= LONG else 1
        rates.set(xlim=(0, longest or 1), xlabel="iter. (1e4)" if unit > 1 else "iterations")
        rates.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step / unit:,.10g}"))
        figure.align_ylabels()
    return figure


def save(figure: Figure, out: Path, made_by: str = MADE_BY) -> list[Path]:
    """Writes PATH.svg and PATH.png, at 200 dots an inch, and returns their paths.

    Raises:
        Failure: as `places` does, or of a folder that cannot be written (exit code 2).
    """
    paths = places(out, made_by)
    with style.context(["default", STYLE]), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")  # to be told, such as of a letter that the font lacks
        contents = {path: _render(figure, path.suffix[1:], made_by) for path in paths}
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        console.note(f"note: {message}")
    for path, content in contents.items():
        try:
            files.write(path, content)
        except OSError as error:
            message = f"cannot be written: {error.strerror}"
            raise Failure(Problem("file", message, "", path.as_posix())) from None
    return paths


def places(out: Path, made_by: str = MADE_BY) -> list[Path]:
    """PATH.svg and PATH.png, where a figure of the command `made_by` may be written.

    Raises:
        Failure: another suffix, or a file that this command did not make (exit code 2).
    """
    if out.name in ("", "..") or out.suffix.lower() not in ("", ".svg", ".png"):
        hint = "such as curves.svg; .svg and .png are both written"
        raise Failure(Problem("out", "is no name for a plot", hint, out.as_posix()))
    paths = [Path(f"{out.with_suffix('').as_posix()}.{kind}") for kind in ("svg", "png")]
    for path in paths:
        if path.is_file() and made_by.encode() not in path.read_bytes():
            message = f"the file that is there was not made by `{made_by}`"
            raise Failure(Problem("file", message, "name another with --out", path.as_posix()))
    return paths


def _draw_errors(axes: Axes, runs: Sequence[Run], colours: Sequence[str]) -> None:
    kinds = sorted({run.kind for run in runs if run.bold.steps})
    handles, late, dots = [], [], []
    for run, colour, name in zip(runs, colours, names(runs), strict=True):
        label = f"{name}, {run.kind}" if len(kinds) > 1 else name
        dot = "." if len(run.bold.steps) == 1 else ""  # one point makes no line
        axes.plot(*run.training, color=colour, **THIN)
        handles += axes.plot(*run.bold, color=colour, label=label, marker=dot, **BOLD)
        for curve in (run.training, run.bold, run.once):
            points = zip(*curve, strict=True)
            late += [error for step, error in points if step > run.rate.steps[-1] / 2]
        dots += [(error, step, colour) for step, error in zip(*run.once, strict=True)]

    highest = max(late, default=0)
    wanted = highest if highest <= BOUNDS[0] else 1.15 * highest  # some room above the curves
    top = next((bound for bound in BOUNDS if bound >= wanted), BOUNDS[-1])
    axes.set(ylim=(0, top), ylabel="error (%)")
    axes.yaxis.set_major_locator(MultipleLocator(5 if top <= 30 else 10))

    errors = [error for error, _, _ in sorted(dots)]
    heights = list(accumulate(errors, lambda last, error: max(error, last + top / 18)))
    for (error, step, colour), height in zip(sorted(dots), heights, strict=True):
        axes.plot([step], [error], color=colour, clip_on=False, zorder=3, **DOT)
        clear = height - fmean(heights) + fmean(errors)  # no label covers another
        place: dict[str, Any] = {"xytext": (6, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(f"{error:.2f}%", (step, clear), color=colour, annotation_clip=False, **place)

    handles.append(Line2D(label="training", **KEY, **THIN))
    handles += [Line2D(label=kind, **KEY, **BOLD) for kind in kinds if len(kinds) == 1]
    handles += [Line2D(label="test, once", **KEY, **DOT)] if dots else []
    corner = (1.15 if dots else 1.01, 1.02)  # beside the axes, where it covers no curve
    legend = axes.legend(handles=handles, loc="upper left", bbox_to_anchor=corner, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a folder may have $ in its name


def _draw_rates(axes: Axes, runs: Sequence[Run], colours: Sequence[str]) -> None:
    curves = [run.rate for run in runs]
    shared: dict[str, Any] = {"color": "#999999", "linewidth": 2.6, "zorder": 1.5}
    for curve, colour in zip(curves, colours, strict=True):
        look = shared if curves.count(curve) > 1 else {"color": colour, "linewidth": 1.2}
        axes.plot(*curve, drawstyle="steps-pre", **look)
    axes.set_ylabel("learning rate")
    if exponents := [math.log10(rate) for curve in curves for rate in curve.values if rate]:
        high = math.ceil(max(exponents) - 1e-9)
        low = max(high - 8, math.floor(min(exponents) + 1e-9))  # a cosine ends anywhere near 0
        axes.set(yscale="log", ylim=(10.0**low / 2, 10.0**high * 2))
        axes.yaxis.set_major_locator(LogLocator(numticks=4))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))


def _render(figure: Figure, kind: str, made_by: str) -> bytes:
    metadata = {"svg": {"Creator": made_by, "Date": None}, "png": {"Software": made_by}}[kind]
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=200, metadata=metadata, bbox_inches="tight")
    return file.getvalue()
