"""Weights files that are hostile or broken, each made in the plainest way that there is."""

from __future__ import annotations

import argparse
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy
import torch
import torchvision
from safetensors.torch import save as save_safetensors

Maker = Callable[[Path], Path]
MAKERS: dict[str, tuple[Maker, str]] = {}  # by what is wrong, and words that the sentence has


def makes(words: str) -> Callable[[Maker], Maker]:
    def keep(maker: Maker) -> Maker:
        MAKERS[maker.__name__] = maker, words
        return maker

    return keep


def good() -> dict[str, torch.Tensor]:
    return torchvision.models.resnet18(weights=None, num_classes=7).state_dict()


class Runs:
    """Unpickled, it writes the file `ran`."""

    def __init__(self, ran: Path) -> None:
        self.ran = ran

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.ran)!r}, 'w').close()",)


# ---- torch.save ----------------------------------------------------------------------------------


@makes("exec, which only running code could make")
def torch_that_runs_code(folder: Path) -> Path:
    torch.save({"state_dict": good(), "x": Runs(folder / "ran")}, path := folder / "a.pth")
    return path


@makes("exec, which only running code could make")
def old_torch_that_runs_code(folder: Path) -> Path:
    document = {"state_dict": good(), "x": Runs(folder / "ran")}
    torch.save(document, path := folder / "a.pth", _use_new_zipfile_serialization=False)
    return path


@makes("argparse.Namespace, which only running code could make")
def torch_with_a_benign_object(folder: Path) -> Path:
    document = {"state_dict": good(), "args": argparse.Namespace(lr=0.1)}
    torch.save(document, path := folder / "a.pth")
    return path


@makes("which only running code could make")
def torch_of_a_whole_model(folder: Path) -> Path:
    torch.save(torchvision.models.resnet18(weights=None), path := folder / "a.pth")
    return path


@makes("this is TorchScript: a program")
def torchscript(folder: Path) -> Path:
    code = zipfile.ZipFile(path := folder / "a.pt", "w")
    for name in ("a/data.pkl", "a/constants.pkl", "a/code/__torch__.py"):
        code.writestr(name, pickle.dumps({}, 2))
    code.close()
    return path


@makes("is damaged, in its part")
def torch_with_a_flipped_byte(folder: Path) -> Path:
    torch.save(good(), path := folder / "a.pth")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)
    return path


@makes("does not end where its list of parts ends")
def torch_with_bytes_after_it(folder: Path) -> Path:
    """Readers of zip files do not agree where such a file's list of parts is."""
    torch.save(good(), path := folder / "a.pth")
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"\x05\x00other")
    return path


@makes("it is no whole archive")
def torch_cut_off(folder: Path) -> Path:
    torch.save(good(), path := folder / "a.pth")
    path.write_bytes(path.read_bytes()[:-1000])
    return path


@makes("breaks off")
def old_torch_cut_off(folder: Path) -> Path:
    torch.save(good(), path := folder / "a.pth", _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:2000])
    return path


@makes("does not hold the")
def old_torch_cut_off_in_its_numbers(folder: Path) -> Path:
    torch.save(good(), path := folder / "a.pth", _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-2000])
    return path


@makes("claims more elements than the file holds")
def tensor_of_stride_0(folder: Path) -> Path:
    state = {**good(), "fc.weight": torch.zeros(1).expand(1_000_000_000)}
    torch.save(state, path := folder / "a.pth")
    return path


@makes("a sparse tensor")
def sparse_tensor(folder: Path) -> Path:
    values, places = torch.ones(1), torch.zeros(2, 1, dtype=torch.long)
    sparse = torch.sparse_coo_tensor(places, values, (100_000, 100_000), check_invariants=True)
    torch.save({**good(), "fc.weight": sparse}, path := folder / "a.pth")
    return path


def _edited(path: Path, edit: Callable[[bytes], bytes], compress: bool = False) -> Path:
    """The archive of torch.save with another data.pkl."""
    content = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(content, "w", kind) as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, edit(part) if name.endswith("data.pkl") else part)
    path.write_bytes(content.getvalue())
    return path


@makes("does not hold the")
def torch_storage_that_claims_more(folder: Path) -> Path:
    """Torch would read on, past the end of the part, into memory that is not the file's."""
    torch.save(good(), path := folder / "a.pth")
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        assert b"M\xc0$t" in archive.read(name)  # 9,408 elements of conv1
    claimed, real = b"J" + struct.pack("<i", 2**31 - 1) + b"t", b"M\xc0$t"
    return _edited(path, lambda pickled: pickled.replace(real, claimed, 1))


