"""Pickles read without running what they name.

A pickle is a program: it may name any function and call it. Here a name stands for one of a few
stand-ins, which only note down what they were given, or the file is refused. Before that, its
instructions are counted and looked through, since a few bytes can ask for much memory.
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy
import torch

from resnet_gen.weights.refusal import listed, refused

MAX_INSTRUCTIONS = 1_000_000  # ResNet-1202 with its optimizer takes half of that
# What a dictionary of arrays or tensors is written with, by Python 2 and 3, and nothing else.
INSTRUCTIONS = {
    *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "NONE", "NEWTRUE", "NEWFALSE"),
    *("INT", "BININT", "BININT1", "BININT2"),
    *("LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING"),
    *("SHORT_BINSTRING", "UNICODE", "BINUNICODE"),
    *("SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES"),
    *("BINBYTES8", "BYTEARRAY8"),
    *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "LIST", "APPEND"),
    *("APPENDS", "EMPTY_SET", "ADDITEMS"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "PUT", "BINPUT"),
    *("LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"),
    *("GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD", "BINPERSID"),
}
Stand = Callable[..., Any]


class Bounded:
    """A file that is never asked for more than it has: a declared length reserves no memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        start = file.tell()
        self.size = file.seek(0, 2)
        file.seek(start)

    def read(self, count: int = -1) -> bytes:
        """At most `count` bytes."""
        left = max(0, self.size - self.file.tell())
        return self.file.read(left if count < 0 else min(count, left))

    def readline(self) -> bytes:
        """A line, of names and numbers."""
        return self.file.readline(65536)

    def tell(self) -> int:
        """The place in the file."""
        return self.file.tell()


class Entries(dict[Any, Any]):
    """A dictionary, also where more is to be set on it than its entries."""

    def __setstate__(self, state: object) -> None:
        pass


class Inert:
    """What stands for a name that nothing is done with: a dtype, a device."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *_: object) -> Inert:
        """Nothing, whatever it is given."""
        return self

    def __setstate__(self, state: object) -> None:
        pass


def encoded(text: Any, encoding: Any) -> bytes:
    """Bytes, which protocol 2 writes as text in latin1."""
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise ValueError("not text in latin1")
    return text.encode("latin1")


def load(
    path: Path,
    file: IO[bytes],
    stands: Mapping[str, Stand],
    *,
    persistent: Callable[[Any], Any] | None = None,
    encoding: str = "ASCII",
) -> Any:
    """The next pickle of the file, with stand-ins for the names that it uses.

    Raises:
        Failure: it names something else, is damaged, or is larger than weights need.
    """
    start = file.tell()
    _look_through(path, Bounded(file))
    file.seek(start)
    unknown: list[str] = []

    class Reader(pickle._Unpickler):  # the one in C reserves memory by numbers in the file
        def find_class(self, module: str, name: str) -> Any:
            stand = stands.get(f"{module}.{name}")
            if stand is None:
                unknown.append(f"{module}.{name}")
                return Inert(name)
            return stand

        def persistent_load(self, pid: Any) -> Any:
            if persistent is None:
                raise pickle.UnpicklingError("a reference to something outside")
            return persistent(pid)

    try:
        document = Reader(Bounded(file), encoding=encoding).load()
    except (pickle.UnpicklingError, EOFError, ArithmeticError, LookupError, MemoryError) as error:
        _name_unknown(path, unknown)
        raise _damaged(path) from error
    except (AttributeError, TypeError, ValueError, RecursionError, AssertionError) as error:
        _name_unknown(path, unknown)
        raise _damaged(path) from error
    _name_unknown(path, unknown)
    return document


def _damaged(path: Path) -> Exception:
    return refused(path, "the file is damaged, or is no file of weights")


def _name_unknown(path: Path, unknown: list[str]) -> None:
    if not unknown:
        return
    names = sorted(set(unknown))
    what = f"it needs {listed(names)}, which only running code could make"
    hint = "where you trust it, save its tensors alone: a dict of names and tensors"
    raise refused(path, f"the file holds more than weights: {what}", hint)


def _look_through(path: Path, stream: Bounded) -> None:
    try:
        for count, (code, argument, _) in enumerate(pickletools.genops(stream)):  # type: ignore[arg-type]
            if count >= MAX_INSTRUCTIONS:
                raise refused(path, "its pickle has more instructions than any network's weights")
            if code.name not in INSTRUCTIONS:
                raise refused(path, f"its pickle has an instruction of no weights: {code.name}")
            del argument
    except (ValueError, EOFError, OverflowError, MemoryError) as error:
        raise refused(path, "the file is damaged: its pickle breaks off") from error


# ---- Dictionaries of NumPy arrays: detectron2, Caffe2 --------------------------------------------


class _Dtype:
    """A dtype: its kind and size first, its byte order set after."""

    def __init__(self, code: Any, *_: object) -> None:
        self.code = code.decode("ascii") if isinstance(code, bytes) else str(code)
        self.order: Any = "="

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        self.order = order.decode("ascii") if isinstance(order, bytes) else order

    def resolve(self) -> numpy.dtype[Any]:
        if self.code.lstrip("<>=|") not in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1"):
            raise ValueError(f"an array of {self.code}")
        if self.order not in ("<", ">", "=", "|"):
            raise ValueError("an unknown byte order")
        return numpy.dtype(self.code).newbyteorder(self.order)


class _Array:
    """An array that is made of its bytes, when they come."""

    def __init__(self, *_: object) -> None:
        self.tensor: torch.Tensor | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, by_columns, raw = state
        self.tensor = _tensor(raw, dtype, shape, "F" if by_columns else "C")


def _tensor(raw: Any, dtype: Any, shape: Any, order: str) -> torch.Tensor:
    if not isinstance(raw, (bytes, bytearray)) or not isinstance(dtype, _Dtype):
        raise ValueError("no array of numbers")
    kind = dtype.resolve()
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError("no shape")
    values = numpy.frombuffer(raw, kind).reshape(shape, order="F" if order == "F" else "C")
    return torch.from_numpy(values.astype(kind.newbyteorder("="), order="C", copy=True))


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> torch.Tensor:
    return _tensor(raw, dtype, shape, str(order))


def _scalar(dtype: Any, raw: Any) -> torch.Tensor:
    return _tensor(raw, dtype, (), "C")


ARRAYS: dict[str, Stand] = {
    "numpy.ndarray": Inert("ndarray"),
    "numpy.dtype": _Dtype,
    "collections.OrderedDict": Entries,
    "_codecs.encode": encoded,
}
for _core in ("numpy.core", "numpy._core"):
    ARRAYS[f"{_core}.multiarray._reconstruct"] = _Array
    ARRAYS[f"{_core}.multiarray.scalar"] = _scalar
    ARRAYS[f"{_core}.numeric._frombuffer"] = _from_buffer


def read_arrays(path: Path) -> Any:
    """A pickle of dictionaries, words, numbers and NumPy arrays, which become tensors.

    Raises:
        Failure: it holds something else, or is damaged.
    """
    with path.open("rb") as file:
        document = load(path, file, ARRAYS, encoding="bytes")
    return _plain(path, document, 0)


def _plain(path: Path, value: Any, depth: int) -> Any:
    """Dictionaries with words for keys, and tensors for arrays, three dictionaries deep."""
    if isinstance(value, _Array):
        if value.tensor is None:
            raise _damaged(path)
        return value.tensor
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, dict) and depth < 3:
        return {_plain(path, k, 3): _plain(path, v, depth + 1) for k, v in value.items()}
    return value
