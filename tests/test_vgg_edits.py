"""`diff` of an edited VGG: what changes its results differs, what does not is equal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import narrow_vgg

pytestmark = pytest.mark.usefixtures("computed_here")

CONVOLUTION = "nn.Conv2d(in_channels, channels, 3, padding=1)"
HE = 'nonlinearity="relu")\n                nn.init.'
FIRST_DROPOUT = "nn.ReLU(),\n            nn.Dropout(0.25),\n            nn.Linear(24, 24)"
NO_BIAS = CONVOLUTION.replace("1)", f"1, bias=False)|{HE}zeros_(module.weight[:0])")
FLATTEN = "torch.flatten(x, 1)"
INPUT = "self.features(x)"

# what is replaced, by what, and a row that must differ
EDITS = {
    "no bias": (
        *(f"{CONVOLUTION}|{HE}zeros_(module.bias)", NO_BIAS),
        "layers.features.0",
    ),
    "a frozen bias": (
        *("nn.ReLU()]\n", "nn.ReLU()]\n        layers[-2].bias.requires_grad_(False)\n"),
        "layers.features.0",
    ),
    "dilated": (
        *(CONVOLUTION, CONVOLUTION.replace("1)", "2, dilation=2)")),
        "layers.features.0",
    ),
    "padded by reflection": (
        *(CONVOLUTION, CONVOLUTION.replace("1)", '1, padding_mode="reflect")')),
        "numbers.outputs_training",
    ),
    "another activation": ("nn.ReLU()]", "nn.GELU()]", "layers.features.relu1"),
    "averages": ("nn.MaxPool2d(2)", "nn.AvgPool2d(2)", "layers.features.max_pool1"),
    "windows that overlap": (
        *("nn.MaxPool2d(2)", "nn.MaxPool2d(3, 2, 1)"),
        "layers.features.max_pool1",
    ),
    "rounded up": (
        *("nn.MaxPool2d(2)", "nn.MaxPool2d(2, ceil_mode=True)"),
        "layers.features.max_pool1",
    ),
    "another stage": ("32, convolutions=2", "32, convolutions=3", "conv5.layers"),
    "another width": ("stage(4, 8,|stage(8, 16", "stage(4, 9,|stage(9, 16", "conv2.width"),
    "largest of each part": (
        *("nn.AdaptiveAvgPool2d(7)", "nn.AdaptiveMaxPool2d(7)"),
        "layers.adaptive_average_pool1",
    ),
    "another order of values": (
        *(FLATTEN, "torch.flatten(x.transpose(1, 2), 1)"),
        "numbers.outputs_evaluation",
    ),
    "other units": (
        *("nn.Linear(24, 24)|nn.Linear(24, num", "nn.Linear(24, 25)|nn.Linear(25, num"),
        "head",
    ),
    "dropped more often": ("nn.Dropout(0.25)", "nn.Dropout(0.3)", "layers.classifier.dropout1"),
    "not dropped": ("nn.Dropout(0.25)", "nn.Identity()", "layers.classifier.dropout1"),
    "dropped in evaluation": (
        *(FLATTEN, "torch.dropout(torch.flatten(x, 1), 0.25, True)"),
        "layers.dropout1",
    ),
    "dropped before the activation": (
        *(FIRST_DROPOUT, FIRST_DROPOUT.replace("ReLU()", "Dropout(0.25)").replace(
            "nn.Dropout(0.25),\n            nn.Linear", "nn.ReLU(),\n            nn.Linear"
        )),
        "layers.classifier.relu1",
    ),
    "whole channels dropped": (
        *("nn.Dropout(0.25)", "nn.AlphaDropout(0.25)"),
        "layers.classifier.dropout1",
    ),
    "dropped by hand": (
        *(FLATTEN, f"{FLATTEN} * torch.bernoulli(torch.full((1568,), 0.75)) / 0.75"),
        "numbers.repeatable",
    ),
    "scaled": (INPUT, f"1.001 * {INPUT}", "numbers.outputs_training"),
    "detached": (INPUT, f"{INPUT}.detach()", "numbers.gradients"),
    "the other fan": ('mode="fan_out"', 'mode="fan_in"', "numbers.initialisation"),
    "wider at first": ("std=0.01", "std=0.02", "numbers.initialisation"),
    "biases of ones": ("zeros_(module.bias)", "ones_(module.bias)", "numbers.initialisation"),
    "a fixed number of classes": ("num_classes)", "7)", "numbers.weights"),
}  # fmt: skip

SAME = {
    "in place": ("nn.ReLU()", "nn.ReLU(inplace=True)"),
    "dropped in place": ("nn.Dropout(0.25)", "nn.Dropout(0.25, inplace=True)"),
    "another way to flatten": (FLATTEN, "x.reshape(x.shape[0], -1)"),
}
BY_FUNCTION = (
    "return self.classifier(x)",
    "for layer in self.classifier:\n            is_dropout = isinstance(layer, nn.Dropout)\n"
    "            x = torch.dropout(x, 0.25, self.training) if is_dropout else layer(x)\n"
    "        return x",
)


@pytest.fixture
def code(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from resnet_gen.generate import render

    monkeypatch.setattr(render, "clean", lambda texts: texts)  # which takes ruff's time
    narrow_vgg.write_spec()
    return narrow_vgg.generated()


def diff(code: Path, edit: tuple[str, ...], cli: Callable) -> tuple[int, dict[str, dict]]:
    model = code / "model.py"
    text = model.read_text()
    for old, new in zip(edit[0].split("|"), edit[1].split("|"), strict=True):
        assert old in text
        text = text.replace(old, new)
    model.write_text(text)
    found = cli("diff", code, "--json")
    document = json.loads(found.out)
    assert "rows" in document, document
    return found.code, {row["key"]: row for row in document["rows"]}


@pytest.mark.parametrize("what", EDITS)
def test_what_changes_the_network_differs(what: str, code: Path, cli: Callable) -> None:
    status, rows = diff(code, EDITS[what], cli)
    differing = {key for key, row in rows.items() if row["verdict"] == "differs"}
    assert status == 1 and EDITS[what][2] in differing, differing


@pytest.mark.parametrize("what", SAME)
def test_what_does_not_change_it_is_equal(what: str, code: Path, cli: Callable) -> None:
    status, rows = diff(code, SAME[what], cli)
    assert status == 0, [row for row in rows.values() if row["verdict"] == "differs"]
    assert "dropout" in rows["numbers.repeatable"]["why"]


def test_dropout_by_the_function_is_left_out_of_numbers_too(code: Path, cli: Callable) -> None:
    """Its layers have another place, and so other names; their probability is the same."""
    status, rows = diff(code, BY_FUNCTION, cli)
    assert all(row["verdict"] == "equal" for row in rows.values() if row["part"] == "numbers")
    differing = {key for key, row in rows.items() if row["verdict"] == "differs"}
    dropped = [f"layers.{place}dropout{k}" for place in ("", "classifier.") for k in (1, 2)]
    assert status == 1 and differing == {*dropped, "layers.classifier.3", "layers.classifier.6"}
