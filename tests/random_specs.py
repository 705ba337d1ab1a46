"""Specs and recipes at random, each of them valid, and what must hold of the code they give."""

from __future__ import annotations

import json
import shutil
import string
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from ruff import find_ruff_bin

from resnet_gen.compare.measure import measure_all
from resnet_gen.compare.rows import CHANGED
from resnet_gen.compare.with_network import align
from resnet_gen.compare.with_paper import compare
from resnet_gen.network.expansion import expand
from resnet_gen.read.library import Entry
from resnet_gen.read.network_spec import DESIGNS, usable_name
from resnet_gen.read.recipe import RECIPES, RecipeOverride
from resnet_gen.read.recipes import recipe as recipe_called

Written = dict[str, Any]  # a YAML mapping, as its author writes it
SHIPPED = ("cifar-paper", "cifar-paper-warmup", "imagenet-paper", "imagenet-30-60-90")
# Exponents are drawn, not only mantissas: 1e-9 and 2.5e-07 are numbers of a recipe too.
UNSIGNED = st.builds(lambda m, e: m * 10.0**e, st.floats(0.1, 1), st.integers(-12, 0))
RATES = UNSIGNED | st.sampled_from([0.1, 1, 10, 1e-4, 5e-324]) | st.floats(0.001, 10)
FRACTIONS = UNSIGNED.filter(lambda x: x < 1) | st.sampled_from([0, 0.9])
PERCENTS = st.floats(0.5, 99) | st.sampled_from([80, 1e-9, 99.99999999999999])
WORDS = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=24)
NETWORK_NAMES = (
    st.sampled_from(["resnet20", "plain34", "resnet50_v1_5", "resnet18_c", "_x"]) | WORDS
)
ITERATIONS = st.integers(1, 10**9) | st.integers(1, 20) | st.just(64_000)


def _usable(name: str) -> bool:
    try:
        return bool(usable_name(name))
    except Exception:  # pydantic's own, with what is wrong
        return False


@st.composite
def changes(draw: Any, design: str, base: Written, whole: bool = False) -> Written:
    """Values of a recipe's keys that go together: all keys, or those that change `base`."""
    fields: dict[str, SearchStrategy[Any]] = {
        "iterations": ITERATIONS,
        "batch_size": st.integers(1, 10**6),
        "learning_rate": RATES,
        "momentum": FRACTIONS,
        "weight_decay": FRACTIONS | st.just(1),
        "flip": st.booleans(),
    }
    if design == "cifar":
        fields["padding"] = st.integers(0, 64)
        fields["validation"] = st.integers(1, 10**9) | st.just(5_000)
        fields["warmup"] = st.none() | st.fixed_dictionaries(
            {"learning_rate": RATES, "until_training_error": PERCENTS}
        )
    else:
        sides = st.lists(st.integers(224, 10**5), min_size=2, max_size=2)
        fields["shorter_side"] = sides.map(sorted)
        fields["colour"] = st.floats(0, 10) | st.sampled_from([0, 0.1])
    keys = list(fields) if whole else draw(st.lists(st.sampled_from(list(fields)), unique=True))
    made = {key: draw(fields[key]) for key in keys}
    last = made.get("iterations", base.get("iterations"))
    steps = st.lists(st.integers(1, last - 1), unique=True, max_size=16).map(sorted)
    drops = steps if last > 1 else st.just([])
    had = base.get("drops")
    if design == "imagenet" and (whole or draw(st.booleans())):
        is_planned = draw(st.booleans())
        made |= {"drops": draw(drops) if is_planned else None}
        made |= {"patience": None if is_planned else draw(st.none() | st.integers(1, 10**6))}
    elif whole or (had and had[-1] >= last) or (design == "cifar" and draw(st.booleans())):
        made["drops"] = draw(drops)
    return made


@st.composite
def recipes(draw: Any, design: str) -> Written:
    """A recipe's file; its name is that of the file."""
    name = draw(st.text(string.ascii_letters + string.digits + "-_+.", min_size=1, max_size=20))
    name = f"r{name}"
    return {"name": name, "design": design, **draw(changes(design, {}, whole=True))}


