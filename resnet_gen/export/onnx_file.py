"""A network as one ONNX file: weights inside, any number of images at once."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any, cast

import onnx
import onnxruntime  # type: ignore[import-untyped]
import onnxscript.optimizer
import torch
from torch import Tensor, nn

OPSET = 18  # the oldest that torch's exporter writes, for runtimes of any age


def content(network: nn.Module, images: Tensor, metadata: Mapping[str, str]) -> bytes:
    """The file's content: input `images`, output `scores`, checked by onnx itself.

    Batch norms stand as they do in the network: torch's own optimisation would fold them. What it
    notes of Python files and their places on this machine is taken away.

    Raises:
        Exception: whatever the exporter raises, or onnx.checker.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.onnx.export(
            network,
            (images,),
            dynamo=True,
            input_names=["images"],
            output_names=["scores"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=OPSET,
            optimize=False,
            verbose=False,
        )
        program = cast("torch.onnx.ONNXProgram", exported)  # None is of the older exporter
        onnxscript.optimizer.fold_constants(program.model)
        onnxscript.optimizer.remove_unused_nodes(program.model)
        model = program.model_proto
    graph = model.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("metadata_props")
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def runner(made: bytes) -> Callable[[Tensor], Tensor]:
    """What onnxruntime makes of a file's content: images (N, C, H, W) to scores (N, classes)."""
    options: Any = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session: Any = onnxruntime.InferenceSession(made, options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(["scores"], {"images": images.numpy()})[0])
