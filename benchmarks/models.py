"""(c) Generated networks against torchvision's own, forward and forward with backward.

The same weights, images, memory format and precision for both; they take turns. In fp32 and
channels_last, and on CUDA in bf16 too.

    python benchmarks/models.py
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import timing
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

PAIRS = {"resnet18_b": "resnet18", "resnet34_b": "resnet34", "resnet50_v1_5": "resnet50"}
SIZE = 224


def pair(name: str, device: torch.device) -> dict[str, nn.Module]:
    """The generated network and torchvision's, with equal weights."""
    module = timing.load(name, "imagenet").model
    models = {
        "torchvision": getattr(torchvision.models, PAIRS[name])(weights=None),
        "generated": getattr(module, module.__all__[0])(),
    }
    models["generated"].load_state_dict(models["torchvision"].state_dict())
    for model in models.values():
        model.to(device, memory_format=torch.channels_last)
    return models


def work(
    model: nn.Module, images: torch.Tensor, precision: torch.dtype, backward: bool
) -> Callable[[], None]:
    """A pass over the images; with `backward`, in training mode, the gradients too."""
    labels = torch.zeros(len(images), dtype=torch.long, device=images.device)
    autocast = torch.autocast(images.device.type, precision, enabled=precision != torch.float32)

    def forward_and_backward() -> None:
        model.train()
        with autocast:
            loss = F.cross_entropy(model(images), labels)
        model.zero_grad()
        loss.backward()

    @torch.inference_mode()
    def forward() -> None:
        model.eval()
        with autocast:
            model(images)

    return forward_and_backward if backward else forward


def main() -> None:
    """Measures each pair."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch-size", type=int, help="default: 256 on CUDA, 8 on a CPU")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_cuda = device.type == "cuda"
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False  # fp32 is to mean fp32
    batch_size = args.batch_size or (256 if on_cuda else 8)
    images = torch.randn(batch_size, 3, SIZE, SIZE, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    rows = []
    for precision in (torch.bfloat16, torch.float32) if on_cuda else (torch.float32,):
        for name in PAIRS:
            models = pair(name, device)
            for backward in (False, True):
                turns = {}
                for which, model in models.items():
                    once = work(model, images, precision, backward)
                    once()
                    once()
                    turns[which] = timing.timed(once, repeat=10 if on_cuda else 2)
                measured = timing.interleaved(turns, args.rounds)
                for which, seconds in measured.items():
                    rows.append(
                        {
                            "network": name,
                            "pass": "forward+backward" if backward else "forward",
                            "precision": str(precision).removeprefix("torch."),
                            "of": which,
                            **timing.summary(seconds, measured["torchvision"]),
                        }
                    )
    timing.write(f"models-{device.type}", rows, batch_size=batch_size)


if __name__ == "__main__":
    main()
