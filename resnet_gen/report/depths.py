"""Errors against depth, with error bars over seeds, beside the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from resnet_gen.report import style
from resnet_gen.report.findings import of_seeds
from resnet_gen.report.groups import Group, telling

KINDS = {"none": "plain", "A": "residual, A", "B": "residual, B", "C": "residual, C"}
MARKERS = ("s", "o", "^", "v", "D", "P")
PAPER: dict[str, Any] = {
    **{"linestyle": "", "marker": "D", "markerfacecolor": "none", "markersize": 5.5},
    **{"color": style.INK, "markeredgewidth": 1.1, "capsize": 2.5, "elinewidth": 0.9, "zorder": 3},
}
TITLES = {
    "train_error": "training error",
    "test_error": "test error",
    "val_error": "validation error",
}


def figures(groups: Sequence[Group]) -> list[str]:
    """Which errors can be drawn: of training, and of the test or else the validation."""
    known = [g for g in groups if g.finished and g.identity.depth]
    found = [f for f in ("test_error", "val_error") if any(g.values(f) for g in known)][:1]
    return ["train_error", *found] if known else []


def series(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Groups that a line connects, by depth: of the same shortcuts, trained alike."""
    found: dict[str, list[Group]] = {}
    known = [g for g in groups if g.finished and g.identity.depth]
    lengths = {g.alike: _length(g) for g in known}
    for group in known:
        own = "plain" if group.identity.is_plain else group.identity.network
        kind = KINDS.get(group.identity.shortcut, own)
        others = [length for key, length in lengths.items() if key != group.alike]
        name = ", ".join([kind, *telling(_length(group), others)])
        found.setdefault(name, []).append(group)
    return {
        name: sorted(groups, key=lambda g: g.identity.depth or 0)
        for name, groups in sorted(found.items())
    }


def draw(groups: Sequence[Group], shown: Sequence[str]) -> Figure:
    """A panel for each of these errors. Depths stand at equal distances."""
    lines = series(groups)
    depths = sorted({g.identity.depth or 0 for line in lines.values() for g in line})
    hues = dict(zip(lines, style.colours(len(lines)), strict=True))
    with style.styled():
        figure = Figure(figsize=(0.6 + 3.4 * len(shown), 3.0))
        row = figure.subplots(1, len(shown), squeeze=False)[0]
        for axes, name in zip(row, shown, strict=True):
            _draw_panel(axes, name, lines, depths, hues)
            axes.set(title=TITLES[name], xlabel="layers")
            axes.set_xticks(range(len(depths)), [str(depth) for depth in depths])
            axes.set_xlim(-0.5, len(depths) - 0.5)
            axes.grid(visible=False, axis="x")
        row[0].set_ylabel("error (%)")
        handles = [
            Line2D([], [], color=hue, marker=MARKERS[i % len(MARKERS)], markersize=5, label=name)
            for i, (name, hue) in enumerate(hues.items())
        ]
        known = [group for line in lines.values() for group in line]
        if "test_error" in shown and any(paper(group) for group in known):
            bare = {k: v for k, v in PAPER.items() if k not in ("capsize", "elinewidth", "zorder")}
            handles.append(Line2D([], [], label="the paper's, at its full length", **bare))
        place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.02)}
        figure.legend(
            handles=handles,
            frameon=False,
            ncols=2 if len(shown) == 1 else 3,
            **place,
        )
    return figure


def described(groups: Sequence[Group], name: str) -> str:
    """A panel in words: the error of each depth."""
    parts = []
    for kind, line in series(groups).items():
        ends = [
            f"{group.identity.depth} layers {of_seeds(group.values(name))}"
            for group in line
            if group.values(name)
        ]
        parts += [f"{kind}: {', '.join(ends)}"] if ends else []
    return f"{TITLES[name].capitalize()} against depth. {'; '.join(parts)}."


def _draw_panel(
    axes: Axes,
    name: str,
    lines: dict[str, list[Group]],
    depths: Sequence[int],
    hues: dict[str, str],
) -> None:
    found = [g.summary(name) for line in lines.values() for g in line]
    top = style.bound([s.mean + (s.std or 0.0) for s in found if s])
    axes.set_ylim(0, top)
    axes.yaxis.set_major_locator(MultipleLocator(5 if top <= 30 else 10))
    for i, (kind, line) in enumerate(lines.items()):
        look: dict[str, Any] = {"marker": MARKERS[i % len(MARKERS)], "color": hues[kind]}
        points = [(depths.index(g.identity.depth or 0), g, g.summary(name)) for g in line]
        places, means, spreads = [], [], []
        for x, group, point in points:
            if point is None:
                continue
            if point.mean > top:
                text = f"{group.identity.title}\n{point.mean:.1f}% ↑"
                axes.annotate(text, (x, top), ha="center", va="top", fontsize=7.5)
                continue
            places.append(x)
            means.append(point.mean)
            spreads.append(point.std or 0.0)
            if name == "test_error" and (printed := paper(group)):
                axes.errorbar(
                    [x + 0.16], [printed[0]], [printed[1]] if printed[1] else None, **PAPER
                )
        bars: dict[str, Any] = {"capsize": 2.5, "linewidth": 1.5, "markersize": 5, "clip_on": False}
        axes.errorbar(places, means, spreads, **look, **bars)


def _length(group: Group) -> tuple[str, ...]:
    results = group.runs[0].results
    batch = f"batches of {results.batch_size}" if results and results.batch_size else ""
    return f"{group.steps:,} it.", group.data, batch


def paper(group: Group) -> tuple[float, float] | None:
    """The paper's error, or mean and standard deviation where it prints them; of single views."""
    found = group.identity.reported
    if found is None or not group.comparable or found.crops:
        return None
    mean, _, std = found.spread.partition("±")
    return (float(mean), float(std)) if std else (float(found.top1), 0.0)
