"""Computed: the architectures of Table 1 and section 4.2, and how sections 3.4 and 4.2 train.

The verdicts are those of `diff`, with the spec's arithmetic on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from resnet_gen.compare.recipe import rows as recipe_rows
from resnet_gen.compare.recipe import words
from resnet_gen.compare.rows import MISSING, Row, Verdict
from resnet_gen.ledger.networks import Networks
from resnet_gen.ledger.numbers import Number, Status, worst
from resnet_gen.network.layers import square
from resnet_gen.paper import tables, training
from resnet_gen.read.library import Entry

ALL = "all columns"
SIZE = "output size"
NOT_THERE = "none of the specs is exactly this network"


def table1(networks: Networks) -> list[Number]:
    """Table 1: output sizes, every column's cells, multiply-adds, and the caption's stride."""
    table = tables.load("table1", tables.Table1)
    entries = {column: _of_column(networks, column) for column in table.flops}
    every = list(entries.values())
    found = []
    for row in table.rows:
        name = row.layer_name
        found.append(computed("Table 1", name, SIZE, row.output_size, _sizes(networks, every, row)))
        if row.all_columns:
            keys = {"conv1": ("conv1.kernel", "conv1.width", "conv1.stride"), "": ("head",)}
            of_cell = _rows(networks, every, keys.get(name, ("max_pool.window",)))
            found.append(computed("Table 1", name, ALL, row.all_columns, of_cell))
        for column, cell in row.columns.items():
            text = f"[{'; '.join(cell.block)}] ×{cell.repeats}"
            figures = [f"{name}.{figure}" for figure in ("kernels", "widths", "repeats")]
            of_cell = _rows(networks, [entries[column]], figures)
            number = computed("Table 1", name, column, text, of_cell, entries[column])
            found.append(replace(number, value=_block(of_cell)))
    for column, flops in table.flops.items():
        count = _rows(networks, [entries[column]], ["multiply_adds"])
        found.append(computed("Table 1", "FLOPs", column, flops, count, entries[column]))
    layers = table.downsampling.layers
    strides = _rows(networks, every, [f"{layer[:-1]}x.stride" for layer in layers])
    caption = f"stride of {', '.join(layers)}"
    return [*found, computed("Table 1", caption, ALL, table.downsampling.stride, strides)]


def section42(networks: Networks) -> list[Number]:
    """Section 4.2's table of output sizes, layers and filters, and the text around it."""
    section = tables.load("section4-2", tables.Section42)
    depths = tables.load("table6", tables.Table6).depths
    every = [networks.of_paper("cifar", depth, section.shortcut) for depth in depths]
    found = [
        ("first layer", section.first_layer, ["conv1.kernel", "conv1.width"]),
        ("depth", section.depth, ["depth"]),
        ("stride between stages", section.downsampling.stride, ["stage_2.stride"]),
        ("end", section.head, ["head"]),
    ]
    for number, stage in enumerate(section.stages, start=1):
        name, key = f"stage {number}", f"stage_{number}"
        found += [
            (f"{name}, output map size", stage.output_size, [f"{key}.output_size"]),
            (f"{name}, # layers", stage.layers, [f"{key}.layers"]),
            (f"{name}, # filters", stage.filters, [f"{key}.widths"]),
        ]
    return [
        computed("section 4.2", row, "", printed, _rows(networks, every, keys))
        for row, printed, keys in found
    ]


def recipes(networks: Networks) -> list[Number]:
    """What sections 3.4 and 4.2 print of training, beside the recipes of their networks.

    That of the 110-layer network is all of section 4.2, with the warm-up.
    """
    found = []
    for design, depth in (("imagenet", 34), ("cifar", 110)):
        entry = networks.of_paper(design, depth, "A")
        if entry is None or entry.recipe is None:
            continue
        ours = words.of_spec(entry.recipe, entry.spec)
        place = f"section {training.section(design).section}"
        for key, printed in training.printed(entry.spec).items():
            if any(character.isdigit() for character in printed):
                verdict, why = recipe_rows.judge(key, entry.recipe, entry.spec)
                why = why or f"the recipe {entry.recipe.name}"
                row = Row(key, printed, ours.get(key, MISSING), "", verdict, why)
                what = f"training, {words.LABELS[key]}"
                found.append(computed(place, what, "", printed, [row], entry))
    return found


def computed(
    place: str,
    row: str,
    column: str,
    printed: str,
    rows: Sequence[Row],
    entry: Entry | None = None,
) -> Number:
    """A number with the worst verdict of some rows of a comparison, their values and reasons.

    Without rows nothing here is what the paper prints, and the verdict is `differs`.
    """
    verdict = worst([each.verdict for each in rows]) if rows else Verdict.DIFFERS
    value = "; ".join(dict.fromkeys(each.spec for each in rows))
    reasons = dict.fromkeys(each.why for each in rows if each.why)
    how = "; ".join(reasons) if rows else NOT_THERE
    command = f"resnet-gen diff {entry.name}" if entry else ""
    return Number(place, row, column, printed, Status.COMPUTED, verdict, value, how, command)


def _of_column(networks: Networks, column: str) -> Entry | None:
    """The residual network of a column: of those that the paper has, the one without projections.

    Table 1 does not say which option its multiply-adds count.
    """
    depth = int(column.removesuffix("-layer"))
    found = (networks.of_paper("imagenet", depth, option) for option in ("A", "B"))
    return next((entry for entry in found if entry), None)


def _block(rows: Sequence[Row]) -> str:
    """A block's kernels, widths and repeats as a cell of Table 1; nothing without them."""
    if not rows:
        return ""
    kernels, widths, repeats = (row.spec for row in rows)
    layers = zip(kernels.split(", "), widths.split(", "), strict=False)
    return f"[{'; '.join(', '.join(layer) for layer in layers)}] ×{repeats}"


def _rows(networks: Networks, entries: Iterable[Entry | None], keys: Sequence[str]) -> list[Row]:
    """These rows of these networks; none at all, where one of them is missing."""
    found = [networks.rows(entry) if entry else {} for entry in entries]
    if not all(key in rows for rows in found for key in keys):
        return []
    return [rows[key] for rows in found for key in keys]


def _sizes(networks: Networks, entries: Sequence[Entry | None], row: tables.Table1Row) -> list[Row]:
    """The output size of a row of Table 1; that of conv2_x stands beside the pooling too."""
    name = row.layer_name
    if name:
        keys = [f"{name}.output_size", *(["max_pool.output_size"] if name == "conv2_x" else [])]
        return _rows(networks, entries, keys)
    found = []
    for entry in filter(None, entries):
        size = square(networks.expanded(entry).layers[-1].output_size)
        verdict = Verdict.EQUAL if size == row.output_size else Verdict.DIFFERS
        found.append(Row("end", row.output_size, size, "", verdict))
    return found
