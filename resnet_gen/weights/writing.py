"""Weights files written whole: ours, and those of other layouts."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from resnet_gen import files
from resnet_gen.errors import Failure, Problem
from resnet_gen.weights.layouts import Layout
from resnet_gen.weights.refusal import needed

Tensors = dict[str, Tensor]
SUFFIXES = {  # the kind of file by the end of its name
    **{".safetensors": "safetensors", ".pth": "pth", ".pt": "pth", ".bin": "pth"},
    **{".pkl": "pkl", ".npz": "npz", ".h5": "h5"},
}


def write_safetensors(path: Path, tensors: Tensors, metadata: dict[str, str]) -> None:
    """Writes a file of ours.

    Raises:
        Failure: safetensors is not installed (exit code 4).
        OSError: it cannot be written.
    """
    save = needed("safetensors.torch").save_file
    with files.replacing(path) as part:
        save(tensors, part, metadata)


def kind_of(path: Path, layout: Layout) -> str:
    """The kind of file that a name asks for.

    Raises:
        Failure: the layout has no files of that kind.
    """
    kind = SUFFIXES.get(path.suffix.lower(), "")
    if kind not in layout.files:
        ends = [end for end, each in SUFFIXES.items() if each in layout.files]
        message = f"{layout.name} has no files that end in {path.suffix or 'nothing'}"
        raise Failure(Problem("usage", message, f"one of {', '.join(ends)}", path.as_posix()))
    return kind


def write_layout(path: Path, layout: Layout, tensors: Tensors, metadata: dict[str, str]) -> None:
    """Writes tensors, by the layout's names and in its arrangement, as its files are.

    Raises:
        Failure: what writes such files is not installed, or there are none that end so.
        OSError: it cannot be written.
    """
    kind = kind_of(path, layout)
    if kind == "safetensors":
        return write_safetensors(path, tensors, metadata)
    write: Callable[[Path], object]
    if kind == "pth":
        document: Any = {layout.wrapper: tensors} if layout.wrapper else tensors
        if layout.name == "mmpretrain":
            document = {"meta": {}, **document}
        write = lambda part: torch.save(document, part)  # noqa: E731
    elif kind == "h5":
        write = lambda part: _write_keras(part, tensors)  # noqa: E731
    else:
        arrays = {name: value.numpy() for name, value in tensors.items()}
        write = lambda part: _write_arrays(part, layout, kind, arrays)  # noqa: E731
    with files.replacing(path) as part:
        write(part)


def _write_arrays(path: Path, layout: Layout, kind: str, arrays: dict[str, Any]) -> None:
    with path.open("wb") as file:
        if kind == "npz":
            numpy.savez(file, **arrays)
        else:
            beside = {"matching_heuristics": True} if layout.name == "detectron2" else {}
            wrapped = {layout.wrapper: arrays, **beside} if layout.wrapper else arrays
            pickle.dump(wrapped, file, protocol=2)


def _write_keras(path: Path, tensors: Tensors) -> None:
    """As Keras's `save_weights` wrote them: a group a layer, its arrays below its name again."""
    h5py = needed("h5py")
    layers: dict[str, list[str]] = {}
    for name in tensors:
        layers.setdefault(name.partition("/")[0], []).append(name)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = _words(layers)
        for layer, names in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = _words(f"{name}:0" for name in names)
            for name in names:
                group[f"{name}:0"] = tensors[name].numpy()


def _words(names: Iterable[str]) -> list[bytes]:
    return [name.encode() for name in names]
