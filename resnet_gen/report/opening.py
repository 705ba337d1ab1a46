"""How a report begins: what was run, how long, on what, and how far that is from the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from resnet_gen.experiments import definitions
from resnet_gen.report.groups import Group, names
from resnet_gen.report.views import seeds


def lede(groups: Sequence[Group], counted: int) -> list[str]:
    """Sentences: how many runs of how many networks, how long, and on which machines.

    `counted` is the number of networks whose parameters are counted, trained or not.
    """
    if not groups:
        return [
            f"{_count(counted, 'network')}, counted and not trained." if counted else "No runs."
        ]
    runs = sum(len(group.runs) for group in groups)
    networks = len({group.identity.network for group in groups})
    found = [f"{_count(runs, 'run')} of {_count(networks, 'network')}."]
    found += [f"{text[:1].upper()}{text[1:]}." for text in _lengths(groups)]
    where = dict.fromkeys(
        text
        for group in groups
        for run in group.runs
        if (text := _where(run.manifest, run.results))
    )
    return [*found, *([f"Trained on {'; '.join(where)}."] if where else [])]


def warning(groups: Sequence[Group]) -> str:
    """What is not the paper's, and what a size is worth; empty where all is as in the paper."""
    fresh = [group for group in groups if not group.began]
    others, text = [group for group in fresh if not group.papers_own], list[str]()
    if others:
        own = "Not all of these runs are" if len(others) < len(fresh) else "None of these runs is"
        text = [f"{own} at the paper's size, and their errors are not to be taken for the paper's."]
    for size in get_args(definitions.Size):
        designs = [group.identity.design for group in others if group.size == size]
        text += definitions.sizes().budgets(size, designs)
    if len(fresh) < len(groups):
        text.append("The paper has no runs that begin with the weights of others.")
    return " ".join(text)


def _lengths(groups: Sequence[Group]) -> list[str]:
    """The scales with the networks that have each, or one for all."""
    told: dict[str, list[str]] = {}
    for group, label in zip(groups, names(groups), strict=True):
        on = f" on {group.data}" if group.data else ""
        count = "" if len(group.runs) == 1 else f" ({seeds(len(group.runs))})"
        told.setdefault(f"{group.scale}{on}", []).append(f"{label}{count}")
    if len(told) == 1:
        return list(told)
    return [f"{text}: {', '.join(of)}" for text, of in told.items()]


def _where(manifest: object, results: object) -> str:
    parts = [getattr(manifest, "machine", None), getattr(results, "device", None)]
    parts.append(getattr(results, "precision", None))
    return ", ".join(dict.fromkeys(part for part in parts if part))


def _count(number: int, noun: str) -> str:
    return f"one {noun}" if number == 1 else f"{number} {noun}s"
