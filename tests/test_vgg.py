"""VGG against torchvision's own, and the figures that the paper prints of it."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import narrow_vgg
from conftest import VGG, folder, load, network_class, spec_of
from resnet_gen.compare.filling import filled
from resnet_gen.compare.measure import measure
from resnet_gen.compare.reference import Mode, interpret
from resnet_gen.network.expansion import expand
from resnet_gen.network.initialisation import initial
from resnet_gen.network.layers import Operation
from resnet_gen.paper import tables
from resnet_gen.paper.vgg import Vgg
from test_network import VGG_COUNTS

TORCHVISION = {name: getattr(torchvision.models, name) for name in VGG}


def images(size: int, count: int = 1) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def same_scores(ours: nn.Module, theirs: nn.Module, size: int, *, training: bool) -> bool:
    """To the bit; in training with the same masks of dropout."""
    scores = []
    for model in (ours, theirs):
        torch.manual_seed(3)
        with torch.no_grad():
            scores.append(model.train(training)(images(size)))
    return torch.equal(*scores)


@pytest.mark.parametrize(("name", "size"), [("vgg19", 224), ("vgg16", 32)])
def test_bit_identical_to_torchvision(name: str, size: int) -> None:
    theirs = TORCHVISION[name](weights=None, init_weights=False)
    with torch.device("meta"):
        ours = network_class(name)()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    assert same_scores(ours, theirs, size, training=size < 224)


@pytest.mark.parametrize("size", [32, 40, 224, 300])
def test_a_narrow_one_is_bit_identical_to_torchvisions_class(project: Path, size: int) -> None:
    """Of other sizes than 224 too, where the pooling before the classifier does something."""
    narrow_vgg.write_spec()
    ours, theirs = narrow_vgg.network(narrow_vgg.generated()), narrow_vgg.reference()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert same_scores(ours, theirs, size, training=False)
    assert same_scores(ours, theirs, size, training=True)


@pytest.mark.parametrize("size", [32, 45, 224, 300])
def test_the_layer_list_computes_what_torchvisions_class_does(project: Path, size: int) -> None:
    narrow_vgg.write_spec()
    spec = spec_of("narrow").spec.model_copy(update={"image_size": size})
    theirs, x = narrow_vgg.reference().double().eval(), images(size).double()
    values = interpret(expand(spec).layers, theirs.state_dict(), x, Mode(False, {}))
    assert torch.allclose(values["classifier.6"], theirs(x), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", VGG)
def test_weights_begin_as_torchvisions(name: str) -> None:
    ours = initial(expand(spec_of(name).spec))
    theirs = filled(lambda: TORCHVISION[name](weights=None), (2, 3, 224, 224))
    assert ours.keys() == theirs.keys()
    for key, (kind, first, second) in ours.items():
        assert kind == theirs[key].kind and (first, second) == pytest.approx(theirs[key][1:]), key


CONFIGURATIONS = {
    11: [1, 1, 2, 2, 2],
    13: [2, 2, 2, 2, 2],
    16: [2, 2, 3, 3, 3],
    19: [2, 2, 4, 4, 4],
}


def test_each_configuration_is_made_by_its_depth(cli: Callable, project: Path) -> None:
    names = {f"my{depth}": depth for depth in CONFIGURATIONS}
    for name, depth in names.items():
        made = cli("new", name, "--design", "vgg", "--depth", depth)
        assert (made.code, made.out) == (0, f"specs/imagenet/{name}.yaml\n")
    assert cli("check") == (0, "", "") and cli("generate", *names).code == 0
    for name, depth in names.items():
        network, code = expand(spec_of(name).spec), Path("generated/imagenet", name)
        assert network.spec.blocks == CONFIGURATIONS[depth]
        assert [path.name for path in code.iterdir()] == ["model.py"]
        with torch.device("meta"):
            ours = narrow_vgg.network(code)
            theirs = getattr(torchvision.models, f"vgg{depth}")(weights=None)
            with FlopCounterMode(display=False) as counter:
                theirs(torch.empty(1, 3, 224, 224))
        shapes = [{k: v.shape for k, v in model.state_dict().items()} for model in (ours, theirs)]
        assert shapes[0] == shapes[1]
        assert network.parameters == sum(p.numel() for p in theirs.parameters())
        assert 2 * network.multiply_adds == counter.get_total_flops()
    told = cli("new", "my14", "--design", "vgg", "--depth", 14)
    assert told.code == 2 and "11, 13, 16, 19" in told.err


@pytest.mark.parametrize("name", VGG)
def test_the_file_says_what_is_true(name: str) -> None:
    text = (folder(name) / "model.py").read_text()
    assert [path.name for path in folder(name).glob("*.*")] == ["model.py"]
    for figure in VGG_COUNTS[name]:
        assert f" {figure:,}" in text
    module = load(folder(name) / "model.py")
    (only,) = module.__all__
    assert only == name.upper()
    assert list(inspect.signature(getattr(module, only)).parameters) == ["num_classes"]
    with torch.device("meta"):
        model = getattr(module, only)(num_classes=7)
        assert model.classifier[6].out_features == 7
        sizes = []
        for layer in model.features:
            if isinstance(layer, nn.MaxPool2d):
                layer.register_forward_hook(lambda *call: sizes.append(call[2].shape[-1]))
        model(torch.empty(1, 3, 224, 224))
    assert [int(size) for size in re.findall(r"# conv\d, pooled to (\d+)×", text)] == sizes
    assert re.findall(r"^conv\d +(\d+)×", text, re.M) == [str(2 * size) for size in sizes]


FIGURE_3 = [("224", "64", "2"), ("112", "128", "2"), ("56", "256", "4"), ("28", "512", "4")]


@pytest.mark.usefixtures("measured_here")
def test_vgg19_is_the_left_column_of_figure_3(cli: Callable) -> None:
    code, out, _ = cli("diff", "vgg19", "--json")
    rows = {row["what"]: row for row in json.loads(out)["rows"]}
    for number, (size, width, layers) in enumerate([*FIGURE_3, ("14", "512", "4")], start=1):
        left = [rows[f"conv{number} {w}"]["left"] for w in ("output size", "width", "layers")]
        assert left == [size, width, layers]
        assert rows[f"pool{number} stride"]["left"] == "/2"
    assert rows["head"]["left"] == "fc 4096, fc 4096, fc 1000"
    assert rows["multiply-adds"]["verdict"] == "rounds"
    assert {row["verdict"] for row in rows.values()} == {"equal", "rounds"} and code == 0
    assert not any(row["part"] == "recipe" for row in rows.values())


@pytest.mark.usefixtures("measured_here")
def test_the_printed_15_3_is_of_the_convolutions_alone(cli: Callable) -> None:
    rows = {row["what"]: row for row in json.loads(cli("diff", "vgg16", "--json").out)["rows"]}
    assert rows["multiply-adds"]["verdict"] == "explained"
    alone = {}
    for name in VGG:
        layers = expand(spec_of(name).spec).layers
        counted = [la.multiply_adds for la in layers if la.operation == Operation.CONVOLUTION]
        alone[name] = sum(counted)
    assert f"{alone['vgg16']:,}" in rows["multiply-adds"]["why"]
    printed = {each.network: each.printed for each in tables.load("vgg", Vgg).flops}
    assert printed["VGG-16"] == f"{alone['vgg16'] / 1e9:.1f} billion"
    assert printed["VGG-19"] != f"{alone['vgg19'] / 1e9:.1f} billion"


@pytest.mark.parametrize("name", VGG)
def test_the_arithmetic_is_what_the_code_builds(name: str, measured_here: None) -> None:
    assert list(expand(spec_of(name).spec).layers) == measure(folder(name) / "model.py", 3, 224)


@pytest.mark.usefixtures("measured_here")
def test_two_of_them_layer_by_layer(cli: Callable) -> None:
    code, out, _ = cli("diff", "vgg19", "vgg16", "--json")
    rows = json.loads(out)["rows"]
    names = [row["what"] for row in rows]
    assert names.index("features.34") < names.index("classifier.0") < names.index("classifier.6")
    assert code == 1 and next(r for r in rows if r["key"] == "depth")["why"] == "+3"
    assert cli("diff", "vgg19", "vgg19", "--json").code == 0
    assert cli("diff", "vgg16", "resnet18_b", "--json").code == 1


def test_it_has_no_training_script(cli: Callable, project: Path) -> None:
    code, out, err = cli("train", "vgg19")
    assert (code, out) == (2, "") and "there is no train.py: " in err
    path = narrow_vgg.write_spec("training: imagenet-paper\n")
    assert "`training` is not a key of a vgg network" in cli("check", path).err
    path = narrow_vgg.write_spec("shortcut: A\n")
    assert "it belongs to `design: cifar` or `design: imagenet`" in cli("check", path).err


def test_prune_removes_it_with_its_spec(cli: Callable, house: Path) -> None:
    path = narrow_vgg.write_spec()
    assert cli("generate", "--all").code == 0
    assert cli("generate", "--all", "--check") == (0, "", "")
    path.write_text(path.read_text().replace("width: 4", "width: 5"))
    code, out, _ = cli("generate", "--all", "--check")
    assert code == 1 and "generated/imagenet/narrow/model.py: the spec changed" in out
    path.unlink()
    cli("generate", "--all", "--prune")
    assert not Path("generated/imagenet/narrow").exists()
