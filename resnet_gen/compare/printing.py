"""A comparison as a table, with its reasons and its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from resnet_gen.compare.rows import STYLES, Comparison, Row, Verdict
from resnet_gen.compare.with_network import SUM_OF
from resnet_gen.console import print_table


def print_comparison(found: Comparison) -> None:
    """`diff` for a person: the table, why rows are not equal, and the verdict."""
    sums = [row for row in found.rows if row.key.startswith(f"{SUM_OF}.")]
    shown = [row for row in found.rows if found.with_paper or row.verdict != "equal" or row in sums]
    print(f"{found.left} | spec | {found.right}\n")
    heads = ("", "paper" if found.with_paper else found.left, "spec", "code", "verdict")
    print_table(heads, _lines(found, shown), styles=STYLES)
    reasons: dict[str, list[Row]] = {}
    for row in shown:
        if row.why:
            reasons.setdefault(row.why, []).append(row)
    print()
    for why, rows in reasons.items():
        names = ", ".join(row.what for row in rows[:4])
        print(f"{names}{f' and {len(rows) - 4} more' if len(rows) > 4 else ''}: {why}")
    counts = Counter(row.verdict for row in found.rows)
    print(", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict]))


def _lines(found: Comparison, shown: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """The cells of each row, with a heading above the first of a part that has one."""
    headed = set()
    for row in shown:
        if row.part in found.headings and row.part not in headed:
            headed.add(row.part)
            yield from (("",) * 5, (found.headings[row.part], *("",) * 4))
        yield row.what, row.left, row.spec, row.right, row.verdict
