"""The small localizer on digits in photographs, tested as Table 13 tests: which box, and of what.

First the per-class RPN, then the R-CNN on its proposals, from the classifier that detection.py
trains on single cards.

    python benchmarks/localization.py --work runs/detection
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import timing
from detection import backbone_of, minutes_of, run

SCRIPT = Path("generated/detection/localizer_small/train.py")
TESTS = {  # the rows of Table 13, and one more
    "RPN, 1-crop, true class": ("rpn", "1-crop", False),
    "RPN, dense, true class": ("rpn", "dense", False),
    "RPN, dense, predicted classes": ("rpn", "dense", True),
    "RPN + R-CNN, dense, predicted classes": ("rcnn", "dense", True),
    "RPN + R-CNN, dense, true class": ("rcnn", "dense", False),
}


def error(work: Path, backbone: Path, last: str, kind: str, predicted: bool) -> float:
    """The localization error (%) of a test."""
    weights = [work / "runs/rpn/checkpoint.pt", work / "runs/rcnn/checkpoint.pt"]
    chosen = weights if last == "rcnn" else weights[:1]
    command = [sys.executable, SCRIPT, "--data", "singles", "--test", kind, "--evaluate", *chosen]
    command += ["--classifier", backbone] if predicted else []
    done = subprocess.run(
        [*map(str, command)], cwd=work, check=True, capture_output=True, text=True
    )
    found = re.search(r"localization error ([\d.]+)%", done.stdout)
    assert found, done.stdout
    return float(found[1])


def main() -> None:
    """Trains both steps, tests, and records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/detection"))
    work = parser.parse_args().work.resolve()
    backbone, _ = backbone_of(work)
    subprocess.run(
        [sys.executable, "-m", "resnet_gen", "generate", "localizer_small"],
        cwd=work, check=True, capture_output=True,
    )  # fmt: skip
    begin = ("--data", "singles", "--backbone", backbone)
    rpn = run(work, SCRIPT, "rpn", *begin)
    proposer = ("--rpn", work / "runs/rpn/checkpoint.pt")
    rcnn = run(work, SCRIPT, "rcnn", *begin, "--step", "regions", *proposer)
    rows = [
        {"test": name, "error": round(error(work, backbone, *how), 2)}
        for name, how in TESTS.items()
    ]
    minutes = {"rpn": minutes_of(rpn), "rcnn": minutes_of(rcnn)}
    timing.write("localization", rows, minutes=minutes, iterations=rpn["iterations"])


if __name__ == "__main__":
    main()
