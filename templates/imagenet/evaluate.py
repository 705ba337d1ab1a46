"""The paper's tests on ImageNet: several views of each image, and ensembles of networks.

What single images are, by the same views, is here too.
"""

import importlib.util
import io
import os
import re
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset

import checkpoint as checkpoints
from data import bad_on_any_rank, skip_or_fail
from distributed import RANK, RANKS, fail, gathered, note, share_statistics, total
from folder import (
    Sample,
    UnreadableImage,
    find,
    note_ignored,
    open_tested,
    read_image,
)
from predict import predict
from weights import Weights, read_weights
from workers import loader

Views = Callable[[Image.Image], list[Tensor]]


class Test(NamedTuple):
    """What a test shows of an image: uint8 (views, 3, height, width), each entry of one size."""

    views: Views
    at_once: int  # images in a batch; where each has a size of its own, one


class Classifier:
    """A network, with the mean to subtract: bytes in, class probabilities out."""

    def __init__(self, network: nn.Module, mean: Tensor, last_size: int, precision: str) -> None:
        device = mean.device
        # Convolutions are fastest in channels_last; MPS has batch norm wrong in it: pytorch#175189
        self.layout = torch.contiguous_format if device.type == "mps" else torch.channels_last
        self.model = network.to(device).to(memory_format=self.layout)
        self.mean = mean  # (3, 1, 1), or per pixel (3, height, width)
        self.last_size = last_size  # of the last stage's maps, for images of the trained size
        self.autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")

    def centred(self, pixels: Tensor) -> Tensor:
        """Bytes (N, 3, height, width) as numbers around zero."""
        fits = self.mean.shape[1:] in ((1, 1), pixels.shape[2:])
        mean = self.mean if fits else self.mean.mean(dim=(1, 2), keepdim=True)
        images = pixels.to(mean.device, non_blocking=True) - mean
        return images.contiguous(memory_format=self.layout)

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Softmax scores (N, classes) of bytes (N, 3, height, width), fully convolutional.

        Of larger images than the network trains on, the scores at all places of the last stage's
        maps where a window of the trained size fits are averaged; an image of that size has one.
        """
        maps: list[Tensor] = []
        last_stage, fc = self.model.get_submodule("layer4"), self.model.get_submodule("fc")
        with last_stage.register_forward_hook(lambda *call: maps.append(call[2])), self.autocast:
            self.model(self.centred(pixels))
        # In fp32, since bf16 has ties among scores.
        windows = F.avg_pool2d(maps[0].float(), self.last_size, stride=1).permute(0, 2, 3, 1)
        return fc(windows).softmax(dim=3).mean(dim=(1, 2))


def is_mean(mean: object) -> bool:
    """Whether this can be subtracted: (3, 1, 1), or per pixel (3, height, width)."""
    if not isinstance(mean, Tensor) or mean.ndim != 3 or not mean.is_floating_point():
        return False
    return mean.shape[0] == 3 and mean.numel() > 0 and bool(mean.isfinite().all())


class Shown(Dataset[Any]):
    """Batches of images as a test shows them."""

    def __init__(self, samples: list[Sample], views: Views) -> None:
        self.samples, self.views = samples, views

    def __getitem__(self, indices: list[int]) -> tuple[Tensor, list[Tensor], list[str]]:
        """Labels (N,), bytes (N × views, 3, height, width), and paths that do not decode."""
        labels, shown, bad = [], [], []
        for path, label in (self.samples[index] for index in indices):
            try:
                shown.append(self.views(read_image(path)))
                labels.append(label)
            except UnreadableImage:
                bad.append(path)
        return torch.tensor(labels), [torch.cat(part) for part in zip(*shown, strict=True)], bad


def test_batches(
    samples: list[Sample], test: Test, bad: list[str], args: Namespace
) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """This rank's labels and views, in batches; every image is on one rank."""
    mine = range(RANK, len(samples), RANKS)
    for labels, shown, broken in loader(Shown(samples, test.views), mine, test.at_once, args):
        for path in broken:
            skip_or_fail(path, bad, args)
        if shown:
            yield labels, shown


@torch.inference_mode()
@torch.compiler.set_stance("force_eager")  # what is compiled is for training alone
def errors(
    networks: Sequence[Classifier],
    samples: list[Sample],
    test: Test,
    bad: list[str],
    args: Namespace,
) -> tuple[float, float]:
    """Top-1 and top-5 error in percent, of softmax scores averaged over views and networks."""
    for network in networks:
        share_statistics(network.model)
        network.model.eval()
    counts = torch.zeros(3, dtype=torch.long)  # images, right at once, right in five
    for labels, shown in test_batches(samples, test, bad, args):
        n = len(labels)
        made = [network.probabilities(pixels) for pixels in shown for network in networks]
        scores = sum(p.unflatten(0, (n, -1)).mean(dim=1) for p in made)
        right = scores.topk(min(5, scores.shape[1])).indices.cpu() == labels[:, None]
        counts += torch.stack([torch.tensor(n), right[:, 0].sum(), right.sum()])
    for network in networks:
        network.model.train()
    images, right_at_once, right_in_five = total(counts).tolist()
    if not images:
        fail("there is no image to test on")
    return 100 * (images - right_at_once) / images, 100 * (images - right_in_five) / images


