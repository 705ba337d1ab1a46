"""The README's lines of the ledger: how many numbers of each part have which status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from resnet_gen.compare.rows import Verdict
from resnet_gen.ledger.numbers import TEXT, Number, Status, counts

BEGIN, END = "<!-- ledger -->", "<!-- /ledger -->"
PARTS = {  # of the paper, by their tables
    "Table 1, architectures": range(1, 2),
    "Tables 2 to 5, ImageNet": range(2, 6),
    "Table 6, CIFAR-10": range(6, 7),
    "Tables 7 to 14, detection": range(7, 15),
}
WORDS = {
    Verdict.EQUAL: "are equal",
    Verdict.ROUNDS: "round",
    Verdict.EXPLAINED: "are explained",
    Verdict.DIFFERS: "differ",
}
REST = "text and captions"


def block(numbers: Sequence[Number]) -> str:
    """The lines between the markers, with them, as they stand in the README."""
    parts = {
        name: [n for n in numbers if n.group in {f"table{k}" for k in tables}]
        for name, tables in PARTS.items()
    }
    parts |= {REST: [n for n in numbers if n.group == TEXT], "all": list(numbers)}
    verdicts = Counter(n.verdict for n in numbers if n.status is Status.COMPUTED)
    rows = [
        [name, *(str(c or "") for c in counts(found).values())] for name, found in parts.items()
    ]
    judged = ", ".join(f"{verdicts[verdict]} {words}" for verdict, words in WORDS.items())
    return "\n".join(
        [
            BEGIN,
            f"`resnet-gen paper` says [what stands](docs/ledger.md) beside each of {len(numbers)} "
            f"numbers that the paper prints; of those computed, {judged}:",
            "",
            f"| | {' | '.join(Status)} |",
            f"|---|{'--:|' * len(Status)}",
            *(f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in row)}|" for row in rows),
            END,
        ]
    )
