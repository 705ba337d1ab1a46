"""Stale code is seen whole, told from edits, and removed only where nobody edited it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from one_network import FILES, NET, SPEC_PATH, check, edit, lines, write_spec


def test_code_without_a_spec_is_named_whole(net: Path, cli: Callable) -> None:
    (net / SPEC_PATH).unlink()
    assert check(cli) == lines(NET, "its spec is gone")
    assert check(cli, "--diff") == lines(NET, "its spec is gone")


def test_a_rename_within_a_spec(net: Path, cli: Callable) -> None:
    write_spec(SPEC_PATH, "other")
    made = lines(NET.parent / "other", "not generated yet")
    assert check(cli) == lines(NET, "its spec makes cifar/other now") + made
    code, _, err = cli("generate", "--all")
    assert code == 0
    assert f"no spec makes {len(FILES)} of the files below generated: --all --check" in err
    assert check(cli) == lines(NET, "its spec makes cifar/other now")


def test_another_design_within_a_spec(
    net: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = "design: imagenet\ndepth: 10\nblock: basic\nblocks: [1, 1, 1, 1]\nshortcut: B\n"
    # an imagenet network that has no train.py
    Path(SPEC_PATH).write_text(f"name: net\n{spec}image_channels: 1\n")
    assert check(cli) == [
        *lines(NET, "its spec makes imagenet/net now"),
        "generated/imagenet/net/model.py: not generated yet",
    ]


def test_a_file_that_a_spec_makes_no_more(net: Path, cli: Callable) -> None:
    """A train.py and what it imports, where images no longer have three channels."""
    grey = "name: net\ndesign: imagenet\ndepth: 10\nblock: basic\nblocks: [1, 1, 1, 1]\n"
    Path(SPEC_PATH).write_text(f"{grey}shortcut: B\nimage_channels: 1\n")
    NET.parent.rename("generated/imagenet")
    folder = Path("generated/imagenet/net")
    others = [name for name in FILES if name != "model.py"]
    assert check(cli) == sorted(
        [f"{folder}/model.py: the spec changed"]
        + [f"{folder}/{name}: its spec makes no {name}" for name in others]
    )
    assert cli("generate", "--all", "--prune").code == 0
    assert [path.name for path in folder.iterdir()] == ["model.py"]


def test_shared_files_of_a_dead_network(net: Path, cli: Callable) -> None:
    """They name no spec themselves; where model.py and train.py are gone too, nobody does."""
    (net / SPEC_PATH).unlink()
    for name in ("model.py", "train.py"):
        (NET / name).unlink()
    shared = [name for name in FILES if name not in ("model.py", "train.py")]
    assert check(cli) == lines(NET, "no spec makes it", shared)


def test_our_names_in_a_networks_folder_are_named_but_kept(net: Path, cli: Callable) -> None:
    (NET / "evaluate.py").write_text("print('no header')\n")  # ImageNet's, not this design's
    (NET / "old.py").write_text((NET / "run.py").read_text())  # not our name, but our header
    (NET / "mine.py").write_text("print('mine')\n")
    assert check(cli) == [
        f"{NET}/evaluate.py: not made by resnet-gen; its spec makes no evaluate.py",
        f"{NET}/old.py: its spec makes no old.py",
    ]
    code, _, err = cli("generate", "--all", "--prune", "--force")
    assert code == 1 and f"removed {NET}/old.py (its spec makes no old.py)\n" in err
    assert f"kept {NET}/evaluate.py (not made by resnet-gen; its spec makes no evaluate.py" in err
    assert (NET / "evaluate.py").read_text() == "print('no header')\n"
    assert (NET / "mine.py").exists() and not (NET / "old.py").exists()


def test_a_spec_outside_specs_is_present(net: Path, cli: Callable) -> None:
    write_spec("mine/own.yaml", "own")
    assert cli("generate", "mine/own.yaml").code == 0
    assert check(cli) == []
    edit(Path("generated/cifar/own/run.py"))
    assert check(cli) == []  # it is none of --all's
    write_spec("mine/own.yaml", "other")
    own = lines(Path("generated/cifar/own"), "its spec makes cifar/other now")
    edited = FILES.index("run.py")
    own[edited] = own[edited].replace(": ", ": edited by hand; ")
    assert check(cli) == own
    Path("mine/own.yaml").write_text("name: own\ndesign: cifar\ndepth: 21\nshortcut: A\n")
    assert check(cli) == []  # a wrong spec says nothing about its files
    Path("mine/own.yaml").unlink()
    assert len(check(cli)) == len(FILES)


def test_only_what_the_generator_may_have_written_is_looked_at(
    net: Path, cli: Callable, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (net / SPEC_PATH).unlink()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(NET.parent, elsewhere / "family")
    (net / "generated/family").symlink_to(elsewhere / "family")
    (net / "generated/cifar/linked").symlink_to(elsewhere / "family/net")
    shutil.copytree(NET, "generated/cifar/net-copy")  # no network can have that name
    shutil.copytree(NET, "generated/cifar/deep/net")
    shutil.copytree(NET, "generated/net")
    (NET / "run.py").unlink()
    (NET / "run.py").symlink_to(elsewhere / "family/net/run.py")
    assert check(cli) == lines(NET, "its spec is gone", [n for n in FILES if n != "run.py"])
    assert cli("generate", "--all", "--prune").code == 0
    assert (NET / "run.py").is_symlink()
    assert len(list(elsewhere.rglob("*.py"))) == len(FILES)
    for kept in ("net-copy", "deep/net", "../net"):
        assert len(list((NET.parent / kept).iterdir())) == len(FILES)


def test_the_output_folder_may_be_a_link_or_not_there(net: Path, cli: Callable) -> None:
    (net / "generated").rename(net / "moved")
    (net / SPEC_PATH).unlink()
    assert check(cli) == []
    (net / "generated").symlink_to("moved")
    assert check(cli) == lines(NET, "its spec is gone")
    assert cli("generate", "--all", "--prune").code == 0
    assert list((net / "moved").iterdir()) == []


def test_a_disk_that_ignores_case_has_the_wanted_file_under_another_name(
    net: Path, cli: Callable
) -> None:
    """Made with hard links here: both names lead to one file, and it must not be removed."""
    NET.rename("generated/cifar/Net")
    NET.mkdir()
    for name in FILES:
        os.link(f"generated/cifar/Net/{name}", NET / name)
    assert check(cli) == []
    (NET / "run.py").unlink()
    shutil.copy("generated/cifar/Net/run.py", NET)  # two files on a disk that knows case
    assert check(cli) == ["generated/cifar/Net/run.py: its spec makes cifar/net now"]


def test_prune_removes_what_nobody_edited(net: Path, cli: Callable) -> None:
    write_spec("specs/cifar/live.yaml", "live")
    write_spec(SPEC_PATH, "other")
    (NET / "__pycache__").mkdir()
    (NET / "__pycache__/model.cpython-311.pyc").write_bytes(b"")
    code, out, err = cli("generate", "--all", "--prune")
    assert (code, out) == (0, "")
    for name in FILES:
        assert f"removed {NET}/{name} (its spec makes cifar/other now)\n" in err
        assert f"wrote generated/cifar/other/{name} (not generated yet)\n" in err
    assert (
        f"removed {NET} (an empty folder now)\n" in err and err.count("removed") == len(FILES) + 1
    )
    assert sorted(path.name for path in NET.parent.iterdir()) == ["live", "other"]
    assert check(cli) == []
    for name in ("live", "net"):
        (net / f"specs/cifar/{name}.yaml").unlink()
    code, _, err = cli("generate", "--all", "--prune")
    assert code == 0 and "removed generated/cifar (an empty folder now)\n" in err
    assert list((net / "generated").iterdir()) == []


def test_prune_keeps_what_is_somebodys(net: Path, cli: Callable) -> None:
    edit(NET / "train.py")
    (NET / "run.py").write_text("import torch\n")
    (NET / "mine.py").write_text("import model\n")
    (NET / "notes.txt").write_text("notes\n")
    (NET / "runs").mkdir()
    (NET / "__pycache__").mkdir()
    for name in ("mine", "data"):
        (NET / f"__pycache__/{name}.cpython-311.pyc").write_bytes(b"")
    (net / SPEC_PATH).unlink()
    for force in ([], ["--force"]):
        code, _, err = cli("generate", "--all", "--prune", *force)
        assert code == 1
        told = "edited by hand; its spec is gone; delete it by hand"
        assert f"kept {NET}/train.py ({told})\n" in err
        told = "not made by resnet-gen; its spec is gone; delete it by hand"
        assert f"kept {NET}/run.py ({told})\n" in err
        assert "mine.py" not in err and "notes" not in err
    kept = ["__pycache__", "mine.py", "notes.txt", "run.py", "runs", "train.py"]
    assert sorted(path.name for path in NET.iterdir()) == kept
    assert [path.name for path in (NET / "__pycache__").iterdir()] == ["mine.cpython-311.pyc"]
    assert (NET / "train.py").read_text().endswith("# mine\n")


def test_nothing_is_removed_where_a_spec_is_wrong(net: Path, cli: Callable) -> None:
    write_spec(SPEC_PATH, depth=21)
    assert cli("generate", "--all", "--prune").code == 2
    assert sorted(path.name for path in NET.iterdir()) == FILES


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["net", "--prune"], "--prune goes with --all"),
        (["--prune"], "name specs, or say --all"),
        (["--all", "--prune", "--check"], "--check and --diff remove nothing"),
        (["--all", "--prune", "--diff"], "--check and --diff remove nothing"),
    ],
)
def test_prune_needs_all(arguments: list[str], words: str, cli: Callable, house: Path) -> None:
    code, out, err = cli("generate", *arguments)
    assert (code, out) == (2, "") and "error[usage]" in err and words in err


def test_what_cannot_be_removed_is_told(
    net: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (net / SPEC_PATH).unlink()
    monkeypatch.setattr(Path, "unlink", refuse)
    code, _, err = cli("generate", "--all", "--prune")
    assert code == 2
    assert f"{NET}/checkpoint.py: error[file]: cannot be removed: Permission denied" in err
