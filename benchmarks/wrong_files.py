"""Twenty thousand wrong files, and what the commands and scripts that read them keep to.

Specs, recipes, tables of the paper, generated code and checkpoints of both families are made wrong
in their bytes or in their trees, one for each number: the same in each run of this script. What a
command must keep to is in tests/wrong_files.py and tests/sandbox.py: it ends in time, with one of
the documented exit codes and without a traceback; nothing is written outside of the project, and
what is the user's stays as it was.

    python benchmarks/wrong_files.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import timing

sys.path[:0] = [str(timing.ROOT), str(timing.ROOT / "tests")]

import torch  # noqa: E402

import sandbox  # noqa: E402  (from tests/, as the next two)
import wrong_checkpoints  # noqa: E402
import wrong_files  # noqa: E402

SHARES = {  # of the files
    "spec": 0.4,
    "recipe": 0.2,
    "table": 0.15,
    "code": 0.15,
    "checkpoint of cifar": 0.05,
    "checkpoint of imagenet": 0.05,
}
CHUNK = 250


def faults_of(kind: str, first: int, last: int) -> list[dict[str, Any]]:
    """What is wrong with these of a kind, in a project of their own."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, wrong_files.quick(Path(folder)):
        root = Path(folder, "of-these")
        if kind.startswith("checkpoint"):
            design = kind.rpartition(" ")[2]
            case = wrong_checkpoints.WrongCheckpoints(root, design).case
        elif kind == "code":
            case = wrong_files.WrongCode(root).case
        else:
            case = wrong_files.WrongYaml(root).case
        return wrong_files.run_all((case, kind, number) for number in range(first, last))


def main() -> None:
    """Looks at all of them in a few processes, and writes what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    started, rows, faults = time.perf_counter(), [], []
    with ProcessPoolExecutor(args.jobs) as pool:
        waiting = {}
        for kind, share in SHARES.items():
            count = round(args.files * share)
            starts = range(0, count, CHUNK)
            waiting[kind] = (
                count,
                [
                    pool.submit(faults_of, kind, first, min(first + CHUNK, count))
                    for first in starts
                ],
            )
        for kind, (count, futures) in waiting.items():
            found = sandbox.counted([fault for future in futures for fault in future.result()])
            faults += found
            rows.append({"kind": kind, "files": count, "faults": len(found)})
            print(rows[-1], file=sys.stderr, flush=True)
    seconds = round(time.perf_counter() - started)
    timing.write("wrong_files", rows, seconds=seconds, jobs=args.jobs, faults=faults)


if __name__ == "__main__":
    main()
