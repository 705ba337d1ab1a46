"""The ledger for a person: an overview, the paper's tables with a status in each cell, the text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from resnet_gen import console
from resnet_gen.compare.rows import STYLES, Verdict
from resnet_gen.ledger.numbers import TEXT, Number, Status, counts
from resnet_gen.ledger.structure import ALL
from resnet_gen.ledger.whole import GROUPS, left_out, title

COLOURS: dict[Status, str] = {
    Status.COMPUTED: "green",
    Status.MEASURED: "bold green",
    Status.SHORTER: "yellow",
    Status.QUOTED: "dim",
    Status.NOT_MEASURED: "magenta",
}
BILLIONS = "×10^9"
NAMED = 3  # numbers that a reason names


def print_overview(numbers: Sequence[Number]) -> None:
    """How many numbers of each table have which status."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("")
    table.add_column("what", overflow="fold")
    for head in ("numbers", *Status):
        table.add_column(head, justify="right")
    groups = {group: [n for n in numbers if n.group == group] for group in GROUPS}
    for group, found in [*groups.items(), ("all", list(numbers))]:
        if group == "all":
            table.add_section()
        each = counts(found)
        cells = [
            Text(str(count), COLOURS[status]) if count else Text("·", "dim")
            for status, count in each.items()
        ]
        table.add_row(group, title(group), str(len(found)), *cells)
    console.stdout().print(table)
    print("\n`resnet-gen paper table6` shows the numbers of one, and what stands beside each.")
    _print_left_out(numbers)


def print_numbers(numbers: Sequence[Number]) -> None:
    """Each table of these numbers, or the text, with reasons, commands and counts."""
    for group in dict.fromkeys(number.group for number in numbers):
        found = [number for number in numbers if number.group == group]
        places = list(dict.fromkeys(number.place for number in found))
        heading = places[0] if len(places) == 1 else "text"
        if group != TEXT or len(places) > 1:
            heading += f": {title(group)}"
        console.stdout().print(Text(f"{heading}\n", "bold"))
        console.stdout().print(_text(found) if group == TEXT else _table(found))
        print()
    for line in _reasons(numbers):
        console.stdout().print(Text(line))
    _print_left_out(numbers)
    print(", ".join(f"{n} {status}" for status, n in counts(numbers).items() if n))


def _table(numbers: Sequence[Number]) -> Table:
    """Rows and columns as the paper has them; below each number, its status."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, leading=1)
    table.add_column("")
    rows: dict[str, list[Number]] = {}
    for number in numbers:
        rows.setdefault(number.row, []).append(number)
    widest = max(rows.values(), key=len)  # it has the columns in their order
    columns = list(dict.fromkeys(number.column for number in [*widest, *numbers]))
    for column in columns:
        table.add_column(column, overflow="fold")
    cells = {(number.row, number.column): _cell(number) for number in numbers}
    for row in rows:
        table.add_row(row, *(cells.get((row, column), Text()) for column in columns))
    return table


def _text(numbers: Sequence[Number]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in ("where", "what", "printed", "status"):
        table.add_column(head, overflow="fold")
    before = ""
    for number in sorted(numbers, key=lambda n: _order(n.place)):
        if before not in ("", number.place):
            table.add_section()
        place = "" if number.place == before else number.place
        table.add_row(place, number.row, Text(number.printed, "bold"), _status(number, " "))
        before = number.place
    return table


def _cell(number: Number) -> Text:
    """The number, and its status on a line of its own; a block has a line a layer."""
    shown = number.printed.strip("[]").replace("; ", "\n").replace("] ×", "\n×")
    return Text.assemble((f"{shown}\n", "bold"), _status(number, "\n"))


def _status(number: Number, between: str) -> Text:
    """What is known: the verdict or the status in words, with our value where it adds something."""
    if number.status is Status.COMPUTED:
        value = number.value if number.verdict != Verdict.EQUAL else ""
        if value and number.printed.endswith(BILLIONS):  # a cell of Table 1 has little room
            value = f"{int(value.replace(',', '')) / 1e9:.3f}{BILLIONS}"
        return Text(f"{number.verdict} {value}".rstrip(), STYLES[number.verdict])
    words = {
        Status.MEASURED: f"{number.value}{between}measured, {number.verdict}",
        Status.SHORTER: f"{number.value}{between}{number.verdict}",
    }
    return Text(words.get(number.status, number.status), COLOURS[number.status])


def _reasons(numbers: Sequence[Number]) -> Iterator[str]:
    """Where values come from, what the others would take, and by which commands."""
    told = [n for n in numbers if n.how and n.verdict not in (Verdict.EQUAL, Verdict.ROUNDS)]
    for status in Status:
        grouped: dict[str, list[Number]] = {}
        for number in told:
            if number.status is status:
                grouped.setdefault(number.how, []).append(number)
        for how, found in grouped.items():
            word = "" if status is Status.COMPUTED else f"{status}; "
            yield f"{_names(found)}: {word}{how}"
    wanted = (Status.NOT_MEASURED, Status.SHORTER)
    for command in dict.fromkeys(n.command for n in numbers if n.status in wanted and n.command):
        yield f"to measure: {command}"


def _names(numbers: Sequence[Number]) -> str:
    """Their rows, the first few; a lone number is named by its column too."""
    if len(numbers) == 1 and numbers[0].column not in ("", ALL):
        return f"{numbers[0].row}, {numbers[0].column}"
    names = list(dict.fromkeys(number.row for number in numbers))
    more = len(names) - NAMED
    return "; ".join(names[:NAMED]) + (f"; and {more} more" if more > 0 else "")


def _print_left_out(numbers: Sequence[Number]) -> None:
    grouped: dict[str, list[str]] = {}
    for group, what in left_out(numbers).items():
        grouped.setdefault(what, []).append(group)
    for what, groups in grouped.items():
        print(f"left out of {' and '.join(groups)}: {what}")


def _order(place: str) -> tuple[int, str]:
    """The abstract, the sections with their figures, the appendices."""
    kind, _, _ = place.partition(" ")
    return ("abstract", "section", "Figure", "appendix").index(kind), place
