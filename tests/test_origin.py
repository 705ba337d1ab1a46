"""The spec of generated code, found from its folder, wherever that is; one name, one network."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT
from one_network import NET, SPEC_PATH, write_spec
from resnet_gen.errors import Failure
from resnet_gen.generate import origin
from resnet_gen.read import library
from resnet_gen.train import launch


def test_a_folder_finds_its_spec_upwards(
    house: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own recipe too, which a command run in the folder does not see otherwise."""
    recipe = (ROOT / "specs/recipes/cifar-paper.yaml").read_text()
    (house / "specs/recipes").mkdir(parents=True)
    own = recipe.replace("name: cifar-paper", "name: own")
    (house / "specs/recipes/own.yaml").write_text(own)
    write_spec("specs/cifar/net26.yaml", "net26", 26, "training: own\n")
    assert cli("generate", "net26").code == 0
    expected = library.network("net26")
    folder = house / "generated/cifar/net26"
    monkeypatch.chdir(folder)
    assert origin.code_of(".", Path("generated")) == (expected, Path("model.py"))
    assert Path.cwd() == folder
    assert origin.code_of("model.py", Path("generated"))[0] == expected
    code, out, _ = cli("train", ".", "--slurm")
    assert code == 0 and "srun" in out and " train.py " in out
    monkeypatch.chdir(house.parent)
    assert origin.code_of(folder.as_posix(), Path("generated"))[0] == expected
    write_spec((house / "specs/cifar/net26.yaml").as_posix(), "net26", 27)
    with pytest.raises(Failure, match=rf"{house}/specs/cifar/net26.yaml:3:8: error\[depth\]"):
        origin.code_of(folder.as_posix(), Path("generated"))


def test_the_nearest_spec_above_the_folder_comes_first(house: Path, cli: Callable) -> None:
    """Not that of the directory in which the command runs."""
    write_spec("net.yaml", depth=26)
    (house / "theirs").mkdir()
    write_spec("theirs/net.yaml", depth=32)
    assert cli("generate", "net.yaml", "--out", "theirs/generated").code == 0
    assert origin.code_of("theirs/generated/cifar/net", Path("generated"))[0].spec.depth == 32
    assert origin.code_of("net.yaml", Path("generated"))[0].spec.depth == 26


def test_diff_and_train_take_any_folder(
    net: Path, cli: Callable, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert cli("generate", "net", "--out", "build").code == 0
    moved = tmp_path_factory.mktemp("moved") / "of any name.py"
    shutil.copytree("build/cifar/net", moved)
    shutil.copytree(moved, "here")
    expected = library.network("net")
    for name in ("build/cifar/net", "build/cifar/net/", "build/cifar/net/train.py", moved, "here"):
        folder = Path(str(name).removesuffix("/train.py"))
        assert origin.code_of(str(name), Path("generated")) == (expected, folder / "model.py")
        assert launch.find_script(str(name), Path("generated")).path == folder / "train.py"
    code, _, err = cli("diff", "build/cifar/net")
    assert (code, err) == (0, "")
    write_spec(SPEC_PATH, depth=26)
    _, _, err = cli("diff", "here")
    assert "changed since this code was made: resnet-gen generate specs/cifar/net.yaml\n" in err


def test_a_moved_folder_finds_a_spec_below_the_current_directory(
    net: Path, cli: Callable, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write_spec("mine/some.yaml", "own")
    assert cli("generate", "mine/some.yaml").code == 0
    moved = tmp_path_factory.mktemp("moved")
    shutil.copy("generated/cifar/own/model.py", moved)
    entry, code = origin.code_of(str(moved), Path("generated"))
    assert (entry, code) == (library.network("mine/some.yaml"), moved / "model.py")


def test_a_folder_whose_model_lost_its_header(net: Path) -> None:
    """train.py names the spec too."""
    path = NET / "model.py"
    path.write_text(path.read_text().split("\n", 2)[2])
    assert origin.code_of(str(NET), Path("generated")) == (library.network("net"), path)


def test_where_a_spec_was_looked_for(
    net: Path, cli: Callable, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (net / SPEC_PATH).unlink()
    code, _, err = cli("diff", NET)
    assert code == 2 and f"{NET}: error[code]: its header names the spec {SPEC_PATH}" in err
    assert (
        f"hint: looked in {net / NET} and the folders above it, and among resnet-gen's own" in err
    )
    moved = tmp_path_factory.mktemp("moved")
    shutil.copy(NET / "model.py", moved)
    code, _, err = cli("train", moved)
    assert code == 2
    assert (
        f"looked in {moved} and the folders above it, in {net}, and among resnet-gen's own" in err
    )


def test_a_spec_that_moved_is_found_by_its_name(net: Path) -> None:
    (net / "specs/mine").mkdir()
    (net / SPEC_PATH).rename(net / "specs/mine/net.yaml")
    entry, _ = origin.code_of(str(NET), Path("generated"))
    assert entry.label == "specs/mine/net.yaml"


@pytest.mark.parametrize("name", [".", "generated", "no-network"])
def test_a_folder_without_code(
    name: str, net: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    (net / "no-network").mkdir()
    name = name if name != "generated" else "generated/cifar"
    code, _, err = cli("diff", name)
    assert code == 2 and f"{name}: error[code]: there is no model.py in this folder" in err


def test_new_beside_a_name_that_differs_in_case(net: Path, cli: Callable) -> None:
    code, _, err = cli("new", "Net", "--design", "cifar", "--depth", "20")
    assert code == 2 and "error[name]: there is a network called net already, and" in err
    assert "a disk that ignores case cannot hold Net beside it" in err
    assert not (net / "specs/cifar/Net.yaml").exists()
    assert cli("new", "Net2", "--design", "cifar", "--depth", "20").code == 0


def test_two_specs_whose_names_differ_in_case(net: Path, cli: Callable) -> None:
    write_spec("specs/cifar/Net.yaml", "Net")
    for command in (("check",), ("generate", "--all"), ("generate", "--all", "--prune")):
        code, out, err = cli(*command)
        assert (code, out) == (2, "")
        assert f"{SPEC_PATH}:1:7: error[name]: `net` and `Net` would share a folder" in err
        assert "specs/cifar/Net.yaml has `Net`: rename one of them" in err
    assert not (net / "generated/cifar/Net").exists()


def test_two_specs_of_one_name(net: Path, cli: Callable) -> None:
    write_spec("specs/cifar/other.yaml")
    code, _, err = cli("check")
    assert code == 2 and "`net` is the name of another spec too" in err
    assert "specs/cifar/net.yaml has it already: rename one of them" in err
