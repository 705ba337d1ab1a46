"""What `diff` misses: a thousand random edits of generated networks, each judged by numbers.

An edit that still runs is judged without any of `diff`'s code: the edited network beside the one
that was generated, with the same random weights and images in float64, in training and in
evaluation, with its gradients, running statistics, and what its weights begin as. `diff` must say
of each edit that changes something that it differs, and its numbers must not differ for an edit
that changes nothing. Edits that do not run are counted apart.

    python benchmarks/mutation.py                   # 950 narrow ones, 50 at full size
    python benchmarks/mutation.py --edits 40 --full 0 --seed 3
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import timing
import torch
from random_edits import Edit, edits
from torch import Tensor, nn

from resnet_gen.compare import measure, recording
from resnet_gen.compare.by_layer import layer_rows
from resnet_gen.compare.rows import Verdict
from resnet_gen.generate import render
from resnet_gen.generate.loading import load
from resnet_gen.network.expansion import expand
from resnet_gen.read import library

TIME_LIMIT = {"narrow": 60, "full": 400}  # seconds for an edit
CHANGED = 1e-7  # of the largest value: rounding stays far below it in networks as shallow as these
CIFAR = "design: cifar\ndepth: 14\nwidth: 6\nimage_size: 16\n"
IMAGENET = "design: imagenet\nblocks: [2, 2, 2, 2]\nwidth: 4\nimage_size: 64\n"
BASIC, BOTTLENECK = "block: basic\ndepth: 18\n", "block: bottleneck\ndepth: 26\n"
NARROW = {  # two blocks a stage, each choice of a spec at least once
    "plain14": CIFAR + "shortcut: none\n",
    "resnet14_a": CIFAR + "shortcut: A\n",
    "resnet14_both": CIFAR + "shortcut: A\nzero_padding: both\ninitialisation: fan_in\n",
    "resnet14_b": CIFAR + "shortcut: B\nzero_gamma: true\n",
    "resnet14_c": CIFAR + "shortcut: C\n",
    "plain18": IMAGENET + BASIC + "shortcut: none\n",
    "resnet18_a": IMAGENET + BASIC + "shortcut: A\n",
    "resnet18_b": IMAGENET + BASIC + "shortcut: B\npooling: ceil\n",
    "resnet18_c": IMAGENET + BASIC + "shortcut: C\n",
    "resnet26_b": IMAGENET + BOTTLENECK + "shortcut: B\n",
    "resnet26_v1_5": IMAGENET + BOTTLENECK + "shortcut: B\nstride_in: conv3x3\nzero_gamma: true\n",
}
FULL = ("resnet20", "plain20", "resnet32", "resnet18_a", "resnet18_b", "resnet34_c", "resnet50_b")


def entries(folder: Path, size: str) -> dict[str, library.Entry]:
    """The networks to edit, by name; narrow ones are written as specs into `folder`."""
    if size == "full":
        return {name: library.network(name) for name in FULL}
    found = {}
    for name, text in NARROW.items():
        path = folder / f"{name}.yaml"
        path.write_text(f"name: {name}\n{text}")
        found[name] = library.read_network(path)
    return found


# ---- The judge -----------------------------------------------------------------------------------


def built(path: Path, classes: int | None) -> nn.Module:
    """The network of a file in float64; weights that are drawn are, here, what they are drawn by.

    So two networks begin alike if and only if their weights have the same distributions.
    """
    fills = {
        "normal_": lambda self, mean=0.0, std=1.0, generator=None: self.fill_(mean + 3 * std),
        "uniform_": lambda self, a=0.0, b=1.0, generator=None: self.fill_(a + 3 * b),
    }
    kept = {name: getattr(Tensor, name) for name in fills}
    for name, fill in fills.items():
        setattr(Tensor, name, fill)
    torch.set_default_dtype(torch.float64)
    try:
        module = load(path)
        (name,) = module.__all__
        network: nn.Module = getattr(module, name)(*([] if classes is None else [classes]))
        return network
    finally:
        torch.set_default_dtype(torch.float32)
        for name, fill in kept.items():
            setattr(Tensor, name, fill)


def behaviour(path: Path, channels: int, size: int) -> list[tuple[str, Tensor]]:
    """All that a network does, as tensors, those of weights by name.

    Raises:
        Exception: whatever the file raises.
    """
    found = []
    for classes, batch in ((None, 2), (5, 3)):
        model = built(path, classes)
        tensors = sorted((k, v) for k, v in model.state_dict().items() if v.is_floating_point())
        found += [(f"begins {k}", v.clone()) for k, v in tensors]
        found += [(f"learns {k}", torch.tensor(float(p.requires_grad)))
                  for k, p in sorted(model.named_parameters())]  # fmt: skip
        generator = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for key, value in tensors:
                noise = torch.rand(value.shape, dtype=torch.float64, generator=generator)
                spread = (18 / max(value[0].numel(), 1)) ** 0.5 if value.dim() > 1 else 1.0
                positive = value.dim() < 2 and not key.endswith(("bias", "mean"))
                value.copy_(noise + 0.5 if positive else spread * (noise - 0.5))
        shape = (batch, channels, size, size)
        images = torch.randn(shape, dtype=torch.float64, generator=generator)
        before = images.clone()
        images.requires_grad_()
        for seed in (1, 2):
            torch.manual_seed(seed)
            with torch.no_grad():
                model.train()
                statistics = {k: v.clone() for k, v in model.named_buffers()}
                found.append((f"scores, seed {seed}", model(images * 1)))
                for key, value in model.named_buffers():
                    value.copy_(statistics[key])
        scores = model(images * 1)
        (scores * torch.arange(1.0, scores.numel() + 1).view_as(scores)).sum().backward()
        found.append(("images", images.grad if images.grad is not None else torch.zeros(())))
        found += [(f"gradient {k}", p.grad if p.grad is not None else torch.zeros_like(p))
                  for k, p in sorted(model.named_parameters())]  # fmt: skip
        found += [(f"after {k}", v.clone()) for k, v in sorted(model.named_buffers())]
        with torch.no_grad():
            given = before.clone()
            found.append(("evaluation", model.eval()(given)))
            found.append(("input", given))
    return found


def changes(edited: list[tuple[str, Tensor]], generated: list[tuple[str, Tensor]]) -> str:
    """The first thing that an edit changes, or nothing."""
    if [v.shape for _, v in edited] != [v.shape for _, v in generated]:
        return "the weights themselves"
    largest = max(v.abs().max().item() for k, v in generated if k.startswith("gradient"))
    for (_, found), (what, expected) in zip(edited, generated, strict=True):
        floor = 1e-6 * largest if what.startswith("gradient") else 1e-300
        scale = max(expected.abs().max().item(), floor) if expected.numel() else 1.0
        off = (found.double() - expected.double()).abs().max().item() if expected.numel() else 0.0
        if not off <= CHANGED * scale:
            return what
    return ""


# ---- One edit ------------------------------------------------------------------------------------


def judge(edit: Edit, entry: library.Entry, generated: list[tuple[str, Tensor]]) -> dict[str, Any]:
    """What an edit changes, and what `diff` says of it. Runs in a process of its own."""
    spec = entry.spec
    network = expand(spec)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.py")
        path.write_text(edit.text)
        try:
            changed = changes(behaviour(path, spec.image_channels, spec.image_size), generated)
        except BaseException as error:
            return {"outcome": "does not run", "changed": f"{type(error).__name__}: {error}"[:200]}
        began = time.perf_counter()
        measure._record = lambda path, given: recording.record_file(
            path, json.loads(json.dumps(given))
        )
        try:
            seen = measure.measure_all(path, network, None, None)
        except Exception as error:
            rows, numbers, equal = [str(error)[:200]], [], False
        else:
            structure = layer_rows(network.layers, seen.layers)
            differing = [row for row in structure if row.verdict is Verdict.DIFFERS]
            numbers = [each.quantity for each in seen.findings if not each.equal]
            rows = [*(row.what for row in differing), *numbers]
            equal = not rows
    outcome = ("missed" if equal else "changed") if changed else "equivalent"
    called = {"numbers": numbers, "rows": rows[:3], "seconds": time.perf_counter() - began}
    return {"outcome": outcome, "changed": changed, **called}


def in_a_process(
    edit: Edit, entry: library.Entry, generated: list[tuple[str, Tensor]], limit: int
) -> dict[str, Any]:
    """`judge`, forked from this process, which has imported all it needs; with a time limit."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    pid = os.fork()
    if pid == 0:
        signal.alarm(limit)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            theirs.send(judge(edit, entry, generated))
        finally:
            os._exit(0)
    theirs.close()
    try:
        found: dict[str, Any] = ours.recv()
    except EOFError:
        found = {"outcome": "does not end", "changed": f"stopped after {limit} seconds"}
    os.waitpid(pid, 0)
    return found


