"""Weights files that are hostile or broken, each made in the plainest way that there is."""

from __future__ import annotations

import argparse
import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import torch
import torchvision

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
