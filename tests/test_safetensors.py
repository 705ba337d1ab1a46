"""The scripts' own reading of safetensors, against the package that defines the format."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from conftest import folder
from resnet_gen.generate.loading import load

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def weights() -> Any:
    return load(folder("resnet20") / "weights.py")


def random_tensors(dtypes: list[torch.dtype]) -> dict[str, Tensor]:
    """Any bits, not-a-number among them, in tensors of 0 to 4 dimensions; one is empty."""
    numbers = torch.Generator().manual_seed(0)
    shapes = [(), (3,), (0, 5), (2, 3), (4, 3, 2, 1)]
    tensors = {}
    for dtype in dtypes:
        for shape in shapes:
            n = torch.Size(shape).numel() * dtype.itemsize
            flat = torch.randint(256, (n,), generator=numbers, dtype=torch.uint8)
            tensors[f"{dtype} {shape}"] = flat.view(dtype).reshape(shape)
    return tensors


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    def bits(tensor: Tensor) -> tuple:
        return tensor.dtype, tensor.shape, tensor.reshape(-1).view(torch.uint8).tolist()

    return one.keys() == other.keys() and all(bits(one[k]) == bits(other[k]) for k in one)


def test_what_the_package_writes_is_read_to_the_bit(weights: Any) -> None:
    written = random_tensors([*weights.DTYPES.values()])
    said = {"format": "pt", "name": 'é "quoted"'}
    content = safetensors.torch.save(written, said)
    tensors, metadata = weights.parse_safetensors(content)
    assert same_bits(tensors, written) and same_bits(tensors, safetensors.torch.load(content))
    assert metadata == said
    tensors["torch.float32 (3,)"].zero_()  # of its own memory: nothing else is overwritten
    assert same_bits({**tensors, "torch.float32 (3,)": written["torch.float32 (3,)"]}, written)


def test_files_that_the_package_refuses_are_refused(weights: Any) -> None:
    """Some bytes of the header changed, cut away or repeated, at random."""
    written = random_tensors([torch.float32, torch.int64])
    content = safetensors.torch.save(written, {"format": "resnet-gen weights 1"})
    start = 8 + int.from_bytes(content[:8], "little")
    places, refused, read = random.Random(0), 0, 0
    for _ in range(3_000):
        at, length = places.randrange(start), places.randrange(1, 4)
        piece = bytes(places.choice(b'0123456789[]{}",:FI ') for _ in range(length))
        changed = content[:at] + piece + content[at + places.choice([length, length, 0]) :]
        if places.random() < 0.5:  # with a length of the header that fits again
            changed = (start - 8 + len(changed) - len(content)).to_bytes(8, "little") + changed[8:]
        try:
            expected = safetensors.torch.load(changed)
        except (SafetensorError, KeyError):
            refused += 1
            with pytest.raises(ValueError):
                weights.parse_safetensors(changed)
            continue
        assert same_bits(weights.parse_safetensors(changed)[0], expected)
        read += 1
    assert refused > 1_000 and read > 50


def made(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def tensor(begin: object, end: object, shape: object = (1,), dtype: object = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


HUGE = 10**30
BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "its header would end at byte 8 of 0"),
    "short": (b"\x01", "its header would end at byte 9 of 1"),
    "header too long": (made({}, length=99), "its header would end at byte 107 of 10"),
    "header of exabytes": (made({}, length=2**64 - 1), "its header would end at byte 18,446,"),
    "header of nothing": (made(b""), "its header would end at byte 8 of 8"),
    "no JSON": (made(b"{'a': 1}"), "Expecting property name"),
    "no text": (made(b"\xff\xfe{}"), "can't decode"),
    "a list": (made([1]), "its header does not hold tensors"),
    "a number": (made(5), "its header does not hold tensors"),
    "deep": (made(b"[" * 100_000), "damaged: "),
    "long number": (made(b'{"a": ' + b"1" * 5_000 + b"}"), "damaged: "),
    "metadata 5": (made({"__metadata__": 5}), "its header does not hold tensors and strings"),
    "numbers in metadata": (made({"__metadata__": {"a": 5}}), "does not hold tensors and strings"),
    "entry 5": (made({"a": 5}), "a has no dtype, shape and place"),
    "no shape": (made({"a": {"dtype": "F32", "data_offsets": [0, 4]}}, bytes(4)), "a has no dtype"),
    "shape of text": (made({"a": tensor(0, 4, "1")}, bytes(4)), "a has no dtype, shape"),
    "shape of truth": (made({"a": tensor(0, 4, [True])}, bytes(4)), "a has no dtype, shape"),
    "shape of fractions": (made({"a": tensor(0, 4, [1.0])}, bytes(4)), "a has no dtype, shape"),
    "negative shape": (made({"a": tensor(0, 4, [-1, -1])}, bytes(4)), "a has no dtype, shape"),
    "negative place": (made({"a": tensor(-4, 0)}, bytes(4)), "a has no dtype, shape"),
    "three places": (
        made({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}}, bytes(4)),
        "a has no dtype, shape",
    ),
    "backwards": (made({"a": tensor(4, 0)}, bytes(4)), "a has -4 bytes for F32 of shape [1]"),
    "unknown dtype": (made({"a": tensor(0, 4, dtype="F31")}, bytes(4)), "a is of dtype F31, which"),
    "odd dtype": (made({"a": tensor(0, 4, dtype=["F32"])}, bytes(4)), "a has no dtype, shape"),
    "wrong shape": (made({"a": tensor(0, 4, [2])}, bytes(4)), "a has 4 bytes for F32 of shape [2]"),
    "huge": (made({"a": tensor(0, HUGE * 4, [HUGE])}, bytes(4)), "bytes after the file"),
    "truncated": (made({"a": tensor(0, 8, [2])}, bytes(5)), "a ends 3 bytes after the file"),
    "overlapping": (
        made({"a": tensor(0, 8, [2]), "b": tensor(4, 12, [2])}, bytes(12)),
        "b begins within another tensor",
    ),
    "twice the same place": (
        made({"a": tensor(0, 4), "b": tensor(0, 4)}, bytes(4)),
        "b begins within another tensor",
    ),
    "a hole": (
        made({"a": tensor(0, 4), "b": tensor(6, 10)}, bytes(10)), "b begins 2 bytes too late"
    ),
    "more at the end": (made({"a": tensor(0, 4)}, bytes(9)), "5 bytes at its end are no tensor's"),
    "duplicate keys": (
        made(b'{"a": ' + json.dumps(tensor(0, 4)).encode() + b', "a": 5}', bytes(4)),
        "a is twice in its header",
    ),
    "duplicate dtype": (
        made(b'{"a": {"dtype": "F32", "dtype": "I32", "shape": [1], "data_offsets": [0, 4]}}',
             bytes(4)),
        "dtype is twice in its header",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_wrong_is_told_in_a_sentence(
    weights: Any, tmp_path: Path, capfd: Capture, what: str
) -> None:
    content, words = BROKEN[what]
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(SystemExit) as stop:
        weights.read_weights(path, torch.device("cpu"))
    told = capfd.readouterr().err.splitlines()
    assert stop.value.code == 2 and len(told) == 1
    assert f"{path} is not safetensors, or damaged: " in told[0] and words in told[0]


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: None], ids=["a folder", "not there"])
def test_no_file(weights: Any, tmp_path: Path, capfd: Capture, make: Callable) -> None:
    path = tmp_path / "weights.safetensors"
    make(path)
    with pytest.raises(SystemExit):
        weights.read_weights(path, torch.device("cpu"))
    assert f"{path} cannot be read: " in capfd.readouterr().err
