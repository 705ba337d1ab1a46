"""A new spec, with a comment at each line."""

from __future__ import annotations

from pathlib import Path

from pydantic_core import PydanticCustomError

from resnet_gen.errors import Failure, Problem
from resnet_gen.read import library
from resnet_gen.read.network_spec import (
    CONVOLUTIONS,
    DEFAULT_RECIPES,
    DESIGNS,
    ImagenetSpec,
    usable_name,
)
from resnet_gen.read.validation import validate
from resnet_gen.read.yaml_source import parse

SCHEMA = "# yaml-language-server: $schema=../schema/network.json\n"


def new_spec(
    name: str, design: str, depth: int, shortcut: str, block: str | None, blocks: list[int] | None
) -> str:
    """The text of a spec for such a network.

    Raises:
        Failure: such a network cannot be, or its name is taken (exit code 2).
    """
    try:
        usable_name(name)
    except PydanticCustomError as error:
        context = error.context or {}
        raise Failure(Problem("name", context["message"], context["hint"])) from None
    others, _ = library.read_networks(library.network_files().values())
    if any(entry.name == name for entry in others):
        hint = "choose another name, or edit that one"
        raise Failure(Problem("name", f"there is a network called {name} already", hint))
    if design == "cifar" and (block or blocks):
        message = "--block and --blocks are for --design imagenet"
        raise Failure(Problem("usage", message, "section 4.2 derives the blocks from the depth"))
    training = ("training", DEFAULT_RECIPES[design], "a recipe in specs/recipes/, or a mapping")
    lines = [("name", name, ""), ("design", design, _design_comment(design))]
    if design == "imagenet":
        known = _column(others, depth) if blocks is None else None
        blocks = blocks or (known.blocks if known else None)
        fits_basic = blocks is not None and depth == 2 + 2 * sum(blocks)
        block = block or (known.block if known else "basic" if fits_basic else "bottleneck")
        if blocks is None:
            hint = f"say how many stand in each stage, such as --blocks 3,4,6,3 for {depth} layers"
            message = f"Table 1 has no column of {depth} layers to take its blocks from"
            raise Failure(Problem("blocks", message, hint))
        per_block = CONVOLUTIONS.get(block, 3)
        lines += [
            ("depth", str(depth), f"{per_block}·({'+'.join(map(str, blocks))})+2"),
            ("block", block, "basic | bottleneck"),
            ("blocks", str(blocks), "in conv2_x, conv3_x, conv4_x, conv5_x"),
            ("shortcut", shortcut, "none | A | B (section 3.3) | C (section 4.1)"),
        ]
        if block == "bottleneck":
            lines.append(
                ("stride_in", "conv1x1", "the authors' release; conv3x3 is torchvision's v1.5")
            )
        lines.append(training)
    else:
        n = (depth - 2) // 6
        lines += [
            ("depth", str(depth), f"6n+2 with n = {n}"),
            ("shortcut", shortcut, "none | A | B | C; the paper's is A (section 4.2)"),
            training,
        ]
    width = max(len(f"{key}: {value}") for key, value, _ in lines)
    text = SCHEMA if Path("specs/schema/network.json").is_file() else ""
    for key, value, comment in lines:
        text += f"{f'{key}: {value}':{width}}   # {comment}".removesuffix("   # ").rstrip() + "\n"
    _check(text, design)
    return text


def _design_comment(design: str) -> str:
    return "Table 1" if design == "imagenet" else "section 4.2: 6n+2 layers"


def _column(entries: list[library.Entry], depth: int) -> ImagenetSpec | None:
    """A network of that depth to take the blocks from."""
    specs = (entry.spec for entry in entries)
    return next((s for s in specs if isinstance(s, ImagenetSpec) and s.depth == depth), None)


def _check(text: str, design: str) -> None:
    """What the arguments got wrong, without naming a file that is not there yet."""
    document = parse(text, "")
    _, problems = validate(document, DESIGNS[design], f"a {design} network")
    if problems:
        raise Failure(Problem(p.rule, p.message, p.hint) for p in problems)
