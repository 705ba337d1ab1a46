"""Detectors that a processor trains, from eight pictures by heart to average precision on others.

In this order, since each step finds the mistakes of what the next one is built of:

    crops       the backbone, on single cards
    by heart    eight pictures, tested on themselves
    cards       500 pictures, tested on 80 with other digits on other photographs
    torchvision the same with torchvision's own FasterRCNN, RoIAlign and heads, trained alike
    pooled      the same as `cards` with RoI max pooling, the paper's
    context     the same as `cards` with the whole image beside each region
    + refinement, + scales    tests of these two, without another training

    python benchmarks/detection.py --work runs/detection

Called again, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import timing
import torch

sys.path.insert(0, str(timing.ROOT / "tests"))
import cards  # the pictures that tests are made with

SMALL = (timing.ROOT / "specs/detection/faster_rcnn_small.yaml").read_text()
CODE = Path("generated/detection")
OPTIONS = {  # what is added to the small detector's spec
    "small": "",
    "refined": "testing: {refine: true}\n",
    "scaled": "testing: {scales: [96, 128, 160, 192, 224], region: 56}\n",
    "refined_scaled": "testing: {refine: true, scales: [96, 128, 160, 192, 224], region: 56}\n",
    "pooled": "",
    "context": "context: true\n",
    "context_all": "context: true\n"
    "testing: {refine: true, scales: [96, 128, 160, 192, 224], region: 56}\n",
}
ITERATIONS = 2_400
BY_HEART = 800
FIGURES = ("ap", "ap50", "ap75")


def prepare(work: Path) -> None:
    """Pictures, specs and code, in a project of its own."""
    if not (work / "data/cards").is_dir():
        part = work / "data.part"
        shutil.rmtree(part, ignore_errors=True)
        cards.make(part)
        eight = part / "eight"
        for name in ("train", "val"):
            (eight / name).mkdir(parents=True)
            for k in range(8):
                for kind in (".png", ".xml"):
                    shutil.copy(part / f"cards/train/{k}{kind}", eight / name)
        part.replace(work / "data")
    folder = work / "specs/detection"
    folder.mkdir(parents=True, exist_ok=True)
    for name, more in OPTIONS.items():
        text = SMALL.replace("name: faster_rcnn_small", f"name: {name}")
        if name == "pooled":
            text = text.replace("kind: align", "kind: pool")
        (folder / f"{name}.yaml").write_text(text.replace("training:", f"{more}training:"))
    names = ["resnet18_small", *(f"specs/detection/{name}.yaml" for name in OPTIONS)]
    subprocess.run(
        [sys.executable, "-m", "resnet_gen", "generate", "--force", *names],
        cwd=work, check=True, capture_output=True,
    )  # fmt: skip


def backbone_of(work: Path) -> tuple[Path, dict[str, Any]]:
    """The classifier that detectors begin with, trained on single cards, and its results."""
    work.mkdir(parents=True, exist_ok=True)
    prepare(work)
    script = Path("generated/imagenet/resnet18_small/train.py")
    return work / "runs/crops/checkpoint.pt", run(work, script, "crops", "--data", "crops")


def run(work: Path, script: Path, out: str, *arguments: object) -> dict[str, Any]:
    """A training by a generated script, unless it is done; its results."""
    results = work / "runs" / out / "results.json"
    if not results.is_file():
        command = [sys.executable, str(script), "--out", f"runs/{out}", "--resume", *arguments]
        subprocess.run([*map(str, command)], cwd=work, check=True)
    found: dict[str, Any] = json.loads(results.read_text())
    return found


def evaluated(work: Path, name: str, checkpoint: Path) -> dict[str, float]:
    """The figures of trained weights, tested as the detector called `name` is."""
    command = [
        *(sys.executable, str(CODE / name / "train.py"), "--data", "cards", "--measure", "coco"),
        *("--evaluate", str(checkpoint)),
    ]
    done = subprocess.run(command, cwd=work, check=True, capture_output=True, text=True)
    words = done.stdout.partition(" on ")[0].split(", ")
    return {key: float(value.rstrip("%")) for key, value in (word.split() for word in words)}


def row(name: str, tested: dict[str, float], **more: object) -> dict[str, object]:
    """A line of the table."""
    return {"trained": name, **{key: round(tested[key], 1) for key in FIGURES}, **more}


def of_results(results: dict[str, Any]) -> dict[str, float]:
    """The figures of a run's test."""
    return {key: float(results[f"test_{key}"]) for key in FIGURES}


# ---- torchvision's own classes -------------------------------------------------------------------


