"""The report's numbers as rows, for CSV files and for programs; nothing is rounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from resnet_gen.experiments.continued import Outcome
from resnet_gen.report.findings import Finding
from resnet_gen.report.groups import Group

Row = dict[str, Any]
RECORDED = (
    *("batch_size", "precision", "device", "trained_on", "full_train", "validation_decided"),
    *("test_decided", "seconds", "spec_sha256", "init", "torch"),
)
FIGURES = ("train_error", "val_error", "best_val_error", "test_error", "responses")


def results(groups: Sequence[Group]) -> list[Row]:
    """A row for each network and length, over its seeds."""
    return [_result(group) for group in groups]


def runs(groups: Sequence[Group]) -> list[Row]:
    """A row for each run."""
    found = []
    for group in groups:
        for run in group.runs:
            own, manifest = run.results, run.manifest
            row: Row = {"run": run.label, "network": run.network, "seed": run.seed}
            row |= {"size": run.size, "began": group.began}
            row |= {"data": group.data, "iterations": run.steps}
            row |= {"paper_iterations": group.identity.iterations, "finished": group.finished}
            row |= {key: run.figure(key) for key in FIGURES}
            row |= {key: getattr(own, key, None) for key in RECORDED}
            row |= {"machine": manifest.machine if manifest else None}
            git = manifest.git if manifest else None
            row |= {"commit": git and git.commit, "dirty": git and git.dirty}
            found.append(row)
    return found


def curves(groups: Sequence[Group]) -> list[Row]:
    """A row for each point that is drawn of a curve."""
    found = []
    for group in groups:
        for run in group.runs:
            kinds = (("train_error", run.run.training), (run.held_out, run.run.bold))
            found += [
                {"run": run.label, "network": run.network, "seed": run.seed, "step": step}
                | {"error": kind, "percent": round(value, 4)}
                for kind, curve in kinds
                for step, value in zip(*curve, strict=True)
            ]
    return found


def constructed(found: Sequence[Outcome]) -> list[Row]:
    """A row for each deeper network that was made of a shallower run, and trained on from there."""
    rows = []
    for outcome in found:
        run, made = outcome.run, outcome.compared
        row: Row = {"deeper": run.deeper, "shallower": run.shallower, "seed": run.seed}
        row |= {"blocks_added": made.blocks, "equal_to_the_bit": made.to_the_bit}
        row |= {"scores_apart": made.apart, "largest_score": made.largest, "images": made.images}
        row |= {"shallower_error_on_these": made.errors[0], "error_as_made": made.errors[1]}
        row |= {"iterations": outcome.iterations, "train_error_after": outcome.continued}
        row |= {"train_error_fresh": outcome.fresh, "train_error_shallower": outcome.shallower}
        rows.append(row)
    return rows


def findings(found: Sequence[Finding]) -> list[Row]:
    """A row for each claim and the conditions under which it was looked at."""
    rows = []
    for finding in found:
        claim, difference = finding.claim, finding.difference
        low, high = (difference.interval if difference else None) or (None, None)
        greater, less = finding.values
        row: Row = {"claim": claim.says, "place": claim.place, "verdict": str(finding.verdict)}
        row |= {"contrary": finding.contrary, "contrary_is_shown": finding.contrary_is_shown}
        row |= {"figure": claim.figure, "greater": claim.greater}
        row |= {"less": claim.less, "seeds_greater": len(greater), "seeds_less": len(less)}
        row |= {"difference": difference.mean if difference else None, "low": low, "high": high}
        row |= {"at_paper_size": finding.papers_own}
        rows.append({**row, "conditions": finding.conditions, "evidence": finding.evidence})
    return rows


def as_csv(rows: Iterable[Row]) -> str:
    """The rows with a line of heads; what is not known is empty."""
    file, rows = io.StringIO(), list(rows)
    writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _result(group: Group) -> Row:
    identity, reported = group.identity, group.identity.reported
    row: Row = {"network": identity.network, "depth": identity.depth}
    row |= {"shortcut": identity.shortcut, "size": group.size, "began": group.began}
    row |= {"data": group.data}
    row |= {"iterations": group.steps, "paper_iterations": identity.iterations}
    row |= {"at_paper_size": group.papers_own, "finished": group.finished}
    row |= {"seeds": " ".join("?" if r.seed is None else str(r.seed) for r in group.runs)}
    for key in FIGURES:
        found = group.summary(key)
        row |= {f"{key}_n": found.n if found else 0, f"{key}_mean": found and found.mean}
        row |= {f"{key}_std": found and found.std, f"{key}_least": found and found.least}
    shown = reported if group.comparable else None
    row |= {"paper_error": shown.top1 if shown else None}
    row |= {"paper_spread": (shown.spread or None) if shown else None}
    return {**row, "paper_table": shown.table if shown else None}
