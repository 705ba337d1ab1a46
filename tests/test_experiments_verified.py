"""Manifests, and recorded numbers checked against them; hashes by sha256sum and by git."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fake_training
from conftest import ROOT
from resnet_gen.experiments import machine, manifest
from resnet_gen.read import library

RUN = Path("runs/smoke/plain20-seed0")
TRAIN = Path("generated/cifar/plain20/train.py")


def sha256sum(path: Path) -> str:
    done = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


def read(run: Path = RUN) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "manifest.json").read_text())
    return found


@pytest.fixture
def run(project: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch) -> str:
    """A finished run by committed code; the commit."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(machine, "ask", lambda: fake_training.MACHINE)
    fake_training.project("plain20")
    commit = fake_training.commit()
    assert cli("reproduce", "mine").code == 0
    return commit


def test_a_manifest(run: str) -> None:
    found = read()
    assert found["git"] == {"commit": run, "dirty": False}
    assert found["files"] == {p.name: sha256sum(p) for p in sorted(TRAIN.parent.glob("*.py"))}
    assert found["results_sha256"] == sha256sum(RUN / "results.json")
    assert found["metrics_sha256"] == sha256sum(RUN / "metrics.jsonl")
    assert found["spec_sha256"] == library.network("plain20").sha256
    paths = sorted(Path("data/photos").rglob("*.png"))
    names = [f"{p.stat().st_size} {p.relative_to('data/photos').as_posix()}\n" for p in paths]
    assert found["data"]["sha256"] == manifest.sha256("".join(names).encode())
    assert found["command"][:2] == ["python", TRAIN.as_posix()]
    assert str(Path.cwd()) not in (RUN / "manifest.json").read_text()
    assert found["threads"] == 4 and found["machine"] == "4 cores of a processor"


def test_what_is_recorded_is_verified(run: str, cli: Callable) -> None:
    code, out, err = cli("reproduce", "mine", "--verify")
    assert (code, err) == (0, "") and f"at commit {run[:12]}" in out and "test error 30%" in out
    shutil.copytree(RUN, "results/mine/plain20-seed0", ignore=shutil.ignore_patterns("*.pt"))
    shutil.rmtree("runs")
    TRAIN.write_text("# changed since\n")
    found = json.loads(cli("reproduce", "mine", "--verify", "--json").out)
    assert [(each["folder"], each["faults"]) for each in found] == [
        ("results/mine/plain20-seed0", [])
    ]
    assert cli("reproduce", "mine", "--verify", "--size", "short").code == 2  # none of that size


def test_code_is_that_of_the_commit(run: str, cli: Callable) -> None:
    TRAIN.write_text(TRAIN.read_text() + "# later\n")
    later = fake_training.commit("later")
    assert cli("reproduce", "mine", "--verify").code == 0
    path = RUN / "manifest.json"
    path.write_text(path.read_text().replace(run, later))
    code, out, err = cli("reproduce", "mine", "--verify")
    assert code == 1 and "not as its manifest says" in out
    assert f"train.py in {TRAIN.parent.as_posix()}: not those of the run" in err
    path.write_text(path.read_text().replace(later, "0" * 40))
    code, _, err = cli("reproduce", "mine", "--verify")
    assert code == 1 and "is not in this repository" in err


def test_code_that_was_edited_is_looked_for_where_it_lies(
    project: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "ask", lambda: fake_training.MACHINE)
    fake_training.project("plain20")
    assert cli("reproduce", "mine").code == 0 and read()["git"] is None
    assert cli("reproduce", "mine", "--verify").out.endswith("files as here\n")
    fake_training.commit()
    TRAIN.write_text(TRAIN.read_text() + "# edited\n")
    shutil.rmtree(RUN)
    assert cli("reproduce", "mine").code == 0 and read()["git"]["dirty"]
    code, out, _ = cli("reproduce", "mine", "--verify")
    assert code == 0 and "edited as here: train.py" in out
    TRAIN.write_text(TRAIN.read_text() + "# again\n")
    assert cli("reproduce", "mine", "--verify").code == 1


def change(name: str, key: str, value: object) -> None:
    path = RUN / name
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))


