"""The generated networks against torch's own counters, torchvision, timm and the paper."""

from __future__ import annotations

import ast
import copy
import inspect
import pickle
import re
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from conftest import BLOCKS, CIFAR, NAMES, VGG, folder, load, network_class, spec_of
from test_network import CIFAR as CIFAR_COUNTS
from test_network import IMAGENET, VGG_COUNTS

EACH_KIND = [  # of block and shortcut, and the deepest
    *("plain20", "resnet20", "resnet1202", "plain18", "resnet18_a", "resnet18_b", "resnet18_c"),
    *("resnet50_b", "resnet50_v1_5", "resnet152_b"),
]
PAPER_ERRORS = {  # Tables 2, 3 and 6
    "vgg16": "28.07% top-1, 9.33% top-5 (Table 3, 10-crop)",
    "plain18": "27.94% top-1 (Table 2, 10-crop)",
    "resnet18_a": "27.88% top-1 (Table 2, 10-crop)",
    "plain34": "28.54% top-1, 10.02% top-5 (Table 3, 10-crop)",
    "resnet34_a": "25.03% top-1, 7.76% top-5 (Table 3, 10-crop)",
    "resnet34_b": "24.52% top-1, 7.46% top-5 (Table 3, 10-crop)",
    "resnet34_c": "24.19% top-1, 7.40% top-5 (Table 3, 10-crop)",
    "resnet50_b": "22.85% top-1, 6.71% top-5 (Table 3, 10-crop)",
    "resnet101_b": "21.75% top-1, 6.05% top-5 (Table 3, 10-crop)",
    "resnet152_b": "21.43% top-1, 5.71% top-5 (Table 3, 10-crop)",
    "resnet20": "8.75% (Table 6)",
    "resnet32": "7.51% (Table 6)",
    "resnet44": "7.17% (Table 6)",
    "resnet56": "6.97% (Table 6)",
    "resnet110": "6.43% (Table 6; best of 5 runs, mean 6.61±0.16)",
    "resnet1202": "7.93% (Table 6)",
}


def counts(name: str) -> tuple[int, int]:
    """Parameters and multiply-adds as the field counts them: test_network.py's tables."""
    spec = spec_of(name).spec
    if name in VGG:
        return VGG_COUNTS[name]
    if name in CIFAR:
        return CIFAR_COUNTS[spec.depth][0]
    row = next(r for r in IMAGENET if r[0] == spec.depth and spec.shortcut in r[1].split())
    return row[2], row[4] if spec.stride_in == "conv3x3" else row[3]


def images(name: str, count: int = 2) -> torch.Tensor:
    size = 32 if name in CIFAR else 224
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def randomised(model: nn.Module) -> nn.Module:
    """With batch norms that do something, so that a mistaken order shows."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if re.search(r"(bn\d|downsample\.1)\.(weight|running_var)", name):
                value.uniform_(0.5, 1.5, generator=generator)
            elif re.search(r"(bn\d|downsample\.1)\.(bias|running_mean)", name):
                value.uniform_(-0.5, 0.5, generator=generator)
    return model


@pytest.mark.parametrize("name", NAMES)
def test_counts_agree_with_torch(name: str) -> None:
    parameters, multiply_adds = counts(name)
    with torch.device("meta"):
        model = network_class(name)()
        with FlopCounterMode(display=False) as counter:
            model(images(name, 1).to("meta"))
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert counter.get_total_flops() == 2 * multiply_adds


@pytest.mark.parametrize("name", EACH_KIND)
def test_forward_and_backward_at_real_size(name: str) -> None:
    torch.manual_seed(0)
    model = network_class(name)()
    scores = model(images(name))
    assert scores.shape == (2, 10 if name in CIFAR else 1000)
    scores.square().mean().backward()
    gradients = {key: p.grad for key, p in model.named_parameters()}
    assert all(g is not None and g.isfinite().all() for g in gradients.values())
    assert all(g.abs().sum() > 0 for key, g in gradients.items() if "conv" in key or "fc" in key)


TORCHVISION = {
    "resnet18_b": torchvision.models.resnet18,
    "resnet34_b": torchvision.models.resnet34,
    "resnet50_v1_5": torchvision.models.resnet50,
    "resnet101_v1_5": torchvision.models.resnet101,
    "resnet152_v1_5": torchvision.models.resnet152,
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_bit_identical_to_torchvision(name: str) -> None:
    """In evaluation and in training, whose running statistics are then evaluated with too."""
    reference = randomised(TORCHVISION[name](weights=None))
    ours = network_class(name)()
    assert list(ours.state_dict()) == list(reference.state_dict())
    ours.load_state_dict(reference.state_dict(), strict=True)
    with torch.no_grad():
        for training in (False, True, False):
            ours.train(training)
            reference.train(training)
            assert torch.equal(ours(images(name)), reference(images(name)))


@pytest.mark.parametrize("name", ["resnet50_b", "resnet101_b", "resnet152_b"])
def test_bit_identical_to_torchvision_with_its_strides_moved(name: str) -> None:
    """The paper's bottlenecks: torchvision's own, each stride moved from the 3×3 to the 1×1."""
    reference = randomised(TORCHVISION[name.replace("_b", "_v1_5")](weights=None)).eval()
    for block in reference.modules():
        if isinstance(block, torchvision.models.resnet.Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, (1, 1)
    ours = network_class(name)().eval()
    ours.load_state_dict(reference.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(ours(images(name)), reference(images(name)))


def test_bit_identical_to_timm() -> None:
    import timm

    reference = randomised(timm.create_model("resnet34", pretrained=False)).eval()
    ours = network_class("resnet34_b")().eval()
    ours.load_state_dict(reference.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(ours(images("resnet34_b")), reference(images("resnet34_b")))


class OptionA(nn.Module):
    """As fb.resnet.torch has it: average pooling with a 1×1 window, then zeros appended."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.avg_pool2d(x, kernel_size=1, stride=2)
        return torch.cat([x, torch.zeros_like(x)], dim=1)


