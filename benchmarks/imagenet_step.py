"""A training step at 224×224 on images in memory: the generated script and torchvision's own loop.

torchvision's model in the loop of torchvision's training script, in bf16: autocast, SGD as it
comes, loss and error read back after every step. The generated script with --eager, and as it runs
by default, which compiles it on CUDA. Both networks stride in the 3×3, as torchvision's.

    python benchmarks/imagenet_step.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import timing
import torch
import torchvision
from torch import nn

NETWORKS = {
    "resnet18_b": "resnet18",
    "resnet34_b": "resnet34",
    "resnet50_v1_5": "resnet50",
    "resnet101_v1_5": "resnet101",
    "resnet152_v1_5": "resnet152",
}
# Milliseconds that an H200 needs at least for 256 images in bf16: as in training_step.py.
FLOOR_MS = dict(zip(NETWORKS, (6.68, 11.8, 24.7, 38.9, 55.0), strict=True))
IMAGE_SIZE, CLASSES = 224, 1_000
Step = Callable[[], object]


def torchvisions(name: str, batch_size: int, device: torch.device, precision: str) -> Step:
    """A step of torchvision's loop."""
    model = getattr(torchvision.models, NETWORKS[name])(weights=None).to(device)
    model.to(memory_format=torch.channels_last).train()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    images = torch.randn(batch_size, 3, IMAGE_SIZE, IMAGE_SIZE, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch_size, device=device) % CLASSES
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")

    def step() -> None:
        with autocast:
            scores = model(images)
            loss = criterion(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        top5 = scores.topk(5, 1).indices == labels[:, None]
        for value in (loss, top5[:, 0].float().mean(), top5.any(1).float().mean()):
            value.item()

    return step


def generated(name: str, batch_size: int, device: torch.device, precision: str, fast: bool) -> Step:
    """A step of the generated script, from bytes on."""
    script = timing.load(name, "imagenet").train
    mean = torch.tensor(script.MEAN, device=device)[:, None, None]
    trainer = script.Trainer([str(k) for k in range(CLASSES)], mean, precision)
    if fast:
        trainer.model.compile(dynamic=False)
    size = (batch_size, 3, IMAGE_SIZE, IMAGE_SIZE)
    labels = torch.arange(batch_size, device=device) % CLASSES
    pixels = torch.randint(256, size, dtype=torch.uint8, device=device)
    pixels = pixels.contiguous(memory_format=torch.channels_last)  # as they are read
    colour = torch.zeros(batch_size, 3, device=device)
    return lambda: trainer.train_step(pixels, labels, labels % 2 == 0, colour)


def main() -> None:
    """Measures each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["resnet50_v1_5"], choices=NETWORKS)
    parser.add_argument("--batch-size", type=int, help="default: 256 on CUDA, 8 on a CPU")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each turn, about")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_cuda = device.type == "cuda"
    batch_size = args.batch_size or (256 if on_cuda else 8)
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = False, True
    rows: list[dict[str, object]] = []
    for name in args.networks:
        how = (name, batch_size, device, "bf16")
        steps = {
            "torchvision's loop": torchvisions(*how),
            "generated --eager": generated(*how, fast=False),
        }
        if on_cuda:
            steps["generated"] = generated(*how, fast=True)
        turns = {}
        for variant, step in steps.items():
            for _ in range(3):  # compiles, chooses algorithms
                step()
            timing.synchronize()
            started = time.perf_counter()
            step()
            timing.synchronize()
            repeat = max(1, round(args.seconds / (time.perf_counter() - started)))
            turns[variant] = timing.timed(step, repeat)
        seconds = timing.interleaved(turns, args.rounds)
        for variant, own in seconds.items():
            figures = timing.summary(own, seconds["torchvision's loop"])
            row = {"network": name, "variant": variant, **figures}
            row["images_per_second"] = round(1e3 * batch_size / figures["median_ms"], 1)
            if on_cuda and "H200" in torch.cuda.get_device_name() and batch_size == 256:
                row["of_the_floor"] = round(FLOOR_MS[name] / figures["median_ms"], 3)
            rows.append(row)
        del steps, turns
    name = f"imagenet_step-{device.type}"
    timing.write(name, rows, merged_by="network", batch_size=batch_size)


if __name__ == "__main__":
    main()