@makes("its parts are compressed")
def torch_zip_bomb(folder: Path) -> Path:
    state = {**good(), "zeros": torch.zeros(200_000_000, dtype=torch.uint8)}
    torch.save(state, path := folder / "a.pth")
    return _edited(path, lambda pickled: pickled, compress=True)


@makes("two of its parts have the same name")
def torch_with_a_part_twice(folder: Path) -> Path:
    torch.save(good(), path := folder / "a.pth")
    with zipfile.ZipFile(path, "a") as archive:  # torch looks parts up without regard to case
        archive.writestr("A/DATA.PKL", b"")
    return path


@makes("more instructions than any network's weights")
def torch_of_too_many_instructions(folder: Path) -> Path:
    torch.save(good(), path := folder / "a.pth")
    return _edited(path, lambda pickled: b"\x80\x02(" + b"}" * 3_000_000 + b"t.")


@makes("holds no tensors by their names")
def torch_of_one_tensor(folder: Path) -> Path:
    torch.save(torch.zeros(3), path := folder / "a.pth")
    return path


@makes("a tensor has a name that none has")
def torch_with_escape_codes(folder: Path) -> Path:
    torch.save({**good(), "fc.\x1b[2Jweight": torch.zeros(3)}, path := folder / "a.pth")
    return path


# ---- pickles of arrays ---------------------------------------------------------------------------


@makes("exec, which only running code could make")
def pickle_that_runs_code(folder: Path) -> Path:
    document = {"model": {"x": Runs(folder / "ran")}}
    (path := folder / "a.pkl").write_bytes(pickle.dumps(document, 4))
    return path


@makes("numpy.load, which only running code could make")
def pickle_that_reads_a_file(folder: Path) -> Path:
    (path := folder / "a.pkl").write_bytes(b"\x80\x02cnumpy\nload\nX\x03\x00\x00\x00a.b\x85R.")
    return path


@makes("damaged")
def pickle_of_a_huge_array(folder: Path) -> Path:
    """100 GB by its shape, of 4 bytes."""
    array = pickle.dumps({"conv1.weight": numpy.zeros(1, numpy.float32)}, 2)
    assert b"K\x01\x85q" in array
    count = b"\x8a\x06" + (25_000_000_000).to_bytes(6, "little")
    huge = array.replace(b"K\x01\x85q", count + b"\x85q")
    (path := folder / "a.pkl").write_bytes(huge)
    return path


@makes("holds no tensors")
def pickle_with_a_huge_memo(folder: Path) -> Path:
    (path := folder / "a.pkl").write_bytes(b"\x80\x02}r\xff\xff\xff\x7f.")
    return path


@makes("breaks off")
def pickle_that_claims_much_text(folder: Path) -> Path:
    claimed = struct.pack("<Q", 1 << 40)
    (path := folder / "a.pkl").write_bytes(b"\x80\x04\x8d" + claimed + b"abc.")
    return path


@makes("damaged")
def pickle_of_objects(folder: Path) -> Path:
    document = {"res2.0.conv1.norm.weight": numpy.array([{}, {}], dtype=object)}
    (path := folder / "a.pkl").write_bytes(pickle.dumps(document, 2))
    return path


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


# ---- trained networks have no such numbers -------------------------------------------------------


def _with(name: str, value: float) -> Maker:
    def maker(folder: Path) -> Path:
        state = good()
        state[name].view(-1)[1] = value
        torch.save(state, path := folder / "a.pth")
        return path

    return maker


UNTRAINED: dict[str, tuple[Maker, str]] = {
    "NaN": (_with("layer1.0.conv1.weight", float("nan")), "layer1.0.conv1.weight has values that"),
    "infinity": (_with("fc.bias", float("inf")), "fc.bias has values that are NaN or infinite"),
    "negative": (_with("bn1.running_var", -1.0), "bn1.running_var has negative variances"),
}


def mutations(content: bytes, count: int) -> Iterator[bytes]:
    """The content with bytes changed, and cut off, here and there."""
    draw = numpy.random.default_rng(0)
    for number in range(count):
        changed = bytearray(content)
        if number % 4 == 3:
            yield bytes(changed[: draw.integers(len(changed))])
            continue
        span = min(len(changed), 4000 if number % 2 else len(changed))
        for place in draw.integers(span, size=1 + number % 3):
            changed[-place if number % 8 == 1 else place] = draw.integers(256)
        yield bytes(changed)
