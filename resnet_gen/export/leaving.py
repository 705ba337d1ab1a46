"""From a checkpoint to the content of an exported file, compared before anything is written."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from resnet_gen.errors import Failure, Problem
from resnet_gen.export import comparing, describing, reading
from resnet_gen.export.building import FromPixels, build, example_images, prepared
from resnet_gen.export.folding import fold as folded
from resnet_gen.read.library import Entry

TRACED = 2  # images in the example that the exporters see; torch takes 1 for a constant


class Exported(NamedTuple):
    """What is to be written, and what was found about it, in sentences."""

    content: bytes
    remarks: list[str]


def export(
    entry: Entry, code: Path, checkpoint: Path, form: str, *, fold: bool, subtract_mean: bool
) -> Exported:
    """The content of a file of this format, whose scores are the generated network's.

    Args:
        entry: the network.
        code: its generated model.py.
        checkpoint: a checkpoint of its train.py, or a weights file.
        form: onnx, pt2 or safetensors.
        fold: whether batch norms are folded into convolutions.
        subtract_mean: whether the graph takes pixels of 0 to 255 and subtracts the mean itself.

    Raises:
        Failure: the checkpoint or the code is wrong (exit code 2), or what was made does not give
            the same scores (3).
    """
    trained = reading.read(checkpoint, entry)
    network = build(code, checkpoint, trained)
    if form == "safetensors":
        from safetensors.torch import save  # noqa: PLC0415

        content = save(trained.state, trained.metadata)
        count = len(trained.state)
        return Exported(content, [f"safetensors: {count} tensors, the checkpoint's"])

    made_of = trained.input
    shape = (entry.spec.image_channels, entry.spec.image_size, entry.spec.image_size)
    _require_input(checkpoint, made_of, shape, subtract_mean)
    pixels = [example_images(count, shape) for count in comparing.BATCHES]
    own = [prepared(images, made_of) for images in pixels]
    scores = comparing.scores_of(network, own)
    leaving, remarks = network, []
    if fold:
        leaving = folded(network)
        remarks.append(comparing.difference(scores, leaving, own, "folded"))
    if subtract_mean and made_of is not None:
        leaving = FromPixels(leaving, made_of).eval()
    metadata = describing.of_graph(entry, trained, subtract_mean=subtract_mean)
    writer = _writer(form)
    try:
        content = writer.content(leaving, example_images(TRACED, shape), metadata)
        exported = writer.runner(content)
    except Exception as error:  # edited code may do what no exporter can follow
        message = f"torch cannot export this network: {str(error).strip().splitlines()[0]}"
        hint = "is model.py edited? Its operations must not depend on the numbers in a tensor"
        raise Failure(Problem("export", message, hint, code.as_posix())) from None
    taken = pixels if subtract_mean else own
    remarks.append(comparing.difference(scores, exported, taken, form))
    return Exported(content, remarks)


def _writer(form: str) -> ModuleType:
    if form == "onnx":
        from resnet_gen.export import onnx_file  # noqa: PLC0415

        return onnx_file
    from resnet_gen.export import pt2_file  # noqa: PLC0415

    return pt2_file


def _require_input(
    checkpoint: Path,
    made_of: reading.Input | None,
    shape: tuple[int, int, int],
    subtract_mean: bool,
) -> None:
    """Raises Failure where the mean does not fit an image, or is needed and not known."""
    if made_of is None:
        if subtract_mean:
            message = "it does not say which mean was subtracted for its training"
            hint = "leave --subtract-mean out, and prepare the images as they were"
            raise Failure(Problem("checkpoint", message, hint, checkpoint.as_posix()))
        return
    for name, value in (("mean", made_of.mean), ("std", made_of.std)):
        if tuple(value.shape) not in ((shape[0], 1, 1), shape):
            message = f"its {name} is of shape {tuple(value.shape)}, where an image is of {shape}"
            raise Failure(Problem("checkpoint", message, "", checkpoint.as_posix()))
