"""Figure 6: errors against iterations, plain networks and residual ones side by side.

Training error is dashed and thin; the error on held-out images (validation, or test where
a script tests as it trains) is bold. Of several seeds the mean is drawn, with a band from the least
to the greatest. Early errors above the axis are cut off, as in the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from resnet_gen.plot.drawing import LONG, THIN
from resnet_gen.plot.runs import Curve
from resnet_gen.report import style
from resnet_gen.report.findings import of_seeds
from resnet_gen.report.groups import Group, names

SHORT = 0.9  # of the longest curve: one that ends before is named where it ends
VERY_DEEP = 1_000  # layers: Figure 6 has its 1202 in a panel of their own, beside 110
BOLD: dict[str, Any] = {"linewidth": 1.5}
BAND: dict[str, Any] = {"alpha": 0.18, "linewidth": 0}


@dataclass(frozen=True)
class Panel:
    """Networks that share axes."""

    title: str
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Look:
    """What panels have in common: colours, names, and where the axis of errors ends (%)."""

    colours: dict[Group, str]
    labels: dict[Group, str]
    top: float


@dataclass(frozen=True)
class Band:
    """Curves of several seeds at the steps that they share; errors in percent."""

    steps: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]


def panels(groups: Sequence[Group]) -> list[Panel]:
    """Figure 6's: plain networks, residual ones, and 1202 layers beside 110."""
    plain = tuple(g for g in groups if g.identity.is_plain)
    residual = [g for g in groups if not g.identity.is_plain]
    deep = [g for g in residual if (g.identity.depth or 0) > VERY_DEEP]
    rest = tuple(g for g in residual if g not in deep)
    beside = [g for g in rest if g.identity.depth == max(o.identity.depth or 0 for o in rest)]
    found = [
        Panel("plain networks", plain),
        Panel("residual networks", rest),
        Panel("the deepest", (*beside, *deep) if deep else ()),
    ]
    return [panel for panel in found if panel.groups]


def band(curves: Sequence[Curve]) -> Band:
    """Mean, least and greatest of the curves at the steps that all of them have."""
    tables = [dict(zip(curve.steps, curve.values, strict=True)) for curve in curves]
    steps = sorted(set.intersection(*(set(table) for table in tables)))
    columns = [[table[step] for table in tables] for step in steps]
    return Band(steps, *([of(c) for c in columns] for of in (fmean, min, max)))


def look(shown: Sequence[Panel]) -> Look:
    """What the panels have in common, wherever each is drawn."""
    groups = list(dict.fromkeys(group for panel in shown for group in panel.groups))
    labels = dict(zip(groups, names(groups), strict=True))
    return Look(_colours(groups), labels, style.bound([_latest(group) for group in groups]))


def draw(shown: Sequence[Panel], common: Look) -> Figure:
    """The panels beside each other, over the same errors."""
    with style.styled():
        gaps = (len(shown) - 1) * _room(common)
        figure = Figure(figsize=(0.6 + 3.5 * len(shown) + gaps, 3.1))
        row = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        figure.subplots_adjust(wspace=0.55 + _room(common) / 2.3)  # in widths of a panel
        for axes, panel in zip(row, shown, strict=True):
            _draw_panel(axes, panel, common)
        row[0].set_ylabel("error (%)")
        _legend(figure, [group for panel in shown for group in panel.groups])
    return figure


def described(panel: Panel, common: Look) -> str:
    """The panel in words: where each network ends."""
    parts = []
    for group in panel.groups:
        held_out = group.runs[0].held_out
        ends = [f"{of_seeds(group.values('train_error'))} in training"]
        if held_out and group.values(held_out):
            ends.append(f"{of_seeds(group.values(held_out))} in {group.runs[0].run.kind}")
        parts.append(f"{common.labels[group]} ends at {' and '.join(ends)}")
    return f"Errors of {panel.title} against iterations. {'; '.join(parts)}."


def _draw_panel(axes: Axes, panel: Panel, common: Look) -> None:
    longest = max(run.run.rate.steps[-1] for group in panel.groups for run in group.runs)
    unit = 10_000 if longest >= LONG else 1
    ends, outside, top = [], [], common.top
    for group in panel.groups:
        hue, label = common.colours[group], common.labels[group]
        training = band([run.run.training for run in group.runs])
        axes.plot(training.steps, training.mean, color=hue, **THIN)
        bold = band([run.run.bold for run in group.runs])
        last = bold if bold.steps else training
        if bold.steps:
            dot = "." if len(bold.steps) == 1 else ""  # one point makes no line
            axes.plot(bold.steps, bold.mean, color=hue, marker=dot, **BOLD)
        if len(group.runs) > 1:
            axes.fill_between(last.steps, last.low, last.high, color=hue, **BAND)
        if last.mean[-1] <= top and last.steps[-1] < SHORT * longest:
            point = (last.steps[-1], last.mean[-1])
            place: dict[str, Any] = {"xytext": (4, 0), "textcoords": "offset points"}
            axes.annotate(label, point, va="center", **place).set_parse_math(False)
        elif last.mean[-1] <= top:
            ends.append((last.steps[-1], last.mean[-1], label, hue))
        else:
            outside.append(f"↑ {label}, {last.mean[-1]:.1f}%")
    style.label_ends(axes, ends, top)
    if outside:
        # Above the corner, where no curve's end is named.
        place = {"transform": axes.transAxes, "va": "bottom", "fontsize": 7.5}
        axes.text(1.03, 1.0, "\n".join(outside), **place).set_parse_math(False)
    axes.set(xlim=(0, longest or 1), ylim=(0, top), title=panel.title)
    axes.set_xlabel("iter. (1e4)" if unit > 1 else "iterations")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step / unit:,.10g}"))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MultipleLocator(5 if top <= 30 else 10))


def _room(common: Look) -> float:
    """Inches between panels that long names need, beside what short ones have."""
    return 0.05 * max(0, max(map(len, common.labels.values())) - len("ResNet-1202"))


def _latest(group: Group) -> float:
    """The greatest error in the last third of the curves."""
    found = [
        value
        for run in group.runs
        for curve in (run.run.training, run.run.bold)
        for step, value in zip(*curve, strict=True)
        if step > run.run.rate.steps[-1] * 2 / 3
    ]
    return max(found, default=0.0)


def _colours(groups: Sequence[Group]) -> dict[Group, str]:
    """A colour for each depth, the same in all panels, or for each network where depths repeat."""
    by_depth = [(g.identity.is_plain, g.identity.depth) for g in groups]
    keys = [g.identity.depth or 0 for g in groups]
    if len(set(by_depth)) < len(groups):
        keys = list(range(len(groups)))
    order = sorted(set(keys))
    hues = dict(zip(order, style.colours(len(order)), strict=True))
    return {group: hues[key] for group, key in zip(groups, keys, strict=True)}


def _legend(figure: Figure, groups: Sequence[Group]) -> None:
    key: dict[str, Any] = {"xdata": [], "ydata": [], "color": style.INK}
    kinds = sorted({run.run.kind for g in groups for run in g.runs if run.run.bold.steps})
    handles: list[Any] = [Line2D(label="training", **key, **THIN)]
    handles += [Line2D(label=" or ".join(kinds), **key, **BOLD)] if kinds else []
    if any(len(group.runs) > 1 for group in groups):
        handles.append(Patch(label="least to greatest seed", color=style.INK, **BAND))
    where: dict[str, Any] = {
        "loc": "upper center",
        "bbox_to_anchor": (0.5, -0.02),
        "ncols": len(handles),
    }
    figure.legend(handles=handles, frameon=False, **where)
