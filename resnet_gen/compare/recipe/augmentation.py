"""What train.py makes of images whose pixels are their own coordinates."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from resnet_gen.compare.recipe.rehearsal import CannotAsk, Rehearsal

AT_EACH_PLACE = 40  # made-up images for each place of a crop
LEAST_IMAGES, MOST_IMAGES = 3_000, 16_000
AT_ONCE = 1_000
DRAWS = 20_000
PICTURES = ((500, 375), (375, 500))  # width and height, in pixels
BATCH = 8


def of_cifar(rehearsal: Rehearsal, step: Step, padding: int, size: int) -> dict[str, Any]:
    """The crops and flips of images of size×size.

    `padding` is the recipe's: how many images are needed for every place to occur.
    """
    augment, channels = rehearsal.script.augment, rehearsal.shape[0]
    places = (2 * padding + 1) ** 2
    wanted = max(LEAST_IMAGES, min(AT_EACH_PLACE * places, MOST_IMAGES))
    found = [
        crops_of(lambda x: augment(x, *step.more), channels, size, min(AT_ONCE, wanted - k))
        for k in range(0, wanted, AT_ONCE)
    ]
    offsets = Counter(offset for part in found for offset in part["offsets"])
    rows, columns = (Counter[int](), Counter[int]())
    for (row, column), count in offsets.items():
        rows[row] += count
        columns[column] += count
    total = len(rows) * len(columns)
    enough = sum(offsets.values()) >= AT_EACH_PLACE / 2 * total
    return {
        "size": found[0]["size"],
        "rows": [min(rows, default=0), max(rows, default=0)],
        "columns": [min(columns, default=0), max(columns, default=0)],
        "places": len(offsets),
        "everywhere": all(
            len(along) == max(along) - min(along) + 1 for along in (rows, columns) if along
        )
        and (len(offsets) == total or not enough),
        "evenly": all(map(_evenly, (rows, columns))) and (not enough or _evenly(offsets)),
        "exact": all(part["exact"] for part in found),
        "unknown": sum(part["unknown"] for part in found) / wanted,
        "outside": sorted({value for part in found for value in part["outside"]})[:3],
        "mirrored": sum(part["mirrored"] for part in found) / wanted,
        "mean": step.mean,
    }


def crops_of(
    augment: Callable[[Tensor], Tensor], channels: int, size: int, n: int
) -> dict[str, Any]:
    """Where each of n crops of one image is from, and whether it is nothing but a part of it."""
    place = torch.arange(1.0, size * size + 1).view(size, size)
    image = place + size * size * torch.arange(channels)[:, None, None]
    crops = augment(image.expand(n, -1, -1, -1).contiguous())
    if tuple(crops.shape[:2]) != (n, channels):
        raise CannotAsk(f"its augment makes {tuple(crops.shape)} of {tuple(image.shape)} × {n}")
    height, width = crops.shape[2:]
    here, beside = crops[:, 0, :, :-1], crops[:, 0, :, 1:]
    is_image = (here >= 1) & (here <= image.max()) & (here == here.floor())
    is_image &= ((beside - here).abs() == 1) & (beside >= 1)
    preferred = is_image.int()
    preferred[:, height // 2, width // 2] *= 2  # others are padding first
    chosen = preferred.flatten(1).argmax(dim=1)
    i, j = chosen // (width - 1), chosen % (width - 1)
    pixel, step = (x.flatten(1)[torch.arange(n), chosen] for x in (here, beside - here))
    known = is_image.flatten(1).any(dim=1)
    flipped = known & (step < 0)
    at = (torch.where(known, pixel, 1).long() - 1) % (size * size)
    down = at // size - i
    across = at % size - torch.where(flipped, width - 1 - j, j)
    columns = torch.arange(width).expand(n, -1)
    columns = torch.where(flipped[:, None], width - 1 - columns, columns) + across[:, None]
    rows = torch.arange(height) + down[:, None]
    here, there = (rows >= 0) & (rows < size), (columns >= 0) & (columns < size)
    inside = here[:, :, None] & there[:, None]
    source = image[:, rows.clamp(0, size - 1)[:, :, None], columns.clamp(0, size - 1)[:, None]]
    same = (crops == source.transpose(0, 1)) | ~inside[:, None]
    exact = same.flatten(1).all(dim=1)
    outside = crops.transpose(0, 1)[:, ~inside & known[:, None, None]]
    return {
        "size": [height, width],
        "offsets": list(zip(down[known].tolist(), across[known].tolist(), strict=True)),
        "exact": bool(exact[known].all()),
        "unknown": int((~known).sum()),
        "outside": sorted(set(outside.flatten().tolist()))[:3] if outside.any() else [0.0],
        "mirrored": int(flipped.sum()),
    }


class Step(NamedTuple):
    """A training step on CIFAR's side, as the loop takes it."""

    batch: tuple[Any, ...]  # what train_step is given: images, indices, and whether to flip
    more: tuple[Any, ...]  # what it gives to augment beside the images
    mean: str  # which mean the images have lost by then


