"""Figure 7 drawn: each layer's standard deviation, in the network's order and sorted.

As in the paper, the layers stand in their order above, and from the largest response to the
smallest below. Plain networks are dashed; networks of one depth share a colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import matplotlib
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from resnet_gen.errors import Failure, Problem
from resnet_gen.plot import drawing
from resnet_gen.plot.drawing import COLOURS, STYLE
from resnet_gen.plot.runs import names
from resnet_gen.responses import table
from resnet_gen.responses.table import Responses

MADE_BY = "resnet-gen responses"
RESIDUAL: dict[str, Any] = {"linewidth": 1.5}
PLAIN: dict[str, Any] = {"linewidth": 1.3, "linestyle": (0, (3, 1.3))}
DWARFING = 20  # times the median: such are plain networks whose training has hardly begun
FEW = 24  # layers up to which each has a dot of its own


@dataclass(frozen=True)
class _Curve:
    """What one line shows: the deviations of one run, or the mean of several runs of a network."""

    label: str
    plain: bool
    runs: tuple[tuple[float, ...], ...]

    @property
    def depth(self) -> int:
        """The number of its 3×3 layers."""
        return len(self.runs[0])


def draw(responses: Sequence[Responses], title: str = "", *, mean: bool = False) -> Figure:
    """The figure: layers in their order above, sorted below.

    With `mean`, runs of one network are drawn as their mean, in a band from the least to the
    greatest of them.
    """
    curves = _means(responses) if mean else _each(responses)
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(5, 4.4))
        original, descending = figure.subplots(2, 1, sharex=True, sharey=True)
        figure.subplots_adjust(hspace=0.34)
        longest = max(curve.depth for curve in curves)
        dots: dict[str, Any] = {"marker": "o", "markersize": 2.2} if longest <= FEW else {}
        for curve, colour in zip(curves, _colours(curves), strict=True):
            _draw(original, curve, curve.runs, color=colour, **dots)
            by_size = [sorted(run, reverse=True) for run in curve.runs]
            _draw(descending, curve, by_size, color=colour, **dots)
        for axes, order in ((original, "in their order"), (descending, "sorted by size")):
            axes.set(xlabel=f"3×3 layers, {order}", ylabel="standard deviation")
            axes.tick_params(labelbottom=True)
        original.set_xlim(0.5, longest + 0.5)
        _scale(original, [value for curve in curves for run in curve.runs for value in run])
        original.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        original.set_title(title).set_parse_math(False)
        legend = original.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)  # a folder may have $ in its name
        beside: dict[str, Any] = {"transform": descending.transAxes, "va": "top", "fontsize": 7.5}
        note = descending.text(1.035, 1, "\n".join(_shared(responses)), color="#555555", **beside)
        note.set_parse_math(False)
    return figure


def save(figure: Figure, responses: Sequence[Responses], out: Path) -> list[Path]:
    """Writes PATH.svg, PATH.png and, with the numbers, PATH.csv; returns their paths.

    Raises:
        Failure: as `places` does, or of a folder that cannot be written (exit code 2).
    """
    *_, numbers = places(out)
    paths = drawing.save(figure, out, MADE_BY)
    table.write(numbers, responses)
    return [*paths, numbers]


def places(out: Path) -> list[Path]:
    """PATH.svg, PATH.png and PATH.csv, where they may be written.

    Raises:
        Failure: another suffix, or a file that this command did not make (exit code 2).
    """
    paths = drawing.places(out, MADE_BY)
    numbers = paths[0].with_suffix(".csv")
    if numbers.is_file() and not table.is_one(numbers):
        message = f"the file that is there was not made by `{MADE_BY}`"
        raise Failure(Problem("file", message, "name another with --out", numbers.as_posix()))
    return [*paths, numbers]


def _draw(axes: Axes, curve: _Curve, runs: Sequence[Sequence[float]], **look: Any) -> None:
    """The mean of the runs, place by place, in a band of all of them."""
    by_place = list(zip(*runs, strict=True))
    places = range(1, len(by_place) + 1)
    if len(runs) > 1:
        low, high = map(min, by_place), map(max, by_place)
        colour = look["color"]
        axes.fill_between(places, [*low], [*high], color=colour, alpha=0.18, linewidth=0)
    stroke = PLAIN if curve.plain else RESIDUAL
    axes.plot(places, [fmean(values) for values in by_place], label=curve.label, **stroke, **look)


def _scale(axes: Axes, values: Sequence[float]) -> None:
    """An axis from 0, as in the paper, or a logarithmic one where a few values dwarf the others."""
    top, positive = max(values), [value for value in values if value > 0]
    if positive and top > DWARFING * median(positive):
        axes.set(yscale="log", ylim=(min(positive) / 1.3, 1.3 * top))
    else:
        axes.set_ylim(0, 1.06 * top or 1)


def _each(responses: Sequence[Responses]) -> list[_Curve]:
    trained = {each.iterations for each in responses}
    found = []
    for each, name in zip(responses, names(responses), strict=True):
        known = len(trained) > 1 and each.iterations is not None
        label = f"{name}, {each.iterations:,} iterations" if known else name
        found.append(_Curve(label, each.plain, (each.deviations,)))
    return found


def _means(responses: Sequence[Responses]) -> list[_Curve]:
    """One curve a network; runs whose layers are not the same are networks of their own."""
    groups: dict[tuple[str, tuple[str, ...]], list[Responses]] = {}
    for each in responses:
        groups.setdefault((each.network, each.layers), []).append(each)
    found = []
    for (network, _), runs in groups.items():
        label = f"{network}, mean of {len(runs)}" if len(runs) > 1 else network
        found.append(_Curve(label, runs[0].plain, tuple(run.deviations for run in runs)))
    return found


def _colours(curves: Sequence[_Curve]) -> list[str]:
    """A colour for each depth, unless that would make two lines look the same."""
    looks = [(curve.depth, curve.plain) for curve in curves]
    keys = [depth for depth, _ in looks]
    if len(set(looks)) < len(looks):
        keys = list(range(len(curves)))
    known = sorted(set(keys))
    if len(known) > len(COLOURS):
        shades = matplotlib.colormaps["viridis"]  # without the yellow at its end
        return [to_hex(shades(0.9 * known.index(key) / (len(known) - 1))) for key in keys]
    return [COLOURS[known.index(key)] for key in keys]


def _shared(responses: Sequence[Responses]) -> list[str]:
    """What is true of all networks of the figure: how long they were trained, and their images."""
    trained = {each.iterations for each in responses}
    shown = {(each.images, each.data) for each in responses}
    told = []
    if len(trained) == 1 and None not in trained:
        told.append(f"after {trained.pop():,} iterations")
    if len(shown) == 1:
        count, data = shown.pop()
        told += [f"{count:,} test images", f"of {data}"] if count else []
    return told
