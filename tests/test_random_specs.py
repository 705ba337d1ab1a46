"""Specs at random: whatever is valid is generated, clean, and the network that it means.

`benchmarks/specs_at_random.py` looks at a thousand, and type-checks them too.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

import random_specs
from random_specs import Written
from resnet_gen.errors import Failure
from resnet_gen.generate import render
from resnet_gen.generate.train_view import milestones
from resnet_gen.read import library


def test_the_strategies_know_every_key() -> None:
    assert random_specs.covers_the_schema()


@pytest.mark.usefixtures("measured_here")
def test_whatever_is_valid_gives_the_network_that_it_means(
    project: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ruff takes all texts at once, at the end: a process for each would take most of the time."""
    texts: dict[Path, str] = {}
    clean = render.clean
    monkeypatch.setattr(render, "clean", lambda texts: texts)

    @settings(
        max_examples=50,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(random_specs.projects(random_specs.shipped_recipes(), depth=1))
    def holds(made: tuple[Written, Written]) -> None:
        entry = library.read_network(random_specs.write(*made))
        root = project / "out" / str(len(texts))
        for path, rendered in render.render([entry]).items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(rendered.text)
            if path.name in ("model.py", "train.py"):
                texts[target.relative_to(project / "out")] = rendered.text
        random_specs.agrees(entry, root / entry.folder)

    holds()
    assert len(texts) > 50
    cleaned = clean(texts)  # raises what ruff has to say
    for path, text in cleaned.items():
        (project / "out" / path).write_text(text)
    assert random_specs.unformatted(project / "out") == ""
    assert cli("check", "net.yaml") == (0, "", "")
    assert cli("check", "specs/recipes") == (0, "", "")


def test_every_name_of_a_letter_is_clean_or_refused(project: Path) -> None:
    """Ruff's rule E742: a class called I or O reads as a digit."""
    spec, entries, refused = "design: cifar\ndepth: 8\nshortcut: A\n", [], []
    for letter in string.ascii_letters:
        path = Path(f"{letter}.yaml")
        path.write_text(f"name: {letter}\n{spec}")
        try:
            entries.append(library.read_network(path))
        except Failure as failure:
            refused.append(letter)
            assert "its class would be" in str(failure)
    assert refused == list("fioFIO")  # F is torch.nn.functional
    assert len(render.render(entries)) > 46  # raises what ruff has to say


def test_a_recipe_without_drops_is_typed() -> None:
    """An empty tuple says which numbers it would have; mypy asks for it in a recorded run."""
    assert milestones([]) == "tuple[int, ...]()"
    assert eval(milestones([])) == () and eval(milestones([5])) == (5,)  # noqa: S307
    assert eval(milestones([32_000, 48_000])) == (32_000, 48_000)  # noqa: S307