def evaluate(
    tests: dict[str, Test], last_size: int, network: str, network_sha256: str, args: Namespace
) -> None:
    """Prints the errors of one network, or of an ensemble of several (Table 5).

    Of checkpoints of other networks, the code is in the folders beside this one.
    """
    networks, names = [], []
    part = open_tested(find(args.data, args.root))
    note_ignored([part])
    for path in args.evaluate:
        weights = read_weights(path, args.device)
        weights.require_classes("--evaluate", str(part.path), part.classes)
        networks.append(classifier(weights, last_size, network, network_sha256, args.precision))
        names.append(weights.network)
    torch.backends.cudnn.benchmark = args.test != "multi-scale"  # which has many sizes
    bad = list[str]()
    top1, top5 = errors(networks, part.samples, tests[args.test], bad, args)
    left_out = len(bad_on_any_rank(bad))
    if RANK == 0:
        without = f", {left_out} left out" if left_out else ""
        print(
            f"{args.test} error {top1:.2f}% top-1, {top5:.2f}% top-5{without}: {' + '.join(names)}"
        )


def predict_images(
    tests: dict[str, Test], last_size: int, network: str, network_sha256: str, args: Namespace
) -> None:
    """Prints what images are by one network, or by an ensemble: best.pt's unless others are named.

    The views are those of --test, and probabilities are averaged as in tests.
    """
    read = [read_weights(path, args.device) for path in args.evaluate or [args.out / "best.pt"]]
    classes = read[0].names()
    for weights in read[1:]:
        weights.require_classes("--evaluate", str(read[0].path), classes)
    own = (last_size, network, network_sha256, args.precision)
    networks = [classifier(weights, *own) for weights in read]
    for each in networks:
        each.model.eval()

    def probabilities(path: str) -> Tensor:
        shown = tests[args.test].views(read_image(path))
        made = [each.probabilities(pixels).mean(dim=0) for pixels in shown for each in networks]
        return torch.stack(made).mean(dim=0)

    predict(args.predict, probabilities, classes)


def classifier(
    weights: Weights, last_size: int, network: str, network_sha256: str, precision: str
) -> Classifier:
    """The network of some weights, with them: this one, or one whose folder is beside it."""
    built = network_of(weights, network, network_sha256)
    weights.put_into(built)
    mean = weights.known_mean()
    if not is_mean(mean):
        fail(f"{weights.path} has no mean of red, green and blue, or of their pixels")
    return Classifier(built, mean, last_size, precision)


def network_of(weights: Weights, network: str, network_sha256: str) -> nn.Module:
    """The network that weights are of, from this folder or one beside it."""
    name, here = weights.network, Path(__file__).resolve().parent
    own = name == network
    folder = here if own else here.parent / name
    path_of_model = folder / "model.py"
    if not name.isidentifier() or not os.path.isfile(path_of_model):  # False for too long a name
        fail(f"{weights.path} is of {name:.80}, and there is no {path_of_model!s:.200}")
    spec = importlib.util.spec_from_file_location(f"model_of_{name}", path_of_model)
    if not spec or not spec.loader:
        fail(f"{path_of_model} cannot be imported")
    if not own:  # train.py of that folder says which network it is, and is not run for it
        train = folder / "train.py"
        text = train.read_text(encoding="utf-8") if train.is_file() else ""
        found = re.search(r'^NETWORK_SHA256 = "(\w+)"', text, re.MULTILINE)
        network_sha256 = found[1] if found else ""
    weights.require_network(name, network_sha256)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    built: nn.Module = getattr(module, module.__all__[0])(num_classes=len(weights.names()))
    return built


def pixel_mean(
    path: Path, size: int, samples: list[Sample], test: Test, bad: list[str], args: Namespace
) -> Tensor:
    """The per-pixel mean (3, size, size) of the centre crops that `test` shows, kept in a file."""
    if gathered(path.exists())[0]:
        mean = checkpoints.read(path, args.device)
        if not isinstance(mean, Tensor) or mean.shape != (3, size, size):
            fail(f"{path} is no per-pixel mean of {size}×{size} images")
        return mean.float()
    sums = torch.zeros(3, size, size, dtype=torch.float64)
    count = torch.zeros((), dtype=torch.float64)
    for _, (crops,) in test_batches(samples, test, bad, args):
        sums += crops.sum(dim=0)
        count += len(crops)
    if not total(count):
        fail("there is no image to take the mean of")
    mean = (total(sums) / count).float()
    if RANK == 0:
        content = io.BytesIO()
        torch.save(mean, content)
        with checkpoints.writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        checkpoints.replace(path, content.getvalue())
        note(f"the per-pixel mean is kept in {path}")
    return mean
