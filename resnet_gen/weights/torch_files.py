"""Files of torch.save, in both of its formats, checked before torch reads them.

`torch.load(weights_only=True)` runs nothing, but it believes what a file says: a tensor of a
billion elements that all lie on one, a storage that is longer than its bytes, bytes that are not
those that were written. So the pickle is first read with stand-ins, which check each tensor.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch

from resnet_gen.errors import Failure
from resnet_gen.weights.archives import checked_archive
from resnet_gen.weights.pickles import Entries, Inert, Stand, encoded, load
from resnet_gen.weights.refusal import refused

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # what the older format begins with
SIZES = {  # bytes of an element, by the name of its storage
    **{"Double": 8, "Float": 4, "Half": 2, "BFloat16": 2},
    **{"Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1, "Bool": 1, "Untyped": 1},
}
DTYPES = (
    *("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8"),
    *("bool", "strided"),
)
KINDS = {"sparse": "a sparse", "qtensor": "a quantized", "nested": "a nested", "meta": "an empty"}
MAX_PICKLE = 1 << 26  # bytes of data.pkl; ResNet-1202 with its optimizer has 2.5 million


class _Storage(NamedTuple):
    key: str
    size: int  # of an element, in bytes
    elements: int


class _Check:
    """Stand-ins that check each storage and tensor as the pickle names them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.storages: dict[str, _Storage] = {}

    def stands(self) -> dict[str, Stand]:
        """What each name of the pickle stands for here."""
        found: dict[str, Stand] = {
            "collections.OrderedDict": Entries,
            "collections.Counter": Entries,
            "_codecs.encode": encoded,
            "torch._utils._rebuild_tensor": self._tensor,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_parameter": lambda data, *_: data,
            "torch.nn.parameter.Parameter": Inert("Parameter"),
            "torch.Size": Inert("Size"),
            "torch.device": Inert("device"),
            "torch.serialization._get_layout": Inert("layout"),
        }
        for kind in SIZES:
            found[f"torch.{kind}Storage"] = found[f"torch.storage.{kind}Storage"] = Inert(kind)
        found |= {f"torch.{name}": Inert(name) for name in DTYPES}
        for name in ("sparse_tensor", "sparse_csr_tensor", "qtensor", "nested_tensor"):
            found[f"torch._utils._rebuild_{name}"] = self._other(name)
        found["torch._utils._rebuild_meta_tensor_no_storage"] = self._other("meta")
        return found

    def persistent(self, reference: Any) -> _Storage:
        """The storage that a pickle refers to."""
        word, kind, key, _, count = reference[:5]
        if word not in ("storage", b"storage") or (len(reference) > 5 and reference[5]):
            raise ValueError("no storage")
        if not isinstance(key, str) or not isinstance(count, int) or count < 0:
            raise ValueError("no storage")
        storage = _Storage(key, SIZES[kind.name], count)
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError("two storages of one name")
        return storage

    def _tensor(self, storage: _Storage, offset: int, size: Any, stride: Any, *_: Any) -> Entries:
        numbers = (offset, *size, *stride)
        if len(size) != len(stride) or not all(isinstance(n, int) and n >= 0 for n in numbers):
            raise ValueError("no shape")
        elements = math.prod(size)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if elements and (last >= storage.elements or elements > storage.elements):
            shape = "×".join(map(str, size))
            message = f"a tensor of {shape} claims more elements than the file holds for it"
            raise refused(self.path, message, "save a copy of it: tensor.clone()")
        return Entries()

    def _other(self, name: str) -> Stand:
        kind = next(words for key, words in KINDS.items() if key in name)

        def stand(*_: object) -> None:
            raise refused(self.path, f"it holds {kind} tensor, which no weights of a ResNet are")

        return stand


def read_torch(path: Path) -> Any:
    """What torch.save has written, on the CPU.

    Raises:
        Failure: it is damaged, holds more than weights, or its tensors are not what they claim.
    """
    with path.open("rb") as file:
        legacy = file.read(len(LEGACY)) == LEGACY
        file.seek(0)
        if legacy:
            _check_legacy(path, file)
        else:
            _check_archive(path, file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of deprecated storages
            return torch.load(path, map_location="cpu", weights_only=True, mmap=not legacy)
    except Exception as error:  # torch.load raises many kinds, some with advice to run the file
        raise refused(path, "torch cannot read it as weights alone") from error


def _check_archive(path: Path, file: IO[bytes]) -> None:
    archive = checked_archive(path, file, stored=True)
    names = {entry.filename: entry for entry in archive.infolist()}
    root = next(iter(names)).partition("/")[0]
    if f"{root}/constants.pkl" in names or any("/code/" in name for name in names):
        hint = "where you trust it, save the state_dict() of torch.jit.load's module"
        raise refused(path, "this is TorchScript: a program, not weights alone", hint)
    pickle = names.get(f"{root}/data.pkl")
    if pickle is None:
        raise refused(path, "this archive holds no weights: it has no data.pkl")
    if pickle.file_size > MAX_PICKLE:
        raise refused(path, "its pickle is larger than any network's weights need")
    order = names.get(f"{root}/byteorder")
    if order and archive.read(order) != b"little":
        raise refused(path, "it was written on a machine of another byte order")
    check = _Check(path)
    load(path, io.BytesIO(archive.read(pickle)), check.stands(), persistent=check.persistent)
    for storage in check.storages.values():
        entry = names.get(f"{root}/data/{storage.key}")
        if entry is None or entry.file_size != storage.size * storage.elements:
            raise _wrong_size(path, storage)


def _check_legacy(path: Path, file: IO[bytes]) -> None:
    for _ in range(3):  # a magic number, the version, what the machine's numbers are
        load(path, file, {})
    check = _Check(path)
    load(path, file, check.stands(), persistent=check.persistent)
    keys = load(path, file, {})
    if not isinstance(keys, list) or set(map(str, keys)) != check.storages.keys():
        raise refused(path, "the file is damaged: it does not list its storages")
    size = path.stat().st_size
    for key in keys:
        storage = check.storages[str(key)]
        count = int.from_bytes(file.read(8), "little")
        if count != storage.elements or file.tell() + storage.size * storage.elements > size:
            raise _wrong_size(path, storage)
        file.seek(storage.size * storage.elements, io.SEEK_CUR)


def _wrong_size(path: Path, storage: _Storage) -> Failure:
    size = storage.size * storage.elements
    return refused(path, f"the file is damaged: it does not hold the {size:,} bytes that it claims")


def is_torch_archive(archive: zipfile.ZipFile) -> bool:
    """Whether a zip file is one of torch.save or torch.jit.save."""
    return any(name.endswith(("/data.pkl", "/constants.pkl")) for name in archive.namelist())
