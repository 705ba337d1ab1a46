"""The ordinary training script of the field, written for comparison.

What most public CIFAR scripts do: a DataLoader whose workers run PIL transforms on one image at a
time, fp32 in PyTorch's default layout, SGD as it comes, `.item()` after every step. The network is
the generated one and the images are the 45,000 that the generated script trains on, so that the
two differ in how they train, not in what.

    python benchmarks/ordinary.py --root data --iterations 2000 --seed 0 --out ordinary.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import timing
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
VALIDATION, SPLIT_SEED = 5_000, 0


def network(name: str) -> nn.Module:
    """The generated network of this name."""
    module = timing.load(name).model
    model: nn.Module = getattr(module, module.__all__[0])()
    return model


def loaders(root: Path, batch_size: int, workers: int) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """The generated script's 45,000 training images, and the test images."""
    to_tensor = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    crop_and_flip = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    train = datasets.CIFAR10(root, True, transforms.Compose(crop_and_flip + to_tensor))
    test = datasets.CIFAR10(root, False, transforms.Compose(to_tensor))
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(SPLIT_SEED))
    kept = Subset(train, order[:-VALIDATION].tolist())
    pinned = torch.cuda.is_available()
    return (
        DataLoader(
            kept,
            batch_size,
            shuffle=True,
            num_workers=workers,
            pin_memory=pinned,
            persistent_workers=workers > 0,
        ),
        DataLoader(test, batch_size, num_workers=workers, pin_memory=pinned),
    )


def training_steps(
    model: nn.Module, train: DataLoader[Any], iterations: int, device: torch.device
) -> Iterator[tuple[float, float]]:
    """Trains; yields the loss and the error of each iteration, both read from the device."""
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    drops = [iterations // 2, iterations * 3 // 4]
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, drops)
    model.train()
    step = 0
    while True:
        for batch, targets in train:
            images, labels = batch.to(device), targets.to(device)
            scores = model(images)
            loss = criterion(scores, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            correct = (scores.argmax(1) == labels).sum()
            yield loss.item(), 1 - correct.item() / len(labels)
            step += 1
            if step == iterations:
                return


@torch.no_grad()
def test_error(model: nn.Module, test: DataLoader[Any], device: torch.device) -> float:
    """Top-1 error in percent."""
    model.eval()
    wrong = 0
    for images, labels in test:
        scores: Tensor = model(images.to(device))
        wrong += (scores.argmax(1) != labels.to(device)).sum().item()
    return 100 * wrong / len(test.dataset)  # type: ignore[arg-type]


def main() -> None:
    """Trains one network once; writes what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="resnet20")
    parser.add_argument("--root", type=Path, default=Path("data"))
    parser.add_argument("--iterations", type=int, default=2_000)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="a JSON file")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(args.seed)
    model = network(args.network).to(device)
    train, test = loaders(args.root, args.batch_size, args.workers)
    started = time.perf_counter()
    losses = []
    for loss, _ in training_steps(model, train, args.iterations, device):
        losses.append(loss)
        if len(losses) % 100 == 0:
            print(
                f"step {len(losses)}  loss {sum(losses[-100:]) / 100:.3f}",
                file=sys.stderr,
                flush=True,
            )
    seconds = time.perf_counter() - started
    results = {
        "network": args.network,
        "iterations": args.iterations,
        "batch_size": args.batch_size,
        "seed": args.seed,
        "test_error": round(test_error(model, test, device), 3),
        "seconds": round(seconds, 1),
        "images_per_second": round(args.iterations * args.batch_size / seconds, 1),
        "device": device.type,
        "torch": torch.__version__,
    }
    args.out.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
