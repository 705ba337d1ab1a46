"""All that is in a report, before it is laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_gen.experiments.continued import Outcome
from resnet_gen.experiments.definitions import Experiment
from resnet_gen.report import tables
from resnet_gen.report.findings import Finding
from resnet_gen.report.groups import Group
from resnet_gen.report.pictures import Picture


@dataclass(frozen=True)
class Report:
    """All that is in a report, before it is laid out."""

    title: str
    experiment: Experiment | None
    groups: list[Group]
    missing: list[str]  # networks of the experiment without a run
    findings: list[Finding]
    pictures: list[Picture]
    counts: list[tables.Row]  # parameters and multiply-adds, of an experiment that counts them
    constructed: list[Outcome]  # deeper networks by construction, and what training made of them
    notes: list[str]

    def document(self, paths: Sequence[Path]) -> dict[str, Any]:
        """The report for programs: the rows of its tables, and the files that were written."""
        return {
            "title": self.title,
            "experiment": self.experiment.experiment if self.experiment else None,
            "findings": tables.findings(self.findings),
            "results": tables.results(self.groups),
            "runs": tables.runs(self.groups),
            "counts": self.counts,
            "constructed": tables.constructed(self.constructed),
            "missing": self.missing,
            "notes": self.notes,
            "files": [path.as_posix() for path in paths],
        }

    def data(self) -> dict[str, list[tables.Row]]:
        """The CSV files that there is something for, by their names."""
        found = {
            "results.csv": tables.results(self.groups),
            "runs.csv": tables.runs(self.groups),
            "findings.csv": tables.findings(self.findings),
            "curves.csv": tables.curves(self.groups),
            "counts.csv": self.counts,
            "constructed.csv": tables.constructed(self.constructed),
        }
        return {name: rows for name, rows in found.items() if rows}
