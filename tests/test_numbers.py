"""`diff` by numbers: what code computes, beside the layer list, which torchvision confirms."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision

from conftest import NAMES, ROOT, VGG, spec_of
from resnet_gen.compare.reference import Mode, interpret
from resnet_gen.compare.trial import Trial
from resnet_gen.network.expansion import expand
from test_edits import edited

pytestmark = pytest.mark.usefixtures("computed_here")
A_FEW = ["resnet32", "plain20", "resnet18_a", "resnet50_b"]
SUM = "return F.relu(out + self.downsample(x))"
STEM = "x = F.relu(self.bn1(self.conv1(x)))\n        x = self.layer1"
HE = 'nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")'


@pytest.mark.parametrize("name", ["resnet18_b", "resnet50_v1_5"])
def test_the_layer_list_computes_what_torchvision_does(name: str) -> None:
    """In float64: scores, gradients and running statistics, in training and in evaluation."""
    reference = {
        "resnet18_b": torchvision.models.resnet18,
        "resnet50_v1_5": torchvision.models.resnet50,
    }[name]().double()
    layers = expand(spec_of(name).spec.model_copy(update={"image_size": 64})).layers
    trial = Trial.of(layers, 3, 64, torch.float64)
    reference.load_state_dict(trial.weights, strict=False)
    images = trial.images.clone().requires_grad_()
    scores = reference.train()(images)
    scores.backward(trial.cotangent)
    found = trial.results()
    assert torch.allclose(found.outputs, scores, rtol=1e-10, atol=1e-10)
    assert found.images_gradient is not None and images.grad is not None
    assert torch.allclose(found.images_gradient, images.grad, rtol=1e-8, atol=1e-10)
    for key, parameter in reference.named_parameters():
        expected, gradient = parameter.grad, found.gradients[key]
        assert expected is not None and gradient is not None
        assert (gradient - expected).abs().max() <= 1e-9 * expected.abs().max(), key
    buffers = dict(reference.named_buffers())
    for key, value in found.statistics.items():
        assert torch.allclose(value, buffers[key], rtol=1e-10, atol=1e-12), key
    values = interpret(layers, {**trial.weights, **found.statistics}, trial.images, Mode(False, {}))
    assert torch.allclose(values["fc"], reference.eval()(trial.images), rtol=1e-10, atol=1e-10)


EDITS = {  # what: the text, its replacement, the rows of numbers that differ, words of the first
    "gradients cut off": (
        SUM,
        "return F.relu(out + self.downsample(x).detach())",
        {"gradient_images", "gradients"},
        "differs from here back",
    ),
    "another momentum": (
        "self.bn2 = nn.BatchNorm2d(channels)",
        "self.bn2 = nn.BatchNorm2d(channels, momentum=0.2)",
        {"statistics"},
        "layer1.0.bn2: differs from here on",
    ),
    "twice the scores in evaluation": (
        "return self.fc(x)",
        "return self.fc(x) if self.training else 2 * self.fc(x)",
        {"outputs_evaluation"},
        "",
    ),
    "a tenth of the shortcut": (
        SUM,
        "return F.relu(torch.add(out, self.downsample(x), alpha=0.1))",
        {"outputs_training", "outputs_evaluation", "gradients", "gradient_images", "statistics"},
        "layer1.0.addition1: differs from here on",
    ),
    "another fan": (HE, HE.replace("fan_out", "fan_in"), {"initialisation"}, "conv1.weight and"),
    "another gain": (HE, HE.replace('"relu"', '"linear"'), {"initialisation"}, "conv1.weight"),
    "a weight scaled at the start": (
        HE,
        f"{HE}\n                module.weight.data.mul_(0.5)",
        {"initialisation"},
        "conv1.weight",
    ),
    "the images overwritten": (  # which the gradient of the first layer needs
        STEM + "|x = x.mean(dim=(2, 3))",
        f"self.images = x\n        {STEM}|x = x.mean(dim=(2, 3))\n        self.images.data.zero_()",
        {"images_unchanged", "gradients"},
        "",
    ),
    "dropout": (
        "return self.fc(x)",
        "return self.fc(F.dropout(x, 0.5, self.training))",
        {"repeatable", "outputs_training", "gradients", "gradient_images"},
        "",
    ),
    "a window of the real size": (
        "x = x.mean(dim=(2, 3))",
        "x = F.avg_pool2d(x, 8).flatten(1)",
        set(),
        "",
    ),
    "a layer by another name": ("self.fc", "self.head", set(), ""),
    "a cast to the precision that it has": (SUM, SUM.replace("out +", "out.float() +"), set(), ""),
}  # fmt: skip


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_differs_in_the_numbers_that_it_changes(
    what: str, cli: Callable, tmp_path: Path
) -> None:
    text, replacement, expected, words = EDITS[what]
    edits = list(zip(text.split("|"), replacement.split("|"), strict=True))
    _, out, err = cli("diff", edited(tmp_path, edits), "--json")
    rows = [row for row in json.loads(out)["rows"] if row["part"] == "numbers"]
    assert all(row["left"] == "" for row in rows) and not err
    differing = {r["key"].removeprefix("numbers."): r for r in rows if r["verdict"] == "differs"}
    assert set(differing) == expected, rows
    assert not expected or words in next(iter(differing.values()))["why"], differing


@pytest.mark.parametrize("name", NAMES if os.environ.get("FULL_LENGTH") else A_FEW)
def test_the_papers_networks_compute_what_their_layers_say(name: str, cli: Callable) -> None:
    rows = json.loads(cli("diff", name, "--json").out)["rows"]
    numbers = [row for row in rows if row["part"] == "numbers"]
    count = 7 if name in VGG else 8  # without batch norms there are no running statistics
    assert len(numbers) == count and all(row["verdict"] == "equal" for row in numbers)


@pytest.mark.parametrize(
    ("text", "replacement", "expected"),
    [
        ("", "", set()),
        ("self.conv2(out)", "self.conv2(out.detach())", {"gradient_images", "gradients"}),
        (
            "self.bn2 = nn.BatchNorm2d(channels)",
            "self.bn2 = nn.BatchNorm2d(channels, eps=1e-3)",
            {"outputs_training", "statistics", "outputs_evaluation"},
        ),
    ],
)
def test_so_deep_that_rounding_decides_the_scores(
    text: str, replacement: str, expected: set[str], cli: Callable, project: Path
) -> None:
    """Plain networks amplify rounding layer by layer; there each layer is compared by itself."""
    lines = "name: deep", "design: cifar", "depth: 158", "shortcut: none", "width: 4"
    (project / "deep.yaml").write_text("\n".join((*lines, "image_size: 16")))
    cli("generate", "deep.yaml")
    code = project / "generated/cifar/deep/model.py"
    code.write_text(code.read_text().replace(text, replacement))
    found = json.loads(cli("diff", "deep.yaml", "--json").out)["rows"]
    rows = {row["key"].removeprefix("numbers."): row for row in found if row["part"] == "numbers"}
    assert "compared by itself" in rows["outputs_training"]["why"]
    differing = {key for key, row in rows.items() if row["verdict"] == "differs"}
    assert expected <= differing and bool(differing) == bool(expected)


@pytest.mark.parametrize(
    ("name", "other", "verdict"),
    [
        ("resnet20", "resnet20", "equal"),
        ("resnet20", "plain20", "differs"),  # option A has no weights of its own
        ("resnet50_v1_5", "resnet50_b", "differs"),
        ("resnet18_c", "resnet18_b", "differs"),  # whose weights are others
    ],
)
def test_two_networks_with_the_same_weights(
    name: str, other: str, verdict: str, cli: Callable
) -> None:
    rows = json.loads(cli("diff", name, other, "--json").out)["rows"]
    (found,) = [row for row in rows if row["key"] == "numbers.other"]
    assert found["verdict"] == verdict and other in found["spec"]
    if name == "resnet18_c":
        assert "do not fit" in found["right"]


def test_random_edits_are_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample of benchmarks/mutation.py, which judges each edit by numbers of its own."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import mutation

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = [e for e in mutation.run(11, "narrow", seed=1) if "seconds" in e]
    finally:
        torch.set_num_threads(threads)
    assert not [e for e in found if e["outcome"] == "missed"]
    assert not [e for e in found if e["outcome"] == "equivalent" and e["numbers"]]
    assert sum(e["outcome"] == "changed" for e in found) >= 4
    assert "mutation" in sys.modules
