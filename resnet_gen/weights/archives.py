"""Zip files, which torch.save and numpy.savez write: checked, and NumPy's read."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy
import torch

from resnet_gen.weights.refusal import refused

END = b"PK\x05\x06"  # the record that ends a zip file
SPARE = 16 << 20  # bytes that a small compressed file may unfold to
FOLDER = 0x10  # the bit of a name's attributes that says so


def checked_archive(path: Path, file: IO[bytes], *, stored: bool) -> zipfile.ZipFile:
    """The zip file, once its parts are what its list says, by their own checksums.

    With `stored`, none may be compressed; else what they unfold to is at most twice the file.

    Raises:
        Failure: it is damaged, or unfolds to more.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - 22))
    if file.read(4) != END:
        raise refused(path, "the file is damaged: it does not end where its list of parts ends")
    try:
        archive = zipfile.ZipFile(file)
        entries = archive.infolist()
        names = [entry.filename.lower() for entry in entries]
        if len(set(names)) != len(names):
            raise refused(path, "two of its parts have the same name")
        if not entries or any(entry.external_attr & FOLDER for entry in entries):
            raise refused(path, "the file is damaged: its parts are no files")
        if any(entry.flag_bits & 1 for entry in entries):
            raise refused(path, "its parts are encrypted")
        if stored and any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise refused(path, "its parts are compressed, which torch.save does not do")
        declared = sum(entry.file_size for entry in entries)
        if declared > (size if stored else 2 * size + SPARE):
            raise refused(path, f"it unfolds to {declared:,} bytes, of a file of {size:,}")
        damaged = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError) as error:
        raise refused(path, "the file is damaged: it is no whole archive") from error
    except Exception as error:
        if type(error).__module__ in ("zlib", "lzma"):
            raise refused(path, "the file is damaged: its parts do not unfold") from error
        raise
    if damaged:
        raise refused(path, f"the file is damaged, in its part {damaged}")
    return archive


def read_npz(path: Path) -> dict[str, torch.Tensor]:
    """The arrays of an .npz by their names.

    Raises:
        Failure: it is damaged, unfolds to much more than it is, or holds objects.
    """
    with path.open("rb") as file:
        archive = checked_archive(path, file, stored=False)
        return {
            entry.filename.removesuffix(".npy"): _array(path, archive, entry)
            for entry in archive.infolist()
        }


def _array(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> torch.Tensor:
    try:
        with archive.open(entry) as stream:
            version = numpy.lib.format.read_magic(stream)
            read: Any = {
                (1, 0): numpy.lib.format.read_array_header_1_0,
                (2, 0): numpy.lib.format.read_array_header_2_0,
            }[version]
            shape, _, dtype = read(stream)
            left = entry.file_size - stream.tell()
        if dtype.kind not in "fiub":
            raise refused(path, f"{entry.filename} is an array of {dtype}, not of numbers")
        if math.prod(shape) * dtype.itemsize != left:
            shown = "×".join(map(str, shape))
            raise refused(path, f"{entry.filename} claims to be {shown} and holds {left:,} bytes")
        with archive.open(entry) as stream:
            values = numpy.lib.format.read_array(stream, allow_pickle=False)
    except (ValueError, KeyError, EOFError, TypeError, SyntaxError, RecursionError) as error:
        raise refused(path, f"the file is damaged, in its part {entry.filename}") from error
    native = numpy.ascontiguousarray(values.astype(dtype.newbyteorder("="), copy=False))
    return torch.from_numpy(native.reshape(shape))
