"""Specs by name, file and folder: which are found, which come first, what is suggested."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from conftest import NAMES, ROOT, SMALL
from resnet_gen.read import library

CIFAR_SPEC = "name: net\ndesign: cifar\ndepth: 20\nshortcut: A\n"


def test_a_missing_file_and_a_folder(cli: Callable, project: Path) -> None:
    (project / "here").mkdir()
    (project / "here/net.yaml").write_text(CIFAR_SPEC)
    code, out, err = cli("check", "here/nett.yaml")
    assert (code, out) == (2, "") and "here/nett.yaml: error[file]: there is no such file" in err
    assert "net.yaml" in err  # what is there
    code, _, err = cli("show", "here/")
    assert code == 2 and "this is a folder" in err


def test_a_folder_stands_for_what_is_in_it(cli: Callable, project: Path) -> None:
    """Networks at any depth, recipes and the paper's tables; not what begins with a dot."""
    for name in ("nets/one.yaml", "nets/deep/two.yml", "nets/recipes/mine.yaml"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / "nets/one.yaml").write_text(CIFAR_SPEC.replace("net", "one"))
    (project / "nets/deep/two.yml").write_text(CIFAR_SPEC.replace("net", "two"))
    recipe = (ROOT / "specs/recipes/cifar-paper.yaml").read_text()
    (project / "nets/recipes/mine.yaml").write_text(recipe.replace("cifar-paper", "mine"))
    (project / "nets/.old").mkdir()
    (project / "nets/.old/three.yaml").write_text("name: 3\n")
    for place in ("nets", "./nets/", ".", project):
        assert cli("check", place) == (0, "", "")
    assert cli("generate", "nets", "--out", "made").code == 0
    made = {path.name for path in (project / "made/cifar").iterdir()}
    assert made == {"one", "two"}
    (project / "nets/deep/two.yml").write_text(CIFAR_SPEC.replace("20", "27"))
    (project / "nets/recipes/mine.yaml").write_text(recipe)
    code, _, err = cli("check", "nets")
    assert code == 2 and "nets/deep/two.yml:3:8: error[depth]" in err
    assert "nets/recipes/mine.yaml" in err and "write `name: mine`" in err
    (project / "empty").mkdir()
    code, _, err = cli("check", "empty")
    assert code == 2 and "empty: error[file]: there is no network's spec in this folder" in err


def test_a_checkouts_specs_are_checked_whole(cli: Callable) -> None:
    for place in ("specs", ".", "specs/recipes", "specs/paper", "specs/recipes/cifar-paper.yaml"):
        assert cli("check", place) == (0, "", "")


def test_both_endings_of_yaml_are_found(cli: Callable, project: Path) -> None:
    for folder in ("specs/cifar", "specs/recipes", "specs/paper"):
        (project / folder).mkdir(parents=True)
    (project / "specs/cifar/resnet20.yml").write_text(
        CIFAR_SPEC.replace("net", "resnet20") + "width: 8\ntraining: mine\n"
    )
    recipe = (ROOT / "specs/recipes/cifar-paper.yaml").read_text()
    (project / "specs/recipes/mine.yml").write_text(
        recipe.replace("cifar-paper", "mine").replace("0.9", "0.8")
    )
    table = (ROOT / "specs/paper/table6.yaml").read_text()
    (project / "specs/paper/table6.yml").write_text(table.replace("method: ResNet", "method: Net"))
    entry = library.network("resnet20")
    assert entry.spec.width == 8 and entry.recipe and entry.recipe.momentum == 0.8
    assert len(library.all_networks()) == len([*NAMES, SMALL])
    assert "specs/paper/table6.yml:" in cli("check").err
    assert "specs/cifar/resnet20.yml" in cli("show", "resnet20").out
    assert cli("new", "resnet20", "--design", "cifar", "--depth", "20").code == 2
    (project / "specs/recipes/mine.yml").write_text(recipe)
    assert "specs/recipes/mine.yml" in cli("check").err


def test_networks_are_suggested_by_their_names(cli: Callable, project: Path) -> None:
    (project / "specs").mkdir()
    (project / "specs/foo.yaml").write_text(CIFAR_SPEC.replace("net", "bar"))
    assert "the one in specs/foo.yaml is called bar" in cli("show", "foo").err
    assert "did you mean `bar`?" in cli("show", "baar").err
    for wrong, right in {
        "resnet2": "resnet20",
        "resnet11": "resnet110",
        "resnet50": "resnet50_b",
        "ResNet20": "resnet20",
        "resnet_56": "resnet56",
        "plian34": "plain34",
    }.items():
        assert f"did you mean `{right}`?" in cli("show", wrong).err
    err = cli("show", "mobilenet").err
    assert "`resnet-gen list` shows them all" in err and len(err) < 200


def test_two_specs_with_one_name(cli: Callable, project: Path) -> None:
    for name in ("one", "two"):
        (project / f"{name}.yaml").write_text(CIFAR_SPEC)
    code, _, err = cli("check", "one.yaml", "two.yaml")
    assert code == 2
    assert "two.yaml:1:7: error[name]" in err and "one.yaml has it already" in err


def test_a_users_own_files_come_before_the_shipped_ones(cli: Callable, project: Path) -> None:
    (project / "specs/cifar").mkdir(parents=True)
    (project / "specs/mine").mkdir(parents=True)
    (project / "specs/recipes").mkdir(parents=True)
    (project / "specs/cifar/resnet20.yaml").write_text(
        CIFAR_SPEC.replace("net", "resnet20") + "width: 32\n"
    )
    (project / "specs/mine/resnet32.yaml").write_text(CIFAR_SPEC.replace("net", "resnet32"))
    recipe = (ROOT / "specs/recipes/cifar-paper.yaml").read_text()
    (project / "specs/recipes/cifar-paper.yaml").write_text(recipe.replace("0.9", "0.8"))
    own = library.network("resnet20")
    assert own.spec.width == 32 and own.recipe and own.recipe.momentum == 0.8
    assert library.network("resnet32").spec.depth == 20
    assert library.network("resnet44").spec.width == 16
    assert len(library.all_networks()) == len([*NAMES, SMALL])
    assert cli("check").code == 0


def test_a_broken_recipe_is_told_once(cli: Callable, project: Path) -> None:
    (project / "specs/recipes").mkdir(parents=True)
    text = (ROOT / "specs/recipes/cifar-paper.yaml").read_text()
    (project / "specs/recipes/cifar-paper.yaml").write_text(text.replace("momentum:", "momentm:"))
    err = cli("check").err
    assert err.count("momentm` is not a key") == 1
    (project / "specs/recipes/cifar-paper.yaml").write_text(text.replace("name: cifar", "name: my"))
    assert "is not the name of its file" in cli("check").err
