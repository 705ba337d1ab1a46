"""Section 1's deeper network by construction: a trained shallower one, and layers that do nothing.

The paper argues that such a network exists, so that a deeper one need not have the higher training
error. Here it is made: the layers of the shallower network are copied, and the blocks that each
stage has more of are identities. A residual block is one where F(x) = 0, since the gamma and beta
of its last batch norm are 0: the scores are the same to the bit. A plain block has 3×3 kernels that
pass each channel on, and batch norms whose gamma and beta undo their own statistics, those of what
goes through on training images: the scores are the same to rounding, and nearly so in training,
where batch norm takes the statistics of each batch. What goes in comes out of a ReLU, so that the
ReLUs behind change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from resnet_gen.errors import Failure, Problem
from resnet_gen.generate import apart, origin
from resnet_gen.network.expansion import expand
from resnet_gen.read import library
from resnet_gen.read.library import Entry

if TYPE_CHECKING:
    from resnet_gen.responses.finding import Subject

OUT = Path("generated")
IMAGES = 1_000
LIMIT = 600  # seconds, and more for networks that take longer at a billion multiply-adds in each
MAY_DIFFER = {"name", "depth", "blocks", "classes", "initialisation", "zero_gamma"}
MARK = b'"constructed_from"'  # in the header of each file that is written here


class Constructed(NamedTuple):
    """A deeper network by construction, and how it compares with the one that it was made of."""

    path: Path  # a .safetensors file, for train.py --init
    shallower: str
    deeper: str
    blocks: int  # that were added
    apart: float  # the largest difference between their scores
    largest: float  # the largest score
    images: int  # training images that both were shown
    errors: tuple[float, float]  # top-1 error in % on those, of the shallower and of the deeper one

    @property
    def to_the_bit(self) -> bool:
        """Whether all scores are the same."""
        return self.apart == 0


def construct(
    shallow: Path,
    deeper: str,
    out: Path,
    *,
    data: str | None = None,
    root: Path | None = None,
    images: int = IMAGES,
    seed: int = 0,
    generated: Path = OUT,
) -> Constructed:
    """Writes the weights of a deeper network that computes what a trained shallower one does.

    Args:
        shallow: a run's folder, a checkpoint, or a file of safetensors.
        deeper: the name of a network that differs from its network in depth alone.
        out: the .safetensors file to write.
        data: the training images, as a training script's --data; without it, those of the run.
        root: the folder that they are in; without it, that of the run, or `data`.
        images: how many at most both networks are shown, evenly spaced among the training images.
        seed: of the added blocks' convolutions before a batch norm of zeros, which are drawn anew.
        generated: the folder that the networks' code is generated into.

    Raises:
        Failure: the weights, the code or the images cannot be read, the networks differ in more
            than depth, or `out` is another file (exit code 2); the scores are not the same (3);
            torch is not installed (4).
    """
    apart.require_torch()
    from resnet_gen.responses import finding  # noqa: PLC0415  (torch: plans do without it)

    _require_place(out)
    subject = finding.find(shallow, generated, data, root)
    entry = library.network(deeper)
    require_deeper(subject.entry, entry)
    code = generated / entry.folder / "model.py"
    if not code.is_file():
        hint = origin.command(deeper, entry)
        raise Failure(Problem("file", "there is no such file", hint, code.as_posix()))
    document = _in_a_process(subject, entry, code, out, images, seed)
    return Constructed(
        path=out,
        shallower=subject.entry.name,
        deeper=entry.name,
        blocks=document["blocks"],
        apart=document["apart"],
        largest=document["largest"],
        images=document["images"],
        errors=(document["errors"][0], document["errors"][1]),
    )


def require_deeper(shallow: Entry, deep: Entry) -> None:
    """Raises Failure (exit code 2) unless `deep` is the shallower network with blocks added."""
    told = _difference(shallow, deep)
    if told:
        message = f"{deep.name} is not {shallow.name} with blocks added: {told}"
        hint = "`resnet-gen diff` says all in which two networks differ"
        raise Failure(Problem("deeper", message, hint))


def pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """The networks among these of which one is another one with blocks added: it and the deeper."""
    entries = {name: library.network(name) for name in names}
    return [
        (one, other)
        for one, other in permutations(names, 2)
        if not _difference(entries[one], entries[other])
    ]


def _difference(shallow: Entry, deep: Entry) -> str:
    """In what, other than blocks that are added, two networks differ; empty if in nothing."""
    one, other = (
        {k: v for k, v in e.canonical.items() if k != "training"} for e in (shallow, deep)
    )
    for key in sorted(one.keys() | other.keys()):
        if key not in MAY_DIFFER and one.get(key) != other.get(key):
            return f"its {key} is {other.get(key)}, not {one.get(key)}"
    if other.get("shortcut") == "none" and other.get("block") == "bottleneck":
        return "a plain bottleneck has fewer channels inside than it would have to pass on"
    fewer = [stage.blocks for stage in expand(shallow.spec).stages]
    more = [stage.blocks for stage in expand(deep.spec).stages]
    if fewer == more or any(m < f for f, m in zip(fewer, more, strict=True)):
        return f"its stages have {more} blocks, not more than {fewer}"
    return ""


def _require_place(out: Path) -> None:
    """Raises Failure where nothing may be written."""
    if out.suffix != ".safetensors":
        hint = f"such as {out.with_suffix('.safetensors').as_posix() if out.name else 'deeper'}"
        raise Failure(Problem("usage", "-o must end in .safetensors", hint, out.as_posix()))
    if out.is_file():
        with out.open("rb") as file:
            mine = MARK in file.read(1 << 20)
        if not mine:
            message = "the file that is there was not made by `resnet-gen weights deepen`"
            raise Failure(Problem("file", message, "name another with -o", out.as_posix()))


def _in_a_process(
    subject: Subject, entry: Entry, code: Path, out: Path, images: int, seed: int
) -> dict[str, Any]:
    given = {
        "shallower": subject.entry.name,
        "weights": str(subject.weights),
        "deeper": entry.name,
        "code": str(code),
        "out": str(out),
        "data": subject.data,
        "root": str(subject.root),
        "count": images,
        "seed": seed,
    }
    work = expand(subject.entry.spec).multiply_adds + expand(entry.spec).multiply_adds
    limit = LIMIT + round(images * work / 1e9)
    child = "resnet_gen.experiments.constructing:construct"
    document = apart.ask(child, subject.code, given, limit)
    if failure := apart.failed(document):
        raise failure
    return document
