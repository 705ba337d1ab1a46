"""Comparisons: the paper's networks have no row that differs, the others say why."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from conftest import CIFAR, NAMES, ROOT, VGG, folder, spec_of
from resnet_gen.compare.measure import measure
from resnet_gen.compare.rows import Comparison
from resnet_gen.compare.with_paper import compare
from resnet_gen.network.expansion import expand
from resnet_gen.paper import tables
from resnet_gen.read.network_spec import CifarSpec
from test_network import imagenet

pytestmark = pytest.mark.usefixtures("measured_here")
V1_5 = [name for name in NAMES if name.endswith("v1_5")]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in V1_5])
def test_the_papers_networks_have_no_row_that_differs(name: str, cli: Callable) -> None:
    code, out, err = cli("diff", name, "--json")
    found = json.loads(out)
    assert (code, found["equal"], err) == (0, True, "")
    assert set(found) == {"left", "right", "equal", "rows"}
    assert set(found["rows"][0]) == {
        *("what", "left", "spec", "right", "verdict", "why", "key", "part")
    }
    verdicts = {row["what"]: row["verdict"] for row in found["rows"]}
    assert set(verdicts.values()) <= {"equal", "rounds", "explained"}
    structure = [row for row in found["rows"] if row["part"] == "structure"]
    assert all(row["spec"] == row["right"] for row in structure)
    explained = {row["what"] for row in found["rows"] if row["verdict"] == "explained"}
    of_recipe = {row["what"] for row in found["rows"] if row["part"] == "recipe"}
    left_open = set() if name in (*CIFAR, *VGG) else {"learning rate", "mean subtracted"}
    left_open |= {"warm-up"} if name == "resnet1202" else set()
    assert explained & of_recipe == left_open
    explained -= left_open
    not_rounded = {"resnet18_c", "resnet34_b", "resnet34_c", "resnet50_b", "vgg16"}
    expected = {"multiply-adds"} if name in not_rounded else set()
    if name in ("resnet50_b", "resnet101_b", "resnet152_b"):
        expected |= {f"conv{k}_x stride" for k in (3, 4, 5)}  # Table 1 does not say which layer
    if name in ("resnet18_b", "resnet18_c"):
        expected.add("shortcuts")  # Table 2 has 18 layers with option A alone
    assert explained == expected
    if name in CIFAR:
        assert verdicts["parameters"] == "rounds"
    elif name not in not_rounded:
        assert verdicts["multiply-adds"] == "rounds"
    assert the_arithmetic_is_what_the_code_builds(name)


def the_arithmetic_is_what_the_code_builds(name: str) -> bool:
    """Layer for layer, with sizes, figures and inputs: the two never saw each other."""
    spec = spec_of(name).spec
    measured = measure(folder(name) / "model.py", spec.image_channels, spec.image_size)
    return list(expand(spec).layers) == measured


@pytest.mark.parametrize("name", V1_5)
def test_v1_5_differs_in_its_strides_and_its_work_and_says_why(name: str, cli: Callable) -> None:
    code, out, _ = cli("diff", name, "--json")
    assert code == 1
    rows = [row for row in json.loads(out)["rows"] if row["verdict"] == "differs"]
    stages = [f"conv{k}_x stride" for k in (3, 4, 5)]
    assert [row["what"] for row in rows] == [*stages, "multiply-adds"]
    assert all("v1.5" in row["why"] for row in rows)
    assert "231,211,008" in rows[-1]["why"]
    assert the_arithmetic_is_what_the_code_builds(name)


@pytest.mark.parametrize("arguments", [("resnet50_b",), ("resnet20",), ("resnet20", "plain20")])
def test_programs_go_by_the_key_of_a_row(arguments: tuple, cli: Callable) -> None:
    rows = json.loads(cli("diff", *arguments, "--json").out)["rows"]
    keys = {row["key"]: row["what"] for row in rows}
    assert len(keys) == len(rows)
    assert {row["part"] for row in rows} == {"structure", "recipe"}
    expected = {
        ("resnet50_b",): {"conv3_x.stride": "conv3_x stride", "max_pool.window": "max pool"},
        ("resnet20",): {"stage_1.layers": "stage 1 layers", "layers": "every layer"}
        | {"recipe.weight_decay": "weight decay"},
        ("resnet20", "plain20"): {
            "layers.layer1.0.addition1": "layer1.0.addition1",
            "sum.zero_pad": "sum of zero pad layers",
        },
    }[arguments]
    assert expected.items() <= keys.items() and keys["multiply_adds"] == "multiply-adds"


def rows_of(found: Comparison) -> dict[str, tuple[str, str, str]]:
    return {row.what: (row.left, row.verdict, row.why) for row in found.rows}


def test_table_1_column_by_column(cli: Callable) -> None:
    """The left column of `diff` against the table, typed in here once more."""
    _, out, _ = cli("diff", "resnet101_b", "--json")
    left = {row["what"]: row["left"] for row in json.loads(out)["rows"]}
    assert left["conv1 output size"] == "112×112" and left["conv1 kernel"] == "7×7"
    assert left["max pool"] == "3×3, stride 2"
    for row, size, width, repeats in (
        (2, "56×56", 64, "3"),
        (3, "28×28", 128, "4"),
        (4, "14×14", 256, "23"),
        (5, "7×7", 512, "3"),
    ):
        label = f"conv{row}_x"
        assert left[f"{label} output size"] == size
        assert left[f"{label} kernels"] == "1×1, 3×3, 1×1"
        assert left[f"{label} widths"] == f"{width}, {width}, {4 * width}"
        assert left[f"{label} repeats"] == repeats
        assert left[f"{label} stride"] == ("1" if row == 2 else "2")
    assert left["depth"] == "101" and left["multiply-adds"] == "7.6×10^9"


def test_notes_hold_for_the_counts_they_name() -> None:
    """Every figure in a reason is a difference of exact counts."""
    work = {
        (depth, option, stride): expand(imagenet(depth, option, stride)).multiply_adds
        for depth in (18, 34, 50, 101, 152)
        for option in ("none", "B", "C")
        for stride in ("conv1x1", "conv3x3")
    }
    notes = tables.load("notes", tables.Notes).flops
    for note in [note for note in notes if note.column.endswith("-layer")]:
        depth = int(note.column.removesuffix("-layer"))
        which = next(key for key, count in work.items() if count == note.multiply_adds)
        assert which[0] == depth
        if "projections add" in note.why:
            added = note.multiply_adds - work[depth, "none", "conv1x1"]
            assert f"projections add {added:,}" in note.why
        if "v1.5" in note.why:
            assert note.verdict == "differs"
            assert f"{note.multiply_adds - work[depth, 'B', 'conv1x1']:,}" in note.why


def test_a_depth_that_is_not_in_the_paper() -> None:
    spec = CifarSpec(name="resnet26", design="cifar", depth=26, shortcut="A")
    network = expand(spec)
    found = compare(network, network.layers, "model.py")
    rows = rows_of(found)
    assert found.equal and "n = 4" in found.left and "ResNet-20" in found.left
    assert rows["network"][:2] == ("not in the paper", "explained")
    assert rows["stage 1 layers"][0] == "1+2n = 9" and rows["depth"][0] == "6n+2 = 26"
    assert rows["parameters"][:2] == ("0.27M", "explained")

    from resnet_gen.read.network_spec import ImagenetSpec

    blocks = [3, 24, 36, 3]
    fields = {"design": "imagenet", "block": "bottleneck", "blocks": blocks, "depth": 200}
    network = expand(ImagenetSpec(name="resnet200", shortcut="B", **fields))
    found = compare(network, network.layers, "model.py")
    rows = rows_of(found)
    assert found.equal and found.left == "paper: Table 1's rows; nearest column: 152-layer"
    assert rows["conv3_x repeats"][:2] == ("8", "explained")
    assert rows["conv2_x widths"][1] == "equal"


@pytest.mark.parametrize(
    ("changes", "what", "why"),
    [
        ({"width": 32}, "stage 2 widths", "width: 32"),
        ({"classes": 100}, "head", "classes: 100"),
        ({"image_size": 64}, "stage 1 output size", "image_size: 64"),
        ({"shortcut": "B", "depth": 56}, "shortcuts", "shortcut: B"),
        ({"shortcut": "B", "depth": 56}, "parameters", "shortcut: B"),
        ({"shortcut": "C"}, "shortcuts", "shortcut: C"),
    ],
)
def test_a_departure_differs_and_names_its_line(changes: dict, what: str, why: str) -> None:
    fields = {"name": "net", "design": "cifar", "depth": 20, "shortcut": "A", **changes}
    network = expand(CifarSpec(**fields))
    found = compare(network, network.layers, "model.py")
    assert not found.equal
    _, verdict, reason = rows_of(found)[what]
    assert verdict == "differs" and why in reason


def test_bottlenecks_of_other_options_are_not_the_papers() -> None:
    for option in ("none", "A", "C"):
        network = expand(imagenet(50, option))
        found = compare(network, network.layers, "model.py")
        assert rows_of(found)["shortcuts"][1] == "differs"


@pytest.mark.parametrize(
    ("name", "other", "sums"),
    [
        ("resnet34_c", "resnet34_a", {"parameters": "+1,092,992", "multiply-adds": "+186,253,312"}),
        ("resnet34_a", "plain34", {"sum of addition layers": "+16", "parameters": ""}),
        ("resnet50_v1_5", "resnet50_b", {"multiply-adds": "+231,211,008", "parameters": ""}),
        ("resnet110", "resnet20", {"depth": "+90", "parameters": "+1,458,240"}),
    ],
)
def test_two_networks_side_by_side(name: str, other: str, sums: dict, cli: Callable) -> None:
    code, out, _ = cli("diff", name, other, "--json")
    assert code == 1
    found = json.loads(out)
    rows = {row["what"]: row for row in found["rows"]}
    assert found["left"] == other
    for what, change in sums.items():
        assert rows[what]["why"] == change
    assert rows["conv1"]["verdict"] == "equal"


def test_rows_of_plain_against_residual(cli: Callable) -> None:
    rows = json.loads(cli("diff", "plain34", "resnet34_a", "--json").out)["rows"]
    different = [row["what"] for row in rows if row["verdict"] == "differs"]
    assert sum("addition1" in what for what in different) == 16
    assert sum("zero_pad1" in what for what in different) == 3
    assert all(row["right"] == row["spec"] for row in rows)


def test_a_network_equals_itself(cli: Callable) -> None:
    assert cli("diff", "resnet20", "resnet20").code == 0


def test_what_a_person_sees(computed_here: None, cli: Callable) -> None:
    code, out, err = cli("diff", "resnet50_b")
    assert code == 0 and err == ""
    assert out.startswith(
        "paper: Table 1, 50-layer | spec | generated/imagenet/resnet50_b/model.py"
    )
    assert "3.858×10^9 would round to 3.9" in out and out.endswith("48 equal, 6 explained\n")


def test_without_its_code(cli: Callable, project: object) -> None:
    code, _, err = cli("diff", "resnet20")
    assert code == 2 and "generated/cifar/resnet20/model.py: error[file]" in err
    assert "resnet-gen generate" in err
    assert ROOT.is_dir()
