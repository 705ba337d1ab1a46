"""Specs: the shipped ones are right, and every mistake is told at its place."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import NAMES, ROOT
from resnet_gen.errors import Failure
from resnet_gen.read import library
from resnet_gen.read.recipes import recipe as recipe_called

CIFAR_SPEC = "name: net\ndesign: cifar\ndepth: 20\nshortcut: A\n"


IMAGENET_SPEC = (
    "name: net\ndesign: imagenet\ndepth: 18\nblock: basic\nblocks: [2, 2, 2, 2]\nshortcut: B\n"
)


DESIGN_3 = [f"plain{depth}" for depth in (18, 34, 20, 32, 44, 56, 110)]


DESIGN_3 += [f"resnet{depth}_{option}" for depth in (18, 34) for option in "abc"]


DESIGN_3 += [f"resnet{depth}_{kind}" for depth in (50, 101, 152) for kind in ("b", "v1_5")]


DESIGN_3 += [f"resnet{depth}" for depth in (20, 32, 44, 56, 110, 1202)]


DESIGN_3 += ["vgg16", "vgg19"]


def test_all_networks_are_there_short_and_named_after_their_files() -> None:
    assert sorted(DESIGN_3) == NAMES
    for entry in library.all_networks():
        path = ROOT / entry.label
        assert path.stem == entry.name
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        assert len(lines) <= (15 if entry.name in NAMES else 20)  # one of ours has a recipe


def problems(text: str, folder: Path, name: str = "net.yaml") -> list:
    path = folder / name
    path.write_text(text)
    with pytest.raises(Failure) as failure:
        library.read_network(path)
    assert failure.value.exit_code == 2
    return failure.value.problems


@pytest.mark.parametrize(
    ("text", "place", "rule", "words"),
    [
        (CIFAR_SPEC.replace("20", "27"), (3, 8), "depth", "27 is not 6n+2|26 (n=4) and 32 (n=5)"),
        (CIFAR_SPEC.replace("20", "'20'"), (3, 8), "depth", "write 20 without quotes"),
        (CIFAR_SPEC.replace("20", "20.0"), (3, 8), "depth", "not a whole number|write 20"),
        (CIFAR_SPEC.replace("20", "true"), (3, 8), "depth", "true is not a whole number"),
        (CIFAR_SPEC.replace("20", "[20]"), (3, 8), "depth", "a list is not a whole number"),
        (CIFAR_SPEC.replace("20", "0"), (3, 8), "depth", "0 is too small"),
        (CIFAR_SPEC.replace("20", "-22"), (3, 8), "depth", "-22 is too small"),
        (CIFAR_SPEC.replace("20", str(10**9)), (3, 8), "depth", "1000000000 is too large: at most"),
        (CIFAR_SPEC.replace("20", "10**9"), (3, 8), "depth", '"10**9" is not a whole number'),
        (CIFAR_SPEC.replace("20", "9" * 60), (3, 8), "depth", "more than 18 digits is too large"),
        (CIFAR_SPEC.replace("20", "9" * 5000), (3, 8), "syntax", "cannot be read as int"),
        (CIFAR_SPEC.replace("20", ".nan"), (3, 8), "depth", "nan is not"),
        (CIFAR_SPEC.replace("20", ".inf"), (3, 8), "depth", "inf is not"),
        (CIFAR_SPEC.replace("20", ""), (3, 1), "depth", "`depth` has no value|a whole number"),
        (CIFAR_SPEC.replace("A", "a"), (4, 11), "shortcut", "is not one of|did you mean `A`?"),
        (CIFAR_SPEC.replace("A", "no"), (4, 11), "shortcut", '"no" is not one of'),
        (CIFAR_SPEC.replace("cifar", "cifr"), (2, 9), "design", "did you mean `cifar`?"),
        (CIFAR_SPEC.replace("design: cifar\n", ""), (1, 1), "missing-key", "`design` is missing"),
        (CIFAR_SPEC.replace("depth: 20\n", ""), (1, 1), "missing-key", "`depth` is missing|6n+2"),
        (CIFAR_SPEC.replace("depth", "dept"), (3, 1), "unknown-key", "did you mean `depth`?"),
        (CIFAR_SPEC + "width: 0\n", (5, 8), "width", "0 is too small"),
        (CIFAR_SPEC + "blocks: [3]\n", (5, 1), "unknown-key", "belongs to `design: imagenet`"),
        (CIFAR_SPEC + "depth: 26\n", (5, 1), "duplicate-key", "given twice|in line 3"),
        (CIFAR_SPEC + "zero_padding: left\n", (5, 15), "zero_padding", "is not one of after, both"),
        (CIFAR_SPEC + "training: cifar-papr\n", (5, 11), "training", "did you mean `cifar-paper`?"),
        (
            CIFAR_SPEC + "training: 5\n",
            (5, 11),
            "training",
            "neither a recipe's name nor a mapping",
        ),
        (
            CIFAR_SPEC + "training: {recipe: cifar-paper, iterations: 100}\n",
            (5, 45),
            "drops",
            "must rise and end before iteration 100|write `drops: [50, 75]`",
        ),
        (
            CIFAR_SPEC + "training: {recipe: cifar-paper, momentum: .nan}\n",
            (5, 43),
            "momentum",
            "nan is not a number",
        ),
        (
            CIFAR_SPEC + "training: {recipe: cifar-paper, wramup: {}}\n",
            (5, 33),
            "unknown-key",
            "did you mean `warmup`?",
        ),
        (IMAGENET_SPEC.replace("18", "34"), (3, 8), "depth", "contradicts the blocks|= 18 layers"),
        (IMAGENET_SPEC + "stride_in: conv3x3\n", (7, 12), "stride_in", "no 1×1 layer"),
        (IMAGENET_SPEC.replace(", 2]", "]"), (5, 9), "blocks", "3 numbers where 4 belong"),
        (IMAGENET_SPEC.replace("[2,", "[0,"), (5, 10), "blocks", "0 is too small"),
        (IMAGENET_SPEC + "training: cifar-paper\n", (7, 11), "training", "of the cifar design"),
        (
            IMAGENET_SPEC.replace("shortcut: B", "shortcut: none\nzero_gamma: true"),
            (7, 13),
            "zero_gamma",
            "plain network",
        ),
        ("", (0, 0), "empty", "the file is empty"),
        ("# only a comment\n", (0, 0), "empty", "the file is empty"),
        ("- name: net\n", (1, 1), "type", "a list stands where a mapping belongs"),
        ("just words\n", (1, 1), "type", "stands where a mapping belongs"),
        ("name: net\n\tdepth: 20\n", (2, 1), "syntax", "a tab|use spaces"),
        ("name: a: b\n", (1, 8), "syntax", "mapping values are not allowed"),
        ("name: [net\n", (1, 7), "syntax", "what begins here does not end"),
        ("name: 'net\n", (1, 7), "syntax", "what begins here does not end"),
        ("name: net\ndesign: cifar\ndepth:20\n", (3, 6), "syntax", "a space is missing"),
        ("name:x\ndesign: cifar\n", (1, 5), "syntax", "a space is missing after the colon"),
        (CIFAR_SPEC + "width: !!int\n", (5, 8), "syntax", "cannot be read as int"),
        (CIFAR_SPEC + ": 3\n", (5, 1), "syntax", "no key before this colon"),
        (CIFAR_SPEC + "---\n" + CIFAR_SPEC, (5, 1), "syntax", "a second document"),
        ("[" * 4000, (1, 17), "syntax", "nested more than 16 deep"),
        ("name: !!python/object:os.system x\n", (1, 7), "syntax", "cannot be read as"),
        ("name: \x07\n", (1, 7), "syntax", "U+0007 is not allowed"),
        ('name: "\\U00110000"\n', (1, 8), "syntax", "there is no character U+00110000"),
        ('design: cifar\nname: ["\\UFFFFFFFF"]\n', (2, 9), "syntax", "no character U+FFFFFFFF"),
        ('name: "\\ud800"\n', (1, 7), "name", "Python identifier"),
        ("name: !!timestamp x\n", (1, 7), "syntax", "cannot be read as timestamp"),
        (
            "!!python/object:x.y\n" + CIFAR_SPEC,
            (1, 1),
            "syntax",
            "python/object:x.y is not allowed",
        ),
        (CIFAR_SPEC + "training: !!set {recipe: a}\n", (5, 11), "syntax", "set is not allowed"),
        (IMAGENET_SPEC.replace("[2,", "!tuple [2,"), (5, 9), "syntax", "!tuple is not allowed"),
        ("#" * 70_000, (0, 0), "file", "larger than 64 KiB"),
    ],
)
def test_each_mistake_is_told_at_its_place(
    text: str, place: tuple[int, int], rule: str, words: str, tmp_path: Path
) -> None:
    found = problems(text, tmp_path)
    told = [p for p in found if p.rule == rule and (p.line, p.column) == place]
    assert told, "\n".join(map(str, found))
    for word in words.split("|"):
        assert word in str(told[0])


@pytest.mark.parametrize(
    "name",
    [
        *("3net", "class", "none", "a-b", "a/b", "../net", "/etc/net", '"net"', "'a\"b'", '"a\nb"'),
        *("ï", "f", "basic_block", "tensor", "_", "a" * 65, "1", "''", "null", "a b", "__", "$(x)"),
    ],
)
def test_names_that_cannot_be_classes_or_folders(name: str, tmp_path: Path) -> None:
    text = CIFAR_SPEC.replace("net", name, 1)
    if name == '"net"':
        path = tmp_path / "net.yaml"
        path.write_text(text)
        assert library.read_network(path).name == "net"  # the quotes are YAML's
        return
    column = 1 if name == "null" else 7
    found = problems(text, tmp_path)
    assert any((p.rule, p.line, p.column) == ("name", 1, column) for p in found)


def test_an_alias_bomb_is_refused_where_it_starts(tmp_path: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    for one, next_one in zip("abcdefg", "bcdefgh", strict=True):
        bomb += f"{next_one}: &{next_one} [{', '.join([f'*{one}'] * 9)}]\n"
    found = problems(CIFAR_SPEC + bomb, tmp_path)
    assert any(p.rule == "alias" and p.line == 6 for p in found)


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_bytes(b"name: net\ndesign: \xff\n")
    with pytest.raises(Failure) as failure:
        library.read_network(path)
    problem = failure.value.problems[0]
    assert (problem.rule, problem.line, problem.column) == ("encoding", 2, 9)
    assert "0xff" in problem.message


def test_all_errors_of_all_files_at_once_as_a_compiler_tells_them(
    cli: Callable, project: Path
) -> None:
    specs = project / "specs/cifar"
    specs.mkdir(parents=True)
    (specs / "resnet27.yaml").write_text("name: resnet27\ndesign: cifar\nshortcut: A\ndepth: 27\n")
    (specs / "other.yaml").write_text("name: 3x\ndesign: cifar\ndepht: 20\nshortcut: D\n")
    code, out, err = cli("check")
    assert code == 2 and out == "" and "Traceback" not in err
    assert (
        "specs/cifar/resnet27.yaml:4:8: error[depth]: 27 is not 6n+2\n"
        "    depth: 27\n"
        "           ^^\n"
        "hint: the nearest depths are 26 (n=4) and 32 (n=5)\n"
    ) in err
    for place in ("other.yaml:1:7", "other.yaml:3:1", "other.yaml:4:11"):
        assert place in err


def test_a_misspelt_key_is_not_missing_as_well(tmp_path: Path) -> None:
    assert len(problems(CIFAR_SPEC.replace("depth", "dpeth"), tmp_path)) == 1
    assert len(problems(CIFAR_SPEC.replace("design", "desing"), tmp_path)) == 1


def test_yaml_1_2(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        CIFAR_SPEC.replace("net", "no") + "training: {recipe: cifar-paper, weight_decay: 5e-4}\n"
    )
    entry = library.read_network(path)
    assert entry.name == "no" and entry.recipe and entry.recipe.weight_decay == 0.0005


def test_overrides_keep_the_rest_of_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        CIFAR_SPEC + "training:\n  recipe: cifar-paper\n  iterations: 400\n  drops: [200, 300]\n"
    )
    recipe = library.read_network(path).recipe
    assert recipe and (recipe.iterations, recipe.drops, recipe.batch_size) == (400, [200, 300], 128)


def test_recipes_are_section_4_2() -> None:
    paper, warmup = recipe_called("cifar-paper"), recipe_called("cifar-paper-warmup")
    assert (paper.iterations, paper.batch_size, paper.learning_rate) == (64_000, 128, 0.1)
    assert (paper.drops, paper.momentum, paper.weight_decay) == ([32_000, 48_000], 0.9, 1e-4)
    assert (paper.padding, paper.flip, paper.validation, paper.warmup) == (4, True, 5_000, None)
    assert warmup.warmup and warmup.warmup.learning_rate == 0.01
    assert warmup.warmup.until_training_error == 80
    same = {"name", "warmup"}
    assert paper.model_dump(exclude=same) == warmup.model_dump(exclude=same)
    assert library.network("resnet110").recipe == warmup


def test_the_hash_is_of_what_the_spec_means(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"

    def hashed(text: str) -> str:
        path.write_text(text)
        return library.read_network(path).sha256

    plain = hashed(CIFAR_SPEC)
    assert plain == hashed(
        "# a comment\nshortcut: A\ndepth:   20\nname: net\ndesign: cifar\nwidth: 16\n"
    )
    assert plain == hashed(CIFAR_SPEC + "training: {recipe: cifar-paper}\n")
    assert plain != hashed(CIFAR_SPEC.replace("20", "26"))
    assert plain != hashed(CIFAR_SPEC + "training: {recipe: cifar-paper, momentum: 0.8}\n")


def test_names_of_the_generated_files_own_are_taken(tmp_path: Path) -> None:
    """Every name in a model.py and every built-in class: a network's class would hide it."""
    bound = set()
    for path in ("cifar/resnet110", "imagenet/resnet34_c", "imagenet/resnet50_b"):
        body = ast.parse((ROOT / f"generated/{path}/model.py").read_text()).body
        imports = [n for n in body if isinstance(n, ast.Import | ast.ImportFrom)]
        bound |= {a.asname or a.name for n in imports for a in n.names}
        bound |= {n.name for n in body if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    bound -= {"ResNet110", "ResNet34C", "ResNet50B"}
    assert {"F", "Tensor", "BasicBlock", "Bottleneck", "ZeroPadShortcut"} <= bound
    for name in [*bound, "Exception", "OSError"]:
        if name[0].isupper() and "_" not in name:  # no class name has an underscore
            spelling = name[0].lower() + name[1:]
            found = problems(CIFAR_SPEC.replace("net", spelling, 1), tmp_path)
            assert any(p.rule == "name" for p in found), name


def test_a_design_of_another_type(tmp_path: Path) -> None:
    for text in ("design: [cifar]", "design: {a: 1}", "desing: [cifar]"):
        assert problems(CIFAR_SPEC.replace("design: cifar", text), tmp_path)


def test_mistakes_of_the_recipe_are_told_with_the_others(tmp_path: Path) -> None:
    found = problems(CIFAR_SPEC + "widht: 3\ntraining: cifar-papr\n", tmp_path)
    assert [(p.line, p.rule) for p in found] == [(5, "unknown-key"), (6, "training")]
    text = "training:\n  recipe: cifar-paper\n  iterations: 100\n"
    (problem,) = problems(CIFAR_SPEC + text, tmp_path)
    assert (problem.line, problem.column) == (7, 15) and "drops: [50, 75]" in problem.hint


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    (problem,) = problems(CIFAR_SPEC + '"wid\\nth\\e[31m": 4\n', tmp_path)
    assert "\x1b" not in str(problem) and str(problem).count("\n") == 3


def test_a_file_name_that_would_be_code_in_a_header(tmp_path: Path) -> None:
    for name in ("n\nimport os #.yaml", "b`t.yaml"):
        found = problems(CIFAR_SPEC, tmp_path, name)
        assert "cannot stand in the header" in found[0].message


def test_what_never_ends_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(Failure, match="not a regular file"):
        library.read_network(tmp_path / "pipe.yaml")
