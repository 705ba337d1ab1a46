"""The recorded runs: the schedule that was applied is the declared one, the figures agree."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from conftest import ROOT, folder, load, spec_of
from resnet_gen.errors import Failure
from resnet_gen.experiments import definitions, verifying
from resnet_gen.read import library
from resnet_gen.read.recipe import ImagenetRecipe
from training import main

BENCHMARKS = [
    *("training_step-cpu", "errors-cpu", "commands", "models-cpu"),
    *("input_pipeline", "imagenet_step-cpu"),
    *("specs_at_random", "wrong_files", "generation_kills", "mutation"),
    *("detection", "detector_step-cpu", "annotated_pictures", "localization"),
]
PHOTOGRAPHS = sorted(path.parent for path in (ROOT / "results/photographs").rglob("metrics.jsonl"))
RUNS = sorted(path.parent for path in (ROOT / "results/cifar10").rglob("metrics.jsonl"))
BY_REPRODUCE = sorted(path.parent for path in (ROOT / "results/runs").rglob("manifest.json"))


SMOKE = [run for run in BY_REPRODUCE if run.parent.name == "smoke"]
LONG = [*RUNS, *(run for run in BY_REPRODUCE if run not in SMOKE)]


@pytest.mark.parametrize("run", LONG, ids=lambda run: f"{run.parent.name}-{run.name}")
def test_a_recorded_run(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    script = load(folder(results["network"]) / "train.py")
    assert results["spec_sha256"] == script.SPEC_SHA256
    iterations = results["iterations"]
    assert iterations >= 1_000 and lines[-1]["step"] == iterations
    assert [line["step"] for line in lines] == list(range(50, iterations + 1, 50))
    for line in lines:  # the rate of the last of the steps that the line is about
        warming_up = "warmup_steps" in results and line["step"] <= results["warmup_steps"]
        extra = [warming_up] if hasattr(script, "WARMUP_UNTIL") else []
        assert line["lr"] == script.learning_rate(line["step"] - 1, iterations, *extra)
    validated = [line["val_error"] for line in lines if "val_error" in line]
    assert results["best_val_error"] == min(validated) and len(validated) >= 10
    if iterations >= 10_000:
        assert lines[-1]["train_error"] < 15 and results["test_error"] < 15


def test_smoke_runs_are_of_every_network_for_cifar() -> None:
    """A few iterations on digits: they show that every experiment runs, and nothing else."""
    networks = set()
    for run in SMOKE:
        results = json.loads((run / "results.json").read_text())
        assert results["iterations"] in (20, 40) and results["data"] == "digits"
        networks.add(results["network"])
    assert networks == {e.name for e in library.all_networks() if e.spec.design == "cifar"}


def test_runs_by_reproduce_are_as_their_manifests_say() -> None:
    """At the commit of each, where this is a repository that has it."""
    verified = {}
    for experiment in definitions.all_experiments():
        with contextlib.chdir(ROOT), contextlib.suppress(Failure):  # nothing of it is recorded
            verified |= {each.folder: each.faults for each in verifying.verify(experiment)}
    in_results = {path: faults for path, faults in verified.items() if path.parts[0] == "results"}
    assert in_results == {path.relative_to(ROOT): [] for path in BY_REPRODUCE}


def test_the_page_says_what_the_files_say() -> None:
    page = (ROOT / "results/README.md").read_text()
    for run in [*RUNS, *BY_REPRODUCE]:
        results = json.loads((run / "results.json").read_text())
        name = run.relative_to(ROOT / "results").as_posix()
        row = next(line for line in page.splitlines() if line.startswith("|") and name in line)
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert f"{results['iterations']:,}" in cells
        assert f"{results['test_error']:.2f}%" in cells
        assert f"{results['best_val_error']:.2f}%" in cells
        if run in BY_REPRODUCE:  # whose curves are in the reports
            continue
        curve = page.partition(f"### {name}")[2].partition("###")[0]
        shown = re.findall(r"^\| ([\d,]+) \| (\S+) \| ([\d.]+) \| ([\d.]+) \|$", curve, re.M)
        lines = (json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines())
        assert shown == [
            (f"{m['step']:,}", f"{m['lr']:g}", f"{m['train_error']:.2f}", f"{m['val_error']:.2f}")
            for m in lines
            if "val_error" in m
        ]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_page_shows_what_the_benchmarks_printed(name: str) -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import timing

    found = json.loads((ROOT / "results/benchmarks" / f"{name}.json").read_text())
    assert found["machine"]["processor"] and found["command"].startswith("python benchmarks/")
    page = (ROOT / "results/README.md").read_text()
    assert timing.table(found["rows"]) in page
    assert found["command"] in page


def test_the_run_that_was_killed_fifty_times() -> None:
    found = json.loads((ROOT / "results/benchmarks/kills.json").read_text())
    (row,) = found["rows"]
    assert row["kills"] == len(found["each"]) >= 50 and row["in_a_write"] >= 5
    assert row["runs_finished"] == row["equal"] >= 1
    page = (ROOT / "results/README.md").read_text()
    assert f"{row['kills']} kills" in page and f"{row['in_a_write']} of them" in page


def test_what_was_made_at_random_has_no_fault() -> None:
    found = {}
    for name, column, least in (
        *(("specs_at_random", "specs", 1_000), ("wrong_files", "files", 20_000)),
        ("generation_kills", "kills", 100),
    ):
        found[name] = json.loads((ROOT / f"results/benchmarks/{name}.json").read_text())
        assert sum(row[column] for row in found[name]["rows"]) >= least
    assert found["specs_at_random"]["faults"] == found["wrong_files"]["faults"] == []
    (row,) = found["generation_kills"]["rows"]
    assert row["within_a_write"] >= 50 and len(found["generation_kills"]["each"]) == row["kills"]


def test_a_detector_was_trained() -> None:
    """The small one, in the order in which mistakes are found; each row is its curve's end."""
    folder_of = ROOT / "results/benchmarks"
    found = json.loads((folder_of / "detection.json").read_text())
    rows = {row["trained"]: row for row in found["rows"]}
    assert found["crops_test_error"] <= 5
    assert rows["eight pictures, by heart"]["ap50"] >= 99
    assert rows["cards"]["ap50"] >= 97 and rows["cards"]["ap"] >= 67
    assert rows["cards"]["minutes"] <= 10
    for name, run in (
        *(("eight pictures, by heart", "eight"), ("cards", "cards")),
        *(("RoI max pooling", "pooled"), ("context", "context")),
    ):
        last = json.loads((folder_of / f"detection/{run}.jsonl").read_text().splitlines()[-1])
        assert rows[name]["ap"] == round(last["test_ap"], 1)
        assert rows[name]["ap50"] == round(last["test_ap50"], 1)
    crops = (folder_of / "detection/crops.jsonl").read_text().splitlines()[-1]
    assert json.loads(crops)["test_error"] == found["crops_test_error"]


