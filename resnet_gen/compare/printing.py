"""A comparison as a table, with its reasons and its verdict."""

from __future__ import annotations

from collections import Counter

from resnet_gen.compare.with_paper import Comparison, Row
from resnet_gen.console import print_table

VERDICTS = ("equal", "rounds", "explained", "differs")


def print_comparison(found: Comparison, *, every_row: bool) -> None:
    """`diff` for a person: the table, why rows are not equal, and the verdict."""
    sums = [row for row in found.rows if row.what.startswith("sum of ")]
    shown = [row for row in found.rows if every_row or row.verdict != "equal" or row in sums]
    with_paper = found.left.startswith("paper")
    print(f"{found.left} | spec | {found.right}\n")
    heads = ("", "paper" if with_paper else found.left, "spec", "code", "verdict")
    print_table(heads, [(r.what, r.left, r.spec, r.right, r.verdict) for r in shown])
    reasons: dict[str, list[Row]] = {}
    for row in shown:
        if row.why:
            reasons.setdefault(row.why, []).append(row)
    print()
    for why, rows in reasons.items():
        names = ", ".join(row.what for row in rows[:4])
        print(f"{names}{f' and {len(rows) - 4} more' if len(rows) > 4 else ''}: {why}")
    counts: Counter[str] = Counter(row.verdict for row in found.rows)
    print(", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]))
