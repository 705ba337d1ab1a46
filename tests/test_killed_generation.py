"""`generate` that is killed, has no room, meets links, or is not alone: old or new, always whole.

`benchmarks/generation_kills.py` kills it a hundred times.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import killed_generation
import sandbox
from conftest import Result
from killed_generation import NET, PART, SPEC, start
from one_network import FILES
from resnet_gen import files
from resnet_gen.generate import header, render


@pytest.fixture(autouse=True)
def _unformatted(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(render, "clean", dict)
    yield


def generate(*more: str) -> Result:
    told = sandbox.resnet_gen("generate", "net.yaml", *more)
    assert not told.fault(), told.fault()
    return Result(int(str(told.code)), told.out, told.err)


def contents() -> dict[str, bytes]:
    return {name: (NET / name).read_bytes() for name in FILES}


def test_killed_within_a_write_files_are_old_or_new() -> None:
    moments = random.Random(0)
    found = [killed_generation.kill_once(moments, number % 2 == 0) for number in range(5)]
    assert sum(kill["parts"] for kill in found) > 0  # they were hit while they wrote


def test_what_a_kill_left_is_taken_away_an_hour_later() -> None:
    new = killed_generation.prepare(header.__version__)
    late, young, other = (
        NET / f".{name}" for name in ("run.py.0123abcd", "run.py.89ef0123", "mine")
    )
    for path in (late, young, other):
        path.write_text("half")
    os.utime(late, (time.time() - files.ABANDONED - 9,) * 2)
    os.utime(other, (0, 0))
    (NET / "run.py").unlink()
    assert generate().code == 0 and contents() == new
    assert (late.exists(), young.exists(), other.exists()) == (False, True, True)


def test_two_at_once_both_succeed() -> None:
    new = killed_generation.prepare(header.__version__)
    for from_nothing in (True, False):
        killed_generation.remove()
        if not from_nothing:
            killed_generation.prepare("0.0")
        children = [start(0.001, "net.yaml") for _ in range(2)]
        for child in children:
            _, err = child.communicate(timeout=60)
            assert child.returncode == 0, err
        assert contents() == new and not list(NET.glob(PART))


def test_a_full_disk_is_told_and_tears_nothing() -> None:
    old = killed_generation.prepare("0.0")
    child = start(0, "net.yaml", limit=min(map(len, old.values())) + 100)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 2
    assert "error[file]: cannot be written: File too large" in err and str(NET) in err
    now = contents()
    new = killed_generation.prepare(header.__version__)
    assert all(now[name] in (old[name], new[name]) for name in FILES) and now != new
    assert not list(NET.glob(PART))


def test_a_folder_that_cannot_be_written_is_told() -> None:
    """What /proc and a file in place of a folder refuse, they refuse root too."""
    Path("net.yaml").write_text(SPEC)
    Path("file").write_text("mine\n")
    for out in ("/proc/none", "file", "file/below"):
        code, _, err = generate("--out", out)
        assert code == 2 and "error[file]: cannot be written: " in err and out in err
    assert Path("file").read_text() == "mine\n"
    for name in ("model.py", "generated/cifar"):
        (NET / name).mkdir(parents=True, exist_ok=True)
    code, _, err = generate()
    assert code == 1 and f"kept {NET}/model.py (not made by resnet-gen" in err
    code, _, err = generate("--force")
    assert code == 2 and f"{NET}/model.py: error[file]: cannot be written: " in err


def test_links() -> None:
    new = killed_generation.prepare(header.__version__)
    Path("elsewhere").mkdir()
    Path("generated").rename("elsewhere/code")
    Path("generated").symlink_to("elsewhere/code")
    assert generate("--check").code == 0
    (NET / "run.py").unlink()
    assert generate().code == 0 and contents() == new and Path("generated").is_symlink()

    mine = Path("mine.py")
    mine.write_bytes(new["run.py"])
    (NET / "run.py").unlink()
    (NET / "run.py").symlink_to(mine.resolve())
    assert generate("--check").code == 0  # what it leads to is what should stand there
    mine.write_text("mine\n")
    code, _, err = generate()
    assert code == 1 and "kept generated/cifar/net/run.py (not made by resnet-gen" in err
    code, _, err = generate("--force")  # the link gives way to the file; what it led to stays
    assert code == 0 and mine.read_text() == "mine\n" and contents() == new
    assert not (NET / "run.py").is_symlink()

    (NET / "data.py").unlink()
    (NET / "data.py").symlink_to("nowhere.py")
    assert generate().code == 0 and contents() == new and not (NET / "nowhere.py").exists()

    (NET / "data.py").unlink()
    (NET / "data.py").symlink_to("data.py")
    for more in ((), ("--check",), ("--force",)):
        code, out, err = generate(*more)
        assert code in (1, 2) and "data.py" in out + err
    assert (NET / "data.py").is_symlink()


def test_an_output_folder_that_is_a_loop_is_told() -> None:
    Path("net.yaml").write_text(SPEC)
    Path("generated").symlink_to("generated")
    code, _, err = generate()
    assert code == 2 and "generated" in err
    told = sandbox.resnet_gen("diff", "generated")
    assert told.code == 2 and not told.fault()
