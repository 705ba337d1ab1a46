"""The machine that runs are made on: its device, memory and cores, and what is installed.

torch is asked in a process of its own: importing it takes seconds, and a CUDA context takes memory.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from resnet_gen import __version__
from resnet_gen.train.plan import free_memory

ASK_TORCH = """
import json, torch
cuda = torch.cuda.is_available()
kind = "cuda" if cuda else "mps" if torch.backends.mps.is_available() else "cpu"
print(json.dumps({
    "kind": kind,
    "name": torch.cuda.get_device_name() if cuda else kind,
    "free": [torch.cuda.mem_get_info(k)[0] for k in range(torch.cuda.device_count())],
}))
"""


@dataclass(frozen=True)
class Machine:
    """What runs are made on."""

    kind: str  # cpu, cuda or mps
    device: str  # as results.json names it: the GPU's name, or cpu or mps
    processor: str
    cores: int  # that this process may use
    free: tuple[int, ...]  # free bytes: of each GPU, or of the machine

    @property
    def words(self) -> str:
        """The machine in a line, without its name: `NVIDIA H200, 16 cores of AMD EPYC`."""
        gpus = len(self.free) if self.kind == "cuda" else 0
        named = {0: "", 1: f"{self.device}, "}.get(gpus, f"{gpus} × {self.device}, ")
        return f"{named}{self.cores} cores of {self.processor}"


def ask() -> Machine:
    """This machine, with the device that the scripts' `--device auto` takes."""
    done = subprocess.run(
        [sys.executable, "-c", ASK_TORCH], capture_output=True, text=True, check=False
    )
    told = json.loads(done.stdout) if done.returncode == 0 else {"kind": "cpu", "name": "cpu"}
    free = tuple(told.get("free") or [free_memory() or 0])
    return Machine(told["kind"], told["name"], processor(), cores(), free)


def cores() -> int:
    """How many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """The versions that a run's numbers may hang on."""
    found = {"python": platform.python_version()}
    for package in ("torch", "torchvision"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found | {"resnet_gen": __version__}