def test_real_pictures_are_read_right() -> None:
    found = json.loads((ROOT / "results/benchmarks/annotated_pictures.json").read_text())
    assert sum(row["objects"] for row in found["rows"]) > 900
    assert {row["as another reader"] for row in found["rows"]} == {"all"}


def test_no_edit_was_missed() -> None:
    found = json.loads((ROOT / "results/benchmarks/mutation.json").read_text())
    whole = found["rows"][-1]
    assert whole["judged"] >= 1_000 and whole["missed"] == whole["called_different"] == 0
    assert found["missed"] == found["called_different"] == []
    assert whole["changed"] > 500 and whole["equivalent"] > 100
    page = (ROOT / "results/README.md").read_text()
    for edit in found["most_work"]:
        assert f"| {edit['network']} | `{edit['what']}` |" in page


@pytest.mark.parametrize("run", PHOTOGRAPHS, ids=lambda run: run.name)
def test_a_run_on_photographs(run: Path) -> None:
    """Its rate at every line is what torch's plateau schedule makes of its validation errors."""
    results = json.loads((run / "results.json").read_text())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    entry = library.read_network(run / "spec.yaml")
    assert results["spec_sha256"] == entry.sha256 and results["network"] == run.name == entry.name
    assert isinstance(entry.recipe, ImagenetRecipe) and entry.recipe.patience
    optimizer = torch.optim.SGD([torch.zeros(1)], entry.recipe.learning_rate)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, "min", 0.1, patience=entry.recipe.patience - 1, threshold=0
    )
    for line in lines:
        assert line["lr"] == round(optimizer.param_groups[0]["lr"], 7)
        if "val_error" in line:
            plateau.step(line["val_error"])
    assert lines[-1]["step"] == results["iterations"]
    assert lines[-1]["train_error"] < 5 and results["test_error"] < 5
    page = (ROOT / "results/README.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith(f"| {results['network']} "))
    figures = (results["iterations"], lines[-1]["train_error"], results["test_error"])
    assert [cell.strip(" %") for cell in row.strip("|").split("|")][1:4] == [
        *(f"{figures[0]}", f"{figures[1]:.2f}", f"{figures[2]:.2f}")
    ]


def test_the_tests_on_photographs_are_on_the_page() -> None:
    recorded = (ROOT / "results/photographs/tests.txt").read_text()
    assert len(PHOTOGRAPHS) == 2 and recorded.count(" error ") >= 7
    assert recorded.strip() in (ROOT / "results/README.md").read_text()


WEIGHTS = sorted((ROOT / "generated/weights").glob("*.safetensors"))


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: path.stem)
def test_weights_are_of_their_network_and_on_the_page(path: Path) -> None:
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    assert metadata["network"] == path.stem
    assert metadata["network_sha256"] == spec_of(path.stem).network_sha256
    assert len(json.loads(metadata["classes"])) == 10 and path.stat().st_size < 1_300_000
    point = torch.hub.load(str(ROOT), path.stem, source="local", pretrained=True)
    assert all(torch.equal(value, state[key]) for key, value in point.state_dict().items())
    assert point.mean.shape == (3, 32, 32) and len(point.classes) == 10
    page = (ROOT / "results/README.md").read_text()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in page


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: path.stem)
def test_weights_have_the_error_of_their_run(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Evaluated anew, where CIFAR-10 is in data/."""
    if not (ROOT / "data/cifar-10-batches-py").is_dir():
        pytest.skip("CIFAR-10 is not in data/: a training on it leaves it there")
    monkeypatch.chdir(ROOT)
    script = load(folder(path.stem) / "train.py")
    assert main(script, "--data", "cifar10", "--root", "data", "--evaluate", path) == 0
    results = json.loads((ROOT / f"results/runs/paper/{path.stem}-seed0/results.json").read_text())
    assert f"{results['test_error']:.2f}%" in capsys.readouterr().out
