"""A comparison as a table, with its reasons and its verdict."""

from __future__ import annotations

from collections import Counter

from resnet_gen.compare.rows import STYLES, Comparison, Row, Verdict
from resnet_gen.compare.with_network import SUM_OF
from resnet_gen.console import print_table


def print_comparison(found: Comparison) -> None:
    """`diff` for a person: the table, why rows are not equal, and the verdict."""
    sums = [row for row in found.rows if row.key.startswith(f"{SUM_OF}.")]
    shown = [row for row in found.rows if found.with_paper or row.verdict != "equal" or row in sums]
    print(f"{found.left} | spec | {found.right}\n")
    heads = ("", "paper" if found.with_paper else found.left, "spec", "code", "verdict")
    print_table(heads, [(r.what, r.left, r.spec, r.right, r.verdict) for r in shown], styles=STYLES)
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
