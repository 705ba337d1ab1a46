"""The recipe in `diff`: the paper's, a spec's own, another network's, and scripts it cannot ask."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import BLOCKS, folder, generate_tiny, spec_of
from one_network import write_spec
from recipe_edits import CIFAR
from resnet_gen.compare.recipe import asking, planted, rows, words
from resnet_gen.compare.rows import Row
from resnet_gen.paper import training
from resnet_gen.read import library, recipes
from test_recipe_edits import edited

pytestmark = pytest.mark.usefixtures("measured_here")


# ---- What the spec means, against what we did not write ------------------------------------------


def test_a_plateau_is_torchs() -> None:
    """The rates that are expected after planted errors are ReduceLROnPlateau's."""
    numbers, drops = random.Random(1), 0
    for k in range(200):
        patience = numbers.randint(1, 9)
        errors = [float(numbers.randint(0, 3 + k % 9)) for _ in range(numbers.randint(1, 50))]
        optimizer = torch.optim.SGD([torch.zeros(1)], 0.1)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, patience=patience - 1, threshold=0, eps=0
        )
        expected = [0.1]
        for error in errors:
            plateau.step(error)
            expected.append(plateau.get_last_lr()[0])
        assert words.plateau_rates(0.1, patience, errors) == pytest.approx(expected)
        drops += expected[-1] < 0.1
    assert 100 < drops < 200


def test_a_planned_schedule_is_torchs() -> None:
    """The words name the iterations at which MultiStepLR drops."""
    entry = spec_of(CIFAR)
    assert entry.recipe is not None
    optimizer = torch.optim.SGD([torch.zeros(1)], entry.recipe.learning_rate)
    steps = torch.optim.lr_scheduler.MultiStepLR(optimizer, [32_000, 48_000], 0.1)
    rates = []
    optimizer.step()
    for _ in range(64_000):
        rates.append(steps.get_last_lr()[0])
        steps.step()
    changes = [k for k in range(1, 64_000) if rates[k] != rates[k - 1]]
    pieces = [(k, rates[k]) for k in (0, *changes)]
    assert words.schedule(pieces) == words.of_spec(entry.recipe, entry.spec)["learning_rate"]


def test_every_patience_shows_in_the_planted_errors() -> None:
    """No two waits of up to 40 validations give the same rates."""
    seen = [
        [words.plateau_rates(0.1, patience, errors) for errors in planted.series(40)]
        for patience in range(1, 41)
    ]
    assert all(one != other for k, one in enumerate(seen) for other in seen[:k])


def test_the_sections_are_transcribed() -> None:
    """Typed here once more, from sections 3.4 and 4.2."""
    assert training.meant("cifar") == {
        **{"iterations": 64_000, "batch_size": 128, "learning_rate": 0.1, "momentum": 0.9},
        **{"weight_decay": 0.0001, "flip": True, "drops": [32_000, 48_000], "padding": 4},
        "validation": 5_000,
        "warmup": {"learning_rate": 0.01, "until_training_error": 80.0},
    }
    assert training.meant("imagenet") == {
        **{"iterations": 600_000, "batch_size": 256, "learning_rate": 0.1, "momentum": 0.9},
        **{"weight_decay": 0.0001, "flip": True, "drops": None, "shorter_side": [256, 480]},
    }
    assert training.section("imagenet").crop == "224×224"
    assert training.section("cifar").crop == "32×32"
    assert [name for name in BLOCKS if training.is_warmed_up(spec_of(name).spec)] == ["resnet110"]


# ---- Recipes that are not the paper's ------------------------------------------------------------

OVERRIDES = {  # what `training` overrides, and the row that is not the section's
    "iterations: 640, drops: []": {"iterations", "learning_rate"},
    "batch_size: 64": {"batch_size"},
    "learning_rate: 0.05": {"learning_rate"},
    "drops: [100, 200, 300]": {"learning_rate"},
    "momentum: 0": {"momentum"},
    "weight_decay: 0": {"weight_decay"},
    "padding: 0": {"padding"},
    "padding: 20": {"padding"},
    "flip: false": {"flip"},
    "validation: 7": {"held_out"},
    "warmup: {learning_rate: 0.02, until_training_error: 66.6}": {"warmup"},
    "batch_size: 2, momentum: 0.5": {"batch_size", "momentum"},
}
IMAGENETS_OVERRIDES = {
    "patience: 12": set(),  # the paper names no number
    "patience: 41": set(),
    "patience: null": {"learning_rate"},
    "patience: null, drops: [10, 20]": {"learning_rate"},
    "shorter_side: [224, 300]": {"shorter_side"},
    "colour: 0.2": set(),  # the paper names no deviation
    "colour: 0": {"colour"},
    "flip: false": {"flip"},
}