class Nothing(nn.Module):
    """In place of a shortcut: what is added is zero."""

    def forward(self, x: torch.Tensor) -> float:
        return 0.0


def reference_of(name: str) -> nn.Module:
    """From torchvision's own blocks: its ResNet, with the stem, stages and shortcuts of `name`."""
    spec = spec_of(name).spec
    blocks = [spec.n] * 3 if name in CIFAR else spec.blocks
    model = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1])
    classes, width = (10, 16) if name in CIFAR else (1000, 64)
    if name in CIFAR:
        model.conv1, model.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        model.maxpool, model.layer4 = nn.Identity(), nn.Identity()
    channels = width
    for k, count in enumerate(blocks):
        stage = []
        for index in range(count):
            out, stride = width * 2**k, 2 if k and not index else 1
            aside: nn.Module | None = OptionA() if stride == 2 else None
            if spec.shortcut == "C":
                convolution = nn.Conv2d(channels, out, 1, stride, bias=False)
                aside = nn.Sequential(convolution, nn.BatchNorm2d(out))
            elif spec.shortcut == "none":
                aside = Nothing()
            block = torchvision.models.resnet.BasicBlock(channels, out, stride, aside)
            stage.append(block)
            channels = out
        setattr(model, f"layer{k + 1}", nn.Sequential(*stage))
    model.fc = nn.Linear(channels, classes)
    return model


