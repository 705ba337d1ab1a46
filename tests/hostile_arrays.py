"""More files that are hostile or broken: safetensors, HDF5, .npz, and kinds that are not read."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy
import torch
from safetensors.torch import save as save_safetensors

from hostile import MAKERS, Maker, Runs, makes

# ---- safetensors ---------------------------------------------------------------------------------


def _safetensors(path: Path, header: str | dict[str, Any], data: bytes = b"") -> Path:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def _entry(start: int, stop: int, *shape: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape or [(stop - start) // 4], "data_offsets": [start, stop]}


@makes("its header has conv1.weight twice")
def safetensors_with_a_name_twice(folder: Path) -> Path:
    one = json.dumps(_entry(0, 8))
    text = f'{{"conv1.weight": {one}, "conv1.weight": {one}}}'
    return _safetensors(folder / "a.safetensors", text, bytes(8))


@makes("lies over another")
def safetensors_that_overlap(folder: Path) -> Path:
    header = {"conv1.weight": _entry(0, 8), "bn1.weight": _entry(4, 12)}
    return _safetensors(folder / "a.safetensors", header, bytes(12))


@makes("its tensors end at byte 4,000,000,000 of 8")
def safetensors_outside(folder: Path) -> Path:
    return _safetensors(folder / "a.safetensors", {"x": _entry(0, 4_000_000_000)}, bytes(8))


@makes("claims another size than its place")
def safetensors_of_another_size(folder: Path) -> Path:
    header = {"x": _entry(0, 8, 1_000_000, 1_000)}
    return _safetensors(folder / "a.safetensors", header, bytes(8))


@makes("leaves a gap before it")
def safetensors_with_a_gap(folder: Path) -> Path:
    return _safetensors(folder / "a.safetensors", {"x": _entry(4, 8)}, bytes(8))


@makes("its header claims")
def safetensors_with_a_huge_header(folder: Path) -> Path:
    (path := folder / "a.safetensors").write_bytes((1 << 39).to_bytes(8, "little") + b"{}" * 50)
    return path


@makes("its header is no JSON")
def safetensors_nested_deeply(folder: Path) -> Path:
    return _safetensors(folder / "a.safetensors", '{"x":' + "[" * 200_000)


@makes("a tensor has a name that none has")
def safetensors_with_escape_codes(folder: Path) -> Path:
    content = save_safetensors({"conv1.weight\x1b]0;gone\x07": torch.zeros(3)})
    (path := folder / "a.safetensors").write_bytes(content)
    return path


# ---- HDF5 ----------------------------------------------------------------------------------------


def _hdf5(folder: Path) -> tuple[Path, h5py.File]:
    return (path := folder / "a.h5"), h5py.File(path, "w")


@makes("lie in another file, which is not read")
def hdf5_of_another_file(folder: Path) -> Path:
    secret = folder / "secret"
    secret.write_bytes(bytes(range(64)))
    path, file = _hdf5(folder)
    with file:
        external = [(str(secret), 0, 64)]
        file.create_dataset("conv2_block1_1_conv/kernel", (16,), "f4", external=external)
    return path


@makes("is a link to elsewhere")
def hdf5_with_a_link(folder: Path) -> Path:
    path, file = _hdf5(folder)
    with file:
        file["conv1_conv"] = h5py.ExternalLink("/etc/other.h5", "/x")
    return path


@makes("is a link to elsewhere")
def hdf5_with_a_soft_link(folder: Path) -> Path:
    path, file = _hdf5(folder)
    with file:
        file["conv1_conv"] = h5py.SoftLink("/conv1_conv")
    return path


@makes("is reached in two ways")
def hdf5_in_a_circle(folder: Path) -> Path:
    path, file = _hdf5(folder)
    with file:
        group = file.create_group("a")
        group["b"] = group
    return path


@makes("put together from other files")
def hdf5_that_is_virtual(folder: Path) -> Path:
    path, file = _hdf5(folder)
    with file:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
        file.create_virtual_dataset("conv1_conv/kernel", layout)
    return path


@makes("claims 400,000,000,000 bytes")
def hdf5_that_claims_more(folder: Path) -> Path:
    path, file = _hdf5(folder)
    with file:
        file.create_dataset("conv1_conv/kernel", (100_000_000_000,), "f4")
    return path


@makes("is compressed")
def hdf5_bomb(folder: Path) -> Path:
    path, file = _hdf5(folder)
    with file:
        zeros = numpy.zeros(50_000_000, numpy.float32)
        file.create_dataset("conv1_conv/kernel", data=zeros, compression="gzip")
    return path


@makes("damaged")
def hdf5_cut_off(folder: Path) -> Path:
    path, file = _hdf5(folder)
    with file:
        file["conv1_conv/kernel"] = numpy.zeros(5000, numpy.float32)
    path.write_bytes(path.read_bytes()[:3000])
    return path


@makes("the names in it carry no place")
def keras_3(folder: Path) -> Path:
    path, file = _hdf5(folder)
    with file:
        file["layers/conv2d/vars/0"] = numpy.zeros((7, 7, 3, 64), numpy.float32)
    return path


# ---- .npz, and what is refused by its kind -------------------------------------------------------


@makes("not of numbers")
def npz_of_objects(folder: Path) -> Path:
    numpy.savez(path := folder / "a.npz", x=numpy.array([Runs(folder / "ran")], dtype=object))
    return path


@makes("it unfolds to")
def npz_bomb(folder: Path) -> Path:
    zeros = numpy.zeros(100_000_000, numpy.uint8)
    numpy.savez_compressed(path := folder / "a.npz", x=zeros)
    return path


@makes("claims to be 25000000000 and holds 4 bytes")
def npz_that_claims_more(folder: Path) -> Path:
    numpy.save(content := io.BytesIO(), numpy.zeros(1, numpy.float32))
    array = content.getvalue().replace(b"(1,), }" + b" " * 10, b"(25000000000,), }")
    with zipfile.ZipFile(path := folder / "a.npz", "w") as archive:
        archive.writestr("x.npy", array)
    return path


def _named(name: str) -> Maker:
    def maker(folder: Path) -> Path:
        (path := folder / name).write_bytes(b"\x0a\x08anything at all")
        return path

    return maker


for _name, _words in (
    ("a.caffemodel", "a protocol buffer of Caffe"),
    ("a.t7", "of Lua's Torch 7"),
    ("model.ckpt.index", "TF-slim strides in the last block"),
    ("model.ckpt.data-00000-of-00001", "pads to the right and bottom"),
    ("a.weights.h5", "the names in it carry no place"),
    ("a.txt", "no kind of weights file that is read here"),
):
    MAKERS[_name] = _named(_name), _words


@makes("the file is empty")
def nothing_in_it(folder: Path) -> Path:
    (path := folder / "a.pth").touch()
    return path
