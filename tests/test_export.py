"""Exported networks give the generated ones' scores, and say what goes in and what comes out."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import onnx
import onnxruntime
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from conftest import ROOT, network_class
from resnet_gen.export import comparing, onnx_file, pt2_file, requirements
from resnet_gen.export.folding import fold
from resnet_gen.generate import render
from resnet_gen.generate.loading import load
from resnet_gen.read import library
from test_generated import randomised

SPECS = {  # small, of both designs and blocks; plain's weights have the keys and shapes of small's
    "small": "design: cifar\ndepth: 8\nwidth: 4\nshortcut: A\n",
    "plain": "design: cifar\ndepth: 8\nwidth: 4\nshortcut: none\n",
    "deep": "design: imagenet\ndepth: 14\nblock: bottleneck\nblocks: [1, 1, 1, 1]\nshortcut: B\n"
    "width: 8\nimage_size: 64\n",
}
CLASSES = ["ant", "bee", "cow"]


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those networks, generated, each with a checkpoint as its script writes one."""
    root = tmp_path_factory.mktemp("networks")
    for name, text in SPECS.items():
        (root / f"specs/{name}.yaml").parent.mkdir(exist_ok=True)
        (root / f"specs/{name}.yaml").write_text(f"name: {name}\n{text}")
    entries = [library.read_network(root / f"specs/{name}.yaml") for name in SPECS]
    for path, made in render.render(entries).items():
        (root / "generated" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "generated" / path).write_text(made.header + made.text)
    for entry in entries:
        save(root / f"{entry.name}.pt", entry, built(root, entry.name))
    return root


@pytest.fixture
def here(networks: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(networks)
    return networks


def built(root: Path, name: str) -> nn.Module:
    """The generated network with three classes and weights of its own, in eval mode."""
    (code,) = root.glob(f"generated/*/{name}/model.py")
    module = load(code)
    torch.manual_seed(0)
    return randomised(getattr(module, module.__all__[0])(num_classes=3)).eval()


def mean_of(name: str) -> Tensor:
    """Per pixel, as a CIFAR script has it, or per channel, as an ImageNet script has."""
    shape = (3, 1, 1) if name == "deep" else (3, 32, 32)
    return 100 + 40 * torch.rand(shape, generator=torch.Generator().manual_seed(1))


def save(path: Path, entry: library.Entry, network: nn.Module, /, **more: object) -> None:
    content = {
        "network": entry.name,
        "network_sha256": entry.network_sha256,
        "model": network.state_dict(),
        "classes": CLASSES,
        "mean": mean_of(entry.name),
        "optimizer": {},
        "progress": {"step": 4},
    }
    torch.save({**content, **more}, path)


def pixels(name: str, count: int) -> Tensor:
    size = 64 if name == "deep" else 32
    return torch.randint(256, (count, 3, size, size)).float()


def apart(one: Tensor, other: Tensor) -> float:
    """The largest difference, relative to the largest score."""
    return ((one - other).abs().max() / one.abs().max()).item()


def in_onnxruntime(path: Path, images: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (found,) = session.run(["scores"], {"images": images.numpy()})
    return torch.from_numpy(numpy.asarray(found))


def operations(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path, load_external_data=False).graph.node]


def run_example(word: str, names: dict[str, Path]) -> None:
    """The code in docs/production.md that has this word, on other files."""
    page = (ROOT / "docs/production.md").read_text()
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.S) if word in block]
    for name, path in names.items():
        code = code.replace(f'"{name}"', repr(str(path)))
    exec(code, {})


