"""Deeper networks trained on from a shallower run's weights, as an experiment does it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fake_training
from conftest import ROOT
from resnet_gen.errors import Failure, Problem
from resnet_gen.experiments import continued, definitions, machine, reproducing
from resnet_gen.experiments.constructed import Constructed
from test_experiments_verified import sha256sum

RUNS = Path("runs/smoke")
CHILD = RUNS / "plain56-from-plain20-seed0"
NETWORKS = ("plain20", "plain56", "resnet20")
CLAIM = {"says": "Deeper is worse.", "place": "here", "figure": "train_error"}


def construct(shallow: Path, deeper: str, out: Path, **_: Any) -> Constructed:
    """Weights that are none, of a run that has ended."""
    name = json.loads((shallow / "results.json").read_text())["network"]
    out.write_bytes(f"{name} {deeper} {shallow}".encode())
    return Constructed(out, name, deeper, 18, 4e-6, 10.0, 1_000, (12.5, 12.5))


@pytest.fixture
def unreported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports take longer than all the pretended runs."""
    monkeypatch.setattr(reproducing, "report", lambda *_: [Path("report.md")])


@pytest.fixture(autouse=True)
def _faked(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "ask", lambda: fake_training.MACHINE)
    monkeypatch.setattr(continued, "construct", construct)
    claims = [{**CLAIM, "greater": "plain56", "less": "plain20"}]
    fake_training.project(*NETWORKS, deepen=True, draw=["curves"], claims=claims)


def read(name: str, folder: Path = CHILD) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / name).read_text())
    return found


