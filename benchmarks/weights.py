"""Layouts of checkpoints: what was loaded, and how equal it is to the code that it was made for.

python benchmarks/weights.py

Needs what tests need, and `pip install '.[reference]'` for the rows of transformers and Keras; rows
of what is not installed are left out. All weights are random: nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ["KERAS_BACKEND"] = "torch"

import numpy  # noqa: E402
import timm  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import references  # noqa: E402
from others import SMALL, images, imported, settle  # noqa: E402
from resnet_gen.generate import output, render  # noqa: E402
from resnet_gen.generate.loading import load  # noqa: E402
from resnet_gen.read import library  # noqa: E402
from resnet_gen.weights import exporting, importing, layouts, writing  # noqa: E402

Row = dict[str, Any]
RESULTS = ROOT / "results/weights"
COLUMNS = (
    *("layout", "network", "compared with", "largest difference", "gradients"),
    "there and back",
)
DEPTHS = ("resnet18_b", "resnet34_b", "resnet50_v1_5", "resnet101_v1_5", "resnet152_v1_5")


def network(entry: library.Entry, folder: Path) -> nn.Module:
    """The generated network of a spec."""
    for path, content in render.render([entry]).items():
        output.write_all([output.inspect(folder / path, *content)], force=True)
    module = load(folder / entry.folder / "model.py")
    made: nn.Module = getattr(module, module.__all__[0])()
    return made


def small(folder: Path, stride_in: str, pooling: str, width: int) -> library.Entry:
    """The spec of a small bottleneck network, where its name is looked for."""
    path = folder / "specs/imagenet/small.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {"stride_in": stride_in, "pooling": pooling, "width": width}
    path.write_text(SMALL.format(depth=17, blocks=[2, 1, 1, 1], **fields))
    return library.read_network(path)


def compare(
    layout: str,
    path: Path,
    entry: library.Entry,
    scores: Callable[[Tensor], Tensor],
    reference: str,
    *,
    trained: nn.Module | None = None,
    loss: Callable[[Any], Tensor] = lambda scores: scores,
    x: Tensor | None = None,
    probabilities: bool = False,
    **flags: Any,
) -> Row:
    """A row: a file imported, its scores beside the reference's, and the way back."""
    folder = path.parent
    x = images() if x is None else x
    made = importing.import_weights(path, entry, **flags)
    out = folder / "out.safetensors"
    writing.write_safetensors(out, made.tensors, made.metadata)
    mine = network(entry, folder / "code").eval()
    mine.load_state_dict(imported(out)[0], strict=True)
    if trained is not None:
        trained.eval()  # a comparison of gradients before has left it training
    with torch.no_grad():
        theirs, own = scores(x), mine(x)
    own = own.softmax(1) if probabilities else own
    difference = ((theirs - own).abs().max() / theirs.abs().max()).item()
    gradients = "not compared"
    if trained is not None:
        pairs = zip(grads(trained, x, loss), grads(mine, x, lambda scores: scores), strict=True)
        gradients = "every bit" if all(torch.equal(*pair) for pair in pairs) else "differ"
    return {
        "layout": layout,
        "network": entry.name,
        "compared with": reference,
        "largest difference": difference,
        "gradients": gradients,
        "there and back": there_and_back(layout, out, entry, flags),
        "inference only": "inference_only" in made.metadata,
    }


def grads(model: nn.Module, x: Tensor, loss: Callable[[Any], Tensor]) -> list[Tensor]:
    """All gradients of a training step, the larger first: orders of modules differ."""
    model.train()
    model.zero_grad()
    nn.functional.cross_entropy(loss(model(x)), torch.tensor([0, 1])).backward()
    found = [weight.grad for weight in model.parameters() if weight.grad is not None]
    return sorted(found, key=lambda grad: (grad.numel(), grad.double().sum().item()))


def there_and_back(layout: str, out: Path, entry: library.Entry, flags: dict[str, Any]) -> str:
    """What was imported, exported and imported again: the bits that changed."""
    table = layouts.layout(layout)
    suffix = {"pth": ".pth", "pkl": ".pkl", "npz": ".npz", "h5": ".h5"}.get(table.files[0])
    back = out.parent / f"back{suffix or '.safetensors'}"
    exported = exporting.export_weights(out, table)
    writing.write_layout(back, table, exported.tensors, {"format": "pt"})
    again, before = importing.import_weights(back, entry, **flags).tensors, imported(out)[0]
    weights = [name for name in before if not name.endswith("num_batches_tracked")]
    return "every bit" if all(torch.equal(before[n], again[n]) for n in weights) else "differs"


# ---- The rows ------------------------------------------------------------------------------------


def of_libraries(folder: Path) -> Iterator[Row]:
    """Libraries that are installed, each beside its own code."""
    for name in DEPTHS:
        depth, path, entry = name[6:].partition("_")[0], folder / "r.pth", library.network(name)
        for library_name, build in (
            ("torchvision", getattr(torchvision.models, f"resnet{depth}")),
            ("timm", lambda depth=depth, **_: timm.create_model(f"resnet{depth}")),
        ):
            model = settle(build(weights=None)).eval()
            torch.save(model.state_dict(), path)
            told = f"{library_name} {version(library_name)}"
            yield compare("torchvision", path, entry, model, told, trained=model)
    if find_spec("transformers"):
        yield from of_transformers(folder / "hf")
    if find_spec("keras"):
        yield from of_keras(folder)


