"""A thousand valid specs at random: each must be generated, clean, typed, and its own network.

What is looked at is in tests/random_specs.py. Specs are of both designs and use every key, with
recipes of their own. They are the same in each run of this script.

    python benchmarks/specs_at_random.py
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import timing

sys.path[:0] = [str(timing.ROOT), str(timing.ROOT / "tests")]

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402

import random_specs  # noqa: E402  (from tests/)
from resnet_gen import checking  # noqa: E402
from resnet_gen.compare import measure, recording  # noqa: E402
from resnet_gen.generate import output, render  # noqa: E402
from resnet_gen.read import library  # noqa: E402

BATCH = 250  # networks that mypy and ruff look at together
Made = tuple[random_specs.Written, random_specs.Written]


def drawn(count: int) -> list[Made]:
    """So many specs with their recipes, all different from each other."""
    found: dict[str, Made] = {}

    @settings(
        max_examples=2 * count,  # some are drawn again
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(random_specs.projects(random_specs.shipped_recipes()))
    def keep(made: Made) -> None:
        if len(found) < count:
            found.setdefault(repr(made), made)

    keep()
    return list(found.values())


def generated(made: Made, root: Path) -> Path:
    """The spec's code below `root`, compared with what the spec means; its folder."""
    spec = random_specs.write(*made).as_posix()
    assert not (found := checking.problems([spec, "specs/recipes"])), found
    entry = library.network(spec)
    rendered = render.render([entry])
    files = [output.inspect(root / path, *content) for path, content in rendered.items()]
    output.write_all(files, force=False)
    again = [output.inspect(root / path, *content) for path, content in rendered.items()]
    assert all(file.state is output.State.CURRENT for file in again), "stale as soon as written"
    random_specs.agrees(entry, root / entry.folder)
    return root / entry.folder


def recorded(path: Path, given: dict[str, Any]) -> dict[str, Any]:
    """What recording.py finds, of what has been JSON, as between processes."""
    return recording.record_file(path, json.loads(json.dumps(given)))


def main() -> None:
    """Looks at all of them, and writes what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--specs", type=int, default=1000)
    args = parser.parse_args()
    measure._record = recorded  # in this process, where torch is imported once
    started, faults = time.perf_counter(), []
    counts: collections.Counter[str] = collections.Counter()
    specs = drawn(args.specs)
    with tempfile.TemporaryDirectory() as project:
        os.chdir(project)
        for first in range(0, len(specs), BATCH):
            folders: dict[str, list[Path]] = {"cifar": [], "imagenet": []}
            root = Path(project, str(first))
            for number, made in enumerate(specs[first : first + BATCH]):
                try:
                    folder = generated(made, root / str(number))
                except Exception as error:
                    faults.append({"spec": made[0], "recipe": made[1], "fault": repr(error)[:500]})
                    continue
                counts[folder.parent.name] += 1
                if (folder / "train.py").exists():
                    folders[folder.parent.name].append(folder)
            if change := random_specs.unformatted(root):
                faults.append({"batch": first, "fault": change[:2000]})
            for design, those in folders.items():
                if those and (found := random_specs.mistyped(those, root / f"typed-{design}")):
                    faults.append({"batch": first, "fault": found[:2000]})
            done = min(first + BATCH, len(specs))
            print(done, dict(counts), faults, file=sys.stderr, flush=True)
        os.chdir(timing.ROOT)
    rows = [{"specs": len(specs), **counts, "faults": len(faults)}]
    seconds = round(time.perf_counter() - started)
    timing.write("specs_at_random", rows, seconds=seconds, faults=faults)


if __name__ == "__main__":
    main()