def run(count: int, size: str, seed: int) -> Iterator[dict[str, Any]]:
    """That many edits that run, spread evenly over the networks, and those between that do not."""
    generator = random.Random(seed)
    with tempfile.TemporaryDirectory() as made:
        known = entries(Path(made), size)
        texts = render.render(list(known.values()))
        sources = {Path(p).parent.name: t.text for p, t in texts.items() if p.name == "model.py"}
        streams = {name: edits(sources[name], generator) for name in known}
        expected = {}
        for name, entry in known.items():
            path = Path(made, "model.py")
            path.write_text(sources[name])
            spec = entry.spec
            expected[name] = behaviour(path, spec.image_channels, spec.image_size)
        done = 0
        while done < count:
            name = list(known)[done % len(known)]
            edit = next(streams[name])
            found = in_a_process(edit, known[name], expected[name], TIME_LIMIT[size])
            done += found["outcome"] not in ("does not run", "does not end")
            yield {"network": name, "size": size, "kind": edit.kind, "what": edit.what, **found}


# ---- The report ----------------------------------------------------------------------------------


def table(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Edits that run, by kind: what they changed, and what `diff` missed or saw wrongly.

    "called_different" are equivalent ones in whose numbers it saw a difference.
    """
    by_kind: dict[str, Counter[str]] = {}
    for each in found:
        counts = by_kind.setdefault(each["kind"], Counter())
        counts[each["outcome"]] += 1
        counts["called_different"] += each["outcome"] == "equivalent" and bool(each["numbers"])
    rows = []
    for kind, n in sorted(by_kind.items()):
        judged = n["changed"] + n["missed"] + n["equivalent"]
        shown = ("changed", "missed", "equivalent", "called_different")
        rows.append({"edits_of": kind, "judged": judged, **{key: n[key] for key in shown}})
    whole = {key: sum(row[key] for row in rows) for key in list(rows[0])[1:]} if rows else {}
    return [*rows, {"edits_of": "all", **whole}]


def main() -> None:
    """Runs the edits and writes mutation.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edits", type=int, default=950, help="edits of narrow networks")
    parser.add_argument("--full", type=int, default=50, help="edits of networks at full size")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)  # threads do not survive a fork
    began, found = time.perf_counter(), []
    for size, count in (("narrow", args.edits), ("full", args.full)):
        for each in run(count, size, args.seed) if count else ():
            found.append(each)
            wrong = each["outcome"] == "missed" or (
                each["outcome"] == "equivalent" and each["numbers"]
            )
            if wrong:
                print(json.dumps(each, ensure_ascii=False), flush=True)
            if len(found) % 50 == 0:
                print(len(found), table(found)[-1], file=sys.stderr, flush=True)
    judged = [each for each in found if "seconds" in each]
    slowest = sorted(judged, key=lambda each: -each["seconds"])[:10]
    missed = [e for e in judged if e["outcome"] == "missed"]
    timing.write(
        "mutation",
        table(found),
        seed=args.seed,
        not_running=len(found) - len(judged),
        missed=missed,
        called_different=[e for e in judged if e["outcome"] == "equivalent" and e["numbers"]],
        most_work=slowest,
        seconds=round(time.perf_counter() - began),
    )


if __name__ == "__main__":
    main()
