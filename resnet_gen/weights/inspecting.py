"""What a weights file is: its layout, its network, what it does not say, and where it fits."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from resnet_gen.errors import Failure
from resnet_gen.read import library
from resnet_gen.weights import conventions as known_of
from resnet_gen.weights import target, transforms
from resnet_gen.weights.conventions import Conventions
from resnet_gen.weights.importing import as_rgb
from resnet_gen.weights.reading import read
from resnet_gen.weights.recognising import Source, recognise
from resnet_gen.weights.structure import Structure, structure


def inspect(path: Path, config: Path | None = None) -> dict[str, Any]:
    """Everything that is known of the file, as JSON has it.

    Raises:
        Failure: it is not safe or not whole, or no layout has its names.
    """
    source = recognise(read(path))
    tensors = dict(source.tensors)
    kinds = Counter(str(t.dtype).removeprefix("torch.") for t in tensors.values())
    document: dict[str, Any] = {
        "file": path.as_posix(),
        "kind": source.contents.kind,
        "sha256": source.contents.sha256,
        "layout": source.layout.name,
        "of": source.layout.of,
        "tensors": len(tensors),
        "dtypes": dict(kinds),
    }
    found = structure(tensors)
    refusal, fits, known = "", [], Conventions()
    if isinstance(found, str):
        refusal = f"no network here is built so: {found}"
    else:
        try:
            known = known_of.conventions(source, found, config=config)
            fits = _fits(source, found, known)
        except Failure as failure:
            refusal = failure.problems[0].message
        document |= found.document()
    if source.layout.stride_in == "recorded":
        said = source.contents.metadata or source.beside
        document["network"] = str(said.get("network"))
    document |= {
        "stride_in": known.stride_in,
        "pooling": known.pooling,
        "zero_padding": known.zero_padding,
        "input": as_rgb(known.input) or source.beside.get("input"),
        "order": known.input.order if known.input else None,
        "class_names": known.classes,
        "ambiguous": list(known.undecided.values()),
        "fits": fits,
        "unmatched": source.unmatched,
        "ignored": source.ignored,
        "faults": transforms.faults(tensors),
        "refused": refusal,
        "notes": [*source.notes, " ".join(source.layout.notes.split())],
    }
    return document


def _fits(source: Source, found: Structure, known: Conventions) -> list[str]:
    """The networks of the specs that these weights are of; while strides are open, of either."""
    fits = []
    for entry in library.all_networks():
        if known.network:
            try:
                known_of.require_recorded(source, entry)
            except Failure:
                continue
            fits.append(entry.name)
        elif not source.unmatched:
            without_head = found.classes is None
            if not target.differences(found, known, entry.spec, new_head=without_head):
                fits.append(entry.name)
    return fits


def rows(document: dict[str, Any]) -> list[tuple[str, str]]:
    """What a person sees of it: pairs of a word and what is known."""
    shown = [
        ("file", f"{document['file']}, {document['kind']}"),
        ("layout", f"{document['layout']}: {document['of']}"),
        ("tensors", f"{document['tensors']:,}, {_counted(document['dtypes'])}"),
    ]
    if "depth" in document:
        classes = document["classes"]
        shown += [
            ("network", str(document.get("network", f"{document['design']}, no name in the file"))),
            ("depth", f"{document['depth']}, {document['block']} {document['blocks']}"),
            ("shortcut", document["shortcut"]),
            ("classes", f"{classes:,}" if classes else "none: fc is missing"),
        ]
    for key in ("stride_in", "pooling", "zero_padding", "order"):
        if document[key]:
            shown.append((key, document[key]))
    for key in ("ambiguous", "unmatched", "ignored", "faults", "notes"):
        values = [value for value in document[key] if value]
        shown += [(key if i == 0 else "", value) for i, value in enumerate(values[:20])]
        if len(values) > 20:
            shown.append(("", f"and {len(values) - 20} more"))
    if document["refused"]:
        shown.append(("refused", document["refused"]))
    shown.append(("fits", ", ".join(document["fits"]) or "none of the networks in specs/"))
    return shown


def _counted(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count:,} of {kind}" for kind, count in kinds.items())
