"""Runs in, a report out: the way through this room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from resnet_gen.experiments import definitions
from resnet_gen.experiments.continued import Outcome
from resnet_gen.experiments.definitions import Claim, Drawing, Experiment
from resnet_gen.report import constructions, evidence, page, tables, views, writing
from resnet_gen.report.contents import Report
from resnet_gen.report.evidence import Evidence
from resnet_gen.report.extras import architecture, counts, ensemble, measured
from resnet_gen.report.findings import applying, judge_all
from resnet_gen.report.groups import group
from resnet_gen.report.networks import identity
from resnet_gen.report.pictures import Picture, draw_all


def make(runs: Sequence[Path], out: Path, experiment: Experiment | None = None) -> list[Path]:
    """Writes a report of these runs into the folder `out`, and returns the files' paths.

    With an experiment, it is of that experiment's networks, claims and figures; without one, of
    all runs, with the claims of any experiment that they can answer.

    Raises:
        Failure: runs that cannot be read, or a file in the way that is somebody's (exit code 2).
    """
    return write(build(runs, out, experiment), out)


def build(
    runs: Sequence[Path], out: Path, experiment: Experiment | None = None, title: str = ""
) -> Report:
    """The report of these runs. `out` may have ensemble.json, which `reproduce` writes there.

    Raises:
        Failure: runs that cannot be read (exit code 2).
    """
    found = evidence.read(runs)
    responses: list[Picture] = []
    notes: list[str] = []
    if experiment is not None:
        wanted = {*experiment.networks, *(run.network for run in found if not experiment.networks)}
        notes += [
            f"{run.label} is of {run.network}, which is not in {experiment.experiment}: left out."
            for run in found
            if run.network not in wanted
        ]
        notes += [
            f"{run.label} began with the weights of another run: left out."
            for run in found
            if run.network in wanted and run.began_with and not experiment.deepen
        ]
        found = [
            run
            for run in found
            if run.network in wanted and (experiment.deepen or not run.began_with)
        ]
        if _asks_for_responses(experiment):
            found, responses, more = _with_responses(found)
            notes += more
    groups, more = group(found)
    notes += more + views.remarks(groups)
    claims = experiment.claims if experiment else applying(_known_claims(), groups)
    findings = judge_all(claims, groups)
    drawings: Sequence[Drawing] = experiment.draw if experiment else ("curves", "errors")
    pictures = draw_all(drawings, groups, findings) + responses
    counted: list[tables.Row] = []
    missing: list[str] = []
    outcomes: list[Outcome] = []
    if experiment is not None:
        counted = counts(experiment.counted)
        if "architecture" in drawings:
            pictures = [architecture(experiment.counted or experiment.networks), *pictures]
        notes += ensemble(out) if experiment.ensemble else []
        outcomes = constructions.found_in(found, experiment)
        present = {one.identity.network for one in groups if not one.began}
        missing = [identity(n).title for n in experiment.networks if n not in present]
    heading = title or (experiment.title if experiment else "Training runs beside the paper")
    return Report(
        heading, experiment, groups, missing, findings, pictures, counted, outcomes, notes
    )


def write(report: Report, out: Path) -> list[Path]:
    """Lays the report out and writes its files; their paths.

    Raises:
        Failure: a file is in the way that is somebody's (exit code 2).
    """
    contents: dict[str, str | bytes] = {
        "report.md": page.markdown(report),
        "report.html": page.html(report),
    }
    for picture in report.pictures:
        contents[f"{picture.name}.svg"] = picture.svg
        if picture.png is not None:
            contents[f"{picture.name}.png"] = picture.png
    for name, rows in report.data().items():
        contents[name] = tables.as_csv(rows)
    return writing.write(out, contents)


def _asks_for_responses(experiment: Experiment) -> bool:
    return "responses" in experiment.draw or any(c.figure == "responses" for c in experiment.claims)


def _with_responses(
    runs: Sequence[Evidence],
) -> tuple[list[Evidence], list[Picture], list[str]]:
    """The runs with the mean of their responses, Figure 7, and why some have none."""
    by_run, pictures, notes = measured([run for run in runs if run.results])
    return [replace(run, responses=by_run.get(run.label)) for run in runs], pictures, notes


def _known_claims() -> list[Claim]:
    return [claim for one in definitions.all_experiments() for claim in one.claims]
