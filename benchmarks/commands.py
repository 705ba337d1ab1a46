"""(b) The commands that people wait for, each as a process of its own: start to exit.

python benchmarks/commands.py
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import timing

COMMANDS = ("--help", "check", "generate --all", "show resnet110")


def process(arguments: list[str]) -> Callable[[], None]:
    """Starts resnet-gen with the arguments, and waits for it to end well."""
    command = [sys.executable, "-m", "resnet_gen", *arguments]
    return lambda: subprocess.run(command, check=True, capture_output=True) and None


def generation() -> Callable[[], None]:
    """`generate --all` into an empty folder."""

    def generate() -> None:
        folder = Path(tempfile.mkdtemp())
        process(["generate", "--all", "--out", str(folder / "generated")])()
        shutil.rmtree(folder)

    return generate


def main() -> None:
    """Measures each command beside an interpreter that does nothing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    args = parser.parse_args()
    bare = [sys.executable, "-c", "pass"]
    turns = {"python -c pass": timing.timed(lambda: subprocess.run(bare, check=True))}
    for command in COMMANDS:
        work = generation() if command == "generate --all" else process(command.split())
        turns[f"resnet-gen {command}"] = timing.timed(work)
    measured = timing.interleaved(turns, args.rounds)
    rows: list[dict[str, object]] = []
    for command, seconds in measured.items():
        row = timing.summary(seconds, measured["python -c pass"])
        times_python = round(1 / row.pop("speedup"), 1)
        rows.append({"command": command, **row, "times_python": times_python})
    timing.write("commands", rows)


if __name__ == "__main__":
    main()
