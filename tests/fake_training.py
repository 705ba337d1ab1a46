"""A project of experiments whose training scripts only pretend to train, quickly, without torch.

What a script does beside that is said by files in the folder where it runs: `fails-NETWORK` makes
it fail, `slow` makes it go on until it is stopped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from conftest import ROOT
from resnet_gen.experiments.machine import Machine
from resnet_gen.read import library

MACHINE = Machine("cpu", "cpu", "a processor", 4, (2**34,))
SIZES = """
smoke:
  budget: {cifar: a moment, imagenet: two moments}
  cifar: {data: photos, iterations: 4, batch_size: 8, seeds: 1}
  imagenet: {data: photos, iterations: 2, batch_size: 8, seeds: 1}
short:
  budget: {cifar: a moment, imagenet: two moments}
  cifar: {data: photos, iterations: 8, batch_size: 8, seeds: 2}
  imagenet: {data: photos, iterations: 2, batch_size: 8, seeds: 1}
paper:
  budget: {cifar: a moment, imagenet: two moments}
  cifar: {data: photos, seeds: 1}
  imagenet: {data: photos, seeds: 1}
"""
SCRIPT = """
SPEC_SHA256 = "{sha256}"
import argparse, hashlib, json, os, pathlib, signal, sys, time
parser = argparse.ArgumentParser()
for flag in ("--data", "--root", "--out", "--test", "--init"):
    parser.add_argument(flag, type=pathlib.Path)
for flag in ("--iterations", "--batch-size", "--seed"):
    parser.add_argument(flag, type=int)
parser.add_argument("--resume", action="store_true")
parser.add_argument("--evaluate", nargs="+")
args, network = parser.parse_args(), "{name}"
if args.evaluate:
    print(f"{{args.test}} error 12.50% top-1, 3.25% top-5: {{' + '.join(args.evaluate)}}")
    sys.exit()
print("threads", os.environ["OMP_NUM_THREADS"], "resumed" if args.resume else "begun", flush=True)
if pathlib.Path(f"fails-{{network}}").exists():
    print("no luck", file=sys.stderr)
    sys.exit(1)
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
step, metrics = 0, args.out / "metrics.jsonl"
if args.resume:
    step = int((args.out / "checkpoint.pt").read_text())
with metrics.open("a") as file:
    while step < args.iterations:
        step += 1
        line = {{"step": step, "lr": 0.1, "train_error": 50.0, "val_error": 40.0 - args.seed}}
        if step == args.iterations:
            line["test_error"] = 30.0 + args.seed
        file.write(json.dumps(line) + "\\n")
        file.flush()
        (args.out / "checkpoint.pt").write_text(str(step))
        while pathlib.Path("slow").exists() and step >= 2 and not stopped:
            time.sleep(0.02)
        if stopped:
            print("stopped at step", step)
            sys.exit(143)
results = {{
    "network": network, "seed": args.seed, "iterations": args.iterations, "data": str(args.data),
    "batch_size": args.batch_size, "test_error": 30.0 + args.seed,
    "best_val_error": 40.0 - args.seed, "seconds": 2.0, "device": "cpu",
    "spec_sha256": SPEC_SHA256,
}}
if args.init:
    results["init"] = hashlib.sha256(args.init.read_bytes()).hexdigest()
(args.out / "results.json").write_text(json.dumps(results))
"""


def script(name: str) -> Path:
    """Puts a network's pretended folder into ./generated; its train.py."""
    entry = library.network(name)
    folder = Path("generated") / entry.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.py").write_text(f'"""{name}"""\n')
    (folder / "train.py").write_text(SCRIPT.format(sha256=entry.sha256, name=name))
    return folder / "train.py"


def project(*networks: str, **more: object) -> str:
    """An experiment of these networks, in the current folder; its name. `more` are keys of it."""
    folder = Path("specs/experiments")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sizes.yaml").write_text(SIZES)
    content = {"experiment": "mine", "place": "here", "title": "Mine", "networks": networks, **more}
    lines = [f"{key}: {json.dumps(value)}" for key, value in content.items()]
    (folder / "mine.yaml").write_text("\n".join(lines) + "\n")
    for name in networks:
        script(name)
    for part in ("train", "val"):
        Path("data/photos", part).mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "LICENSE", Path("data/photos", part, "a.png"))
    return "mine"


def commit(message: str = "all") -> str:
    """Commits everything of the current folder, which becomes a repository; the commit."""
    name = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    Path(".gitignore").write_text("/runs/\n/data/\n")
    for arguments in (["init", "-q"], ["add", "-A"], [*name, "commit", "-qm", message]):
        subprocess.run(["git", *arguments], check=True, capture_output=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()
