"""The recorded runs: the schedule that was applied is the declared one, the figures agree."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from conftest import ROOT, folder, load

RUNS = sorted(path.parent for path in (ROOT / "results").rglob("metrics.jsonl"))


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_recorded_run(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    script = load(folder(results["network"]) / "train.py")
    assert results["spec_sha256"] == script.SPEC_SHA256
    iterations = results["iterations"]
    assert iterations >= 2_000 and lines[-1]["step"] == iterations
    assert [line["step"] for line in lines] == list(range(50, iterations + 1, 50))
    for line in lines:  # the rate of the last of the steps that the line is about
        assert line["lr"] == script.learning_rate(line["step"] - 1, iterations)
    validated = [line["val_error"] for line in lines if "val_error" in line]
    assert results["best_val_error"] == min(validated) and len(validated) >= 10
    assert lines[-1]["train_error"] < 15 and results["test_error"] < 15


def test_the_page_says_what_the_files_say() -> None:
    page = (ROOT / "results/README.md").read_text()
    for run in RUNS:
        results = json.loads((run / "results.json").read_text())
        name = run.relative_to(ROOT / "results").as_posix()
        row = next(line for line in page.splitlines() if line.startswith("|") and name in line)
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert f"{results['iterations']:,}" in cells
        assert f"{results['test_error']:.2f}%" in cells
        assert f"{results['best_val_error']:.2f}%" in cells
        curve = page.partition(f"### {name}")[2].partition("###")[0]
        shown = re.findall(r"^\| ([\d,]+) \| (\S+) \| ([\d.]+) \| ([\d.]+) \|$", curve, re.M)
        lines = (json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines())
        assert shown == [
            (f"{m['step']:,}", f"{m['lr']:g}", f"{m['train_error']:.2f}", f"{m['val_error']:.2f}")
            for m in lines
            if "val_error" in m
        ]
