"""`generate` killed within its writes, which are made slow: every file must stay whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import sandbox
from one_network import FILES
from resnet_gen.generate import header

ROOT = Path(__file__).resolve().parent.parent
SPEC = "name: net\ndesign: cifar\ndepth: 8\nshortcut: A\n"
NET = Path("generated/cifar/net")
PART = ".*.????????"  # what a file is written into before it takes its place
# Half of each file, a pause, the other half, a pause, the renaming: a kill hits one of these.
CHILD = """
import sys, time, os
from pathlib import Path
from resnet_gen.cli.main import main
from resnet_gen.generate import render
pause, limit = float(sys.argv[1]), int(sys.argv[2])
render.clean = dict
replace = os.replace
def write_bytes(self, content):
    print("writing", flush=True)
    with open(self, "wb") as file:
        for half in (content[: len(content) // 2], content[len(content) // 2 :]):
            file.write(half)
            file.flush()
            time.sleep(pause)
def slow_replace(*names):
    time.sleep(pause)
    replace(*names)
Path.write_bytes, os.replace = write_bytes, slow_replace
if limit:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.argv = ["resnet-gen", "generate", *sys.argv[3:]]
main()
"""


def start(pause: float, *arguments: str, limit: int = 0) -> subprocess.Popen[str]:
    """A slow `generate`, which may write files of `limit` bytes, as on a disk that is full then."""
    command = [sys.executable, "-c", CHILD, str(pause), str(limit), *arguments]
    pipe, environment = subprocess.PIPE, {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)


def prepare(version: str) -> dict[str, bytes]:
    """The network's files as another version of the generator made them, in the current folder."""
    Path("net.yaml").write_text(SPEC)
    before, header.__version__ = header.__version__, version
    try:
        told = sandbox.resnet_gen("generate", "net.yaml")
    finally:
        header.__version__ = before
    assert told.code == 0, told.err
    return {name: (NET / name).read_bytes() for name in FILES}


def remove() -> None:
    """Takes all generated files away."""
    for path in sorted(Path("generated").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def kill_once(moments: random.Random, from_nothing: bool) -> dict[str, Any]:
    """Kills one generation; what it left behind. `generate` must make it right afterwards.

    Raises:
        AssertionError: a file is torn, or taken for something that it is not.
    """
    new = prepare(header.__version__)
    remove()
    old = {} if from_nothing else prepare("0.0")
    pause = 0.01
    child = start(pause, "net.yaml")
    assert child.stdout and child.stderr
    assert child.stdout.readline() == "writing\n", child.stderr.read()
    time.sleep(moments.uniform(0, 3 * pause * len(FILES)))
    child.kill()
    child.communicate()
    parts = sorted(path.name for path in NET.glob(PART))
    found = {name: (NET / name).read_bytes() for name in FILES if (NET / name).exists()}
    assert found.keys() >= old.keys()
    assert all(content in (old.get(name), new[name]) for name, content in found.items())
    stale = [name for name in FILES if found.get(name) != new[name]]
    told = sandbox.resnet_gen("generate", "net.yaml", "--check")
    words = "not generated yet" if from_nothing else "the generator changed"
    assert sorted(told.out.splitlines()) == sorted(f"{NET / name}: {words}" for name in stale)
    told = sandbox.resnet_gen("generate", "net.yaml")
    assert told.code == 0, told.err
    assert {name: (NET / name).read_bytes() for name in FILES} == new
    assert sandbox.resnet_gen("generate", "net.yaml", "--check").code == 0
    for name in parts:
        (NET / name).unlink()
    return {"new": len(FILES) - len(stale), "parts": len(parts)}
