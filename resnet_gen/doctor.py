"""What is installed, which device there is, and what is missing."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from importlib import metadata
from typing import NamedTuple

DISTRIBUTION = "resnet-gen"
EXTRAS = (
    "",
    "export",
    "plot",
    "train",
)  # what a user installs; the rest is for developing this package
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
    findings += [_package(name, extra) for name, extra in _required()]
    installed = {finding.what for finding in findings if not finding.missing}
    return [*findings, _device()] if {"torch", "torchvision"} <= installed else findings


def _required() -> list[tuple[str, str]]:
    """Each package that this one asks for, and the extra that asks for it; those of none first."""
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # run from its source
        return [(DISTRIBUTION, "")]
    found = []
    for line in lines:
        requirement, _, marker = line.partition(";")
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"extra\s*==\s*[\"'](\w+)", marker)
        if name and (extra[1] if extra else "") in EXTRAS:
            found.append((name[0], extra[1] if extra else ""))
    return sorted(found, key=lambda pair: EXTRAS.index(pair[1]))


def _package(name: str, extra: str) -> Finding:
    try:
        return Finding(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        wanted = f"'{DISTRIBUTION}[{extra}]'" if extra else DISTRIBUTION
        return Finding(name, "not installed", f"pip install {wanted}")


def _device() -> Finding:
    done = subprocess.run(
        [sys.executable, "-c", ASK_TORCH], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return Finding("device", done.stdout.strip())
    reason = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
    return Finding("device", reason, "install torch and torchvision from the same place")
