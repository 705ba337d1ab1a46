"""Writing a report's files into a folder, where nothing of anybody else's is replaced.

files.json in that folder has the hash of each file that was written. A file that is not in it, or
has been edited since, belongs to somebody, and stays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from resnet_gen import files
from resnet_gen.errors import Failure, Problem

LIST = "files.json"
MADE_BY = "resnet-gen report"


def write(out: Path, contents: Mapping[str, str | bytes]) -> list[Path]:
    """Writes the files, takes away those of an earlier report that this one lacks; their paths.

    Raises:
        Failure: a file is in the way that no report made, or that was edited since, or the folder
            cannot be written (exit code 2); then nothing has been written.
    """
    if out.exists() and not out.is_dir():
        raise Failure(Problem("out", "is a file", "name a folder with --out", out.as_posix()))
    texts = {name: c.encode() if isinstance(c, str) else c for name, c in contents.items()}
    new = {name: _hash(text) for name, text in texts.items()}
    old = _listed(out / LIST)
    problems = [
        _in_the_way(out / name, edited=name in old)
        for name in texts
        if _is_of_somebody(out / name, {*old.get(name, ()), new[name]})
    ]
    if problems:
        raise Failure(problems)
    left = [
        name
        for name, hashes in old.items()
        if name not in texts and (out / name).is_file() and not _is_of_somebody(out / name, hashes)
    ]
    try:
        # Both hashes first: an interrupted report may be made again over what it left.
        _list(out / LIST, {name: {*old.get(name, ()), sha256} for name, sha256 in new.items()})
        for name, text in texts.items():
            files.write(out / name, text)
        for name in left:
            (out / name).unlink()
        _list(out / LIST, {name: {sha256} for name, sha256 in new.items()})
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise Failure(Problem("out", message, "", str(error.filename or out))) from None
    return [out / name for name in texts]


def _is_of_somebody(path: Path, ours: set[str]) -> bool:
    if path.is_dir():
        return True
    return path.is_file() and _hash(path.read_bytes()) not in ours


def _in_the_way(path: Path, *, edited: bool) -> Problem:
    who = f"was edited since `{MADE_BY}` wrote it" if edited else f"was not made by `{MADE_BY}`"
    hint = "move it away, or name another folder with --out"
    return Problem("file", f"the file that is there {who}", hint, path.as_posix())


def _listed(path: Path) -> dict[str, set[str]]:
    """Hashes by name; nothing where the list is missing, and a problem where it is not ours."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["made_by"] == MADE_BY:
            names = {str(name): set(map(str, of)) for name, of in found["files"].items()}
            return {name: of for name, of in names.items() if Path(name).name == name}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass
    raise Failure(_in_the_way(path, edited=False))


def _list(path: Path, hashes: Mapping[str, set[str]]) -> None:
    document = {"made_by": MADE_BY, "files": {name: sorted(of) for name, of in hashes.items()}}
    files.write(path, json.dumps(document, indent=2) + "\n")


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
