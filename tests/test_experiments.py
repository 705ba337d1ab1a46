"""Experiments as data, and what is planned of them before anything runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fake_training
from conftest import ROOT
from resnet_gen.experiments import costs, definitions, machine, plan
from resnet_gen.experiments.machine import Machine
from resnet_gen.paper import tables
from resnet_gen.read import library

NAMES = [
    *("table1", "table2", "table3", "table4", "table5", "table6"),
    *("figure1", "figure4", "figure6", "figure7", "degradation", "shortcuts"),
]


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "ask", lambda: fake_training.MACHINE)


def test_there_is_one_for_each_table_and_figure_that_is_about_training() -> None:
    assert set(NAMES) <= {each.experiment for each in definitions.all_experiments()}


def printed(name: str) -> float | None:
    """The error of a network as the paper prints it: of Table 2 or 3, or of Table 6."""
    spec = library.network(name).spec
    layers = str(spec.depth)
    if spec.design == "cifar":
        rows = tables.load("table6", tables.Table6).rows
        found = [r.error for r in rows if (r.method, r.layers) == ("ResNet", layers)]
        return float(found[0]) if found and spec.shortcut == "A" else None
    if spec.depth == 18:
        row = next(r for r in tables.load("table2", tables.Table2).rows if r.layers == "18")
        return float(row.plain if spec.shortcut == "none" else row.ResNet)
    errors = tables.load("table3", tables.Errors).rows
    return next(
        float(row.top1)
        for row in errors
        if row.top1 and (row.depth, row.shortcut) == (spec.depth, spec.shortcut)
    )


@pytest.mark.parametrize("name", NAMES)
def test_claims_about_errors_are_those_of_the_printed_numbers(name: str) -> None:
    """Validation and test errors; of training errors and of plain nets on CIFAR none is printed."""
    for claim in definitions.experiment(name).claims:
        greater, less = printed(claim.greater), printed(claim.less)
        if claim.figure in ("val_error", "test_error") and greater and less:
            assert greater > less, claim


def test_tables_train_the_networks_of_their_rows() -> None:
    table6 = tables.load("table6", tables.Table6).rows
    layers = [f"resnet{row.layers}" for row in table6 if row.method == "ResNet"]
    assert definitions.experiment("table6").networks == layers
    for name, rows in (("table3", 7), ("table4", 5)):
        ours = [row for row in tables.load(name, tables.Errors).rows if row.depth]
        specs = [library.network(each).spec for each in definitions.experiment(name).networks]
        assert [(s.depth, s.shortcut) for s in specs] == [(r.depth, r.shortcut) for r in ours]
        assert len(ours) == rows


def test_experiments_share_runs_and_paper_sizes_are_the_papers() -> None:
    def runs(name: str, size: definitions.Size) -> dict[Path, plan.Run]:
        return {run.folder: run for run in plan.runs_of(definitions.experiment(name), size)}

    six, one = runs("figure6", "paper"), runs("figure1", "paper")
    assert one.keys() < six.keys()
    assert {(run.iterations, run.batch_size) for run in six.values()} == {(64_000, 128)}
    assert sum("resnet110" in path.name for path in runs("table6", "paper")) == 5  # its ± is of 5
    assert {(r.iterations, r.batch_size) for r in runs("table3", "paper").values()} == {
        (600_000, 256)
    }
    # 40,551,040 multiply-adds forward (paper's counts), twice that backward.
    twenty = six[Path("runs/paper/resnet20-seed0")]
    assert twenty.work == 3 * 40_551_040 * 128 * 64_000


def test_check_tells_of_unknown_networks_where_they_stand(project: Path, cli: Callable) -> None:
    fake_training.project("plain20", "resnet20")
    path = Path("specs/experiments/mine.yaml")
    path.write_text(path.read_text().replace('"resnet20"', '"resnet21"'))
    code, _, err = cli("check")
    assert code == 2
    assert "specs/experiments/mine.yaml:4:23: error[network]" in err and "`resnet20`?" in err
    sizes = Path("specs/experiments/sizes.yaml")
    path.unlink()
    sizes.write_text(sizes.read_text().replace("smoke:", "smoke:\n  networks: {plain21: {}}", 1))
    code, _, err = cli("check", sizes)
    assert code == 2 and "sizes.yaml:3:14: error[network]" in err


def test_a_claim_is_about_networks_of_its_experiment(project: Path, cli: Callable) -> None:
    claim = {"says": "a", "place": "b", "figure": "val_error", "greater": "plain20", "less": "no"}
    fake_training.project("plain20", claims=[claim])
    code, _, err = cli("reproduce", "mine")
    assert code == 2 and '"no" is not one of this experiment' in err


def test_list_and_unknown_names(cli: Callable) -> None:
    code, out, _ = cli("reproduce", "--list")
    assert code == 0 and all(name in out for name in NAMES)
    listed = json.loads(cli("reproduce", "--list", "--json").out)
    assert {each["experiment"] for each in listed} >= set(NAMES)
    assert cli("reproduce", "figure66").code == 2
    assert cli("reproduce").code == 2
    failure = json.loads(cli("reproduce", "figure66", "--json").out)
    assert "`figure6`" in failure["errors"][0]["hint"]


def test_a_dry_run_says_what_is_left(project: Path, cli: Callable) -> None:
    fake_training.project("plain20", "resnet20")
    before = sorted(project.rglob("*"))
    code, out, _ = cli("reproduce", "mine", "--dry-run")
    assert code == 0 and out.count("missing") == 2 and "2 of 2 runs are left" in out
    assert "no run is finished here" in out
    assert sorted(project.rglob("*")) == before
    folder = Path("runs/smoke/plain20-seed0")
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"st')
    told = cli("reproduce", "mine", "--dry-run")
    assert "interrupted at 2" in told.out
    document = json.loads(cli("reproduce", "mine", "--dry-run", "--json", "--seeds", 3).out)
    assert [run["state"] for run in document["runs"]] == ["interrupted"] + 5 * ["missing"]


def test_time_is_estimated_from_finished_runs(project: Path, cli: Callable) -> None:
    fake_training.project("plain20", "resnet20")
    run, other = plan.runs_of(definitions.experiment("mine"), "smoke")
    folder = Path("runs/short/plain20-seed7")
    folder.mkdir(parents=True)
    done = {"network": "plain20", "batch_size": 16, "iterations": 100, "seconds": 50.0}
    (folder / "results.json").write_text(json.dumps({**done, "device": "cpu"}))
    rates = costs.Rates(fake_training.MACHINE)
    # Half a second for 16 images: 4 iterations of 8 take one second, after starting.
    assert rates.seconds(run) == pytest.approx(1 + costs.STARTING)
    assert rates.seconds(run, done=2) == pytest.approx(0.5 + costs.STARTING)
    assert rates.seconds(other) == pytest.approx(1 + costs.STARTING)  # as many multiply-adds
    (folder / "results.json").write_text(json.dumps({**done, "device": "NVIDIA H200"}))
    assert "assuming" in costs.Rates(fake_training.MACHINE).source


def test_as_many_at_once_as_fit() -> None:
    runs = plan.runs_of(definitions.experiment("figure6"), "paper")
    small = [run for run in runs if run.entry.name in ("plain20", "resnet20")]
    gpu = Machine("cuda", "NVIDIA H200", "a processor", 16, (139 * 2**30,))
    assert costs.jobs_that_fit(fake_training.MACHINE, runs) == 1
    assert costs.jobs_that_fit(gpu, small) == len(small) == 6  # all there are
    everything = costs.jobs_that_fit(gpu, runs)
    need = max(costs.memory_of(run, gpu) for run in runs)
    assert everything == 139 * 2**30 * costs.SHARE // need > 1
    little = Machine("cuda", "a GPU", "a processor", 16, (2**30,))
    assert costs.jobs_that_fit(little, runs) == 1


def test_what_has_changed_is_named(project: Path, cli: Callable) -> None:
    fake_training.project("plain20")
    assert cli("reproduce", "mine").code == 0
    sizes = Path("specs/experiments/sizes.yaml")
    sizes.write_text(sizes.read_text().replace("iterations: 4,", "iterations: 6,"))
    code, _, err = cli("reproduce", "mine")
    assert code == 2 and "iterations 4, now 6" in err and "runs/smoke/plain20-seed0" in err
    sizes.write_text(sizes.read_text().replace("iterations: 6,", "iterations: 4,"))
    spec = (ROOT / "specs/cifar/plain20.yaml").read_text()
    changed = spec.replace(
        "training: cifar-paper", "training: {recipe: cifar-paper, momentum: 0.8}"
    )
    assert changed != spec
    Path("specs/cifar").mkdir()
    Path("specs/cifar/plain20.yaml").write_text(changed)
    code, _, err = cli("reproduce", "mine")
    assert code == 2 and "is of another spec" in err and "resnet-gen generate plain20" in err
    fake_training.script("plain20")
    code, _, err = cli("reproduce", "mine")
    assert code == 2 and "training.momentum 0.9, now 0.8" in err


def test_code_and_data_that_are_not_there(project: Path, cli: Callable) -> None:
    fake_training.project("plain20", "resnet20")
    code, _, err = cli("reproduce", "mine", "--root", "nowhere")
    assert code == 2 and "nowhere/photos" in err and not Path("runs/smoke").exists()
    for name in ("plain20", "resnet20"):
        Path(f"generated/cifar/{name}/train.py").unlink()
    code, _, err = cli("reproduce", "mine")
    assert code == 2 and err.count("resnet-gen generate ") == 2  # both at once


@pytest.mark.parametrize(("flag", "word"), [("--help", "--dry-run"), ("--list", "constructed")])
def test_help_list_and_plans_import_nothing_slow(flag: str, word: str) -> None:
    wanted = f"sys.argv[1:] = ['reproduce', '{flag}']"
    plans = "import resnet_gen.experiments.reproducing"
    asks = "print({'torch', 'submitit', 'matplotlib'} & sys.modules.keys())"
    text = f"import sys\n{wanted}\nfrom resnet_gen.cli.main import main\n"
    text += f"try:\n    main()\nfinally:\n    {plans}\n    {asks}"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n") and word in done.stdout