def test_onnx_of_a_cifar_network(here: Path, cli: Callable, tmp_path: Path) -> None:
    out = tmp_path / "small.onnx"
    code, printed, err = cli("export", "small", "small.pt", "--format", "onnx", "-o", out)
    assert (code, printed) == (0, f"{out}\n"), err
    assert re.fullmatch(
        r"onnx: scores differ from the generated network's by at most \d\.\de-\d\d, "
        r"where the largest is [\d.]+, for 1 and 3 images\n",
        err,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["small.onnx"]  # no weights beside it
    network = built(here, "small")
    for count in (1, 3, 4):
        images = pixels("small", count) - mean_of("small")
        assert apart(network(images), in_onnxruntime(out, images)) < 1e-5
    model = onnx.load(out)
    onnx.checker.check_model(model)
    said = {each.key: each.value for each in model.metadata_props}
    assert said["network"] == "small" and json.loads(said["classes"]) == CLASSES
    assert said["network_sha256"] == library.network("small").network_sha256
    assert said["images"] == "float32 (N, 3, 32, 32): RGB, 0 to 255, minus `mean`"
    assert torch.equal(torch.tensor(json.loads(said["mean"])), mean_of("small"))
    assert [(each.domain, each.version) for each in model.opset_import] == [("", onnx_file.OPSET)]
    assert operations(out).count("BatchNormalization") == 7
    run_example("onnxruntime", {"digits.onnx": out})
    assert str(here).encode() not in out.read_bytes() and b"torch/nn" not in out.read_bytes()


def test_onnx_of_a_bottleneck_folded_and_from_pixels(
    here: Path, cli: Callable, tmp_path: Path
) -> None:
    out = tmp_path / "deep.onnx"
    given = ("--format", "onnx", "--fold", "--subtract-mean", "-o", out)
    code, _, err = cli("export", "generated/imagenet/deep", "deep.pt", *given)
    assert code == 0 and err.startswith("folded: scores differ from") and "\nonnx: scores" in err
    network = built(here, "deep")
    for count in (1, 3):
        images = pixels("deep", count)
        assert apart(network(images - mean_of("deep")), in_onnxruntime(out, images)) < 1e-5
    assert "BatchNormalization" not in operations(out) and operations(out).count("Conv") == 17
    said = {each.key: each.value for each in onnx.load(out).metadata_props}
    assert said["images"].endswith("RGB, 0 to 255; the mean is subtracted inside")
    assert "mean" not in said  # so that nobody subtracts it twice


def test_pt2(here: Path, cli: Callable, tmp_path: Path) -> None:
    out = tmp_path / "small.pt2"
    code, _, err = cli("export", "small", "small.pt", "--format", "pt2", "-o", out)
    told = "pt2: the same scores as the generated network, to the bit, for 1 and 3 images\n"
    assert (code, err) == (0, told)
    said: dict[str, Any] = dict.fromkeys(("network", "classes", "images", "mean"), "")
    program = torch.export.load(io.BytesIO(out.read_bytes()), extra_files=said)
    assert said["network"] == "small" and json.loads(said["classes"]) == CLASSES
    assert torch.equal(torch.tensor(json.loads(said["mean"])), mean_of("small"))
    for count in (1, 4):
        images = pixels("small", count) - mean_of("small")
        assert torch.equal(program.module()(images), built(here, "small")(images))
    run_example("torch.export", {"digits.pt2": out})
    assert norms(program) == 7 and str(here).encode() not in out.read_bytes()


def norms(program: Any) -> int:
    return sum("batch_norm" in str(node.target) for node in program.graph.nodes)


def test_safetensors(here: Path, cli: Callable, tmp_path: Path) -> None:
    out = tmp_path / "deep.safetensors"
    code, _, err = cli("export", "deep", "deep.pt", "--format", "safetensors", "-o", out)
    assert code == 0 and "tensors, to the bit the checkpoint's" in err
    state, found = built(here, "deep").state_dict(), load_file(out)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)
    with safe_open(out, "pt") as file:
        said = file.metadata()
    made_of = json.loads(said.pop("input"))
    assert said == {
        "format": "resnet-gen weights 1",
        "network": "deep",
        "network_sha256": library.network("deep").network_sha256,
        "classes": '["ant", "bee", "cow"]',
        "source_layout": "resnet-gen checkpoint",
        "source_sha256": hashlib.sha256(Path("deep.pt").read_bytes()).hexdigest(),
        "transforms": "[]",
    }
    assert made_of == {"order": "rgb", "mean": mean_of("deep").flatten().tolist(), "std": [1] * 3}


# ---- From a weights file -------------------------------------------------------------------------


def weights_file(path: Path, **more: str) -> Path:
    metadata = {"format": "resnet-gen weights 1", "network": "small"}
    metadata["network_sha256"] = library.network("small").network_sha256
    save_file(built(Path(), "small").state_dict(), path, {**metadata, **more})
    return path


