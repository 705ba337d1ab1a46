"""`new` writes specs that are right, and the schemas say what a spec may have."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from conftest import ROOT, folder
from resnet_gen.read import library
from resnet_gen.schema import schemas


def test_new_takes_what_a_spec_has(cli: Callable, project: Path) -> None:
    basic = ("new", "small", "--design", "imagenet", "--depth", "18", "--blocks", "[2, 2, 2,2]")
    sizes = ("--width", "32", "--classes", "200", "--image-size", "64", "--image-channels", "3")
    assert cli(*basic, *sizes, "--pooling", "ceil", "--zero-gamma").code == 0
    made = library.network("small").spec
    assert made.block == "basic" and made.blocks == [2, 2, 2, 2] and made.zero_gamma
    assert (made.width, made.classes, made.image_size) == (32, 200, 64)
    assert made.pooling == "ceil"
    lines = (project / "specs/imagenet/small.yaml").read_text().splitlines()
    assert len({line.index("#") for line in lines if "#" in line}) == 1
    other = ("new", "other", "--design", "cifar", "--depth", "20", "--zero-padding", "both")
    assert cli(*other, "--training", "cifar-paper-warmup", "--initialisation", "fan_in").code == 0
    entry = library.network("other")
    assert entry.recipe and entry.recipe.name == "cifar-paper-warmup"
    assert (entry.spec.zero_padding, entry.spec.initialisation) == ("both", "fan_in")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--pooling", "ceil"), "`pooling` is not a key of a cifar network|--design imagenet"),
        (("--blocks", "3,3,3"), "--block and --blocks are not for --design cifar"),
        (("--width", "0"), "0 is too small"),
        (("--shortcut", "A # B"), '"A # B" is not one of'),
        (("--training", "cifar-papr"), "did you mean `cifar-paper`?"),
        (("--training", "imagenet-paper"), "of the imagenet design"),
        (("--training", "x: [y]"), "there is no recipe called"),
    ],
)
def test_new_says_what_cannot_be(more: tuple, words: str, cli: Callable, project: Path) -> None:
    code, out, err = cli("new", "net", "--design", "cifar", "--depth", "20", *more)
    assert code == 2 and not out and not (project / "specs").exists()
    assert all(word in err for word in words.split("|"))


@pytest.mark.parametrize("blocks", ["", "[2,2,2,2", "2,2,2,2]", "2;2", "a", ",", "9" * 5000])
def test_blocks_that_are_no_list(blocks: str, cli: Callable, project: Path) -> None:
    code, _, err = cli("new", "n", "--design", "imagenet", "--depth", "18", "--blocks", blocks)
    assert code == 2 and "is not a list of numbers" in err and "Traceback" not in err


def test_new_writes_a_spec_that_is_right(cli: Callable, project: Path) -> None:
    code, out, _ = cli("new", "resnet26", "--design", "cifar", "--depth", "26")
    assert (code, out) == (0, "specs/cifar/resnet26.yaml\n")
    text = (project / "specs/cifar/resnet26.yaml").read_text()
    assert "# 6n+2 with n = 4" in text
    assert cli("check") == (0, "", "")
    arguments = (
        "new",
        "resnet200",
        "--design",
        "imagenet",
        "--depth",
        "200",
        "--blocks",
        "3,24,36,3",
    )
    assert cli(*arguments).code == 0
    assert cli("new", "net50", "--design", "imagenet", "--depth", "50").code == 0
    assert cli("check") == (0, "", "")
    shown = json.loads(cli("show", "net50", "--json").out)
    assert shown["parameters"] == 25_557_032
    before = (project / "specs/cifar/resnet26.yaml").read_text()
    assert cli("new", "resnet26", "--design", "cifar", "--depth", "32").code == 2
    assert (project / "specs/cifar/resnet26.yaml").read_text() == before


def test_schemas_are_committed_as_they_are(cli: Callable, project: Path) -> None:
    assert cli("schema", "--out", "made").code == 0
    made = {path.name: path.read_text() for path in (project / "made").iterdir()}
    committed = {path.name: path.read_text() for path in (ROOT / "specs/schema").iterdir()}
    assert made == committed


def test_every_file_fits_the_schema_that_it_names() -> None:
    """By a validator that knows nothing of the models; and a wrong file does not."""
    found = schemas()
    for path in (ROOT / "specs").rglob("*.yaml"):
        first, *_ = path.read_text().splitlines()
        name = first.removeprefix("# yaml-language-server: $schema=../schema/").removesuffix(
            ".json"
        )
        data = YAML(typ="safe", pure=True).load(path.read_text())
        jsonschema.Draft202012Validator(found[name]).validate(data)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(found[name]).validate({**data, "unknown": 1})


@pytest.mark.usefixtures("measured_here")
@pytest.mark.parametrize(
    ("table", "text", "replacement"),
    [
        ("table1", "layer_name: conv1\n", "layer_name: conv9\n"),
        ("table1", "7×7, 64, stride 2", "7×7"),
        ("table6", "method: ResNet", "method: Net"),
        ("table6", 'layers: "20"', 'layers: "20.5"'),
    ],
)
def test_an_own_copy_of_a_table_that_cannot_be_used(
    table: str, text: str, replacement: str, cli: Callable, project: Path
) -> None:
    own = project / f"specs/paper/{table}.yaml"
    own.parent.mkdir(parents=True)
    shipped = (ROOT / f"specs/paper/{table}.yaml").read_text()
    assert text in shipped
    own.write_text(shipped.replace(text, replacement))
    network = "resnet34_b" if table == "table1" else "resnet20"
    shutil.copytree(folder(network), project / network)
    for arguments in (("check",), ("diff", project / network)):
        code, _, err = cli(*arguments)
        assert code == 2 and f"specs/paper/{table}.yaml:" in err and "Traceback" not in err
