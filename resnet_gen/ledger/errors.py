"""Tables 2 to 6, and what the text says of training: measured here, or what it would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from resnet_gen.ledger.judging import value_of, verdict_on
from resnet_gen.ledger.networks import Networks
from resnet_gen.ledger.numbers import Number, Status
from resnet_gen.ledger.recorded import Recorded, Shown, shown
from resnet_gen.ledger.structure import computed
from resnet_gen.paper import tables
from resnet_gen.paper.text import Measurement, TextNumber
from resnet_gen.read.library import Entry

OTHERS = "cited by the paper: not its authors' network"
TESTS = {"Table 2": "10-crop", "Table 3": "10-crop", "Table 4": "multi-scale"}  # of train.py
ENSEMBLE = (
    "six networks of different depths, two of them ResNet-152, and ImageNet's test server: the "
    "labels of its test set are not public"
)
SPREAD = "mean±std"
FIVE_TIMES = ", five times"  # the runs of ResNet-110 behind its row of Table 6
COUNTED = {"# layers": "depth", "# params": "parameters"}  # columns, and their rows in `diff`


@dataclass(frozen=True)
class Training:
    """What measured numbers rest on."""

    networks: Networks
    runs: Sequence[Recorded]


def tables2_to_5(training: Training) -> list[Number]:
    """The errors on ImageNet."""
    found = []
    for row in tables.load("table2", tables.Table2).rows:
        for column, shortcut, printed in (
            ("plain", "none", row.plain),
            ("ResNet", "A", row.ResNet),
        ):
            entry = training.networks.of_paper("imagenet", int(row.layers), shortcut)
            blank = Number("Table 2", f"{row.layers} layers", column, printed, Status.QUOTED)
            found.append(_imagenet(training, blank, entry, "top-1"))
    for number in ("3", "4", "5"):
        for method in tables.load(f"table{number}", tables.Errors).rows:
            for column, error in (("top-1", method.top1), ("top-5", method.top5)):
                if error is not None:
                    place = f"Table {number}"
                    blank = Number(place, method.method, column, error, Status.QUOTED)
                    found.append(_of_method(training, blank, method, column))
    return found


def table6(training: Training) -> list[Number]:
    """The errors on CIFAR-10, with layers and parameters."""
    shortcut = tables.load("section4-2", tables.Section42).shortcut
    found = []
    for row in tables.load("table6", tables.Table6).rows:
        name = f"{row.method} {row.layers}" if row.layers else row.method
        cells = {
            "# layers": row.layers,
            "# params": row.parameters,
            "error": row.error,
            SPREAD: row.spread,
        }
        for column, printed in cells.items():
            if printed is None:
                continue
            blank = Number("Table 6", name, column, printed, Status.QUOTED, how=OTHERS)
            if row.method == "ResNet" and row.layers:
                entry = training.networks.of_paper("cifar", int(row.layers), shortcut)
                best = column == "error" and row.spread is not None
                found.append(_of_table6(training, blank, entry, best=best))
            else:
                found.append(blank)
    return found


def of_text(training: Training, number: TextNumber, given: Measurement) -> Number:
    """A number of the text that a training run shows.

    Raises:
        Failure: there is no such network (exit code 2).
    """
    blank = Number(number.place, number.says, "", number.printed, Status.NOT_MEASURED)
    entry = training.networks.named(given.network)
    return _judged(training, blank, entry, given.figure, bound=given.bound)


def _of_method(training: Training, blank: Number, method: tables.Method, column: str) -> Number:
    if method.depth and method.shortcut:
        entry = training.networks.of_paper("imagenet", method.depth, method.shortcut)
        return _imagenet(training, blank, entry, column)
    if method.method.startswith("ResNet"):
        command = training.networks.command_of(blank.place)
        return replace(blank, status=Status.NOT_MEASURED, how=ENSEMBLE, command=command)
    how = f"{OTHERS}; {method.note}" if method.note else OTHERS
    return replace(blank, how=how)


def _imagenet(training: Training, blank: Number, entry: Entry | None, top: str) -> Number:
    if entry is None:
        return replace(blank, status=Status.NOT_MEASURED)
    return _judged(training, blank, entry, f"{TESTS[blank.place]} {top}")


def _of_table6(training: Training, blank: Number, entry: Entry | None, *, best: bool) -> Number:
    if key := COUNTED.get(blank.column):
        rows = training.networks.rows(entry) if entry else {}
        found = [rows[key]] if key in rows else []
        return computed(blank.place, blank.row, blank.column, blank.printed, found, entry)
    if entry is None:
        return replace(blank, status=Status.NOT_MEASURED, how="")
    return _judged(training, blank, entry, "test_error", best=best)


def _judged(
    training: Training,
    blank: Number,
    entry: Entry,
    figure: str,
    *,
    bound: str | None = None,
    best: bool = False,
) -> Number:
    """The number with what the runs of a network show, or with what it would take.

    A lone seed has no deviation, and is no best of several.
    """
    command = training.networks.command(entry, blank.place)
    cost = training.networks.cost(entry)
    if best or blank.column == SPREAD:
        cost += FIVE_TIMES
    seen = shown(training.runs, entry, figure)
    if seen is None or (blank.column == SPREAD and seen.deviation is None):
        return replace(blank, status=Status.NOT_MEASURED, how=cost, command=command)
    unit = "" if figure == "warmup_steps" else "%"
    value = _in_words(seen, unit, best=best)
    if seen.whole:
        ours = min(seen.values) if best else seen.mean
        verdict = _verdict(blank.printed, Decimal(str(ours)), bound)
        return replace(
            blank,
            status=Status.MEASURED,
            verdict=verdict,
            value=value,
            how=seen.where,
            command=command,
        )
    return replace(
        blank,
        status=Status.SHORTER,
        verdict=f"{seen.iterations:,} of {seen.of_iterations:,} iterations",
        value=value,
        how=f"{seen.where}; the paper's size: {cost}",
        command=command,
    )


def _in_words(seen: Shown, unit: str, *, best: bool) -> str:
    """11.75% (1 seed); 8.71±0.10% (3 seeds); best 6.40% (of 5 seeds)."""
    seeds = f"{len(seen.values)} {'seed' if len(seen.values) == 1 else 'seeds'}"
    if best and seen.deviation is not None:
        return f"best {_figure(min(seen.values), unit)}{unit} (of {seeds})"
    spread = "" if seen.deviation is None else f"±{_figure(seen.deviation, unit)}"
    return f"{_figure(seen.mean, unit)}{spread}{unit} ({seeds})"


def _figure(value: float, unit: str) -> str:
    return f"{value:.2f}" if unit == "%" else f"{value:,.0f}"


def _verdict(printed: str, ours: Decimal, bound: str | None) -> str:
    """How far a measured figure is from the printed one, or whether the paper's bound holds."""
    theirs = value_of(printed)
    if bound:
        return "holds" if (ours > theirs) == (bound == "above") else "does not hold"
    if verdict_on(printed, ours) is not None:
        return "rounds"
    return f"{abs(ours - theirs):.2f} {'above' if ours > theirs else 'below'}"