def rows_of_spec(spec: Path, code: Path) -> dict[str, Row]:
    entry = library.read_network(spec)
    answers = asking.ask(code, rows.questions(entry, code) or {})
    return {row.key.removeprefix("recipe."): row for row in rows.with_paper(entry, answers)}


@pytest.mark.parametrize("line", OVERRIDES)
def test_a_departure_from_section_4_2_differs_and_names_its_line(
    line: str, house: Path, cli: Callable
) -> None:
    write_spec("net.yaml", more=f"training: {{recipe: cifar-paper, {line}}}\n")
    assert cli("generate", "net.yaml").code == 0
    found = rows_of_spec(Path("net.yaml"), Path("generated/cifar/net/train.py"))
    assert {key: row.right for key, row in found.items() if row.right != row.spec} == {}
    differing = {key for key, row in found.items() if row.verdict == "differs"}
    assert differing == OVERRIDES[line]
    for key in differing:
        assert "the spec's recipe sets" in found[key].why and "section 4.2" in found[key].why
        assert found[key].why.split(": ", 1)[0].rsplit(" ", 1)[1] in line


@pytest.mark.parametrize("line", IMAGENETS_OVERRIDES)
def test_a_departure_from_section_3_4_differs(line: str, tmp_path: Path) -> None:
    """On a network for images of 64×64, whose crops and sides are in the paper's proportion."""
    more = f"training: {{recipe: imagenet-paper, {line}}}\n"
    code = generate_tiny(tmp_path, more=more)
    found = rows_of_spec(tmp_path / "tiny.yaml", code / "train.py")
    assert {key: row.right for key, row in found.items() if row.right != row.spec} == {}
    differing = {key for key, row in found.items() if row.verdict == "differs"}
    assert differing == IMAGENETS_OVERRIDES[line] | {"crop", "shorter_side"}
    assert "image_size: 64" in found["crop"].why


def test_the_recipe_of_those_who_followed(tmp_path: Path) -> None:
    code = generate_tiny(tmp_path, more="training: imagenet-30-60-90\n")
    found = rows_of_spec(tmp_path / "tiny.yaml", code / "train.py")
    assert found["learning_rate"].right == "0.1, divided by 10 at 150,137 and 300,273"
    assert found["learning_rate"].verdict == found["iterations"].verdict == "differs"
    assert all(row.right == row.spec for row in found.values())


@pytest.mark.parametrize(
    ("name", "recipe", "verdict", "why"),
    [
        ("resnet110", "cifar-paper", "differs", "no warm-up"),
        ("resnet1202", "cifar-paper-warmup", "explained", "warms up at 110 layers"),
        ("plain110", "cifar-paper", "equal", ""),
        ("resnet56", "cifar-paper", "equal", ""),
    ],
)
def test_who_warms_up(name: str, recipe: str, verdict: str, why: str) -> None:
    entry = library.Entry(spec_of(name).spec, recipes.recipe(recipe), "net.yaml")
    (row,) = (row for row in rows.with_network(entry, None, entry) if row.key == "recipe.warmup")
    found = rows.judge("warmup", entry.recipe, entry.spec)  # as with_paper does
    assert (found[0], why in found[1]) == (verdict, True)
    assert row.left == row.spec


# ---- The command ---------------------------------------------------------------------------------


def recipe_rows(out: str) -> dict[str, dict[str, Any]]:
    found = [row for row in json.loads(out)["rows"] if row["part"] == "recipe"]
    return {row["key"].removeprefix("recipe."): row for row in found}


