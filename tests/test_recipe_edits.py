"""Edits of a generated train.py: what changes the training differs in its row, else it is equal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from conftest import folder, spec_of
from recipe_edits import CHANGES, FOLLOW, SAME
from resnet_gen.compare.recipe import asking, rows
from resnet_gen.compare.rows import Row


def edited(path: Path, name: str, texts: str, replacements: str) -> Path:
    """A copy of the network's folder with these edits of its train.py."""
    copy = shutil.copytree(folder(name), path / name)
    source = (copy / "train.py").read_text()
    for text, replacement in zip(texts.split("|"), replacements.split("|"), strict=True):
        assert text in source, text
        source = source.replace(text, replacement)
    (copy / "train.py").write_text(source)
    return copy


def rows_of(path: Path, name: str) -> dict[str, Row]:
    """The rows of the recipe, by their keys, of the code in a folder."""
    entry = spec_of(name)
    questions = rows.questions(entry, path / "train.py")
    answers = json.loads(json.dumps(asking.ask(path / "train.py", questions or {})))
    return {row.key.removeprefix("recipe."): row for row in rows.with_paper(entry, answers)}


@pytest.mark.parametrize("what", CHANGES)
def test_an_edit_that_changes_the_training_differs_in_its_row(what: str, tmp_path: Path) -> None:
    name, text, replacement, key, seen = CHANGES[what]
    found = rows_of(edited(tmp_path, name, text, replacement), name)
    differing = {k: row.right for k, row in found.items() if row.verdict == "differs"}
    assert seen in differing[key], differing
    assert found[key].why == rows.CHANGED and found[key].part == "recipe"
    assert differing.keys() - {key} == FOLLOW.get(what, set()), differing


@pytest.mark.parametrize("what", SAME)
def test_an_edit_that_changes_no_training_is_equal(what: str, tmp_path: Path) -> None:
    found = rows_of(edited(tmp_path, *SAME[what]), SAME[what][0])
    assert {k: row.right for k, row in found.items() if row.spec != row.right} == {}
    assert not any(row.verdict == "differs" for row in found.values())
