"""The likeliest classes of images, for --predict."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from distributed import RANK, fail, note
from folder import UnreadableImage

LISTED = 5  # classes of an image


@torch.inference_mode()
def predict(
    paths: Sequence[Path], probabilities: Callable[[str], Tensor], classes: Sequence[str]
) -> None:
    """Prints each image's likeliest classes, with their probabilities (classes,) in percent.

    Ends with exit code 2 where some cannot be read, after the others.
    """
    unread = 0
    for path in paths:
        try:
            likeliest = probabilities(str(path)).topk(min(LISTED, len(classes)))
        except (UnreadableImage, OSError) as error:
            note(f"{path} cannot be read as an image: {error}")
            unread += 1
            continue
        if RANK == 0:
            print(path)
            for value, k in zip(*map(Tensor.tolist, likeliest), strict=True):
                print(f"{value:9.2%}  {classes[k]}")
    if unread:
        fail(f"{unread} of {len(paths)} images cannot be read")