@st.composite
def specs(draw: Any, bases: dict[str, Written], depth: int = 3) -> Written:
    """A valid spec of any design: every key, small where its size costs time.

    `bases` are the recipes that it may name; `depth` is the most blocks of a stage.
    """
    design = draw(st.sampled_from(sorted(DESIGNS)))
    name = draw(NETWORK_NAMES.filter(_usable))
    written: Written = {"name": name, "design": design}
    optional: dict[str, SearchStrategy[Any]] = {
        "classes": st.integers(1, 30) | st.just(100_000),
        "width": st.integers(1, 24) | st.sampled_from([16, 64]),
        "image_channels": st.integers(1, 5) | st.just(1024),
        "initialisation": st.sampled_from(["fan_out", "fan_in"]),
    }
    if design == "vgg":
        blocks = draw(st.lists(st.integers(1, depth), min_size=5, max_size=5))
        written |= {"blocks": blocks, "depth": 3 + sum(blocks)}
        optional["hidden"] = st.integers(1, 64)
        optional["dropout"] = FRACTIONS
        optional["image_size"] = st.integers(32, 300) | st.just(4096)
    else:
        shortcut = written["shortcut"] = draw(st.sampled_from(["none", "A", "B", "C"]))
        pads = ["after", "both"] if shortcut == "A" else ["after"]
        optional["zero_padding"] = st.sampled_from(pads)
        optional["zero_gamma"] = st.just(False) if shortcut == "none" else st.booleans()
    if design == "cifar":
        written["depth"] = 6 * draw(st.integers(1, depth)) + 2
        optional["image_size"] = st.integers(8, 64) | st.just(1024)
    elif design == "imagenet":
        block = draw(st.sampled_from(["basic", "bottleneck"]))
        blocks = draw(st.lists(st.integers(1, depth), min_size=4, max_size=4))
        layers = {"basic": 2, "bottleneck": 3}[block]
        written |= {"block": block, "blocks": blocks, "depth": 2 + layers * sum(blocks)}
        strides = [None] if block == "basic" else [None, "conv1x1", "conv3x3"]
        optional["stride_in"] = st.sampled_from(strides)
        optional["image_size"] = st.integers(32, 300) | st.just(4096)
        optional["pooling"] = st.sampled_from(["padded", "ceil"])
    mine = [name for name, recipe in bases.items() if recipe["design"] == design]
    if mine:
        base = st.sampled_from(mine)
        optional["training"] = base | base.flatmap(
            lambda name: changes(design, bases[name]).map(lambda more: {"recipe": name, **more})
        )
    chosen = draw(st.lists(st.sampled_from(sorted(optional)), unique=True))
    written |= {key: draw(optional[key]) for key in chosen}
    keys = draw(st.permutations(list(written)))
    return {key: written[key] for key in keys}


@st.composite
def projects(draw: Any, bases: dict[str, Written], depth: int = 3) -> tuple[Written, Written]:
    """A spec, and a recipe of the author's own, which the spec may name."""
    recipe = draw(recipes(draw(st.sampled_from(sorted(RECIPES)))))
    return draw(specs({**bases, recipe["name"]: recipe}, depth)), recipe


def as_yaml(written: Written) -> str:
    """The mapping with one key a line; JSON's values are YAML's."""
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in written.items())


def shipped_recipes() -> dict[str, Written]:
    """The recipes that come with the package, by their names."""
    return {name: recipe_called(name).model_dump() for name in SHIPPED}


def write(written: Written, recipe: Written) -> Path:
    """Both as files of a project in the current folder; the spec's path."""
    folder = Path("specs/recipes")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / f"{recipe['name']}.yaml").write_text(as_yaml(recipe))
    path = Path("net.yaml")
    path.write_text(as_yaml(written))
    return path


def covers_the_schema() -> bool:
    """Whether no key was added to specs or recipes that the strategies above do not know."""
    known = {"name", "design", "shortcut", "classes", "width", "image_channels", "initialisation"}
    known |= {"zero_padding", "zero_gamma", "depth", "image_size", "block", "blocks", "stride_in"}
    known |= {"pooling", "training", "hidden", "dropout"}
    of_recipes = {"name", "design", "iterations", "batch_size", "learning_rate", "momentum"}
    of_recipes |= {"weight_decay", "flip", "padding", "validation", "warmup", "shorter_side"}
    of_recipes |= {"colour", "drops", "patience"}
    has = {key for model in DESIGNS.values() for key in model.model_fields}
    have = {key for model in RECIPES.values() for key in model.model_fields}
    overrides = set(RecipeOverride.model_fields) - {"recipe"}
    return (has, have, overrides | {"name", "design"}) == (known, of_recipes, of_recipes)


def agrees(entry: Entry, folder: Path) -> None:
    """The code in `folder` is the network that the spec means, by everything that is compared."""
    spec, path = entry.spec, folder / "model.py"
    network = expand(spec)
    measured, findings, _ = measure_all(path, network, None, None)
    assert all(finding.equal for finding in findings), findings
    assert measured == list(network.layers), "the code's layers are not the spec's"
    assert align(network, measured, path.as_posix(), network).equal, "not equal to itself"
    rows = compare(network, measured, path.as_posix()).rows
    changed = [row for row in rows if row.why == CHANGED]
    assert not changed, changed
    unexplained = [row for row in rows if row.verdict != "equal" and not row.why]
    assert not unexplained, unexplained


def unformatted(folder: Path) -> str:
    """What ruff would change below `folder`; empty where the text is as it formats it."""
    command = [find_ruff_bin(), "format", "--isolated", "--no-cache", "--diff"]
    command += ["--target-version", "py311", "--line-length", "100", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def mistyped(folders: Sequence[Path], into: Path) -> str:
    """What mypy finds in all model.py and train.py of a family, which are put into one folder.

    Modules there need different names, so a network's are numbered; the other files, which are the
    same in all folders, are there once.
    """
    shutil.copytree(folders[0], into, ignore=shutil.ignore_patterns("model.py", "train.py"))
    for number, folder in enumerate(folders):
        shutil.copy(folder / "model.py", into / f"model_{number}.py")
        train = folder / "train.py"
        if train.exists():
            text = train.read_text()
            assert text.count("\nimport model\n") == 1
            text = text.replace("\nimport model\n", f"\nimport model_{number} as model\n")
            (into / f"train_{number}.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--config-file=", "--disallow-untyped-defs"]
    command += ["--disable-error-code=import-untyped", "--no-error-summary"]
    command += ["--cache-dir", str(into.parent / ".mypy"), "."]
    done = subprocess.run(command, capture_output=True, text=True, cwd=into, check=False)
    return done.stdout + done.stderr if done.returncode else ""