def of_transformers(folder: Path) -> Iterator[Row]:
    """ResNetForImageClassification of both strides, by its config.json."""
    transformers = import_module("transformers")
    for name, strides in (("resnet50_v1_5", False), ("resnet50_b", True)):
        config = transformers.ResNetConfig(num_labels=1000, downsample_in_bottleneck=strides)
        model = settle(transformers.ResNetForImageClassification(config)).eval()
        model.save_pretrained(folder)
        yield compare(
            "transformers",
            folder / "model.safetensors",
            library.network(name),
            lambda x, model=model: model(x).logits,
            f"transformers {version('transformers')}",
            trained=model,
            loss=lambda out: out.logits,
            stride_in="conv1x1" if strides else "conv3x3",
        )


def of_keras(folder: Path) -> Iterator[Row]:
    """Keras Applications' ResNet-50, whose convolutions have biases and whose eps is another."""
    keras = import_module("keras")
    model, draw = keras.applications.ResNet50(weights=None), numpy.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("bias", "beta", "moving_mean"):
            weight.assign(0.1 * draw.standard_normal(weight.shape))
        elif weight.name in ("gamma", "moving_variance"):
            weight.assign(0.5 + draw.random(weight.shape))
    model.save(folder / "k.h5")

    def scores(x: Tensor) -> Tensor:
        bgr = x.flip(1).permute(0, 2, 3, 1).contiguous().numpy()
        return torch.as_tensor(model(bgr, training=False)).cpu()

    yield compare(
        "keras",
        folder / "k.h5",
        library.network("resnet50_b"),
        scores,
        f"Keras {version('keras')}, probabilities",
        x=images(224, 1),
        probabilities=True,
    )


def by_hand(folder: Path) -> Iterator[Row]:
    """Layouts whose libraries are not installed, beside references of our own making."""
    model, path = references.reference().eval(), folder / "x.pth"
    entry = small(folder, "conv3x3", "padded", 64)
    for layout, rules in (
        ("pycls", references.PYCLS),
        ("mmpretrain", references.MMPRETRAIN),
        ("detectron2", references.DETECTRON2),
    ):
        state = references.renamed(model.state_dict(), rules)
        if layout == "pycls":
            state["stem.conv.weight"] = state["stem.conv.weight"].flip(1)
        torch.save(state, path)
        flags = {"stride_in": "conv3x3", **({"order": "rgb"} if layout == "detectron2" else {})}
        told = "torchvision's network, renamed"
        yield compare(layout, path, entry, model, told, trained=model, **flags)
    akamaster = references.akamaster(folder / "a.th").eval()
    entry, told = library.network("resnet20"), "its network, option A on both sides"
    yield compare("akamaster", folder / "a.th", entry, akamaster, told, x=images(32))
    yield from of_caffe(folder)


def of_caffe(folder: Path) -> Iterator[Row]:
    """Caffe's and Caffe2's names, beside an interpreter of prototxt in double precision."""
    entry = small(folder, "conv1x1", "ceil", 8)
    text = references.prototxt((2, 1, 1, 1), bias=True)
    blobs, x = references.caffe_blobs(text, bias=True), images(66)

    def scores(x: Tensor) -> Tensor:
        return references.run_caffe(text, blobs, x.flip(1))

    flat = {f"{name}/{i}": b.numpy() for name, each in blobs.items() for i, b in enumerate(each)}
    numpy.savez(folder / "c.npz", **flat)
    told = "an interpreter of prototxt"
    yield compare("caffe", folder / "c.npz", entry, scores, told, x=x)
    arrays = {}
    for name, each in blobs.items():
        if name.startswith("bn"):
            key = references.caffe2_name(name.removeprefix("bn"))
            scaled = [(blob / each[2]).numpy() for blob in each[:2]]
            arrays |= {f"{key}_bn_rm": scaled[0], f"{key}_bn_riv": scaled[1]}
        elif name.startswith("scale"):
            key = references.caffe2_name(name.removeprefix("scale"))
            arrays |= {f"{key}_bn_{w}": b.numpy() for w, b in zip("sb", each, strict=True)}
        else:
            keys = {"fc1000": "pred", "conv1": "conv1"}
            key = keys.get(name) or references.caffe2_name(name[3:])
            arrays |= {f"{key}_{w}": b.numpy() for w, b in zip("wb", each, strict=False)}
    (folder / "c.pkl").write_bytes(pickle.dumps(arrays, 2))
    yield compare("caffe2", folder / "c.pkl", entry, scores, told, x=x)


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---|---|--:|---|---|"]
    for row in rows:
        shown = {**row, "largest difference": f"{row['largest difference']:.1g}"}
        lines.append("| " + " | ".join(str(shown[column]) for column in COLUMNS) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measures every row, and writes results/weights."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "hf").mkdir()
        os.chdir(folder)
        rows = []
        for row in (*of_libraries(folder), *by_hand(folder)):
            print(row, flush=True)
            rows.append(row)
    RESULTS.mkdir(parents=True, exist_ok=True)
    document = {"torch": torch.__version__, "rows": rows}
    (RESULTS / "layouts.json").write_text(json.dumps(document, indent=2) + "\n")
    text = (RESULTS / "README.md").read_text()
    start, end = text.index("| layout"), text.rindex("|\n") + 2
    (RESULTS / "README.md").write_text(text[:start] + table(rows) + "\n" + text[end:])


if __name__ == "__main__":
    main()
