"""What experiments have beside errors: responses, pictures of networks, counts, ensembles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from resnet_gen.draw import architecture as side_by_side
from resnet_gen.errors import Failure
from resnet_gen.network.expansion import expand
from resnet_gen.paper.figures import Figure as Printed
from resnet_gen.paper.figures import Key
from resnet_gen.paper.printed import printed
from resnet_gen.paper.says import title_of
from resnet_gen.read import library
from resnet_gen.report.evidence import Evidence
from resnet_gen.report.pictures import Picture, picture
from resnet_gen.report.tables import Row
from resnet_gen.responses import drawing, measuring

MADE_BY = "resnet-gen report"
ENSEMBLE = "ensemble.json"


def measured(runs: Sequence[Evidence]) -> tuple[dict[str, float], list[Picture], list[str]]:
    """The mean response of each run by its label, Figure 7, and why some runs have none."""
    found, means, notes = [], {}, []
    for run in runs:
        try:
            (one,) = measuring.measure([run.run.path])
        except Failure as failure:
            notes.append(f"{run.label}: no responses, {failure.problems[0].message}.")
            continue
        found.append(one)
        means[run.label] = sum(one.deviations) / len(one.deviations)
    if not found:
        return means, [], notes
    by_network: dict[str, list[float]] = {}
    for one in found:
        by_network.setdefault(one.network, []).append(sum(one.deviations) / len(one.deviations))
    ends = [f"{name} {sum(v) / len(v):.3f}" for name, v in by_network.items()]
    words = f"Standard deviations of layer responses; their means are {', '.join(ends)}."
    made = picture(
        "responses",
        "Standard deviations of layer responses",
        "After Figure 7: outputs of each 3×3 layer, after batch norm and before the nonlinearity. "
        "Above in the network's order, below sorted.",
        [words],
        lambda _: drawing.draw(found, mean=True),
    )
    return means, [made], notes


def architecture(networks: Sequence[str]) -> Picture:
    """The networks side by side, as Figure 3 has them."""
    entries = [library.network(name) for name in networks]
    svg = side_by_side.draw(
        side_by_side.columns([expand(entry.spec) for entry in entries]), MADE_BY
    )
    titles = ", ".join(title_of(entry.spec) for entry in entries)
    words = f"{titles}, layer by layer, side by side by the size of their outputs."
    caption = "After Figure 3. Each box is a layer; dotted shortcuts increase dimensions."
    return Picture("architecture", "The networks", caption, words, (), svg, None)


def counts(networks: Sequence[str]) -> list[Row]:
    """Parameters and multiply-adds of each network, and the paper's multiply-adds."""
    found = []
    for name in networks:
        spec = library.network(name).spec
        network = expand(spec)
        shown = printed(spec).shown.get(Key(Printed.MULTIPLY_ADDS), "")
        row: Row = {"network": name, "title": title_of(spec), "depth": spec.depth}
        row |= {"parameters": network.parameters, "multiply_adds": network.multiply_adds}
        found.append({**row, "paper_multiply_adds": shown})
    return found


def ensemble(folder: Path) -> list[str]:
    """What `reproduce` found of all runs together, in a sentence."""
    try:
        found = json.loads((folder / ENSEMBLE).read_text(encoding="utf-8"))
        top1, top5, runs = found["top1_error"], found["top5_error"], found["runs"]
        text = f"{top1:.2f}% top-1 and {top5:.2f}% top-5"
        return [f"The ensemble of {len(runs)} runs, tested by {found['test']}: {text}."]
    except FileNotFoundError:
        return ["The runs were not tested as an ensemble."]
    except (OSError, ValueError, LookupError, TypeError):
        return [f"{ENSEMBLE} cannot be read, and the ensemble is left out."]