@pytest.mark.parametrize(
    "name", [n for n in BLOCKS if n not in TORCHVISION and not re.search(r"(50|101|152)_b", n)]
)
def test_equal_to_a_network_of_torchvisions_blocks(name: str) -> None:
    """Options A and C and the plain networks, which torchvision has not, from its block class."""
    reference = randomised(reference_of(name)).eval()
    ours = network_class(name)().eval()
    ours.load_state_dict(reference.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(ours(images(name)), reference(images(name)))


@pytest.mark.parametrize("name", BLOCKS)
def test_takes_only_num_classes_and_names_itself_alone(name: str) -> None:
    module = load(folder(name) / "model.py")
    assert len(module.__all__) == 1
    network = getattr(module, module.__all__[0])
    assert list(inspect.signature(network).parameters) == ["num_classes"]
    with torch.device("meta"):
        assert network(num_classes=7).fc.out_features == 7


CLASS_NAMES = {"resnet50_v1_5": "ResNet50V15", "resnet18_a": "ResNet18A", "plain18": "Plain18"}


@pytest.mark.parametrize(("name", "expected"), [*CLASS_NAMES.items(), ("resnet20", "ResNet20")])
def test_class_names(name: str, expected: str) -> None:
    assert load(folder(name) / "model.py").__all__ == [expected]


@pytest.mark.parametrize("name", BLOCKS)
def test_the_docstring_says_what_is_true(name: str) -> None:
    """Its figures are torch's and the paper's; its table is what the layers really are."""
    text = ast.get_docstring(ast.parse((folder(name) / "model.py").read_text())) or ""
    parameters, multiply_adds = counts(name)
    assert re.search(rf"^parameters +{parameters:,}(;|$)", text, re.M)
    assert re.search(rf"^multiply-adds +{multiply_adds:,} for one ", text, re.M)
    error = re.search(r"^(?:test )?error +(.*)$", text, re.M)
    assert error and error[1] == PAPER_ERRORS.get(name, "not reported in the paper")
    spec = spec_of(name).spec
    with torch.device("meta"):
        model = network_class(name)()
    blocks = {key: len(stage) for key, stage in model.named_children() if key.startswith("layer")}
    if name in CIFAR:
        n = blocks["layer1"]
        assert list(blocks.values()) == [n] * 3
        assert f"with fc 6n+2 = {6 * n + 2} layers, n = {n}" in text
        assert text.count("×") >= 3 and "32×32   16×16   8×8" in text
    else:
        for (key, count), row in zip(blocks.items(), ("2", "3", "4", "5"), strict=True):
            block = getattr(model, key)[-1]
            layers = [m for k, m in block.named_children() if k.startswith("conv")]
            cell = "; ".join(
                f"{m.kernel_size[0]}×{m.kernel_size[0]}, {m.out_channels}" for m in layers
            )
            assert re.search(rf"^conv{row}_x +\d+×\d+ +\[{re.escape(cell)}\] ×{count}$", text, re.M)
    assert f"option {spec.shortcut}" in text or "none: a plain network" in text


@pytest.mark.parametrize("name", BLOCKS)
def test_the_sizes_in_comments_are_the_real_ones(name: str) -> None:
    source = (folder(name) / "model.py").read_text()
    said = re.findall(r"self\.(\w+) = .*#(?: conv\d_x,)? (\d+)×\d+", source)
    assert len(said) == (4 if name in CIFAR else 6)
    sizes: dict[str, int] = {}

    def watch(key: str) -> Callable[..., None]:
        def remember(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
            sizes[key] = output.shape[-1]

        return remember

    with torch.device("meta"):
        model = network_class(name)()
        for key, module in model.named_children():
            module.register_forward_hook(watch(key))
        model(images(name).to("meta"))
    assert {key: int(size) for key, size in said} == {key: sizes[key] for key, _ in said}


def test_option_a_learns_nothing_and_b_projects_where_dimensions_grow() -> None:
    for name in BLOCKS:
        with torch.device("meta"):
            model = network_class(name)()
        projections = [k for k in model.state_dict() if k.endswith("downsample.0.weight")]
        expected = {"none": 0, "A": 0, "B": 4 if hasattr(model.layer1[0], "conv3") else 3}
        blocks = sum(len(m) for k, m in model.named_children() if k.startswith("layer"))
        assert len(projections) == {**expected, "C": blocks}[spec_of(name).spec.shortcut]


@pytest.mark.parametrize("name", ["resnet20", "plain20", "resnet50_b", "resnet18_a"])
def test_initialisation_is_he(name: str) -> None:
    """Standard deviation √(2 / (k²·out)), mean 0, batch norms at 1 and 0 (section 3.4)."""
    torch.manual_seed(0)
    for key, module in network_class(name)().named_modules():
        if isinstance(module, nn.Conv2d):
            std = (2 / (module.kernel_size[0] ** 2 * module.out_channels)) ** 0.5
            spread = 4 * std / module.weight.numel() ** 0.5
            assert abs(module.weight.std().item() - std) < spread, key
            assert abs(module.weight.mean().item()) < spread, key
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all() and (module.bias == 0).all()


@pytest.mark.parametrize("name", ["resnet20", "plain20", "resnet18_a", "resnet18_c", "resnet50_b"])
def test_pickles_copies_traces_exports(name: str) -> None:
    model = network_class(name)().eval()
    x = images(name)
    with torch.no_grad():
        expected = model(x)
        assert torch.equal(pickle.loads(pickle.dumps(model))(x), expected)
        assert torch.equal(copy.deepcopy(model)(x), expected)
        assert torch.equal(torch.fx.symbolic_trace(model)(x), expected)
        exported = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("n")},))
        assert torch.allclose(
            exported.module()(x[:1].repeat(3, 1, 1, 1))[0], expected[0], atol=1e-5
        )


@pytest.mark.parametrize("name", ["resnet20", "plain20"])
def test_compiles_whole(name: str) -> None:
    model = network_class(name)().eval()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        assert torch.allclose(compiled(images(name)), model(images(name)), atol=1e-5)
