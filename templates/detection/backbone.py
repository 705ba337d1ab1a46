"""A trained classifier as a detector's backbone (appendix A): all its weights, and its batch norms.

A detector freezes batch norms, so that one that never was trained would normalise nothing: its
first losses would be about 10,000.
"""

from argparse import Namespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchvision.transforms import functional as T

from checkpoint import load_model
from distributed import RANK, RANKS, fail, note, total
from folder import Sample, UnreadableImage, class_folders, open_part, read_image
from weights import Weights
from workers import loader

MARGIN = 256 / 224  # an image's shorter side, of the crop that a classifier is tested on
AT_ONCE = 64  # images in a batch


def take(net: nn.Module, weights: Weights, size: int, args: Namespace) -> Tensor:
    """Puts a classifier's weights into the network; the mean (3, 1, 1) that images have less.

    `size` is the height and width of the images that it classifies. With --statistics, its batch
    norms' means and variances are taken anew, over the images that it was trained on: what it has
    are running averages, of its last iterations alone.
    """
    load_model(net, weights.to_train(), weights.path)
    mean = weights.known_mean().to(args.device).mean(dim=(1, 2), keepdim=True)
    if args.statistics:
        measure_statistics(net, mean, size, args)
    else:
        note("the running averages of batch norms are frozen; --statistics FOLDER takes them anew")
    return mean


@torch.no_grad()
def measure_statistics(net: nn.Module, mean: Tensor, size: int, args: Namespace) -> None:
    """Makes means and variances of batch norms those of the images in --statistics."""
    train = args.statistics / "train"
    folder = train if class_folders(train) else args.statistics
    samples = open_part(folder).samples
    if len(samples) < AT_ONCE:
        fail(f"--statistics: {folder} has {len(samples)} images in folders of classes, too few")
    net.to(args.device).train()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    for images in loader(Centres(samples, size), range(RANK, len(samples), RANKS), AT_ONCE, args):
        if len(images) > 1:
            net(images.to(args.device) - mean)
    for statistic in (each for norm in norms for each in norm.buffers()):
        if statistic.is_floating_point():
            total(statistic).div_(RANKS)
    note(f"batch norms have the statistics of {len(samples):,} images in {folder}")


class Centres(Dataset[Any]):
    """Batches of the centres of images, uint8 (N, 3, size, size)."""

    def __init__(self, samples: list[Sample], size: int) -> None:
        self.samples, self.size = samples, size

    def __getitem__(self, indices: list[int]) -> Tensor:
        crops = []
        for path in (self.samples[index][0] for index in indices):
            try:
                image = T.resize(read_image(path), [round(MARGIN * self.size)])
                crops.append(T.pil_to_tensor(T.center_crop(image, [self.size])))
            except UnreadableImage:  # one image less of many
                continue
        return torch.stack(crops) if crops else torch.empty(0, 3, self.size, self.size)
