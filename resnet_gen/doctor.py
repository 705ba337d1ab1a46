"""What is installed, which device there is, and what is missing."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib import metadata
from typing import NamedTuple

GENERATE = ("jinja2", "pydantic", "rich", "ruamel.yaml", "ruff", "typer")
TRAIN = ("torch", "torchvision", "scikit-learn")
PLOT = ("matplotlib",)
ASK_TORCH = """
import torch, torchvision
if torch.cuda.is_available():
    print("cuda:", torch.cuda.get_device_name())
elif torch.backends.mps.is_available():
    print("mps")
else:
    print(f"cpu, {torch.get_num_threads()} threads,", torch.backends.cpu.get_cpu_capability())
"""


class Finding(NamedTuple):
    """One line of the report; `missing` says what to do about it."""

    what: str
    found: str
    missing: str = ""


def examine() -> list[Finding]:
    """The report. torch is asked in a process of its own: importing it takes seconds."""
    findings = [Finding("python", platform.python_version())]
    findings += [_package(name, "pip install resnet-gen") for name in GENERATE]
    findings += [_package(name, "pip install 'resnet-gen[plot]'") for name in PLOT]
    findings += [_package(name, "pip install 'resnet-gen[train]'") for name in TRAIN]
    if any(finding.missing for finding in findings[-len(TRAIN) :]):
        return findings
    done = subprocess.run(
        [sys.executable, "-c", ASK_TORCH], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        hint = "install torch and torchvision from the same place"
        return [*findings, Finding("device", reason, hint)]
    return [*findings, Finding("device", done.stdout.strip())]


def _package(name: str, remedy: str) -> Finding:
    try:
        return Finding(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name, "not installed", remedy)
