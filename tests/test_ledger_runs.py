"""What recorded runs count for in the ledger, and which do not count."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resnet_gen.ledger.whole import ledger
from resnet_gen.paper import tables
from resnet_gen.read import library
from test_ledger import Row, of


@pytest.fixture(autouse=True)
def _no_table_of_another_test() -> None:
    tables.load.cache_clear()


def record(folder: Path, network: str, seed: int, error: float, **other: Any) -> Path:
    """A finished run as train.py leaves it."""
    folder.mkdir(parents=True)
    results = {
        "network": network, "data": "cifar10", "iterations": 64_000, "seed": seed,
        "test_error": error, "device": "cpu", "spec_sha256": library.network(network).sha256,
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results | other))
    steps = [{"step": step, "lr": 0.1, "train_error": 70 - step / 1000} for step in (50, 64_000)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in steps))
    return folder


@pytest.fixture
def shown(project: Path) -> Callable[..., Row]:
    """A number as the runs below results/ make it; they are read when it is first asked for."""
    read: list[Any] = []

    def show(place: str, row: str, column: str = "") -> Row:
        read.extend([] if read else ledger())
        return of([vars(number) for number in read[0]], place, row, column) | {"notes": read[1]}

    return show


def test_seeds_of_the_papers_length_are_measured(shown: Callable, project: Path) -> None:
    errors = [8.9, 8.5, 8.71]
    for seed, error in enumerate(errors):
        record(project / f"results/{seed}", "resnet20", seed, error)
    record(project / "results/again", "resnet20", 2, 1.0)
    found = shown("Table 6", "ResNet 20", "error")
    mean, deviation = np.mean(errors), np.std(errors, ddof=1)
    assert found["status"] == "measured"
    assert found["value"] == f"{mean:.2f}±{deviation:.2f}% (3 seeds)"
    assert found["verdict"] == f"{8.75 - mean:.2f} below"
    assert "results/0" in found["how"] and found["command"].startswith("resnet-gen reproduce")


def test_a_shorter_run_is_never_measured(shown: Callable, project: Path) -> None:
    record(project / "results/short", "resnet20", 0, 8.75, iterations=63_999)
    record(project / "results/shorter", "resnet20", 1, 8.0, iterations=4_000)
    found = shown("Table 6", "ResNet 20", "error")
    assert found["status"] == "shorter run"
    assert found["verdict"] == "63,999 of 64,000 iterations" and found["value"] == "8.75% (1 seed)"


def test_a_run_that_began_with_weights_is_not_counted(shown: Callable, project: Path) -> None:
    record(project / "results/deeper", "resnet20", 0, 8.0, init="0" * 64)
    assert shown("Table 6", "ResNet 20", "error")["status"] == "not measured"


def test_best_of_five_and_bounds(shown: Callable, project: Path) -> None:
    errors = [6.5, 6.9, 6.4, 6.6, 6.7]
    for seed, error in enumerate(errors):
        run = f"results/runs/paper/resnet110-seed{seed}"
        record(project / run, "resnet110", seed, error, warmup_steps=400 + seed)
    record(project / "results/plain", "plain110", 0, 77.5)
    record(project / "results/deep", "resnet1202", 0, 7.9)
    best = shown("Table 6", "ResNet 110", "error")
    assert best["value"] == "best 6.40% (of 5 seeds)" and best["verdict"] == "0.03 below"
    assert shown("Table 6", "ResNet 110", "mean±std")["value"] == "6.62±0.19% (5 seeds)"
    warmup = shown("section 4.2", "iterations of the warm-up of 110 layers, about")
    assert warmup["status"] == "measured" and warmup["value"].startswith("402")
    plain = shown("Figure 6", "test error of plain-110, which is not shown")
    assert (plain["status"], plain["verdict"]) == ("measured", "holds")
    deep = shown("section 4.2", "training error of 1202 layers")
    assert (deep["value"], deep["verdict"]) == ("6.00% (1 seed)", "does not hold")


def test_a_lone_seed_has_no_deviation(shown: Callable, project: Path) -> None:
    record(project / "results/0", "resnet110", 0, 6.5)
    assert shown("Table 6", "ResNet 110", "mean±std")["status"] == "not measured"
    assert shown("Table 6", "ResNet 110", "error")["value"] == "6.50% (1 seed)"


@pytest.mark.parametrize(
    ("key", "value"),
    [("data", "digits"), ("spec_sha256", "0"), ("network", "resnet32"), ("batch_size", 64)],
)
def test_another_run_does_not_count(
    key: str, value: object, shown: Callable, project: Path
) -> None:
    path = record(project / "results/0", "resnet20", 0, 8.5) / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    assert shown("Table 6", "ResNet 20", "error")["status"] == "not measured"


def test_a_result_that_was_changed_does_not_count(shown: Callable, project: Path) -> None:
    run = record(project / "results/0", "resnet20", 0, 8.5, data="elsewhere")
    raw = (run / "results.json").read_bytes()
    manifest = {"data": {"kind": "cifar10"}, "results_sha256": hashlib.sha256(raw).hexdigest()}
    (run / "manifest.json").write_text(json.dumps(manifest))
    other = shutil.copytree(run, project / "results/1")
    (other / "results.json").write_bytes(raw.replace(b"8.5", b"7.5"))
    found = shown("Table 6", "ResNet 20", "error")
    assert found["status"] == "measured" and found["value"] == "8.50% (1 seed)"
    assert "results/1" in str(found["notes"]) and "manifest" in str(found["notes"])


def test_tests_on_imagenet(shown: Callable, project: Path) -> None:
    more = {"data": "imagenet", "iterations": 600_000}
    record(project / "results/untested", "resnet34_c", 0, 30.0, **more)
    run = record(project / "results/0", "resnet34_b", 0, 30.0, **more)
    tests = {"10-crop": {"top1_error": 24.5, "top5_error": 7.456}}
    (run / "tests.json").write_text(json.dumps(tests))
    assert shown("Table 3", "ResNet-34 B", "top-1")["value"] == "24.50% (1 seed)"
    assert shown("Table 3", "ResNet-34 B", "top-5")["verdict"] == "rounds"
    assert shown("Table 4", "ResNet-34 B", "top-1")["status"] == "not measured"
    assert shown("Table 3", "ResNet-34 C", "top-1")["status"] == "not measured"


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 10_000, "NaN"])
def test_a_damaged_result_is_a_note(text: str, shown: Callable, project: Path) -> None:
    run = record(project / "results/0", "resnet20", 0, 8.5)
    whole = (run / "results.json").read_text()
    (run / "results.json").write_text(whole.replace("8.5", text) if text == "NaN" else text)
    found = shown("Table 6", "ResNet 20", "error")
    assert found["status"] == "not measured" and "results/0" in str(found["notes"])
