"""The figures of a report: each a file, and parts that a narrow page sets below each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from resnet_gen.experiments.definitions import Drawing
from resnet_gen.report import curves, depths, style
from resnet_gen.report.findings import Finding
from resnet_gen.report.groups import Group


@dataclass(frozen=True)
class Picture:
    """A figure; its alternatives say in words what it shows, and what is found in it."""

    name: str  # of its files, without a suffix
    title: str
    caption: str
    alternative: str
    parts: tuple[str, ...]  # SVG elements for a page
    svg: str  # a file
    png: bytes | None  # none of what was drawn as SVG alone


def draw_all(
    wanted: Sequence[Drawing], groups: Sequence[Group], findings: Sequence[Finding]
) -> list[Picture]:
    """The curves and the errors against depth that are wanted, where there is something to draw."""
    found = []
    if "curves" in wanted and groups:
        found.append(_curves(groups, findings))
    fresh = [g for g in groups if not g.began]
    if "errors" in wanted and len({g.identity.depth for g in fresh if g.finished}) > 1:
        found.append(_errors(fresh, findings))
    return found


def _curves(groups: Sequence[Group], findings: Sequence[Finding]) -> Picture:
    panels = curves.panels(groups)
    common = curves.look(panels)
    words = [
        f"{curves.described(panel, common)}{_of(findings, panel.groups)}".strip()
        for panel in panels
    ]
    seeds = any(len(group.runs) > 1 for group in groups)
    held_out = {run.run.kind for g in groups for run in g.runs if run.run.bold.steps}
    bold = f", {' or '.join(sorted(held_out))} error bold" if held_out else ""
    band = "; the mean over seeds, in a band from the least to the greatest" if seeds else ""
    return picture(
        "curves",
        "Errors against iterations",
        f"After Figure 6. Training error dashed{bold}{band}. "
        "Each point of a dashed curve is the mean since the point before.",
        words,
        lambda shown: curves.draw([panels[i] for i in shown], common),
    )


def _errors(groups: Sequence[Group], findings: Sequence[Finding]) -> Picture:
    shown = depths.figures(groups)
    diamonds = ""
    if "test_error" in shown and any(depths.paper(group) for group in groups):
        diamonds = " Diamonds are the paper's, after its full training."
    words = [
        f"{depths.described(groups, name)}{_of(findings, groups, name)}".strip() for name in shown
    ]
    return picture(
        "errors",
        "Errors against depth",
        "After the last iteration. Bars are sample standard deviations over seeds; "
        f"a point without a bar is one seed.{diamonds}",
        words,
        lambda which: depths.draw(groups, [shown[i] for i in which]),
    )


def picture(
    name: str,
    title: str,
    caption: str,
    words: Sequence[str],
    draw: Callable[[Sequence[int]], Figure],
) -> Picture:
    """A figure of as many parts as there are `words`; `draw` draws the parts with these numbers."""
    whole, alternative = draw(range(len(words))), " ".join(words)
    element = style.svg(whole, name, alternative)
    parts: tuple[str, ...] = (element,)
    if len(words) > 1:
        numbered = enumerate(words, start=1)
        parts = tuple(style.svg(draw([i - 1]), f"{name}-{i}", text) for i, text in numbered)
    svg = style.as_file(element)
    return Picture(name, title, caption, alternative, parts, svg, style.png(whole))


def _of(findings: Sequence[Finding], groups: Sequence[Group], figure: str = "") -> str:
    """What is found of these networks, in a sentence each."""
    names = {group.identity.network for group in groups}
    return "".join(
        f" {finding.heading}: {finding.claim.says}"
        for finding in findings
        if {finding.claim.greater, finding.claim.less} <= names
        and finding.claim.figure in ((figure,) if figure else ("train_error", "test_error"))
    )
