"""HDF5 files of Keras: only what lies in the file itself is read.

HDF5 can point elsewhere: a data set may lie in any other file of the machine, a link may lead
there, a filter may be a library that is loaded. None of that is followed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import torch

from resnet_gen.weights.refusal import needed, refused

MAX_OBJECTS = 100_000
ROOTS = ("model_weights/",)  # what Keras puts before the layers of a whole model


def read_hdf5(path: Path) -> dict[str, torch.Tensor]:
    """The arrays as LAYER/PART: `conv1_conv/kernel`.

    Raises:
        Failure: it is damaged, or holds something that is not in the file itself.
    """
    h5py = needed("h5py")
    try:
        with h5py.File(path, "r") as file:
            sets: dict[str, Any] = {}
            _walk(path, h5py, file, "", sets, set())
            declared = sum(each.nbytes for each in sets.values())
            if declared > path.stat().st_size:
                raise refused(path, f"it claims {declared:,} bytes, more than the file has")
            found: dict[str, torch.Tensor] = {}
            for name, each in sets.items():
                short = _short(name)
                if short in found:
                    raise refused(path, f"two of its arrays would be called {short}")
                values = numpy.asarray(each[()], dtype=each.dtype.newbyteorder("="))
                found[short] = torch.from_numpy(values)
            return found
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise refused(path, "the file is damaged, or no HDF5 that is known here") from error


def _walk(
    path: Path, h5py: Any, group: Any, prefix: str, sets: dict[str, Any], seen: set[Any]
) -> None:
    for name in group:
        place, link = f"{prefix}{name}", group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise refused(path, f"{place} is a link to elsewhere, which is not followed")
        item = group[name]
        token = h5py.h5o.get_info(item.id).addr
        if token in seen or len(seen) > MAX_OBJECTS:
            raise refused(path, f"{place} is reached in two ways")
        seen.add(token)
        if isinstance(item, h5py.Group):
            if len(place) > 1000:
                raise refused(path, "its groups are nested deeper than a network's")
            _walk(path, h5py, item, place + "/", sets, seen)
        elif isinstance(item, h5py.Dataset):
            _check(path, place, item)
            if item.dtype.kind in "fiu":
                sets[place] = item
        else:
            raise refused(path, f"{place} is neither a group nor an array")


def _check(path: Path, place: str, item: Any) -> None:
    if item.external:
        raise refused(path, f"the numbers of {place} lie in another file, which is not read")
    if item.is_virtual:
        raise refused(path, f"{place} is put together from other files, which are not read")
    if item.id.get_create_plist().get_nfilters():
        raise refused(path, f"{place} is compressed, which Keras does not do")
    if item.dtype.kind in "fiu" and item.id.get_storage_size() != item.nbytes:
        raise refused(path, f"{place} claims {item.nbytes:,} bytes, which the file does not hold")


def _short(name: str) -> str:
    """`model_weights/conv1_conv/conv1_conv/kernel:0` as `conv1_conv/kernel`."""
    for root in ROOTS:
        name = name.removeprefix(root)
    parts = name.removesuffix(":0").split("/")
    return "/".join(part for i, part in enumerate(parts) if i == 0 or part != parts[i - 1])