def rehash() -> None:
    """As somebody does who changes a number and its hash."""
    for key, name in (("results_sha256", "results.json"), ("metrics_sha256", "metrics.jsonl")):
        change("manifest.json", key, sha256sum(RUN / name))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("test_error", 6.43, "test_error is 6.43, and in metrics.jsonl 30.0"),
        ("best_val_error", 1.0, "is not the least in metrics.jsonl"),
        ("seed", 3, "seed is 3, and in the manifest 0"),
        ("iterations", 64_000, "iterations is 64000, and in the manifest 4"),
    ],
)
def test_a_number_that_was_changed(
    key: str, value: object, words: str, run: str, cli: Callable
) -> None:
    change("results.json", key, value)
    code, _, err = cli("reproduce", "mine", "--verify")
    assert code == 1 and "results.json: error[verify]: has been changed since the run ended" in err
    rehash()
    code, _, err = cli("reproduce", "mine", "--verify")
    assert code == 1 and words in err and "changed since" not in err


def test_other_faults(run: str, cli: Callable) -> None:
    whole = (RUN / "manifest.json").read_text()
    change("manifest.json", "spec", {**read()["spec"], "depth": 56})
    assert "not the one of its spec_sha256" in cli("reproduce", "mine", "--verify").err
    change("manifest.json", "results_sha256", None)
    assert "the run is not finished" in cli("reproduce", "mine", "--verify").err
    for content in ("{}", "[]", "no json", whole.replace('"threads": 4', '"threads": "four"')):
        (RUN / "manifest.json").write_text(content)
        code, _, err = cli("reproduce", "mine", "--verify")
        assert code == 1 and "is no manifest of format 1" in err
    (RUN / "manifest.json").write_text(whole)
    (RUN / "metrics.jsonl").write_text("")
    assert cli("reproduce", "mine", "--verify").code == 1
    (RUN / "metrics.jsonl").unlink()
    assert "there is no such file" in cli("reproduce", "mine", "--verify").err


def test_going_on_elsewhere_is_kept(run: str, cli: Callable, monkeypatch: Any) -> None:
    (RUN / "results.json").unlink()
    (RUN / "checkpoint.pt").write_text("4")
    before = {key: read()[key] for key in ("machine", "device", "git", "files")}
    other = machine.Machine("cpu", "cpu", "another processor", 2, (2**34,))
    monkeypatch.setattr(machine, "ask", lambda: other)
    TRAIN.write_text(TRAIN.read_text() + "# later\n")
    later = fake_training.commit("later")
    assert cli("reproduce", "mine").code == 0
    (earlier,) = read()["earlier"]
    assert {key: earlier[key] for key in before} == before
    assert read()["git"]["commit"] == later and read()["machine"] == "2 cores of another processor"
    code, out, _ = cli("reproduce", "mine", "--verify")
    assert code == 0 and f"at commit {later[:12]}; before that at commit {run[:12]}" in out


def test_cifar_by_the_contents_of_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    assert manifest.data_of("cifar10", tmp_path) == {"kind": "cifar10", "sha256": None}
    folder.mkdir()
    (folder / "test_batch").write_bytes(b"abc")
    (folder / "data_batch_1").write_bytes(b"de")
    listed = subprocess.run(
        ["sha256sum", "data_batch_1", "test_batch"], cwd=folder, capture_output=True, check=True
    )
    found = manifest.data_of("cifar10", tmp_path)["sha256"]
    assert found == manifest.sha256(listed.stdout)


def test_two_networks_really_trained(
    project: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the generated scripts, on digits: what they write is what is read here."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    Path("generated").symlink_to(ROOT / "generated")
    fake_training.project()
    sizes = Path("specs/experiments/sizes.yaml")
    sizes.write_text(sizes.read_text().replace("data: photos", "data: digits"))
    mine = Path("specs/experiments/mine.yaml")
    mine.write_text(mine.read_text().replace("networks: []", "networks: [plain20, resnet20]"))
    code, _, err = cli("reproduce", "mine")
    assert code == 0, err
    for name in ("plain20", "resnet20"):
        folder = Path("runs/smoke", f"{name}-seed0")
        results = json.loads((folder / "results.json").read_text())
        assert (results["network"], results["iterations"], results["data"]) == (name, 4, "digits")
        found = read(folder)
        assert found["versions"]["torch"] == results["torch"].partition("+")[0]
        assert found["code"] == f"generated/cifar/{name}" and len(found["files"]) == 11
    assert f"{name}-seed0: done, error" in err
    told = json.loads(cli("reproduce", "mine", "--dry-run", "--json").out)
    assert [run["state"] for run in told["runs"]] == ["finished", "finished"]
    code, out, _ = cli("reproduce", "mine", "--verify")
    assert code == 0 and out.count("test error") == 2