def change(path: Path, **keys: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def test_they_are_planned_after_what_they_are_made_of(cli: Callable) -> None:
    """Of each pair of networks that differ in depth alone, and each seed."""
    told = json.loads(cli("reproduce", "mine", "--dry-run", "--json", "--seeds", 2).out)["runs"]
    begins = {Path(run["run"]).name: run["begins_with"] for run in told}
    assert list(begins)[6:] == [f"plain56-from-plain20-seed{seed}" for seed in (0, 1)]
    assert begins["plain56-from-plain20-seed1"] == "runs/smoke/plain20-seed1"
    assert not any(list(begins.values())[:6])
    listed = cli("reproduce", "--list").out.splitlines()
    assert next(line for line in listed if line.startswith("mine")).split()[-1] == "4"


def test_they_are_trained_from_the_shallower_weights_once(cli: Callable, unreported: None) -> None:
    code, out, _ = cli("reproduce", "mine", "--jobs", 4)
    assert code == 0
    assert CHILD.joinpath(continued.INIT).read_text() == f"plain20 plain56 {RUNS}/plain20-seed0"
    began, parent = read("manifest.json")["init"], RUNS / "plain20-seed0"
    assert began["sha256"] == sha256sum(CHILD / "init.safetensors") == read("results.json")["init"]
    assert began["parent_sha256"] == sha256sum(parent / "results.json")
    assert (began["network"], began["parent"]) == ("plain20", "plain20-seed0")
    assert "init" not in read("manifest.json", parent)
    fresh, deeper = (read("manifest.json", f)["command"] for f in (RUNS / "plain56-seed0", CHILD))
    assert deeper == [
        *(word.replace("plain56-seed0", CHILD.name) for word in fresh),
        *("--init", f"{CHILD}/init.safetensors"),
    ]
    assert "report.md" in out
    before = {path: path.stat().st_mtime_ns for path in CHILD.iterdir()}
    assert cli("reproduce", "mine").code == 0
    assert {path: path.stat().st_mtime_ns for path in CHILD.iterdir()} == before


def test_the_report_has_them_apart_and_ends_with_the_outcomes(cli: Callable) -> None:
    assert cli("reproduce", "mine").code == 0
    folder = RUNS / "mine"
    with (folder / "results.csv").open(newline="") as file:
        rows = [(row["network"], row["began"], row["seeds"]) for row in csv.DictReader(file)]
    assert ("plain56", "", "0") in rows and ("plain56", "made of plain-20", "0") in rows
    with (folder / "findings.csv").open(newline="") as file:
        assert [row["seeds_greater"] for row in csv.DictReader(file)] == ["1"]
    with (folder / "constructed.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["equal_to_the_bit"], row["scores_apart"]) == ("False", "4e-06")
    assert (row["error_as_made"], row["train_error_after"]) == ("12.5", "50.0")
    for page in ("report.md", "report.html"):
        text = (folder / page).read_text()
        assert "plain-56 made of plain-20" in text and "to 4·10⁻⁷" in text
    # Other experiments' reports do not take them for runs of theirs.
    change_to = Path("specs/experiments/mine.yaml")
    change_to.write_text(change_to.read_text().replace("deepen: true", "deepen: false"))
    document = json.loads(cli("report", RUNS, "-e", "mine", "-o", "other", "--json").out)
    assert not [run for run in document["runs"] if "from" in run["run"]]
    assert any(CHILD.name in note for note in document["notes"])
    assert CHILD.name not in cli("reproduce", "mine", "--verify").out


def test_an_interrupted_one_goes_on_with_the_weights_it_began_with(
    cli: Callable, unreported: None
) -> None:
    assert cli("reproduce", "mine").code == 0
    (CHILD / "results.json").unlink()
    (CHILD / "checkpoint.pt").write_text("4")
    (CHILD / "init.safetensors").write_text("those that it began with")
    assert cli("reproduce", "mine").code == 0
    assert (CHILD / "init.safetensors").read_text() == "those that it began with"
    assert (CHILD / "log.txt").read_text().endswith("resumed\n")


def test_weights_that_cannot_be_made_stop_no_other_run(
    cli: Callable, unreported: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Constructed:
        raise Failure(Problem("constructed", "its scores are others"), exit_code=3)

    monkeypatch.setattr(continued, "construct", refuse)
    code, out, err = cli("reproduce", "mine")
    assert code == 1 and f"{CHILD.name} cannot begin: its scores are others" in err
    assert "report.md" in out and read("results.json", RUNS / "resnet20-seed0")
    Path("fails-plain20").touch()
    (RUNS / "plain20-seed0/results.json").unlink()
    code, _, err = cli("reproduce", "mine")
    assert code == 1 and CHILD.name not in err  # there is nothing to make it of


def test_what_is_recorded_is_verified(cli: Callable, unreported: None) -> None:
    assert cli("reproduce", "mine").code == 0
    assert CHILD.name in cli("reproduce", "mine", "--verify").out
    faults = {
        CHILD / "init.safetensors": "init.safetensors: error[verify]: has been changed",
        CHILD / "constructed.json": "constructed.json: error[verify]: has been changed",
        RUNS / "plain20-seed0/results.json": "was made of another plain20-seed0",
    }
    for path, words in faults.items():
        whole = path.read_bytes()
        path.write_bytes(whole + b"\n")
        code, _, err = cli("reproduce", "mine", "--verify")
        assert code == 1 and words in err, path
        path.write_bytes(whole)
    (CHILD / "init.safetensors").unlink()  # weights may be left out of what is recorded
    assert cli("reproduce", "mine", "--verify").code == 0
    manifest = CHILD / "manifest.json"
    change(manifest, init={**read("manifest.json")["init"], "sha256": "0" * 64})
    assert "began with other weights" in cli("reproduce", "mine", "--verify").err
    change(RUNS / "plain20-seed0/results.json", test_error=1.0)
    code, _, err = cli("reproduce", "mine")
    assert code == 2 and "with the weights of another plain20-seed0" in err


def test_what_sizes_are_worth_is_told_for_each_design() -> None:
    of = definitions.read_sizes(ROOT / "specs/experiments/sizes.yaml")
    (cifar,) = of.budgets("short", ["cifar", "cifar"])
    (imagenet,) = of.budgets("short", ["imagenet"])
    assert "CIFAR" in cifar and "ImageNet" not in cifar and "CIFAR" not in imagenet
    assert of.budgets("short", ["imagenet", "cifar"]) == [cifar, imagenet]
    assert len(of.budgets("smoke", ["imagenet", "cifar"])) == 1 and not of.budgets("paper", [])
    # What the sentences say of iterations: a sixteenth of 64,000, and a fifteenth of 600,000.
    assert 16 * of.length("short", "cifar", "resnet20")["iterations"] == 64_000
    assert 15 * of.length("short", "imagenet", "resnet18_a")["iterations"] == 600_000
