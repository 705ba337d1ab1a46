"""A report laid out: Markdown, and one page of HTML that needs nothing but itself."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from resnet_gen.report import constructions, opening, style, views
from resnet_gen.report.contents import Report
from resnet_gen.report.pictures import Picture
from resnet_gen.report.statistics import ENOUGH

SPECIAL = re.compile(r"([\\`*_\[\]<>|#~])")  # what Markdown would take for more than a character


@dataclass(frozen=True)
class Page:
    """What both templates print."""

    title: str
    place: str  # Figure 6 of the paper; empty for a user's own runs
    lede: list[str]
    warning: str
    findings: list[views.FindingView]
    pictures: list[Picture]
    columns: list[views.Column]
    spreads: list[bool]  # whether a column has deviations
    paper_spread: bool  # whether the paper prints a deviation of one of these networks
    results: list[views.ResultRow]
    missing: list[str]
    runs: list[views.RunRow]
    counts: list[tuple[str, str, str, str]]  # network, parameters, multiply-adds, the paper's
    constructed: list[constructions.ConstructionRow]
    constructed_words: list[str]
    constructed_images: str
    splits: list[str]
    notes: list[str]
    files: list[tuple[str, str]]  # name, what it has
    enough: int = ENOUGH


ABOUT = {
    "results.csv": "each network over its seeds",
    "runs.csv": "each run",
    "findings.csv": "each claim with its interval",
    "curves.csv": "each point of the curves",
    "counts.csv": "parameters and multiply-adds",
    "constructed.csv": "each network by construction",
}


def page_of(report: Report) -> Page:
    """The report as words and numbers in the order of a page."""
    groups, experiment = report.groups, report.experiment
    shown = views.columns(groups)
    results = views.result_rows(groups, shown)
    return Page(
        report.title,
        f"{experiment.place[:1].upper()}{experiment.place[1:]}" if experiment else "",
        opening.lede(groups, len(report.counts)),
        opening.warning(groups),
        views.finding_views(report.findings),
        report.pictures,
        shown,
        [any(row.cells[i].std for row in results) for i in range(len(shown))],
        any(row.paper.std for row in results),
        results,
        report.missing,
        views.run_rows(groups, shown),
        [
            (
                r["title"],
                f"{r['parameters']:,}",
                f"{r['multiply_adds']:,}",
                _raised(r["paper_multiply_adds"]),
            )
            for r in report.counts
        ],
        constructions.rows(report.constructed),
        constructions.sentences(report.constructed),
        constructions.images(report.constructed),
        views.splits(groups),
        report.notes,
        [(name, ABOUT[name]) for name in report.data()],
    )


def html(report: Report) -> str:
    """report.html."""
    sheet = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    text = Markup(sheet + style.dark_sheet())  # noqa: S704  (our own)
    return (
        _environment(escape=True)
        .get_template("report.html.jinja")
        .render(page=page_of(report), sheet=text)
    )


def markdown(report: Report) -> str:
    """report.md."""
    template = _environment(escape=False).get_template("report.md.jinja")
    return re.sub(r"\n{3,}", "\n\n", template.render(page=page_of(report))).strip() + "\n"


def _environment(*, escape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=escape,  # noqa: S701  (Markdown has its own filter)
    )
    environment.filters["plain"] = lambda text: SPECIAL.sub(r"\\\1", str(text))
    environment.filters["drawn"] = Markup
    environment.filters["data_uri"] = _data_uri
    return environment


def _raised(count: str) -> str:
    return re.sub(r"\^(\d)", lambda power: "⁰¹²³⁴⁵⁶⁷⁸⁹"[int(power[1])], count)


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
