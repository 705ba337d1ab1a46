"""Decoding JPEGs for training: the GPU, as the generated script has it, against the processor.

The processor decodes with one core, and with a worker for each core, beside which a step runs.

On made-up pictures of ImageNet's usual size and weight, 500×375 and about 100 kB: to be run where
nothing but torch, torchvision and Pillow is installed. Without CUDA, torchvision's decoder for the
processor stands in for the GPU's.

    python benchmarks/decode.py
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import timing
import torch
import torch.nn.functional as F
from PIL import Image

WIDTH, HEIGHT, FILES = 500, 375, 64


def pictures(folder: Path) -> list[str]:
    """Noise at several scales, as a photograph has detail at several scales."""
    generator = torch.Generator().manual_seed(0)
    paths = []
    for k in range(FILES):
        pixels = torch.full((1, 3, HEIGHT, WIDTH), 128.0)
        for cells in (4, 16, 64, 256):
            noise = torch.randn(1, 3, cells, cells, generator=generator) * 100 / cells**0.25
            pixels += F.interpolate(noise, (HEIGHT, WIDTH), mode="bilinear")
        content = pixels[0].clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()
        image = Image.frombytes("RGB", (WIDTH, HEIGHT), bytes(content.flatten().tolist()))
        paths.append(str(folder / f"{k}.jpg"))
        image.save(paths[-1], quality=90)
    return paths


def main() -> None:
    """Times batches of crops."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=256)
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = timing.load("resnet50_v1_5", "imagenet")
    with tempfile.TemporaryDirectory() as folder:
        paths = pictures(Path(folder))
        kilobytes = sum(Path(path).stat().st_size for path in paths) / len(paths) / 1_000
        samples = [(path, 0) for path in paths]
        n = args.batch_size
        cores = os.cpu_count() or 1
        how = argparse.Namespace(workers=cores, device=device, seed=0, decode="cpu")
        on_gpu = argparse.Namespace(**{**vars(how), "decode": "gpu"})
        files = net.data.Crops(samples, net.train.draw, on_gpu)[range(n)]
        one_core = net.data.Crops(samples, net.train.draw, how)
        beside = torch.cuda.Stream() if device.type == "cuda" else None

        def all_cores() -> float:
            loader = net.data.loader(one_core, range(4 * cores * n), n, how)
            return timing.timed(lambda: list(loader))() / (4 * cores)

        turns: dict[str, Callable[[], float]] = {
            "processor, one core": timing.timed(lambda: one_core[range(n)]),
            f"processor, {cores} workers": all_cores,
            f"decoded by {device.type}": timing.timed(
                lambda: net.data.decode(files, device, beside)
            ),
        }
        for turn in turns.values():
            turn()
        seconds = timing.interleaved(turns, args.rounds)
    rows: list[dict[str, object]] = []
    for name, own in seconds.items():
        figures = timing.summary(own, seconds["processor, one core"])
        per_second = round(1e3 * n / figures["median_ms"], 1)
        rows.append({"variant": name, **figures, "images_per_second": per_second})
    more = {"batch_size": n, "kilobytes": round(kilobytes, 1)}
    timing.write(f"decode-{device.type}", rows, **more)


if __name__ == "__main__":
    main()
