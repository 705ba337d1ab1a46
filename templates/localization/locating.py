"""Localization tested as Table 13 counts it: a box of each of a few classes, right by half."""

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_iou, clip_boxes_to_image, roi_align

import checkpoint as checkpoints
from annotations import Picture
from distributed import RANK, RANKS, fail, gathered, note
from localizer import PerClassRPN, RegionNetwork, box_coder
from pictures import whole

OVERLAP = 0.5  # IoU from which a box is right
MARGIN = 256 / 224  # an image's shorter side in 1-crop testing, of the crop


class Located(NamedTuple):
    """The best boxes (K, P, 4) of K classes in a picture, in its pixels, and scores (K, P)."""

    boxes: Tensor
    scores: Tensor


Locate = Callable[[Tensor, Tensor], Located]  # of pixels (3, H, W) of 0 to 255 and classes (K,)


def one_crop(rpn: PerClassRPN, mean: Tensor, side: int, most: int) -> Locate:
    """The boxes of the centre of an image."""

    def locate(pixels: Tensor, classes: Tensor) -> Located:
        image, scale = resized(pixels, round(MARGIN * side))
        top, left = ((length - side) // 2 for length in image.shape[1:])
        crop = image[:, top : top + side, left : left + side] - mean
        boxes, scores = rpn.propose(crop, classes, most)
        boxes = boxes + torch.tensor([left, top, left, top], device=boxes.device)
        return Located(boxes / scale, scores)

    return locate


def dense(rpn: PerClassRPN, mean: Tensor, sides: Sequence[int], most: int) -> Locate:
    """The boxes of whole images at several scales, the best of all of them."""

    def locate(pixels: Tensor, classes: Tensor) -> Located:
        boxes, scores = [], []
        for side in sides:
            image, scale = resized(pixels, side)
            found, score = rpn.propose(image - mean, classes, most)
            boxes.append(found / scale)
            scores.append(score)
        of_all = torch.cat(scores, dim=1)
        best, which = of_all.topk(min(most, of_all.shape[1]), dim=1)
        return Located(torch.cat(boxes, dim=1).gather(1, which[..., None].expand(-1, -1, 4)), best)

    return locate


def judged(locate: Locate, network: RegionNetwork, mean: Tensor, side: int) -> Locate:
    """The boxes that another test proposes, scored and moved by the R-CNN."""

    def anew(pixels: Tensor, classes: Tensor) -> Located:
        proposed = locate(pixels, classes)
        boxes = proposed.boxes.flatten(0, 1)
        regions = roi_align(pixels[None], [boxes], side, aligned=True) - mean
        of = classes.repeat_interleave(proposed.boxes.shape[1])
        scores, offsets = network(regions, of)
        moved = box_coder.decode_single(offsets, boxes)
        moved = clip_boxes_to_image(moved, (pixels.shape[1], pixels.shape[2]))
        shape = proposed.scores.shape
        return Located(moved.unflatten(0, shape), scores.sigmoid().unflatten(0, shape))

    return anew


def resized(pixels: Tensor, shorter: int) -> tuple[Tensor, float]:
    """The image with this shorter side, and by what it was scaled."""
    scale = shorter / min(pixels.shape[1:])
    size = [max(1, round(scale * length)) for length in pixels.shape[1:]]
    image = F.interpolate(pixels[None], size, mode="bilinear", antialias=True)
    return image[0], scale


@torch.inference_mode()
def proposals(
    locate: Locate,
    pictures: Sequence[tuple[Picture, int]],
    path: Path,
    rpn: Path,
    device: torch.device,
) -> list[Tensor]:
    """The best boxes of each picture's class (P, 4), by the RPN in `rpn`, kept in a file."""
    sha256 = hashlib.sha256(rpn.read_bytes()).hexdigest()
    if not path.is_file():
        found = []
        for picture, label in pictures:
            pixels = whole(picture).to(device).float()
            found.append(locate(pixels, torch.tensor([label], device=device)).boxes[0].half().cpu())
        content = io.BytesIO()
        torch.save({"proposals": found, "rpn_sha256": sha256}, content)
        with checkpoints.writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        checkpoints.replace(path, content.getvalue())
        note(f"the proposals of {len(found):,} pictures are kept in {path}")
    read = checkpoints.read(path, torch.device("cpu"))
    if read["rpn_sha256"] != sha256:
        fail(f"{path} has another RPN's proposals: remove it, or name another --out")
    kept: list[Tensor] = read["proposals"]
    if len(kept) != len(pictures):
        fail(f"{path} has proposals of {len(kept):,} pictures, not of {len(pictures):,}")
    return kept


@torch.inference_mode()
def error(
    locate: Locate,
    pictures: Sequence[tuple[Picture, int]],
    classify: Callable[[Tensor], Tensor] | None,
    device: torch.device,
) -> float:
    """The localization error in percent.

    A picture is right if one of the guesses, a class and its best box each, is of the picture's
    class and overlaps with one of its objects by half. The classes are the five that `classify`
    finds likeliest, or without it the true one.
    """
    right = []
    for picture, label in pictures[RANK::RANKS]:
        pixels = whole(picture).to(device).float()
        classes = classify(pixels)[:5] if classify else torch.tensor([label], device=device)
        found = locate(pixels, classes)
        best = found.boxes[torch.arange(len(classes)), found.scores.argmax(dim=1).cpu()]
        boxes = torch.tensor([each.box for each in picture.objects], device=device)
        hits = (box_iou(best, boxes) >= OVERLAP).any(dim=1) & (classes == label)
        right.append(bool(hits.any()))
    counted = [each for of_rank in gathered(right) for each in of_rank]
    return 100 * (len(counted) - sum(counted)) / len(counted)


def five_likeliest(net: nn.Module, mean: Tensor, side: int) -> Callable[[Tensor], Tensor]:
    """The classes that a classifier finds likeliest in the centre of an image, the best first."""

    def classify(pixels: Tensor) -> Tensor:
        image, _ = resized(pixels, round(MARGIN * side))
        top, left = ((length - side) // 2 for length in image.shape[1:])
        scores = net((image[:, top : top + side, left : left + side] - mean)[None])[0]
        return scores.topk(min(5, len(scores))).indices

    return classify
