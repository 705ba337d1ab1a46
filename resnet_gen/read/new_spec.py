"""A new spec, with a comment at each line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from resnet_gen.errors import Failure, Problem, did_you_mean
from resnet_gen.paper import tables
from resnet_gen.paper.vgg import Vgg
from resnet_gen.read import library
from resnet_gen.read.folders import network_files
from resnet_gen.read.network_spec import (
    CONVOLUTIONS,
    DEFAULT_RECIPES,
    DESIGNS,
    ImagenetSpec,
    in_words,
    keys_elsewhere,
    usable_name,
)
from resnet_gen.read.recipes import training_of
from resnet_gen.read.validation import validate
from resnet_gen.read.yaml_source import parse

SCHEMA = "# yaml-language-server: $schema=../schema/network.json\n"
COMMENTS = {
    "block": "basic | bottleneck",
    "blocks": "in conv2_x, conv3_x, conv4_x, conv5_x",
    "stride_in": "the authors' release has it in conv1x1; conv3x3 is torchvision's v1.5",
    "classes": "outputs of the last layer",
    "width": "filters of the first stage; each later stage doubles them",
    "image_size": "height and width",
    "image_channels": "3 for colour",
    "pooling": "padded | ceil: how the max pooling meets the border",
    "initialisation": "fan_out | fan_in",
    "zero_padding": "after | both: where option A's zero channels are",
    "hidden": "units of the first two fully-connected layers",
    "dropout": "the probability that training drops one of those units",
    "zero_gamma": "each block's last batch norm starts at zero (not in the paper)",
    "training": "a recipe in specs/recipes/, or a mapping",
}
DESIGN_COMMENTS = {
    "cifar": "section 4.2: 6n+2 layers",
    "imagenet": "Table 1",
    "vgg": "Simonyan & Zisserman 2014; Figure 3, left",
}
FIRST = ("name", "design", "depth", "block", "blocks", "shortcut", "stride_in")


def new_spec(name: str, design: str, depth: int, choices: Mapping[str, Any]) -> str:
    """The text of a spec for such a network; `choices` are its other keys.

    Raises:
        Failure: such a network cannot be, or its name is taken (exit code 2).
    """
    if design not in DESIGNS:
        message = f"{design!r} is not one of {', '.join(DESIGNS)}"
        raise Failure(Problem("design", message, did_you_mean(design, DESIGNS)))
    others, _ = library.read_networks(network_files().values())
    _check_name(name, others)
    values = {"name": name, "design": design, "depth": depth, **choices}
    if design in DEFAULT_RECIPES:
        values.setdefault("training", DEFAULT_RECIPES[design])
    if design == "imagenet":
        values |= _blocks(values, others)
        values.setdefault("shortcut", "B")
        if values["block"] == "bottleneck":
            values.setdefault("stride_in", "conv1x1")
    elif design == "vgg":
        values["blocks"] = _vgg_blocks(values)
    else:
        values.setdefault("shortcut", "A")
        if {"block", "blocks"} & values.keys():
            message = "--block and --blocks are not for --design cifar"
            raise Failure(
                Problem("usage", message, "section 4.2 derives the blocks from the depth")
            )
    text = _written(values)
    _check(text, design)
    return text


def _check_name(name: str, others: list[library.Entry]) -> None:
    try:
        usable_name(name)
    except PydanticCustomError as error:
        context = error.context or {}
        raise Failure(Problem("name", context["message"], context["hint"])) from None
    taken = [entry.name for entry in others if entry.name.lower() == name.lower()]
    if taken:
        message = f"there is a network called {taken[0]} already"
        if name not in taken:
            message += f", and a disk that ignores case cannot hold {name} beside it"
        raise Failure(Problem("name", message, "choose another name, or edit that one"))


def _blocks(values: Mapping[str, Any], others: list[library.Entry]) -> dict[str, Any]:
    """The kind of block and how many stand in each stage, as asked for or as in Table 1."""
    depth, block = values["depth"], values.get("block")
    if "blocks" in values:
        blocks = _counts(values["blocks"])
        block = block or ("basic" if depth == 2 + 2 * sum(blocks) else "bottleneck")
        return {"block": block, "blocks": blocks}
    specs = (entry.spec for entry in others)
    known = next((s for s in specs if isinstance(s, ImagenetSpec) and s.depth == depth), None)
    if known is None:
        hint = f"say how many stand in each stage, such as --blocks 3,4,6,3 for {depth} layers"
        message = f"Table 1 has no column of {depth} layers to take its blocks from"
        raise Failure(Problem("blocks", message, hint))
    return {"block": block or known.block, "blocks": list(known.blocks)}


def _vgg_blocks(values: Mapping[str, Any]) -> list[int]:
    """The convolutions of each stage, as asked for or as in Simonyan & Zisserman's Table 1."""
    if "blocks" in values:
        return _counts(values["blocks"])
    depth, known = values["depth"], tables.load("vgg", Vgg)
    found = known.configuration(depth)
    if found is None:
        depths = ", ".join(str(each.depth) for each in known.configurations)
        hint = f"the depths of VGG are {depths}; of others say --blocks, such as 2,2,3,3,3"
        raise Failure(Problem("depth", f"VGG has no configuration of {depth} layers", hint))
    return list(found.blocks)