def test_two_specs_that_differ_in_their_training(house: Path, cli: Callable) -> None:
    write_spec("specs/one.yaml", "one")
    write_spec("specs/other.yaml", "other", more="training: {recipe: cifar-paper, momentum: 0.8}\n")
    assert cli("generate", "--all").code == 0
    code, out, _ = cli("diff", "one", "other", "--json")
    found = recipe_rows(out)
    assert code == 1 and not json.loads(out)["equal"]
    row = found.pop("momentum")
    assert (row["left"], row["spec"], row["right"], row["verdict"]) == (
        "0.8",
        "0.9",
        "0.9",
        "differs",
    )
    assert {row["verdict"] for row in found.values()} == {"equal"}
    code, out, _ = cli("diff", "one", "other")
    assert "recipe, section 4.2" in out and "\nmomentum" in out and "\nbatch size" not in out
    assert cli("diff", "one", "one").code == 0


def test_an_edited_script_in_the_table(cli: Callable, tmp_path: Path) -> None:
    copy = edited(tmp_path, CIFAR, "WEIGHT_DECAY = 1e-4", "WEIGHT_DECAY = 1e-3")
    code, out, err = cli("diff", copy)
    assert (code, err) == (1, "")
    (line,) = (line for line in out.splitlines() if line.startswith("weight decay  "))
    every = "on every parameter"
    assert " ".join(line.split()[2:]) == f"0.0001 0.0001 {every} 0.001 {every} differs"
    assert "weight decay: train.py does not do what the spec's recipe says\n" in out
    code, out, _ = cli("diff", copy, CIFAR)
    assert code == 1 and "weight decay" in out


def test_a_model_alone_has_one_row_that_says_so(cli: Callable, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    shutil.copy(folder(CIFAR) / "model.py", tmp_path / "alone")
    code, out, err = cli("diff", tmp_path / "alone", "--json")
    (row,) = recipe_rows(out).values()
    assert (code, err) == (0, "") and row["right"] == "no train.py"
    assert (row["left"], row["spec"], row["verdict"]) == ("section 4.2", "cifar-paper", "explained")
    code, out, _ = cli("diff", tmp_path / "alone", "resnet110", "--json")
    found = recipe_rows(out)
    assert code == 1 and found["warmup"]["verdict"] == "differs"
    assert found["momentum"]["right"] == "no train.py" and found["momentum"]["verdict"] == "equal"


def test_a_network_without_a_recipe_has_no_row(cli: Callable, tmp_path: Path) -> None:
    generate_tiny(tmp_path, more="image_channels: 4\n")
    out = cli("diff", tmp_path / "tiny.yaml", "--json").out
    assert "recipe" not in out or recipe_rows(out) == {}


@pytest.mark.parametrize(
    ("text", "replacement", "place", "message"),
    [
        (
            "    return LEARNING_RATE / 10**passed",
            "    return 1 / 0",
            ":LINE:5",
            "ZeroDivisionError",
        ),
        ("    return LEARNING_RATE / 10**passed", "    return none", ":LINE:5", "NameError"),
        ("def learning_rate(", "def rate_of(", "", "it has no `learning_rate`"),
        ("    train(trainer, data, run)\n", "", "", "its main() does not call train(trainer"),
        ("inputs = augment(", "inputs = (lambda x, _: x)(", "", "train_step does not call augment"),
        ("import itertools", "import itertools, no_such_package", "", "ModuleNotFoundError"),
        ("    args = parse_arguments()", "    raise SystemExit(3)", "", "SystemExit: 3"),
    ],
)
def test_a_script_that_cannot_be_asked_is_a_sentence(
    text: str, replacement: str, place: str, message: str, cli: Callable, tmp_path: Path
) -> None:
    copy = edited(tmp_path, CIFAR, text, replacement)
    before, _, _ = (folder(CIFAR) / "train.py").read_text().partition(text)
    place = place.replace("LINE", str(before.count("\n") + 1))
    code, out, err = cli("diff", copy)
    assert (code, out) == (2, "") and "Traceback" not in err
    assert message in err and f"{CIFAR}/train.py{place}" in err
    assert "hint: `diff` runs the main() and train() of this file" in err


def test_nothing_is_written_or_downloaded(project: Path, cli: Callable) -> None:
    assert cli("diff", folder(CIFAR)).code == 0
    assert cli("diff", folder("resnet18_a")).code == 0
    assert list(project.iterdir()) == []
