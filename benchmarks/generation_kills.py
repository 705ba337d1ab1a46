"""`generate` killed a hundred times within its writes, half of them into an empty folder.

The writes are made slow, so that kills hit them: what a kill must leave, and how the next
`generate` goes on, is in tests/killed_generation.py.

    python benchmarks/generation_kills.py
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time

import timing

sys.path[:0] = [str(timing.ROOT), str(timing.ROOT / "tests")]

import killed_generation  # noqa: E402  (from tests/, as the next)
import sandbox  # noqa: E402
from resnet_gen.generate import render  # noqa: E402


def main() -> None:
    """Kills, and writes what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args()
    moments, started = random.Random(args.seed), time.perf_counter()
    render.clean = dict  # as the killed process has it: ruff would take most of the time
    kills = []
    with tempfile.TemporaryDirectory() as folder, sandbox.working_in(folder):
        for number in range(args.kills):
            from_nothing = number % 2 == 0
            found = killed_generation.kill_once(moments, from_nothing)
            kills.append({"into": "an empty folder" if from_nothing else "older files", **found})
            print(number + 1, kills[-1], file=sys.stderr, flush=True)
    rows = [
        {
            "kills": len(kills),
            "within_a_write": sum(kill["parts"] > 0 for kill in kills),
            "between_files": sum(0 < kill["new"] < 8 for kill in kills),
            "torn": 0,  # the first would have ended this script
        }
    ]
    timing.write("generation_kills", rows, seconds=round(time.perf_counter() - started), each=kills)


if __name__ == "__main__":
    main()
