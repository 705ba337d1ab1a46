"""Training runs, read from their metrics.jsonl: what can be drawn or compared of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, Protocol

from resnet_gen import console
from resnet_gen.errors import Failure, Problem, quoted

METRICS, NEEDED = "metrics.jsonl", ("step", "lr", "train_error")


class Curve(NamedTuple):
    """Steps, and what was measured there: errors in %, or learning rates."""

    steps: list[float]
    values: list[float]


class Run(NamedTuple):
    """What there is to draw; `path` is the run's folder, or its file if that has another name."""

    path: Path
    network: str
    kind: str  # what the bold curve is measured on: test or validation
    bold: Curve
    training: Curve
    once: Curve  # a single point, the test error of a run that measured it once; or no point
    rate: Curve


class Named(Protocol):
    """Something of a network, that was found in a place."""

    @property
    def path(self) -> Path:
        """The folder of a run, or a file."""
        ...

    @property
    def network(self) -> str:
        """The network's name."""
        ...


def read(paths: Iterable[Path]) -> list[Run]:
    """The runs, each once. A last line that a killed run left unfinished is skipped with a note.

    Raises:
        Failure: some are not there, or not what they should be (exit code 2).
    """
    runs: dict[Path, Run] = {}
    problems = []
    for path in paths:
        try:
            run = _run(path / METRICS if path.is_dir() else path)
            runs.setdefault(run.path.resolve(), run)
        except Failure as failure:
            problems += failure.problems
    if problems:
        raise Failure(problems)
    return list(runs.values())


def names(runs: Sequence[Named]) -> list[str]:
    """The networks' names, each with as much of its path as tells it from the others."""
    found = []
    for run in runs:
        others = [other for other in runs if other is not run and other.network == run.network]
        parts, count = run.path.resolve().parts, 1
        while any(other.path.resolve().parts[-count:] == parts[-count:] for other in others):
            count += 1
        name = f"{run.network} ({'/'.join(parts[-count:])})" if others else run.network
        found.append("".join(c if c.isprintable() else "?" for c in name))
    return found


def _run(file: Path) -> Run:
    lines = _lines(file)
    path = file.parent if file.name == METRICS else file
    try:
        network = str(json.loads((path / "results.json").read_text(encoding="utf-8"))["network"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):  # written last by a run
        network = path.resolve().name
    test, validation, training, rate = (
        Curve([line["step"] for line in lines if key in line], [x[key] for x in lines if key in x])
        for key in ("test_error", "val_error", "train_error", "lr")
    )
    if len(test.steps) > 1:
        return Run(path, network, "test", test, _means(training, test), Curve([], []), rate)
    return Run(path, network, "validation", validation, _means(training, validation), test, rate)


def _means(curve: Curve, bold: Curve) -> Curve:
    """One point for all points since the step before, for each step of the bold curve."""
    ends, means, window = {*bold.steps, curve.steps[-1]}, Curve([], []), Curve([], [])
    for step, error in zip(*curve, strict=True):
        window.steps.append(step)
        window.values.append(error)
        if step in ends:
            means.steps.append(fmean(window.steps))
            means.values.append(fmean(window.values))
            window = Curve([], [])
    return means if bold.steps else curve


def _lines(file: Path) -> list[dict[str, float]]:
    try:
        rows = file.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        near = [run.parent.as_posix() for run in sorted(file.parent.glob(f"*/{METRICS}"))]
        hint = f"there is {near[0]}" if near else "a run is the folder that train.py wrote into"
        raise Failure(Problem("file", "there is no such file", hint, file.as_posix())) from None
    lines: list[dict[str, float]] = []
    for number, row in enumerate(rows, start=1):
        place = file.as_posix(), number
        try:
            line = json.loads(row or "null", parse_int=float)
        except (ValueError, RecursionError) as error:
            if number < len(rows):
                column = getattr(error, "colno", 1)
                raise Failure(Problem("json", "is not JSON", "", *place, column, 1, row)) from None
            console.note(f"note: {file.as_posix()}:{number} is unfinished, and skipped")
            continue
        if row and (fault := _fault(line, lines)):
            raise Failure(Problem("metrics", fault, "", *place))
        lines += [line] if row else []
    if not lines:
        raise Failure(Problem("file", "has no whole line", "", file.as_posix()))
    return lines


def _fault(line: Any, before: list[dict[str, float]]) -> str:
    """What is wrong with a line, whose numbers are all floats; nothing if it is right."""
    if not isinstance(line, dict):
        return "is not an object"
    if missing := [f"`{key}`" for key in NEEDED if key not in line]:
        return f"{' and '.join(missing)} missing"
    for key in (*NEEDED, "val_error", "test_error"):
        value, most = line.get(key, 0.0), 100 if key.endswith("error") else 1e12
        if not isinstance(value, float) or not math.isfinite(value):
            return f"`{key}` is {quoted(value)}, which is no number"
        if not 0 <= value <= most:
            return f"`{key}` is {value:g}, which is not in 0 to {most:g}"
    if before and line["step"] <= before[-1]["step"]:
        return f"step {line['step']:,.10g} comes after step {before[-1]['step']:,.10g}"
    return ""
