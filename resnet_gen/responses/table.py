"""Responses of a network, and as CSV: a line for each layer, and on each what its number is of."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from resnet_gen import files
from resnet_gen.errors import Failure, Problem
from resnet_gen.plot.runs import names

NAME = "responses.csv"  # what stands for a run's checkpoint in a folder that is recorded without it
HEAD = (
    *("network", "run", "shortcuts", "iterations", "data", "images"),
    *("index", "layer", "standard_deviation"),
)


@dataclass(frozen=True)
class Responses:
    """The responses of one trained network."""

    network: str
    path: Path  # the run, or the file of weights
    layers: tuple[str, ...]  # the 3×3 convolutions, in the order in which they run
    deviations: tuple[float, ...]  # the standard deviation of each one's response
    plain: bool = False  # whether the network has no shortcuts
    iterations: int | None = None  # that it was trained for, where that is known
    data: str = ""  # what the images are from
    images: int = 0  # how many there were

    @property
    def mean(self) -> float:
        """The mean of its deviations, by which networks are compared."""
        return fmean(self.deviations)


def write(path: Path, responses: Sequence[Responses]) -> None:
    """Writes the table in one step; its numbers are read again as they were.

    Raises:
        Failure: the folder cannot be written (exit code 2).
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(HEAD)
    for each, run in zip(responses, names(responses), strict=True):
        trained = "" if each.iterations is None else each.iterations
        of = (each.network, run, "no" if each.plain else "yes", trained, each.data, each.images)
        for index, (layer, value) in enumerate(zip(each.layers, each.deviations, strict=True), 1):
            rows.writerow((*of, index, layer, repr(value)))
    try:
        files.write(path, text.getvalue())
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise Failure(Problem("file", message, "", path.as_posix())) from None


def is_one(path: Path) -> bool:
    """Whether a file is such a table."""
    with path.open("rb") as file:
        return file.readline().rstrip() == ",".join(HEAD).encode()


def read(folder: Path) -> Responses | None:
    """The responses that were recorded in a run's folder; None where there are none.

    Raises:
        Failure: the table is not of one network's layers, each once and with its number.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        one, *others = {tuple(row[key] for key in HEAD[:6]) for row in rows}
        network, _, shortcuts, trained, data, images = one
        deviations = tuple(float(row["standard_deviation"]) for row in rows)
        if others or [int(row["index"]) for row in rows] != list(range(1, len(rows) + 1)):
            raise ValueError("its lines are not of one network's layers in their order")
        if not all(math.isfinite(value) and value >= 0 for value in deviations):
            raise ValueError("one of its numbers is no standard deviation")
        return Responses(
            network=network,
            path=folder,
            layers=tuple(row["layer"] for row in rows),
            deviations=deviations,
            plain=shortcuts == "no",
            iterations=int(trained) if trained else None,
            data=data,
            images=int(images),
        )
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        reason = f"it has no column {error}" if isinstance(error, KeyError) else str(error)
        message = f"cannot be read as a table of responses: {reason}"
        hint = f"`resnet-gen responses RUN -o RUN/{Path(NAME).stem}` writes one"
        raise Failure(Problem("file", message, hint, path.as_posix())) from None