def _counts(text: str) -> list[int]:
    """A list of numbers: 3,4,6,3 or, as a spec has it, [3, 4, 6, 3]."""
    inner = re.fullmatch(r"\s*(\[)?([\d\s,]+)(?(1)\])\s*", text)
    counts = re.split(r"[\s,]+", inner[2].strip(" ,")) if inner else []
    if not all(count.isdigit() and len(count) < 10 for count in counts) or not counts:
        message = f"{text!r} is not a list of numbers"
        raise Failure(Problem("blocks", message, "such as --blocks 3,4,6,3"))
    return [int(count) for count in counts]


def _written(values: Mapping[str, Any]) -> str:
    """The YAML text, with a key and its comment on each line."""
    middle = [key for key in values if key not in (*FIRST, "training")]
    keys = [key for key in (*FIRST, *middle, "training") if key in values]
    lines = [(f"{key}: {_scalar(values[key])}", _comment(key, values)) for key in keys]
    width = max(len(line) for line, _ in lines)
    text = SCHEMA if Path("specs/schema/network.json").is_file() else ""
    for line, comment in lines:
        text += f"{line:{width}}   # {comment}\n" if comment else f"{line}\n"
    return text


def _comment(key: str, values: Mapping[str, Any]) -> str:
    design, cifar = values["design"], values["design"] == "cifar"
    if key == "design":
        return DESIGN_COMMENTS[design]
    if key == "blocks" and design == "vgg":
        return "3×3 convolutions in each stage"
    if key == "width" and design == "vgg":
        return "filters of the first stage; each later one doubles them, up to 8 times as many"
    if key == "depth":
        if cifar:
            return f"6n+2 with n = {(values['depth'] - 2) // 6}"
        blocks = "+".join(map(str, values["blocks"]))
        if design == "vgg":
            return f"{blocks}+3"
        return f"{CONVOLUTIONS.get(values['block'], 3)}·({blocks})+2"
    if key == "shortcut":
        paper = "none | A | B | C; the paper's is A (section 4.2)"
        return paper if cifar else "none | A | B (section 3.3) | C (section 4.1)"
    return COMMENTS.get(key, "")


def _scalar(value: Any) -> str:
    """A value as YAML; words that could be more than a word are quoted."""
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z][\w.-]*", value):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check(text: str, design: str) -> None:
    """Raises what the arguments got wrong, without naming a file that is not there yet."""
    document = parse(text, "")
    elsewhere = {
        key: f"it is for --design {' or '.join(others)}"
        for key, others in keys_elsewhere(design).items()
    }
    _, problems = validate(document, DESIGNS[design], in_words(design), elsewhere)
    problems += [p for p in training_of(document, design)[1] if p not in problems]
    if problems:
        raise Failure(Problem(p.rule, p.message, p.hint) for p in problems)
