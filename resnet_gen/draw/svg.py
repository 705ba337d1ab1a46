"""An SVG being written: its elements, its colours in light and dark, and its words for readers.

Nothing in it has an id and all style is below one class, so that several pictures can stand in one
HTML page. Arrowheads are drawn, not referred to.
"""

from __future__ import annotations

import math
from xml.etree import ElementTree

NAMESPACE = "http://www.w3.org/2000/svg"
CLASS = "resnet-gen-picture"
# Fill and stroke, in light and in dark, of convolutions, by how often the image has been halved:
# teal at its full size, then amber, and for Figure 3's four stages lilac, green, rose and blue.
STAGES = (
    ("#d5efef", "#2b8080", "#163b3c", "#5fb9b9"),
    ("#fdecca", "#a8761a", "#443212", "#dba850"),
    ("#e8dff8", "#7452b0", "#35274f", "#ad90ea"),
    ("#dbf0d8", "#46853f", "#1b3d25", "#79c07c"),
    ("#fbdcdd", "#b5434c", "#4a2025", "#e5858b"),
    ("#d9e8fb", "#3a70b0", "#17304f", "#6aa3e6"),
)
# What is drawn: the fill or stroke in light and in dark.
INK, SOFT = ("#1f2328", "#e6edf3"), ("#59636e", "#9aa4af")
PAPER, RULE, PLAIN = ("#ffffff", "#0d1117"), ("#d1d9e0", "#30363d"), ("#f0f2f4", "#262c33")


def coloured(halvings: int) -> str:
    """The class of a convolution's box where the image has been halved so often."""
    return f"box s{min(halvings, len(STAGES) - 1)}"


class Picture:
    """An SVG in the making; coordinates are pixels at its own size, from the top left corner."""

    def __init__(self, width: float, height: float, title: str, description: str, by: str) -> None:
        width, height = math.ceil(width), math.ceil(height)
        size = {"width": f"{width:g}", "height": f"{height:g}"}
        view = {"viewBox": f"0 0 {width:g} {height:g}"}
        words = {"role": "img", "aria-label": title, "class": CLASS}
        self.root = ElementTree.Element("svg", {"xmlns": NAMESPACE, **size, **view, **words})
        self._add("title", title)
        self._add("desc", description)
        self._add("metadata", by)
        self._add("style", _style())
        self._add("rect", **{"class": "paper"}, width=width, height=height, rx=6)

    def box(self, x: float, y: float, width: float, height: float, look: str) -> None:
        """A rectangle with round corners."""
        self._add("rect", **{"class": look}, x=x, y=y, width=width, height=height, rx=3)

    def text(self, x: float, y: float, words: str, look: str = "") -> None:
        """A line of text on the baseline y: from x on, around it (`mid`) or up to it (`end`)."""
        self._add("text", words, **({"class": look} if look else {}), x=x, y=y)

    def formula(self, x: float, y: float, words: str, look: str = "") -> None:
        """A formula in italics; the letter after `_` is a subscript."""
        first, *others = words.split("_")
        self.text(x, y, first, f"formula {look}".strip())
        for part in others:
            for letters, shift, size in ((part[0], "3", "10px"), (part[1:], "-3", "15px")):
                given = {"dy": shift, "style": f"font-size: {size}"}
                ElementTree.SubElement(self.root[-1], "tspan", given).text = letters

    def path(self, steps: str, look: str = "line") -> None:
        """A line."""
        self._add("path", **{"class": look}, d=steps)

    def circle(self, x: float, y: float, radius: float, look: str) -> None:
        """A circle around a point."""
        self._add("circle", **{"class": look}, cx=x, cy=y, r=radius)

    def arrow(self, x: float, top: float, bottom: float) -> None:
        """An arrow downwards."""
        self.path(f"M{x:g} {top:g}V{bottom - 4:g}")
        self.path(f"M{x:g} {bottom:g}l-3 -5h6z", "head")

    def arrowhead_left(self, x: float, y: float) -> None:
        """The head of an arrow that comes from the right, its tip at the point."""
        self.path(f"M{x:g} {y:g}l5 -2.6v5.2z", "head")

    def __str__(self) -> str:
        ElementTree.indent(self.root, " ")
        for text in self.root.iter("text"):  # white space between its parts would be shown
            for part in text:
                part.tail = None
            text.text = (text.text or "").rstrip("\n ") if len(text) else text.text
        return ElementTree.tostring(self.root, encoding="unicode") + "\n"

    def _add(self, tag: str, words: str = "", **attributes: str | float) -> None:
        given = {
            key: value if isinstance(value, str) else f"{value:.6g}"
            for key, value in attributes.items()
        }
        ElementTree.SubElement(self.root, tag, given).text = words or None


def _style() -> str:
    """The rules, once for light, and their colours again for dark."""
    rules = [
        ("", "font: 13px Helvetica, Arial, sans-serif"),
        ("text", f"fill: {INK[0]}"),
        (".name", "font-size: 15px; font-weight: bold"),
        (".soft", f"fill: {SOFT[0]}"),
        (".bold", "font-weight: bold"),
        (".formula", "font: italic 15px Times, 'Times New Roman', serif"),
        (".mid", "text-anchor: middle"),
        (".end", "text-anchor: end"),
        (".paper", f"fill: {PAPER[0]}"),
        (".rule", f"stroke: {RULE[0]}; fill: none"),
        (".line", f"stroke: {INK[0]}; fill: none; stroke-width: 1.1"),
        (".brace", f"stroke: {SOFT[0]}; fill: none; stroke-width: 1.1"),
        (".dotted", "stroke-dasharray: 0.1 3.2; stroke-linecap: round; stroke-width: 1.6"),
        (".dashed", "stroke-dasharray: 6 3"),
        (".head", f"fill: {INK[0]}"),
        (".box", f"fill: {PLAIN[0]}; stroke: {SOFT[0]}"),
        *((f".s{i}", f"fill: {fill}; stroke: {line}") for i, (fill, line, *_) in enumerate(STAGES)),
    ]
    dark = [
        ("text", f"fill: {INK[1]}"),
        (".soft", f"fill: {SOFT[1]}"),
        (".paper", f"fill: {PAPER[1]}"),
        (".rule", f"stroke: {RULE[1]}"),
        (".line", f"stroke: {INK[1]}"),
        (".brace", f"stroke: {SOFT[1]}"),
        (".head", f"fill: {INK[1]}"),
        (".box", f"fill: {PLAIN[1]}; stroke: {SOFT[1]}"),
        *((f".s{i}", f"fill: {fill}; stroke: {line}") for i, (*_, fill, line) in enumerate(STAGES)),
    ]
    night = "".join(f"  {_rule(*rule)}\n" for rule in dark)
    return (
        "\n"
        + "".join(f" {_rule(*rule)}\n" for rule in rules)
        + f" @media (prefers-color-scheme: dark) {{\n{night} }}\n"
    )


def _rule(selector: str, declarations: str) -> str:
    return f".{CLASS} {selector} {{ {declarations} }}".replace("  ", " ")
