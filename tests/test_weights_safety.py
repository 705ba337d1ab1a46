"""Files that would run code, take all memory, read other files, or load as something else."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy
import pytest
import torch
from safetensors.torch import save_file

from hostile import UNTRAINED, good, mutations
from hostile_arrays import MAKERS

# Kinds of large files, by their suffixes: one for each way of reading, in `make long` all of them.
LARGE = ["pth", "safetensors", "h5", *(["old.pth", "npz", "pkl"] * ("FULL_LENGTH" in os.environ))]
MEASURE = """
import json, os, resource, sys
from pathlib import Path
import h5py, numpy, safetensors.torch, torch
from resnet_gen.errors import Failure
from resnet_gen.read import library
from resnet_gen.weights import importing, writing
entry = library.network("resnet18_b")
page = os.sysconf("SC_PAGE_SIZE")
before = int(open("/proc/self/statm").read().split()[1]) * page if sys.platform == "linux" else (
    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
for name in sys.argv[1:]:
    code = 0
    try:
        made = importing.import_weights(Path(name), entry, new_head=True)
        writing.write_safetensors(Path(name + ".out"), made.tensors, made.metadata)
    except Failure as failure:
        code = failure.exit_code
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps([name, code, peak - before]), flush=True)
"""


def measured(*paths: Path) -> dict[str, tuple[int, int]]:
    """By file, the exit code and the most memory that reading took, in bytes.

    The shell between is for Linux, where a process starts with its parent's figure.
    """
    script = 'command=$1; shift; "$command" -c "$@"; exit $?'
    done = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, MEASURE, *map(str, paths)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {name: (code, peak) for name, code, peak in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("kind", MAKERS)
def test_hostile_and_broken_files_get_a_sentence(kind: str, cli: Callable, tmp_path: Path) -> None:
    make, words = MAKERS[kind]
    path, out = make(tmp_path), tmp_path / "out.safetensors"
    for command in (
        ("inspect", path),
        ("import", path, "--to", "resnet18_b", "-o", out),
        ("export", path, "--as", "torchvision", "-o", tmp_path / "out.pth"),
    ):
        done = cli("weights", *command)
        assert (done.code, done.out) == (2, "")
        assert words in done.err and path.name in done.err
        assert "\x1b" not in done.err and "weights_only" not in done.err
        assert "Traceback" not in done.err
    assert not (tmp_path / "ran").exists() and not out.exists()


def test_they_take_little_memory(tmp_path: Path) -> None:
    """At most twice the file and 300 MB, beyond what Python and torch take."""
    paths = []
    for kind, (make, _) in MAKERS.items():
        (folder := tmp_path / kind).mkdir()
        paths.append(make(folder))
    found = measured(*paths)
    assert len(found) == len(MAKERS)
    for path in paths:
        code, peak = found[str(path)]
        assert code == 2 and peak <= 2 * path.stat().st_size + 300e6, path


@pytest.mark.parametrize("kind", LARGE)
def test_large_files_take_twice_their_size(kind: str, tmp_path: Path) -> None:
    numbers, path = torch.zeros(100_000_000), tmp_path / f"a.{kind}"
    state = {"layer1.0.conv1.weight": numbers}
    arrays = {name: value.numpy() for name, value in state.items()}
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "npz":
        numpy.savez(path, **arrays)
    elif kind == "pkl":
        path.write_bytes(pickle.dumps(arrays, 4))
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file["layer1.0.conv1.weight"] = arrays["layer1.0.conv1.weight"]
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "pth")
    del numbers, state, arrays
    code, peak = measured(path)[str(path)]
    assert code == 2  # it lacks the others
    assert peak <= 2 * path.stat().st_size + 300e6


@pytest.mark.parametrize("kind", UNTRAINED)
def test_numbers_that_no_training_leaves(kind: str, cli: Callable, tmp_path: Path) -> None:
    make, words = UNTRAINED[kind]
    path, out = make(tmp_path), tmp_path / "out.safetensors"
    done = cli("weights", "import", path, "--to", "resnet18_b", "-o", out, "--new-head")
    if "fc" not in words:
        assert done.code == 2 and words in done.err
    found = json.loads(cli("weights", "inspect", path, "--json").out)
    assert len(found["faults"]) == 1 and words in found["faults"][0]


@pytest.mark.parametrize("kind", ["pth", "old.pth", "safetensors", "npz", "pkl", "h5"])
def test_changed_bytes_never_end_in_a_traceback(kind: str, cli: Callable, tmp_path: Path) -> None:
    state = {name: value[:2].clone() if value.dim() else value for name, value in good().items()}
    arrays, path = {name: value.numpy() for name, value in state.items()}, tmp_path / f"a.{kind}"
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "npz":
        numpy.savez(path, **arrays)
    elif kind == "pkl":
        path.write_bytes(pickle.dumps({"model": arrays}, 2))
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            for name, value in arrays.items():
                file[name] = value
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "pth")
    content = path.read_bytes()
    assert cli("weights", "inspect", path).code == 0
    for changed in mutations(content, 24):
        path.write_bytes(changed)
        done = cli("weights", "inspect", path)
        assert done.code in (0, 2), done.err
