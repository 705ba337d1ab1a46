"""The whole ledger: every printed number in the order of the paper's tables, then of its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from resnet_gen.compare.rows import Verdict
from resnet_gen.errors import Failure, Problem, did_you_mean
from resnet_gen.experiments.definitions import all_experiments
from resnet_gen.ledger import detection, errors, recorded, structure
from resnet_gen.ledger.errors import Training
from resnet_gen.ledger.networks import Networks
from resnet_gen.ledger.numbers import TEXT, Number, counts
from resnet_gen.ledger.text import text
from resnet_gen.paper import tables
from resnet_gen.paper.scores import Scores
from resnet_gen.paper.text import Text
from resnet_gen.read import library

RECORDED = Path("results")
GROUPS = [*(f"table{number}" for number in range(1, 15)), TEXT]
TITLES = {
    "table1": "architectures for ImageNet",
    "table2": "top-1 error (%), 10-crop, ImageNet validation",
    "table6": "error (%), CIFAR-10 test",
    TEXT: "abstract, sections, figures, appendices",
    "all": "",
}


def ledger(results: Path = RECORDED) -> tuple[list[Number], list[str]]:
    """Every number that the paper prints, and notes on runs that are not counted.

    `results` is the folder below which recorded runs are looked for.

    Raises:
        Failure: somebody's own specs or tables are wrong (exit code 2).
    """
    networks = Networks(library.all_networks(), all_experiments())
    runs, notes = recorded.read(results)
    training = Training(networks, runs)
    found = [
        *structure.table1(networks),
        *errors.tables2_to_5(training),
        *errors.table6(training),
        *detection.of_tables(),
        *structure.section42(networks),
        *structure.recipes(networks),
        *detection.appendices(),
    ]
    return [*found, *text(training, found)], notes


def chosen(numbers: Sequence[Number], name: str) -> list[Number]:
    """Those of a table or of a part of the text: table6, 6, text, section4.2, figure6, abstract.

    Raises:
        Failure: there is nothing of that name (exit code 2).
    """
    wanted = name.lower().replace(" ", "").replace("_", "")
    wanted = f"table{wanted}" if wanted.isdigit() else wanted
    found = [n for n in numbers if wanted in (n.group, n.place.lower().replace(" ", ""))]
    if not found:
        places = dict.fromkeys(n.place.lower().replace(" ", "") for n in numbers)
        hint = did_you_mean(wanted, [*GROUPS, *places], "`resnet-gen paper` shows what there is")
        raise Failure(Problem("name", f"the ledger has nothing called {name!r}", hint))
    return found


def title(group: str) -> str:
    """What a group of numbers is about, in a line; tables of results say what they measure."""
    if group in TITLES:
        return TITLES[group]
    if group in detection.TABLES:
        scores: Scores = tables.load(group, Scores)
        return scores.measure
    return f"error (%), {tables.load(group, tables.Errors).measure}"


def left_out(numbers: Sequence[Number]) -> dict[str, str]:
    """What the paper prints and the ledger has not, by the groups of these numbers."""
    groups = {number.group for number in numbers}
    found = {
        name: tables.load(name, Scores).left_out for name in detection.TABLES if name in groups
    }
    if len({number.place for number in numbers if number.group == TEXT}) > 1:
        found[TEXT] = tables.load(TEXT, Text).left_out
    return {name: what for name, what in found.items() if what}


def differs(numbers: Sequence[Number]) -> bool:
    """Whether something computed is not what the paper prints, and nobody knows why."""
    return any(number.verdict == Verdict.DIFFERS for number in numbers)


def as_json(numbers: Sequence[Number]) -> dict[str, Any]:
    """The document that `paper --json` prints."""
    return {
        "counts": counts(numbers),
        "left_out": left_out(numbers),
        "rows": [asdict(number) for number in numbers],
    }
