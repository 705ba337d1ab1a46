"""Detection: tables 7 to 14, which are quoted, and what appendices A to C print of their making."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from resnet_gen.compare.detector import comparing, describing, localizer_comparing, specified
from resnet_gen.compare.rows import Row
from resnet_gen.ledger.errors import OTHERS
from resnet_gen.ledger.numbers import Number, Status
from resnet_gen.ledger.structure import computed
from resnet_gen.paper import tables
from resnet_gen.paper.scores import Scores
from resnet_gen.read.detectors import DetectorEntry, LocalizerEntry, all_detectors

TABLES = [f"table{number}" for number in range(7, 15)]
OURS = "the authors' detector; that of generated/detection has not been trained on these images"
PLACES = {  # of what this paper prints itself; the rest it has from Faster R-CNN
    "proposals": "appendix A",
    "shorter_side": "appendix A",
    "recipe.images": "appendix A",
    "recipe.iterations": "appendix A",
    "recipe.learning_rates": "appendix A",
    "nms": "appendix B",
    "scales": "appendix B",
    "outputs": "appendix C",
    "sampled": "appendix C",
    "of_regions": "appendix C",
    "crop": "appendix C",
}
OF_LOCALIZERS = {"proposals": "appendix C", "recipe.images": "appendix C"}
DETECTOR, LOCALIZER = "faster_rcnn_resnet101_all", "localizer_resnet101"


def of_tables() -> list[Number]:
    """Tables 7 to 14: quoted, as long as no detector is trained on their images here."""
    found = []
    for name in TABLES:
        table = tables.load(name, Scores)
        for row in table.rows:
            how = OTHERS if row.others else OURS
            for column in table.columns:
                if column in row.scores:
                    place, printed = f"Table {table.table}", row.scores[column]
                    found.append(Number(place, row.method, column, printed, Status.QUOTED, how=how))
    return found


def appendices() -> list[Number]:
    """How detectors and localizers are built, trained and tested, beside the specs' meaning."""
    entries = {entry.name: entry for entry in all_detectors()}
    found = []
    detector, localizer = entries.get(DETECTOR), entries.get(LOCALIZER)
    if isinstance(detector, DetectorEntry):
        rows = comparing.rows(detector, _means(detector))
        found += _numbers(rows, PLACES, detector.name)
    if isinstance(localizer, LocalizerEntry):
        means = localizer_comparing.words(localizer_comparing.specified(localizer))
        rows = localizer_comparing.rows(localizer, means | _equal(localizer_comparing.LABELS))
        found += _numbers(rows, PLACES | OF_LOCALIZERS, localizer.name)
    return found


def _means(entry: DetectorEntry) -> dict[str, str]:
    return describing.words(specified.answers(entry)) | _equal(comparing.LABELS)


def _equal(labels: Iterable[str]) -> dict[str, str]:
    """The rows of numbers, which the ledger does not run."""
    return {key: "equal" for key in labels if key.startswith("numbers.")}


def _numbers(rows: Iterable[Row], places: dict[str, str], name: str) -> list[Number]:
    found = []
    for row in rows:
        if row.left and row.key in places:
            number = computed(places[row.key], row.what, "", row.left, [row])
            found.append(replace(number, command=f"resnet-gen diff {name}"))
    return found
