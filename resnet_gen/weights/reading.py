"""A weights file of any kind as tensors by their names. Nothing in it is run.

The kind is told by the first bytes, not by the file's name.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resnet_gen.weights import archives, hdf5, pickles, safetensors_files, torch_files
from resnet_gen.weights.refusal import refused

TENSORFLOW = (
    "a TensorFlow checkpoint: the official model pads to the right and bottom alone, and TF-slim "
    "strides in the last block of a stage, so that no network here computes the same"
)
REFUSED = {  # by the end of a file's name: what it is, and what to do
    ".caffemodel": (
        "a protocol buffer of Caffe, which is not read here",
        "save its blobs in an .npz: the blobs of layer conv1 as conv1/0, conv1/1",
    ),
    ".t7": ("of Lua's Torch 7: its objects are not read here", ""),
    ".ckpt.index": (TENSORFLOW, ""),
    ".index": (TENSORFLOW, ""),
    ".meta": (TENSORFLOW, ""),
    ".pb": (TENSORFLOW, ""),
    ".weights.h5": (
        "of Keras 3: the names in it carry no place in the network",
        "load it into its model there and save that as .h5",
    ),
    ".keras": (
        "of Keras 3: the names in it carry no place in the network",
        "load it there and save the model as .h5",
    ),
    ".onnx": ("a graph, not weights alone", "take the state dict that it was exported from"),
}
MAX_NAME = 300  # characters of a tensor's name


@dataclass(frozen=True)
class Contents:
    """What a file holds."""

    path: Path
    kind: str  # safetensors, torch, pickle, npz or hdf5
    document: Any  # tensors by their names, maybe wrapped and with others beside them
    sha256: str
    metadata: dict[str, str] = field(default_factory=dict)  # of safetensors


def read(path: Path) -> Contents:
    """What a weights file holds.

    Raises:
        Failure: it is missing, damaged, of a kind that is not read here, or not safe to read.
        OSError: it cannot be opened.
    """
    if not path.exists():
        raise refused(path, "there is no such file")
    if not path.is_file():
        raise refused(path, "this is no file")
    if ".data-0" in path.name:
        raise refused(path, f"this is {TENSORFLOW}")
    for suffix, (what, hint) in REFUSED.items():
        if path.name.lower().endswith(suffix):
            raise refused(path, f"this is {what}", hint)
    with path.open("rb") as file:
        head = file.read(512)
        sha256 = hashlib.file_digest(_rewound(file), "sha256").hexdigest()
    metadata: dict[str, str] = {}
    kind = _kind(path, head)
    document: Any
    if kind == "hdf5":
        document = hdf5.read_hdf5(path)
        if any("/vars/" in name for name in document):
            what, hint = REFUSED[".weights.h5"]
            raise refused(path, f"this is {what}", hint)
    elif kind == "npz":
        document = archives.read_npz(path)
    elif kind == "torch":
        document = torch_files.read_torch(path)
    elif kind == "pickle":
        document = pickles.read_arrays(path)
    else:
        document, metadata = safetensors_files.read_safetensors(path)
    if not isinstance(document, dict):
        hint = "torch.save(model.state_dict(), ...) writes what is read here"
        raise refused(path, "it holds no tensors by their names", hint)
    return Contents(path, kind, document, sha256, metadata)


def _rewound(file: Any) -> Any:
    file.seek(0)
    return file


def _kind(path: Path, head: bytes) -> str:
    if not head:
        raise refused(path, "the file is empty")
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_archive(path)
    if head.startswith(torch_files.LEGACY):
        return "torch"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 40:
        return "safetensors"
    if head[:1] == b"\x80" or path.suffix == ".pkl":
        return "pickle"
    if head[257:262] == b"ustar":
        hint = "load it with the torch that wrote it, and save its state dict anew"
        raise refused(path, "this is the archive of a torch before 0.2, which is not read", hint)
    hint = "read are .safetensors, torch's .pth, .npz, Keras's .h5, detectron2's and Caffe2's .pkl"
    raise refused(path, "this is no kind of weights file that is read here", hint)


def _kind_of_archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if torch_files.is_torch_archive(archive):
                return "torch"
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise refused(path, "the file is damaged: it is no whole archive") from error
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    if any(name.endswith("model.weights.h5") for name in names):
        what, hint = REFUSED[".keras"]
        raise refused(path, f"this is {what}", hint)
    raise refused(path, "this archive holds no weights that are read here")
