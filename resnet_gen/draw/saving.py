"""Writing a picture where it harms nothing."""

from __future__ import annotations

from pathlib import Path

from resnet_gen import files
from resnet_gen.errors import Failure, Problem

MADE_BY = (
    "resnet-gen draw"  # begins each picture's metadata, and is asked for before one is replaced
)


def save(picture: str, out: Path) -> None:
    """Writes the SVG.

    Raises:
        Failure: another suffix than .svg, a file that this command did not make, or a folder that
            cannot be written (exit code 2).
    """
    if out.suffix.lower() != ".svg":
        hint = "such as networks.svg; without --out, a drawing in letters goes to the terminal"
        raise Failure(Problem("out", "is no name for an SVG", hint, out.as_posix()))
    if out.is_file() and f"<metadata>{MADE_BY}".encode() not in out.read_bytes():
        message = f"the file that is there was not made by `{MADE_BY}`"
        raise Failure(Problem("file", message, "name another with --out", out.as_posix()))
    try:
        files.write(out, picture)
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise Failure(Problem("file", message, "", out.as_posix())) from None
