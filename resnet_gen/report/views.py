"""What the templates print: every number and word of a report, decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resnet_gen.report.findings import Finding, number
from resnet_gen.report.groups import Group, names
from resnet_gen.report.statistics import Summary

NONE = "–"


@dataclass(frozen=True)
class Cell:
    """A number of the table of results: mean, deviation and what else is to be said of it."""

    mean: str
    std: str = ""  # ± 0.16
    more: str = ""  # best of 5: 6.43


@dataclass(frozen=True)
class ResultRow:
    """A network, over its seeds, beside the paper's."""

    network: str
    scale: str  # 4,000 of 64,000 iterations
    departures: str  # what else is not the paper's
    papers_own: bool
    seeds: str  # 3 seeds; one seed
    cells: tuple[Cell, ...]
    paper: Cell


@dataclass(frozen=True)
class RunRow:
    """A run: what it was, on what, and what came out."""

    run: str
    seed: str
    length: str
    cells: tuple[str, ...]
    on: str  # bf16, cpu, 2 cores of ...
    took: str
    commit: str


@dataclass(frozen=True)
class FindingView:
    """A claim and what these runs say of it."""

    says: str
    place: str
    verdict: str
    look: str  # shown, once, not, contrary
    evidence: str
    conditions: str


@dataclass(frozen=True)
class Column:
    """A column of errors."""

    key: str
    head: str
    note: str = ""


def columns(groups: Sequence[Group]) -> list[Column]:
    """The columns of what some run has measured."""
    found = [
        Column("train_error", "Training", "last"),
        Column("val_error", "Validation", "last"),
        Column("best_val_error", "Validation", "best"),
        Column("test_error", "Test", "last"),
    ]
    found.append(Column("responses", "Response", "mean"))
    for test in dict.fromkeys(test for group in groups for test in group.tests):
        found += [Column(f"{test} {top}", test, f"{top[:3]}-{top[3:]}") for top in ("top1", "top5")]
    return [column for column in found if any(group.values(column.key) for group in groups)]


def result_rows(groups: Sequence[Group], shown: Sequence[Column]) -> list[ResultRow]:
    """A row for each network and length."""
    return [
        ResultRow(
            label,
            group.scale,
            ", ".join(group.departures),
            group.papers_own,
            seeds(len(group.runs)),
            tuple(_cell(group, column) for column in shown),
            paper(group),
        )
        for group, label in zip(groups, names(groups), strict=True)
    ]


def run_rows(groups: Sequence[Group], shown: Sequence[Column]) -> list[RunRow]:
    """A row for each run."""
    found = []
    for group in groups:
        for run in group.runs:
            results, manifest = run.results, run.manifest
            machine = (manifest.machine if manifest else None) or ""
            on = (results.precision, results.device, machine) if results else ()
            git = manifest.git if manifest else None
            commit = (git.commit or "")[:8] if git else ""
            found.append(
                RunRow(
                    run.label,
                    NONE if run.seed is None else str(run.seed),
                    group.length,
                    tuple(_number(run.figure(column.key), column.key) for column in shown),
                    ", ".join(dict.fromkeys(part for part in on if part)) or NONE,
                    _took(results.seconds) if results and results.seconds else NONE,
                    f"{commit}, edited" if git and git.dirty else commit or NONE,
                )
            )
    return found


def finding_views(findings: Sequence[Finding]) -> list[FindingView]:
    """The findings in their order."""
    looks = {"shown": "shown", "seen once": "once"}
    return [
        FindingView(
            finding.claim.says,
            finding.claim.place,
            finding.heading,
            "contrary" if finding.contrary_is_shown else looks.get(finding.verdict, "not"),
            finding.evidence,
            finding.conditions,
        )
        for finding in findings
    ]


def splits(groups: Sequence[Group]) -> list[str]:
    """Which split decided what, in sentences; networks are named where they differ."""
    told: dict[str, list[str]] = {}
    for group, label in zip(groups, names(groups), strict=True):
        for run in group.runs:
            results = run.results
            if results is None:
                continue
            parts = []
            if results.trained_on:
                all_of_them = ", none held out" if results.full_train else ""
                parts.append(f"Trained on {results.trained_on:,} images{all_of_them}.")
            if results.validated_on or results.tested_on:
                validated = f"Validated on {results.validated_on or 'nothing'}"
                parts.append(f"{validated}, tested on {results.tested_on or 'nothing'}.")
            if results.validation_decided:
                parts.append(f"The validation decided {results.validation_decided}.")
            if run.run.kind == "test":
                times = f"{len(run.run.bold.steps):,} times"
                parts.append(f"The test set was read {times}; the last time is taken.")
            elif results.test_decided:
                parts.append(f"The test decided {results.test_decided}.")
            text = " ".join(parts) or "The run does not say what its splits decided."
            told.setdefault(text, []).append(label)
    if len(told) == 1:
        return list(told)
    return [f"{', '.join(dict.fromkeys(of))}: {text}" for text, of in told.items()]


def remarks(groups: Sequence[Group]) -> list[str]:
    """What a reader should know of single runs."""
    found = []
    for group in groups:
        for run in group.runs:
            if run.results is None:
                found.append(f"{run.label} has not ended: it is drawn, and counted nowhere.")
            if run.changed:
                files = " and ".join(run.changed)
                found.append(f"{run.label}: {files} is not what its manifest recorded.")
    return found


def seeds(count: int) -> str:
    """How many: `3 seeds`, or `one seed`."""
    return "one seed" if count == 1 else f"{count} seeds"


def paper(group: Group) -> Cell:
    """The paper's error of this network, where these runs are of that network and its images."""
    found = group.identity.reported
    if found is None:
        return Cell(NONE, more="not reported" if group.identity.design else "")
    if not group.comparable:
        why = "not from the beginning" if group.began else "not this spec"
        return Cell(NONE, more=why if group.on_paper_data else "not these images")
    more = [found.table]
    if found.crops:
        more.append(found.crops)
    if found.spread:
        mean, _, std = found.spread.partition("±")
        return Cell(mean, f"± {std}", f"{found.table}, best of 5: {found.top1}")
    if found.top5:
        more.append(f"top-5 {found.top5}")
    return Cell(found.top1, more=", ".join(more))


def _cell(group: Group, column: Column) -> Cell:
    found: Summary | None = group.summary(column.key)
    if found is None:
        return Cell(NONE)
    of = "" if found.n == len(group.runs) else f"of {seeds(found.n)}"
    if found.std is None:
        return Cell(_number(found.mean, column.key), more=of)
    is_test = column.key == "test_error"
    best = f"best of {found.n}: {found.least:.2f}" if is_test else ""
    more = ", ".join(part for part in (of, best) if part)
    deviation = f"± {_number(found.std, column.key)}"
    return Cell(_number(found.mean, column.key), deviation, more)


def _number(value: float | None, key: str) -> str:
    return NONE if value is None else number(value, key)


def _took(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 100 else f"{seconds:.0f} s"