def test_a_weights_file_with_a_standard_deviation(
    here: Path, cli: Callable, tmp_path: Path
) -> None:
    mean, std = [120.0, 110.0, 100.0], [60.0, 50.0, 40.0]
    made_of = json.dumps({"order": "rgb", "mean": mean, "std": std})
    source, out = weights_file(tmp_path / "source.safetensors", input=made_of), tmp_path / "a.pt2"
    given = ("--format", "pt2", "--fold", "--subtract-mean", "-o", out)
    assert cli("export", "small", source, *given).code == 0
    images, network = pixels("small", 2), built(here, "small")
    prepared = (images - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    program = torch.export.load(io.BytesIO(out.read_bytes()))
    assert apart(network(prepared), program.module()(images)) < 1e-5 and norms(program) == 0


def test_a_weights_file_that_does_not_tell_of_its_input(
    here: Path, cli: Callable, tmp_path: Path
) -> None:
    source, out = weights_file(tmp_path / "source.safetensors"), tmp_path / "a.pt2"
    given = ("--format", "pt2", "-o", out)
    code, _, err = cli("export", "small", source, *given, "--subtract-mean")
    assert code == 2 and "it does not say which mean was subtracted for its training" in err
    assert cli("export", "small", source, *given).code == 0
    said = {"images": "", "network": ""}
    torch.export.load(io.BytesIO(out.read_bytes()), extra_files=said)
    assert "which is not known here" in said["images"]


# ---- Folding -------------------------------------------------------------------------------------

KINDS = [
    (block, shortcut, stride)
    for block in ("basic", "bottleneck")
    for shortcut in ("none", "A", "B", "C")
    for stride in (("conv1x1", "conv3x3") if block == "bottleneck" else ("",))
]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with each kind of block and shortcut, and section 4.2's two."""
    root = tmp_path_factory.mktemp("kinds")
    for block, shortcut, stride in KINDS:
        depth = 2 + 4 * {"basic": 2, "bottleneck": 3}[block]
        text = f"design: imagenet\ndepth: {depth}\nblock: {block}\nblocks: [1, 1, 1, 1]\n"
        text += f"shortcut: {shortcut}\nwidth: 4\nimage_size: 32\n"
        text += f"stride_in: {stride}\n" if stride else ""
        name = f"{block}_{shortcut}_{stride or 'first'}"
        (root / f"{name}.yaml").write_text(f"name: {name}\n{text}")
    entries = [library.read_network(path) for path in sorted(root.glob("*.yaml"))]
    for path, made in render.render(entries).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(made.text)
    return root / "imagenet"


def require_folded(network: nn.Module) -> None:
    network = randomised(network).double().eval()
    folded = fold(network)
    images = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    assert apart(network(images), folded(images)) < 1e-9
    convolutions = [m for m in folded.modules() if isinstance(m, nn.Conv2d)]
    assert convolutions and all(each.bias is not None for each in convolutions)
    assert not any("BatchNorm" in type(module).__name__ for module in folded.modules())
    parameters = sum(weight.numel() for weight in folded.parameters())
    own = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert parameters == sum(w.numel() for w in network.parameters()) - sum(
        len(each.weight) for each in own
    )


@pytest.mark.parametrize(("block", "shortcut", "stride"), KINDS)
def test_folded_blocks_are_equal(kinds: Path, block: str, shortcut: str, stride: str) -> None:
    module = load(kinds / f"{block}_{shortcut}_{stride or 'first'}" / "model.py")
    require_folded(getattr(module, module.__all__[0])())


@pytest.mark.parametrize("name", ["plain20", "resnet20"])
def test_folded_networks_of_section_4_2_are_equal(name: str) -> None:
    require_folded(network_class(name)())


def test_folding_leaves_the_network_alone() -> None:
    network = randomised(network_class("resnet20")()).eval()
    before = copy.deepcopy(network.state_dict())
    fold(network)
    after = network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


# ---- What is wrong is told, and nothing is left --------------------------------------------------


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
        assert "plain.pt: error[checkpoint]: it is of plain, not of small" in told
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
        assert "it is cut short or damaged" in told or "it is neither a checkpoint nor" in told


def test_a_checkpoint_with_one_wrong_bit(here: Path, cli: Callable, tmp_path: Path) -> None:
    content = bytearray(Path("small.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "bit.pt").write_bytes(content)
    told = failed(cli, tmp_path, "small", tmp_path / "bit.pt", "--format", "pt2")
    assert re.search(r"it is damaged, in its part \S+/data/\d+", told)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_checkpoint_cannot_run_code(here: Path, cli: Callable, tmp_path: Path) -> None:
    torch.save({"network": "small", "model": Evil(tmp_path / "ran")}, tmp_path / "evil.pt")
    assert "cannot be read" in failed(
        cli, tmp_path, "small", tmp_path / "evil.pt", "--format", "pt2"
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"classes": ["one"]}, "it has 3 scores, and names 1 classes"),
        ({"classes": "abc"}, "it does not have the names of classes"),
        ({"mean": torch.zeros(3, 8, 8)}, "its mean is of shape (3, 8, 8), where an image is of"),
        ({"mean": 3}, "its mean is neither of a channel nor of a pixel"),
        ({"model": {"fc.bias": torch.zeros(3)}}, "its weights are not those of the code: it lacks"),
        ({"model": [1]}, "it has no weights by their names"),
        ({"network": 1}, "it is no checkpoint of a network that resnet-gen generated"),
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
        assert "its training has diverged" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["small.pt", "--format", "tflite"], "--format tflite is not one of onnx, pt2"),
        (["small.pt", "--format", "safetensors", "--fold"], "they fit no network of ours"),
        (["small.pt", "--format", "safetensors", "--subtract-mean"], "weights without a graph"),
        (["nothing.pt", "--format", "pt2"], "nothing.pt: error[file]: cannot be read: No such"),
        (["specs", "--format", "pt2"], "name one of its files, such as specs/best.pt"),
        (["specs/small.yaml", "--format", "pt2"], "neither a checkpoint nor a safetensors file"),
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
    weights_file(tmp_path / "a.safetensors")
    failed(cli, tmp_path, "small", tmp_path / "a.safetensors", "--format", "pt2", code=4)
    requirements.require_format("pt2", fold=True, subtract_mean=True)  # torch is enough for it


def test_other_scores_are_not_written(
    here: Path, cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pt2_file.runner

    def wrong(made: bytes) -> Callable[[Tensor], Tensor]:
        return lambda images: real(made)(images) * (1 + 2 * comparing.TOLERANCE)

    monkeypatch.setattr(pt2_file, "runner", wrong)
    told = failed(cli, tmp_path, "small", "small.pt", "--format", "pt2", code=3)
    assert "error[export]: pt2 gives other scores: 0.0002 of the largest apart" in told


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
