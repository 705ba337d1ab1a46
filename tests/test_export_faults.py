"""Exports that fail: what is wrong is told, nothing is left, and what was there is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import small_networks
from resnet_gen.errors import Failure
from resnet_gen.export import comparing, pt2_file, requirements
from resnet_gen.read import library
from small_networks import built, save, weights_file


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_networks.make(tmp_path_factory.mktemp("networks"))


@pytest.fixture
def here(networks: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(networks)
    return networks


def failed(cli: Callable, tmp_path: Path, *arguments: object, code: int = 2) -> str:
    """What an export that fails tells; nothing is left of it, and what was there is kept."""
    out = tmp_path / "out" / "old.onnx"
    out.parent.mkdir(exist_ok=True)
    out.write_text("old")
    given = [] if "-o" in arguments else ["-o", out]
    done = cli("export", *arguments, *given)
    assert (done.code, done.out) == (code, "") and "Traceback" not in done.err, done.err
    assert [path.read_text() for path in out.parent.iterdir()] == ["old"]
    return str(done.err)


def test_another_networks_checkpoint(here: Path, cli: Callable, tmp_path: Path) -> None:
    """Even of the same keys and shapes."""
    for form in requirements.NEEDS:
        told = failed(cli, tmp_path, "small", "plain.pt", "--format", form)
        assert "plain.pt: error[weights]: it is of plain, which is another network than" in told
    entry = library.network("small")
    save(tmp_path / "old.pt", entry, built(here, "small"), network_sha256="0" * 64)
    told = failed(cli, tmp_path, "small", tmp_path / "old.pt", "--format", "pt2")
    assert "it is of another small than specs/small.yaml specifies" in told


@pytest.mark.parametrize("form", ["small.pt", "weights.safetensors"])
def test_a_file_that_is_cut_short(here: Path, cli: Callable, tmp_path: Path, form: str) -> None:
    weights_file(tmp_path / "weights.safetensors")
    source = Path(form) if Path(form).exists() else tmp_path / form
    content = source.read_bytes()
    for length in (0, 1, 9, 100, len(content) // 2, len(content) - 1):
        (tmp_path / "cut").write_bytes(content[:length])
        told = failed(cli, tmp_path, "small", tmp_path / "cut", "--format", "pt2")
        assert "error[weights]: " in told and not told.startswith("Traceback")


def test_a_checkpoint_with_one_wrong_bit(here: Path, cli: Callable, tmp_path: Path) -> None:
    content = bytearray(Path("small.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "bit.pt").write_bytes(content)
    told = failed(cli, tmp_path, "small", tmp_path / "bit.pt", "--format", "pt2")
    assert re.search(r"damaged.*/data/\d+", told), told


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_checkpoint_cannot_run_code(here: Path, cli: Callable, tmp_path: Path) -> None:
    torch.save({"network": "small", "model": Evil(tmp_path / "ran")}, tmp_path / "evil.pt")
    assert "which only running code could make" in failed(
        cli, tmp_path, "small", tmp_path / "evil.pt", "--format", "pt2"
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"classes": ["one"]}, "it names 1 classes, for 3"),
        ({"classes": "abc"}, "it does not have the names of classes"),
        ({"mean": torch.zeros(3, 8, 8)}, "its mean is of shape (3, 8, 8), where an image is of"),
        ({"mean": 3}, "its mean is neither of a channel nor of a pixel"),
        ({"model": {"fc.bias": torch.zeros(3)}}, "no layout that is known has its names: fc.bias"),
        ({"model": [1]}, "no layout that is known has its names"),
        ({"network": 1}, "it does not say which network it is of"),
    ],
)
def test_a_checkpoint_of_something_else(
    here: Path, cli: Callable, tmp_path: Path, more: dict[str, object], words: str
) -> None:
    save(tmp_path / "other.pt", library.network("small"), built(here, "small"), **more)
    assert words in failed(cli, tmp_path, "small", tmp_path / "other.pt", "--format", "pt2")


def test_a_network_that_has_diverged(here: Path, cli: Callable, tmp_path: Path) -> None:
    network = built(here, "small")
    network.get_parameter("fc.weight").data[0, 0] = float("nan")
    save(tmp_path / "nan.pt", library.network("small"), network)
    for form in ("pt2", "safetensors"):
        told = failed(cli, tmp_path, "small", tmp_path / "nan.pt", "--format", form)
        assert "fc.weight has values that are NaN or infinite" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["small.pt", "--format", "tflite"], "--format tflite is not one of onnx, pt2"),
        (["small.pt", "--format", "safetensors", "--fold"], "they fit no network of ours"),
        (["small.pt", "--format", "safetensors", "--subtract-mean"], "weights without a graph"),
        (["nothing.pt", "--format", "pt2"], "nothing.pt: error[weights]: there is no such file"),
        (["specs", "--format", "pt2"], "name one of its files, such as specs/best.pt"),
        (
            ["specs/small.yaml", "--format", "pt2"],
            "this is no kind of weights file that is read here",
        ),
        (["small.pt", "--format", "pt2", "-o", "specs"], "specs: error[file]: this is a folder"),
        (["small.pt", "--format", "pt2", "-o", "a/b"], "there is no folder a to write it into"),
        (["small.pt", "--format", "pt2", "-o", "small.pt"], "this is the checkpoint itself"),
        (["small.pt", "--format", "pt2", "-o", "/dev/null"], "this is no ordinary file"),
    ],
)
def test_wrong_usage(
    here: Path, cli: Callable, tmp_path: Path, arguments: list[str], words: str
) -> None:
    assert words in failed(cli, tmp_path, "small", *arguments)


def test_code_that_is_not_there_or_was_edited(here: Path, cli: Callable, tmp_path: Path) -> None:
    told = failed(cli, tmp_path, "resnet20", "small.pt", "--format", "pt2")
    assert "generated/cifar/resnet20/model.py: error[file]: there is no such file" in told
    assert "hint: resnet-gen generate resnet20" in told
    code = Path("generated/cifar/small/model.py")
    text = code.read_text()
    layer1 = "        x = self.layer1(x)\n"
    code.write_text(text.replace(layer1, f"        x = x if x.sum() > 0 else -x\n{layer1}"))
    told = failed(cli, tmp_path, "small", "small.pt", "--format", "pt2")
    assert "was edited by hand, and is exported as it is" in told
    assert "torch cannot export this network" in told
    code.write_text(text.replace("import torch\n", "raise SystemExit('enough')\n", 1))
    told = failed(cli, tmp_path, "small", "small.pt", "--format", "pt2")
    code.write_text(text)
    assert "it cannot be run: SystemExit: enough" in told


def test_what_is_not_installed(
    here: Path, cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = requirements.find_spec
    missing = {"onnxruntime", "onnxscript", "safetensors"}
    monkeypatch.setattr(requirements, "find_spec", lambda n: None if n in missing else real(n))
    told = failed(cli, tmp_path, "small", "small.pt", "--format", "onnx", code=4)
    assert "onnxruntime and onnxscript are not installed" in told
    assert "hint: pip install 'resnet-gen[export]'" in told
    told = failed(cli, tmp_path, "small", "small.pt", "--format", "safetensors", code=4)
    assert "safetensors is not installed" in told
    requirements.require_format("pt2", fold=True, subtract_mean=True)  # torch is enough for it


def test_other_scores_are_not_written(
    here: Path, cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pt2_file.runner

    def wrong(made: bytes) -> Callable[[Tensor], Tensor]:
        return lambda images: real(made)(images) * (1 + 2 * comparing.TOLERANCE)

    monkeypatch.setattr(pt2_file, "runner", wrong)
    told = failed(cli, tmp_path, "small", "small.pt", "--format", "pt2", code=3)
    assert "error[export]: pt2 gives other scores: 0." in told and "nothing was written" in told


@pytest.mark.parametrize(
    ("rounding", "apart", "is_same"),
    [(0.0, 9e-5, True), (0.0, 2e-4, False), (1e-3, 9e-3, True), (1e-3, 2e-2, False)],
)
def test_as_far_as_float32_goes_is_the_same(rounding: float, apart: float, is_same: bool) -> None:
    scores = comparing.Scores([torch.ones(2, 3)], 1.0, rounding)
    images = [torch.zeros(2, 3, 8, 8)]
    if is_same:
        assert "differ" in comparing.difference(
            scores, lambda _: torch.ones(2, 3) + apart, images, "it"
        )
        return
    for other in (apart, float("nan")):
        with pytest.raises(Failure, match="it gives other scores"):
            comparing.difference(scores, lambda _, o=other: torch.ones(2, 3) + o, images, "it")


def test_the_rounding_of_float32_is_measured(here: Path) -> None:
    """Against torch's own sums in float64."""
    network, images = built(here, "small"), torch.randn(2, 3, 32, 32)
    scores = comparing.scores_of(network, [images])
    exact = built(here, "small").double()(images.double())
    assert scores.rounding == (scores.batches[0] - exact).abs().max().item() > 0
    assert next(network.parameters()).dtype == torch.float32


def test_a_full_disk_leaves_the_old_file(
    here: Path, cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        told = failed(cli, tmp_path, "small", "small.pt", "--format", "safetensors")
    assert "No space left on device" in told
    out = tmp_path / "out/old.onnx"
    assert cli("export", "small", "small.pt", "--format", "safetensors", "-o", out).code == 0
    assert out.stat().st_size > 1000  # a file is overwritten
