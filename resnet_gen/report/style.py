"""How figures look, on paper and in the dark, and turning them into SVG and PNG.

The colours are Okabe and Ito's, which colour-blind readers tell apart, two of them darkened until
each stands out from white by 3:1. In an SVG, a style sheet replaces every colour by its neighbour
for dark pages; programs that read no style sheets show the light ones.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import fmean
from typing import Any

import matplotlib
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from resnet_gen.plot.drawing import BOUNDS

MADE_BY = "resnet-gen report"
FAR = 2.5  # times the next lower error: left above the axis
SCALE = 1.3  # of an SVG, whose text is that of a page and not of a printed column
INK, FAINT, GRID = "#2b2b2b", "#767676", "#e3e3e3"
SERIES = ("#0072b2", "#b57900", "#009e73", "#d55e00", "#cc79a7", "#4d4d4d")
DARK = {
    # What other rooms draw, in matplotlib's own colours and those of plot.drawing.
    **{"#000000": "#e4e4e4", "#ffffff": "transparent", "#e4e4e4": "#3a3d42", "#555555": "#a0a0a0"},
    "#e69f00": "#e0a52e",
    **{INK: "#e4e4e4", FAINT: "#a0a0a0", GRID: "#3a3d42"},
    **dict(
        zip(SERIES, ("#4fa9e6", "#e0a52e", "#2bbf93", "#f0803c", "#de95c0", "#c8c8c8"), strict=True)
    ),
}
STYLE = {
    **{"font.size": 8.5, "axes.titlesize": 9.5, "axes.titleweight": "bold"},
    **{"axes.linewidth": 0.7, "axes.axisbelow": True, "axes.grid": True, "grid.color": GRID},
    **{"axes.spines.top": False, "axes.spines.right": False, "grid.linewidth": 0.6},
    **{"text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FAINT, "axes.titlecolor": INK},
    **{"xtick.color": FAINT, "ytick.color": FAINT, "xtick.labelcolor": INK},
    **{"ytick.labelcolor": INK, "axes.facecolor": "none", "figure.facecolor": "none"},
    **{"svg.fonttype": "none", "svg.hashsalt": MADE_BY},  # text stays text, ids stay the same
}


def styled() -> Any:
    """The context to draw in: these settings, whatever the user's own."""
    return style.context(["default", STYLE])


def colours(count: int) -> tuple[str, ...]:
    """As many colours; more than there are in the series are shades by lightness."""
    if count <= len(SERIES):
        return SERIES[:count]
    shades = matplotlib.colormaps["viridis"]  # without the yellow at its end, which is too pale
    return tuple(to_hex(shades(0.9 * i / (count - 1))) for i in range(count))


def png(figure: Figure) -> bytes:
    """The figure on white, at 200 dots an inch."""
    return _render(figure, "png", facecolor="white", dpi=200, metadata={"Software": MADE_BY})


def svg(figure: Figure, name: str, alternative: str) -> str:
    """The figure as one element, for a page or for a file of its own, whose text is 11 points high.

    It has a role and a text alternative, and ids that no other figure of a page has.
    """
    metadata = {"Creator": MADE_BY, "Date": None}
    text = _render(figure, "svg", metadata=metadata).decode()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], flags=re.S)
    text = re.sub(r'(width|height)="([\d.]+)pt"', _larger, text, count=2)
    # matplotlib's own sheet is for every element, and would be for the whole page.
    text = text.replace("*{stroke-linejoin", f"#{name}-figure_1 *{{stroke-linejoin")
    return own_ids(described(text, alternative), name)


def described(text: str, alternative: str) -> str:
    """An SVG element with a role and a text alternative."""
    opening, rest = text.split(">", 1)
    opening = re.sub(r'\s(role|aria-label|aria-labelledby)="[^"]*"', "", opening)
    return f'{opening} role="img" aria-label="{escaped(alternative)}">{rest}'


def as_file(text: str) -> str:
    """An element of a page as a file of its own, which needs the style sheet of dark pages."""
    opening, rest = text.split(">", 1)
    return f"{opening}>\n<style>:root{{color-scheme:light dark}}{dark_sheet()}</style>{rest}"


def own_ids(text: str, name: str) -> str:
    """The element with `name` before each of its ids and what refers to them."""
    text = re.sub(r'(\sid=")([^"]+")', rf"\g<1>{name}-\2", text)
    return re.sub(r'(url\(#|href="#)', rf"\1{name}-", text)


def escaped(text: str) -> str:
    """Text as it stands in an attribute."""
    table = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
    return "".join(table.get(c, c) for c in text)


def dark_sheet() -> str:
    """The style sheet that replaces each colour where a reader prefers dark pages."""
    rules = "".join(
        f'[style*="{key}: {light}"]{{{key}:{dark}!important}}'
        for light, dark in DARK.items()
        for key in ("stroke", "fill")
    )
    rules += 'svg[role] text:not([style*="fill:"]){fill:#e4e4e4}'  # black, which is not written
    return f"@media screen and (prefers-color-scheme:dark){{{rules}}}"


def bound(ends: Sequence[float]) -> float:
    """Where an axis of errors ends, in percent, given the greatest late error of each curve.

    What is far above all others stays outside, as plain-110 does in Figure 6, if it is few: no
    more than half as many as are inside.
    """
    ordered = sorted(ends)
    for inside, (lower, upper) in enumerate(pairwise(ordered), start=1):
        is_few = 2 * (len(ordered) - inside) <= inside
        if is_few and upper > FAR * lower and upper - lower > BOUNDS[0]:
            ordered = ordered[:inside]
            break
    highest = max(ordered, default=0.0)
    wanted = highest if highest <= BOUNDS[0] else 1.15 * highest
    return next((float(end) for end in BOUNDS if end >= wanted), float(BOUNDS[-1]))


def label_ends(axes: Axes, ends: Sequence[tuple[float, float, str, str]], top: float) -> None:
    """Names curves at their last points: (x, y, text, colour); no label covers another."""
    ends = sorted(ends, key=lambda end: end[1])
    heights = list(accumulate((end[1] for end in ends), lambda last, y: max(y, last + top / 15)))
    shift = fmean(heights) - fmean(end[1] for end in ends) if ends else 0.0
    shift = min(shift, max(0.0, heights[0] - top / 40)) if ends else 0.0  # not below the axis
    leader = {"arrowstyle": "-", "linewidth": 1.2, "shrinkA": 1, "shrinkB": 0, "relpos": (0, 0.5)}
    for (x, y, text, colour), height in zip(ends, heights, strict=True):
        axes.annotate(
            text,
            xy=(x, y),
            xytext=(1.07, height - shift),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            annotation_clip=False,
            arrowprops={**leader, "color": colour},
        ).set_parse_math(False)


def _larger(match: re.Match[str]) -> str:
    return f'{match[1]}="{SCALE * float(match[2]):.6g}pt"'


def _render(figure: Figure, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    with styled():
        figure.savefig(file, format=kind, bbox_inches="tight", pad_inches=0.04, **options)
    return file.getvalue()
