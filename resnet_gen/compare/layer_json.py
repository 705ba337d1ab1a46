"""Layers as JSON, for the process that runs a generated file and the one that waits for it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from resnet_gen.network.layers import Argument, Layer, Operation


def fields_of(layer: Layer) -> dict[str, Any]:
    """A layer as JSON has it, with lists for tuples once it is read."""
    return asdict(layer)


def layer_of(fields: dict[str, Any]) -> Layer:
    """The layer again."""
    known = fields["operation"] in list(Operation)
    operation = Operation(fields["operation"]) if known else fields["operation"]
    arguments = tuple((name, _argument(value)) for name, value in fields["arguments"])
    inputs = tuple(fields["inputs"])
    return Layer(**{**fields, "operation": operation, "arguments": arguments, "inputs": inputs})


def _argument(value: Any) -> Argument:
    return tuple(map(_argument, value)) if isinstance(value, list) else value
