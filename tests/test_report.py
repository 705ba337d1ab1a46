"""`resnet-gen report`: its statistics against numpy and R, its findings against chosen runs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib import figure

import made_up_runs
from conftest import ROOT
from resnet_gen.errors import Failure, Problem
from resnet_gen.experiments.definitions import Claim, experiment, sizes
from resnet_gen.plot.runs import Curve
from resnet_gen.report import (
    curves,
    depths,
    evidence,
    extras,
    findings,
    groups,
    making,
    statistics,
    views,
)
from resnet_gen.report.findings import Verdict

OLD = ROOT / "results/cifar10/resnet20-10000-cpu"
ITERATIONS = 200  # of a made-up run, which takes no time to read


def run(folder: Path, network: str, seed: int = 0, test: float = 10.0, **more: Any) -> Path:
    """A short run that ends at this test error, and trains to half of it."""
    given = {"ends": (test / 2, test), "spread": 0.0, "iterations": ITERATIONS, **more}
    return made_up_runs.make(folder / f"{network}-{seed}", network, seed, **given)


def seeds(folder: Path, network: str, tests: Sequence[float], **more: Any) -> None:
    for seed, test in enumerate(tests):
        run(folder, network, seed, test, **more)


def grouped(folder: Path) -> list[groups.Group]:
    return groups.group(evidence.read([folder]))[0]


def claim(greater: str, less: str, figure: str = "test_error") -> Claim:
    given = {"says": "One is greater.", "place": "section 4.2", "figure": figure}
    return Claim.model_validate({**given, "greater": greater, "less": less})


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


# The extra hours of sleep of ten patients by two drugs, and the interval that R's own example,
# t.test(extra ~ group, data = sleep), prints.
SLEEP = (
    (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0),
    (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4),
)


def test_the_interval_is_the_one_that_r_prints() -> None:
    found = statistics.difference(*SLEEP)
    assert found.mean == pytest.approx(-1.58)
    assert found.interval == pytest.approx((-3.3654832, 0.2054832), abs=1e-6)


def test_the_interval_holds_the_true_difference_19_times_in_20() -> None:
    numbers, held = np.random.default_rng(0), 0
    for _ in range(400):
        greater, less = numbers.normal(3, 1, 3), numbers.normal(2, 1, 5)
        found = statistics.difference(list(greater), list(less))
        low, high = found.interval or (0.0, 0.0)
        held += low <= 1 <= high
    assert 0.92 <= held / 400 <= 0.98


def test_deviations_are_of_a_sample() -> None:
    found = statistics.summary([6.43, 6.52, 6.61, 6.70, 6.79])
    assert found is not None and found.least == 6.43 and found.n == 5
    assert found.mean == pytest.approx(np.mean([6.43, 6.52, 6.61, 6.70, 6.79]))
    assert found.std == pytest.approx(np.std([6.43, 6.52, 6.61, 6.70, 6.79], ddof=1))
    assert statistics.summary([6.43]) == (1, 6.43, None, 6.43) and statistics.summary([]) is None


@pytest.mark.parametrize(
    ("deep", "shallow", "verdict", "contrary"),
    [
        ((12.0, 12.2, 12.1), (10.0, 10.1, 10.2), Verdict.SHOWN, False),
        ((12.0, 12.2), (10.0, 10.1, 10.2), Verdict.SEEN_ONCE, False),  # two seeds on a side
        ((12.0,), (10.0,), Verdict.SEEN_ONCE, False),
        ((12.0,), (10.0, 10.1, 10.2), Verdict.SEEN_ONCE, False),
        ((10.0, 13.0, 11.5), (10.0, 11.0, 10.5), Verdict.SEEN_ONCE, False),  # touches zero
        ((10.0, 10.1, 10.2), (12.0, 12.2, 12.1), Verdict.NOT_SHOWN, True),
        ((10.0,), (12.0,), Verdict.NOT_SHOWN, False),
        ((10.0,), (10.0,), Verdict.NOT_SHOWN, False),
        ((), (10.0, 10.1, 10.2), Verdict.NOT_SHOWN, False),
        ((), (), Verdict.NOT_SHOWN, False),
    ],
)
def test_how_sure_a_finding_is(
    deep: tuple[float, ...],
    shallow: tuple[float, ...],
    verdict: Verdict,
    contrary: bool,
    tmp_path: Path,
) -> None:
    seeds(tmp_path, "plain56", deep)
    seeds(tmp_path, "plain20", shallow)
    shown = grouped(tmp_path) if deep or shallow else []
    (found,) = findings.judge(claim("plain56", "plain20"), shown)
    assert (found.verdict, found.contrary_is_shown) == (verdict, contrary)
    assert found.contrary == (bool(deep) and np.mean(deep) < np.mean(shallow))
    assert found.values == ((deep, shallow) if deep and shallow else ((), ()))
    assert ("one seed" in found.evidence) == (bool(deep) and 1 in (len(deep), len(shallow)))


def test_degradation_is_of_the_training_error(tmp_path: Path) -> None:
    """The deeper network may overfit less and train worse; the claim is about how it trains."""
    for seed in range(3):
        run(tmp_path, "plain20", seed, ends=(5.0, 30.0), spread=0.3)
        run(tmp_path, "plain56", seed, ends=(15.0, 20.0), spread=0.3)
    shown = grouped(tmp_path)
    (first,) = (c for c in experiment("figure6").claims if c.figure == "train_error")
    (trains,) = findings.judge(first, shown)
    (tests,) = findings.judge(claim("plain56", "plain20"), shown)
    assert trains.verdict == Verdict.SHOWN and tests.contrary_is_shown
    for values, network in zip(trains.values, ("plain56", "plain20"), strict=True):
        for seed, value in enumerate(values):
            lines = (tmp_path / f"{network}-{seed}/metrics.jsonl").read_text().splitlines()
            last = [json.loads(line) for line in lines if json.loads(line)["step"] > 180]
            assert value == pytest.approx(np.mean([line["train_error"] for line in last]))


def test_what_was_not_trained_alike_is_not_compared(tmp_path: Path) -> None:
    run(tmp_path / "a", "plain56", test=12.0)
    for changed in ({"iterations": 400}, {"data": "digits"}, {"batch_size": 64}):
        other = run(tmp_path / str(len(changed)) / str(changed), "plain20", **changed)
        shown, _ = groups.group(evidence.read([tmp_path / "a", other]))
        (found,) = findings.judge(claim("plain56", "plain20"), shown)
        assert found.verdict == Verdict.NOT_SHOWN and found.difference is None, changed


def test_claims_of_size_short_between_other_lengths_are_not_judged(tmp_path: Path) -> None:
    """110 layers have half the iterations of the others there, and are compared with each other."""
    of, networks = sizes(), experiment("degradation").networks
    for network in networks:
        length = of.length("short", "cifar", network)["iterations"]
        run(tmp_path, network, iterations=length // 10)
    for name in ("degradation", "figure6"):
        for found in findings.judge_all(experiment(name).claims, grouped(tmp_path)):
            pair = {found.claim.greater, found.claim.less}
            if pair <= set(networks):
                alike = len({"110" in network for network in pair}) == 1
                assert (found.difference is not None) == alike, pair
                assert alike or "were not trained alike" in found.evidence
                assert alike or ("200 of" in found.evidence and "400 of" in found.evidence)
            else:
                assert found.difference is None and "no finished run" in found.evidence


def test_runs_that_began_with_weights_are_no_seeds(tmp_path: Path) -> None:
    seeds(tmp_path, "plain56", (12.0, 13.0, 14.0))
    run(tmp_path, "plain20")
    run(tmp_path, "plain56", 3, test=1.0, init="ab" * 32)
    fresh, begun = (g for g in grouped(tmp_path) if g.identity.network == "plain56")
    assert [r.seed for r in fresh.runs] == [0, 1, 2] and [r.seed for r in begun.runs] == [3]
    assert groups.names([fresh, begun]) == [
        "plain-56",
        "plain-56 (begun with the weights abababab)",
    ]
    (found,) = findings.judge(claim("plain56", "plain20"), grouped(tmp_path))
    assert found.values[0] == (12.0, 13.0, 14.0)
    assert not begun.comparable and not begun.papers_own
    shown = making.build([tmp_path], tmp_path)
    errors = next(picture for picture in shown.pictures if picture.name == "errors")
    assert "plain: 20 layers" in errors.alternative and errors.alternative.count("56 layers") == 2


def test_a_claim_is_judged_once_for_each_length(tmp_path: Path) -> None:
    for iterations, deep in ((200, 12.0), (400, 9.0)):
        for network, test in (("plain56", deep), ("plain20", 10.0)):
            run(tmp_path / f"{network}{iterations}", network, test=test, iterations=iterations)
    shown, _ = groups.group(evidence.read(sorted(tmp_path.glob("*"))))
    found = findings.judge(claim("plain56", "plain20"), shown)
    assert [f.verdict for f in found] == [Verdict.SEEN_ONCE, Verdict.NOT_SHOWN]
    assert ["200 of" in f.conditions for f in found] == [True, False]


def test_runs_that_differ_in_more_than_seeds_are_apart(tmp_path: Path) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"seed": 1},
        {"seed": 2, "precision": "fp32"},
        {"seed": 3, "iterations": 400},
        {"seed": 4, "trained_on": 50_000},
        {"seed": 5, "manifest": "short"},
        {"seed": 6, "spec_sha256": "0" * 64},
    ]
    for index, change in enumerate(changes):
        run(tmp_path / str(index), "resnet20", **change)
    found = groups.group(evidence.read(sorted(tmp_path.glob("*"))))[0]
    assert sorted(len(group.runs) for group in found) == [1, 1, 1, 1, 1, 2]
    assert len(set(groups.names(found))) == len(found)


def test_a_seed_counts_once(tmp_path: Path) -> None:
    for copy in ("a", "b"):
        run(tmp_path / copy, "resnet20")
    found, notes = groups.group(evidence.read([tmp_path / "a", tmp_path / "b"]))
    assert [len(group.runs) for group in found] == [1] and len(notes) == 1


@pytest.mark.parametrize(
    ("changed", "own", "paper"),
    [
        ({}, True, "8.75"),
        ({"iterations": 6_400}, False, "8.75"),
        ({"batch_size": 256}, False, "8.75"),
        ({"data": "digits"}, False, views.NONE),
        ({"data": "cifar100"}, False, views.NONE),
        ({"spec_sha256": "0" * 64}, False, views.NONE),
    ],
)
def test_nothing_passes_for_the_papers_size(
    changed: dict[str, Any], own: bool, paper: str, tmp_path: Path
) -> None:
    run(tmp_path, "resnet20", **{"iterations": 64_000, **changed})
    (found,) = grouped(tmp_path)
    (row,) = views.result_rows([found], views.columns([found]))
    assert (found.papers_own, row.papers_own, row.paper.mean) == (own, own, paper)
    assert own == (not row.departures and "of 64,000" not in row.scale)


def test_the_papers_best_of_five_is_not_its_mean(tmp_path: Path) -> None:
    run(tmp_path, "resnet110")
    (found,) = grouped(tmp_path)
    assert views.paper(found) == views.Cell("6.61", "± 0.16", "Table 6, best of 5: 6.43")


def test_a_band_is_over_the_steps_that_all_seeds_have() -> None:
    first, second = Curve([1.0, 2.0, 3.0], [9.0, 6.0, 3.0]), Curve([2.0, 3.0, 4.0], [8.0, 4.0, 1.0])
    found = curves.band([first, second])
    assert (found.steps, found.mean) == ([2.0, 3.0], [7.0, 3.5])
    assert (found.low, found.high) == ([6.0, 3.0], [8.0, 4.0])


def test_a_line_joins_depths_that_were_trained_alike(tmp_path: Path) -> None:
    for network, more in (
        ("resnet20", {}),
        ("resnet32", {}),
        ("resnet44", {"batch_size": 256}),
        ("resnet56", {"iterations": 400}),
        ("plain20", {}),
    ):
        run(tmp_path, network, **more)
    found = depths.series(grouped(tmp_path))
    assert sorted([g.identity.depth for g in line] for line in found.values()) == [
        *([20], [20, 32], [44], [56]),
    ]


def test_an_old_run_without_a_manifest(project: Path, cli: Callable) -> None:
    assert cli("report", OLD).code == 0
    (row,) = table(Path("report"), "results.csv")
    assert (row["test_error_mean"], row["iterations"], row["paper_iterations"]) == (
        *("11.75", "10000", "64000"),
    )
    assert (row["at_paper_size"], row["paper_error"], row["size"]) == ("False", "8.75", "")
    text = Path("report/report.md").read_text()
    assert "11.75" in text and "10,000 of 64,000 iterations" in text and "one seed" in text


def test_the_tables_have_what_the_runs_measured(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    for seed in range(3):
        made_up_runs.make(folder / f"{seed}", "resnet56", seed, ITERATIONS, manifest="short")
    making.make([folder], tmp_path / "out", experiment("figure6"))
    results = [json.loads((folder / f"{seed}/results.json").read_text()) for seed in range(3)]
    (row,) = table(tmp_path / "out", "results.csv")
    for key in ("test_error", "best_val_error"):
        values = [result[key] for result in results]
        assert float(row[f"{key}_mean"]) == pytest.approx(np.mean(values))
        assert float(row[f"{key}_std"]) == pytest.approx(np.std(values, ddof=1))
        assert float(row[f"{key}_least"]) == min(values)
    assert (row["seeds"], row["size"], row["test_error_n"]) == ("0 1 2", "short", "3")
    rows = table(tmp_path / "out", "runs.csv")
    assert [float(r["test_error"]) for r in rows] == [result["test_error"] for result in results]
    assert {r["validation_decided"] for r in rows} == {"best.pt and nothing else"}
    missing = (tmp_path / "out/report.md").read_text().split("Not run, or not among these: ")[1]
    assert missing.startswith("plain-20, plain-32, plain-44, plain-56, plain-110, ResNet-20")


def test_an_unfinished_run_is_drawn_and_counted_nowhere(tmp_path: Path) -> None:
    seeds(tmp_path, "plain56", (12.0, 12.1, 12.2))
    run(tmp_path, "plain20", 0, finished=False, manifest="short")
    found = grouped(tmp_path)
    assert (found[0].identity.network, found[0].finished) == ("plain20", False)
    assert found[0].summary("train_error") is None and len(views.remarks(found)) == 1
    assert [len(panel.groups) for panel in curves.panels(found)] == [2]
    (judged,) = findings.judge(claim("plain56", "plain20"), found)
    assert judged.difference is None


def test_files_that_are_not_the_manifests_are_told(tmp_path: Path) -> None:
    folder = run(tmp_path, "resnet20", manifest="short")
    assert views.remarks(grouped(tmp_path)) == []
    text = (folder / "results.json").read_text()
    (folder / "results.json").write_text(text.replace('"test_error": 10.0', '"test_error": 5.0'))
    (remark,) = views.remarks(grouped(tmp_path))
    assert "results.json" in remark


def test_responses_are_compared_by_their_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of each run that has weights; the others are told."""
    deviations = {"plain20": (0.5, 0.7), "plain56": (1.0, 1.2), "resnet56": (0.1, 0.3)}
    for network in (*deviations, "resnet20"):
        run(tmp_path, network)

    def measure(paths: Sequence[Path]) -> list[SimpleNamespace]:
        network = paths[0].name.partition("-")[0]
        if network not in deviations:
            raise Failure(Problem("weights", "has no weights"))
        return [SimpleNamespace(network=network, deviations=deviations[network])]

    drawing = SimpleNamespace(draw=lambda found, mean: figure.Figure())
    monkeypatch.setattr(extras, "measuring", SimpleNamespace(measure=measure))
    monkeypatch.setattr(extras, "drawing", drawing)
    report = making.build([tmp_path], tmp_path, experiment("figure7"))
    assert [picture.name for picture in report.pictures] == ["responses"]
    verdicts = {(f.claim.greater, f.claim.less): f for f in report.findings}
    seen = verdicts["plain56", "resnet56"]
    assert seen.verdict == Verdict.SEEN_ONCE and seen.difference is not None
    assert seen.difference.mean == pytest.approx(np.mean([1.0, 1.2]) - np.mean([0.1, 0.3]))
    assert verdicts["resnet20", "resnet56"].difference is None
    assert [note for note in report.notes if "resnet20-0" in note and "has no weights" in note]
