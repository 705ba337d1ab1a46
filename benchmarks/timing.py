"""Timing side by side: variants take turns in one process, and ratios are taken in each round.

Nothing but the standard library and torch is needed, also on a machine without resnet-gen.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(os.environ.get("RESULTS", ROOT / "results/benchmarks"))  # recorded runs

Seconds = dict[str, list[float]]


def interleaved(variants: Mapping[str, Callable[[], float]], rounds: int) -> Seconds:
    """The seconds that each variant returns, in `rounds` rounds of one turn each.

    Every second round runs backwards, so that no variant always follows the same one.
    """
    seconds: Seconds = {name: [] for name in variants}
    for number in range(rounds):
        names = list(variants)[:: -1 if number % 2 else 1]
        for name in names:
            seconds[name].append(variants[name]())
    return seconds


def timed(work: Callable[[], object], repeat: int = 1) -> Callable[[], float]:
    """A turn that calls `work`, and waits for the GPU where there is one; seconds for one call."""

    def turn() -> float:
        started = time.perf_counter()
        for _ in range(repeat):
            work()
        synchronize()
        return (time.perf_counter() - started) / repeat

    return turn


def synchronize() -> None:
    """Waits for the GPU, if torch uses one."""
    if (torch := sys.modules.get("torch")) and torch.cuda.is_available():
        torch.cuda.synchronize()


def summary(seconds: list[float], base: list[float]) -> dict[str, float]:
    """Median and quartiles of milliseconds, and the median of base/own over the rounds."""
    low, median, high = quartiles(seconds)
    return {
        "median_ms": round(1e3 * median, 4),
        "q1_ms": round(1e3 * low, 4),
        "q3_ms": round(1e3 * high, 4),
        "speedup": round(
            statistics.median(b / own for b, own in zip(base, seconds, strict=True)), 3
        ),
    }


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """First quartile, median, third quartile."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high


def machine() -> dict[str, object]:
    """What was measured on."""
    found: dict[str, object] = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    if torch := sys.modules.get("torch"):
        found["torch"] = str(torch.__version__)
        found["threads"] = torch.get_num_threads()
        if torch.cuda.is_available():
            found["gpu"] = torch.cuda.get_device_name()
            found["cuda"] = torch.version.cuda
            found["cudnn"] = torch.backends.cudnn.version()
    return found


def processor() -> str:
    """The processor's name, and the instructions for bf16 that it has."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    lines = dict(
        (part.strip() for part in line.split(":", 1))
        for line in cpuinfo.read_text().split("\n\n")[0].splitlines()
        if ":" in line
    )
    flags = set(lines.get("flags", "").split()) & {"amx_bf16", "avx512_bf16"}
    return " ".join([lines.get("model name", platform.machine()), *sorted(flags)])


def table(rows: list[dict[str, object]]) -> str:
    """The rows under the names of their columns."""
    columns = list(rows[0])
    texts = [columns, *([format_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(text[k]) for text in texts) for k in range(len(columns))]
    lines = []
    for text in texts:
        first, *others = (cell for cell in text)
        padded = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *padded]).rstrip())
    return "\n".join(lines)


def format_cell(value: object) -> str:
    """A number with few digits; nothing for None."""
    if value is None:
        return ""
    return f"{value:,.4g}" if isinstance(value, float) and abs(value) < 1e4 else str(value)


def write(name: str, rows: list[dict[str, object]], merged_by: str = "", **more: object) -> Path:
    """Prints the rows and writes them with the machine and the command; the file's path.

    With `merged_by`, the rows take the place of those that have the same value in that column;
    the others of the file stay, if they are from the same machine.
    """
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    if merged_by and path.exists():
        before = json.loads(path.read_text())
        if before["machine"] == machine():
            new = {row[merged_by] for row in rows}
            rows = [row for row in before["rows"] if row[merged_by] not in new] + rows
    content = {"command": command, "machine": machine(), **more, "rows": rows}
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(table(rows))
    print(f"written to {path}")
    return path


def load(name: str, family: str = "cifar") -> Any:
    """The modules of a generated network's folder, as attributes: `.train`, `.model`, `.data`."""
    path = ROOT / "resnet_gen/generate/loading.py"  # by its path: resnet-gen need not be installed
    spec = importlib.util.spec_from_file_location("loading", path)
    assert spec and spec.loader
    loading = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loading)
    return loading.load_folder(ROOT / "generated" / family / name)