def step_of_cifar(rehearsal: Rehearsal) -> Step:
    """The loop's first step, on a few of the made-up images.

    Raises:
        CannotAsk: it does not call the script's augment.
    """
    script, (images, indices, *flip) = rehearsal.script, rehearsal.first_step()
    batch = (images, indices.clone()[:BATCH], *flip)
    augment, calls = script.augment, list[tuple[Any, ...]]()

    def recorded(images: Tensor, *more: Any) -> Tensor:
        calls.append((images, *more))
        return images

    script.augment = recorded
    try:
        rehearsal.trainer.train_step(*batch)
    finally:
        script.augment = augment
    if not calls:
        raise CannotAsk("its train_step does not call augment(images, flip)")
    seen, *more = calls[0]
    per_pixel = images.pixels.mean(dim=0, dtype=torch.float64)
    lost = images.pixels[batch[1]].double() - seen.double()
    means = {
        "per pixel": per_pixel,
        "per channel": per_pixel.mean(dim=(1, 2), keepdim=True),
        "none": torch.zeros(1),
    }
    mean = next((name for name, value in means.items() if _near(lost, value)), "another")
    return Step(batch, tuple(more), mean)


def of_imagenet(rehearsal: Rehearsal, eigenvalues: Sequence[float]) -> dict[str, Any]:
    """What the loop draws for an image, and what the network then sees of it."""
    numbers = random.Random(0)
    crops = [rehearsal.draw(numbers, "made-up", 0) for _ in range(DRAWS)]
    boxes = {size: [crop.box(*size) for crop in crops] for size in PICTURES}
    sides = [crop.shorter for crop in crops]
    colours = torch.tensor([crop.colour for crop in crops], dtype=torch.float64)
    spread = colours.pow(2).mean(dim=0).sqrt() / torch.tensor(eigenvalues)
    return {
        "size": sorted({crop.size for crop in crops})[:3],
        "sides": [min(sides), max(sides)],
        "every_side": len(set(sides)) == max(sides) - min(sides) + 1 and _evenly(Counter(sides)),
        "anywhere": all(_anywhere(boxes[size], crops, *size) for size in PICTURES),
        "mirrored": sum(crop.mirrored for crop in crops) / DRAWS,
        "spread": spread.tolist(),
        **_seen(rehearsal),
    }


def _anywhere(boxes: list[Any], crops: list[Any], width: int, height: int) -> bool:
    """Whether crops of that size on the resized image lie anywhere in it, evenly."""
    for (left, top, right, bottom), crop in zip(boxes, crops, strict=True):
        side = crop.size / crop.shorter * min(width, height)
        within = min(left, top) >= 0 and right <= width + 1e-6 and bottom <= height + 1e-6
        if not within or abs(right - left - side) > 1e-6 or abs(bottom - top - side) > 1e-6:
            return False
    fractions = [
        (box[k] / (length - (box[k + 2] - box[k])))
        for k, length in ((0, width), (1, height))
        for box in boxes
        if length - (box[k + 2] - box[k]) > 1e-6
    ]
    return _evenly(Counter(min(19, int(20 * fraction)) for fraction in fractions), 20)


def batch_of_imagenet(rehearsal: Rehearsal) -> tuple[Tensor, ...]:
    """What train_step takes: bytes, labels, which are mirrored, and colours."""
    channels, height, width = rehearsal.shape
    place = torch.arange(channels * height * width).view(channels, height, width)
    pixels = place.to(torch.uint8).expand(BATCH, -1, -1, -1).contiguous()
    labels = torch.arange(BATCH) % 10
    return pixels, labels, torch.arange(BATCH) % 2 == 1, torch.zeros(BATCH, 3)


def _seen(rehearsal: Rehearsal) -> dict[str, Any]:
    """The mean that the network does not see, and the colours that each component adds."""
    pixels, labels, mirrored, colour = batch_of_imagenet(rehearsal)
    colour[4:7] = torch.eye(3)  # images 4 to 6 are those of 0 to 2 but for their colours
    seen: list[Tensor] = []
    network = rehearsal.trainer.model
    hook = network.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    rehearsal.trainer.train_step(pixels, labels, mirrored, colour)
    hook.remove()
    upright = torch.where(mirrored[:, None, None, None], pixels.flip(3), pixels)
    lost = upright.double() - seen[0].double()
    mean = lost[0].mean(dim=(1, 2))
    added = mean[:, None, None] - lost[4:7]
    components = added.mean(dim=(2, 3))
    return {
        "mean": mean.tolist(),
        "only_mean": _near(lost[0::2][:2], mean[:, None, None]),
        "mirror": _near(lost[1::2][:2], mean[:, None, None]),
        "components": (components / 255).tolist(),  # a row for each: red, green and blue
    }


def _near(one: Tensor, other: Tensor) -> bool:
    return bool(((one - other).abs() < 1e-3).all())


def _evenly(counts: Counter[Any], cells: int | None = None) -> bool:
    """Whether all cells are equally likely, by a chi-squared 8 deviations from its mean at most."""
    cells, n = cells or len(counts), sum(counts.values())
    if cells < 2:
        return True
    expected = n / cells
    square = sum((count - expected) ** 2 for count in counts.values()) / expected
    square += (cells - len(counts)) * expected
    return bool(square < cells - 1 + 8 * (2 * (cells - 1)) ** 0.5)