def with_torchvision(work: Path, backbone: Path) -> tuple[dict[str, float], float]:
    """The figures of torchvision's FasterRCNN on the same trunk, trained alike, and its minutes."""
    from torchvision.models.detection import FasterRCNN  # noqa: PLC0415
    from torchvision.models.detection.anchor_utils import AnchorGenerator  # noqa: PLC0415
    from torchvision.ops import MultiScaleRoIAlign  # noqa: PLC0415

    kept = work / "runs/torchvision.json"
    if kept.is_file():
        found = json.loads(kept.read_text())
        return found["figures"], found["minutes"]
    code = load_folder(work / CODE / "small")
    torch.manual_seed(0)
    net, mean = classified(code, backbone, work)
    trunk = code.detector.Trunk(code.detector.freeze_batch_norm(net))
    regions = code.detector.Regions(net)

    class Head(torch.nn.Module):
        def forward(self, pooled: torch.Tensor) -> torch.Tensor:
            return regions.layer4(pooled).mean(dim=(2, 3))

    head = Head()
    head.layer4 = regions.layer4
    model = FasterRCNN(
        trunk,
        min_size=160,
        max_size=267,
        image_mean=mean.flatten().tolist(),
        image_std=[1.0] * 3,
        rpn_anchor_generator=AnchorGenerator(((32, 64, 96),), ((0.5, 1.0, 2.0),)),
        rpn_pre_nms_top_n_train=12_000,
        rpn_pre_nms_top_n_test=6_000,
        rpn_post_nms_top_n_train=100,
        rpn_post_nms_top_n_test=40,
        rpn_batch_size_per_image=64,
        box_roi_pool=MultiScaleRoIAlign(["0"], 7, 2),
        box_head=head,
        box_predictor=code.detector.FastRCNNPredictor(192, 11),
        box_batch_size_per_image=16,
        box_nms_thresh=0.3,
    )
    started = time.perf_counter()
    data = code.annotations.load(work / "data/cards")
    for step, images, objects in stream(code, data):
        if step == 0:
            optimizer = torch.optim.SGD(model.parameters(), 0.02, 0.9, weight_decay=1e-4)
        optimizer.param_groups[0]["lr"] = code.train.learning_rate(step)
        torch.manual_seed(step)
        losses = model(images, objects)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    minutes = (time.perf_counter() - started) / 60
    model.eval()
    args = arguments(work)
    figures = code.evaluate.figures(lambda image: model([image])[0], data.test, data.classes, args)
    kept.write_text(json.dumps({"figures": figures, "minutes": minutes}))
    return figures, minutes


def load_folder(folder: Path) -> Any:
    """A generated folder's modules."""
    sys.path.insert(0, str(timing.ROOT))
    from resnet_gen.generate.loading import load_folder as load  # noqa: PLC0415

    return load(folder)


def arguments(work: Path) -> argparse.Namespace:
    """What the generated functions ask of the flags."""
    return argparse.Namespace(
        device=torch.device("cpu"), workers=0, measure="coco", seed=0, batch_size=4,
        iterations=ITERATIONS, statistics=work / "data/crops",
    )  # fmt: skip


def classified(code: Any, backbone: Path, work: Path) -> tuple[Any, torch.Tensor]:
    """The backbone with its weights and statistics, and the mean of its images."""
    args = arguments(work)
    weights = code.weights.read_weights(backbone, args.device)
    net = code.model.ResNet18Small(num_classes=10)
    return net, code.backbone.take(net, weights, 64, args)


def stream(code: Any, data: Any) -> Iterator[tuple[int, list[Any], list[Any]]]:
    """The batches of the generated script, as torchvision's detectors take them."""
    args = arguments(Path())
    batches = code.data.training_batches(data, code.train.augment, 0, [(ITERATIONS, 4)], args)
    for step, batch in enumerate(batches):
        images = [each.pixels.float() for each in batch]
        yield step, images, [{"boxes": each.boxes, "labels": each.labels} for each in batch]


def main() -> None:
    """Trains, tests, and records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/detection"))
    work = parser.parse_args().work.resolve()
    backbone, crops = backbone_of(work)
    begin = ("--measure", "coco", "--backbone", backbone, "--statistics", "data/crops")
    rows: list[dict[str, object]] = []
    small = CODE / "small/train.py"
    eight = run(work, small, "eight", "--data", "eight", "--iterations", BY_HEART, *begin)
    rows.append(row("eight pictures, by heart", of_results(eight), minutes=minutes_of(eight)))
    whole = run(work, small, "cards", "--data", "cards", *begin)
    rows.append(row("cards", of_results(whole), minutes=minutes_of(whole)))
    figures, took = with_torchvision(work, backbone)
    rows.append(row("torchvision's own classes", figures, minutes=round(took, 1)))
    trained = work / "runs/cards/checkpoint.pt"
    for name in ("refined", "scaled", "refined_scaled"):
        rows.append(row(f"cards, {name.replace('_', ' and ')}", evaluated(work, name, trained)))
    pooled = run(work, CODE / "pooled/train.py", "pooled", "--data", "cards", *begin)
    rows.append(row("RoI max pooling", of_results(pooled), minutes=minutes_of(pooled)))
    context = run(work, CODE / "context/train.py", "context", "--data", "cards", *begin)
    rows.append(row("context", of_results(context), minutes=minutes_of(context)))
    both = evaluated(work, "context_all", work / "runs/context/checkpoint.pt")
    rows.append(row("context, refined and scaled", both))
    timing.write("detection", rows, crops_test_error=crops["test_error"], iterations=ITERATIONS)


def minutes_of(results: dict[str, Any]) -> float:
    """How long the training took, without its tests."""
    return round(float(results["seconds"]) / 60, 1)


if __name__ == "__main__":
    main()
