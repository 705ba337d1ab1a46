"""The ledger: nothing printed is missing, what is computed is so, what is measured was run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torchvision

from conftest import DETECTORS, NAMES, ROOT
from resnet_gen.ledger import readme
from resnet_gen.ledger.whole import ledger
from resnet_gen.paper import tables
from resnet_gen.read.folders import experiment_files

# The tables typed once more, in reading order.
PRINTED = {
    "Table 2": "27.94 27.88 28.54 25.03",
    "Table 3": """28.07 9.33 9.15 24.27 7.38 28.54 10.02 25.03 7.76 24.52 7.46 24.19 7.40
        22.85 6.71 21.75 6.05 21.43 5.71""",
    "Table 4": """8.43 7.89 24.4 7.1 21.59 5.71 21.99 5.81 21.84 5.71 21.53 5.60
        20.74 5.25 19.87 4.60 19.38 4.49""",
    "Table 5": "7.32 6.66 6.8 4.94 4.82 3.57",
    "Table 6": """9.38 8.81 8.22 19 2.5M 8.39 19 2.3M 7.54 7.72±0.16 32 1.25M 8.80 20 0.27M 8.75
        32 0.46M 7.51 44 0.66M 7.17 56 0.85M 6.97 110 1.7M 6.43 6.61±0.16 1202 19.4M 7.93""",
    "Table 7": "73.2 70.4 76.4 73.8",
    "Table 8": "41.5 21.2 48.4 27.2",
    "Table 9": """41.5 21.2 48.4 27.2 49.9 29.9 51.1 30.0 53.3 32.2 53.8 32.5 55.7 34.9
        59.0 37.4""",
    "Table 10": "73.2 76.4 85.6",
    "Table 11": "70.4 73.8 83.8",
    "Table 12": "43.9 60.5 58.8 63.6 62.1",
    "Table 13": "33.1 13.3 11.7 14.4 10.6 8.9",
    "Table 14": "30.0 29.9 26.7 26.9 25.3 8.9 9.0",
}
IN_TEXT = """152 8× 3.57% 28% 3.6 18% 19.6 15.3 11.3 3.8 1.28 50k thirteen doubled 3× 400 90% 0.1%
    60% 7.93% 20 32 44 56 110 1202 6.0 6.9 91 16 64% 256 128 64k 60×10^4 45k/5k 6n+2 0.0001 0.9"""
OTHERS = "VGG GoogLeNet PReLU-net BN-inception Maxout NIN DSN FitNet Highway OverFeat"
PARAMETERS = {depth: 97_216 * ((depth - 2) // 6) - 21_926 for depth in (20, 32, 44, 56, 110, 1202)}
Row = dict[str, Any]


@pytest.fixture(autouse=True)
def _no_table_of_another_test() -> None:
    tables.load.cache_clear()


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        tables.load.cache_clear()
        return [vars(number) for number in ledger()[0]]


def of(rows: list[Row], place: str, row: str, column: str = "") -> Row:
    (found,) = [r for r in rows if (r["place"], r["row"], r["column"]) == (place, row, column)]
    return found


@pytest.mark.parametrize("place", PRINTED)
def test_every_number_of_a_table_is_there(rows: list[Row], place: str) -> None:
    assert [row["printed"] for row in rows if row["place"] == place] == PRINTED[place].split()


def test_the_numbers_of_the_text_are_there(rows: list[Row]) -> None:
    text = " ".join(row["printed"] for row in rows if not row["place"].startswith("Table"))
    assert set(IN_TEXT.split()) <= set(text.replace(",", " ").split())


def test_every_number_has_a_place_and_is_answered(rows: list[Row]) -> None:
    keys = [(row["place"], row["row"], row["column"]) for row in rows]
    assert len(set(keys)) == len(keys)
    for row in rows:
        verdicts = {"computed": {"equal", "rounds", "explained"}, "measured": None}
        expected = verdicts.get(row["status"], {row["verdict"]})
        assert expected is None or row["verdict"] in expected, row
        assert row["how"] or row["verdict"] in ("equal", "rounds"), row
        others = any(name in row["row"] for name in OTHERS.split()) and "Table" in row["place"]
        assert not others or row["status"] == "quoted", row


@pytest.mark.parametrize(("depth", "aside"), [(18, 0.019268), (34, 0.019268), (50, 0), (101, 0)])
def test_the_flops_of_table_1_are_torchvisions(rows: list[Row], depth: int, aside: float) -> None:
    """torchvision's have option B's projections at 18 and 34, and the stride on the 3×3 beyond."""
    weights = torchvision.models.get_model_weights(f"resnet{depth}")["IMAGENET1K_V1"]
    aside = aside or 0.231211
    found = of(rows, "Table 1", "FLOPs", f"{depth}-layer")
    assert int(found["value"].replace(",", "")) / 1e9 == pytest.approx(
        weights.meta["_ops"] - aside, abs=6e-4
    )
    assert found["verdict"] == ("explained" if depth == 50 else "rounds")


@pytest.mark.parametrize("depth", PARAMETERS)
def test_the_parameters_of_table_6(rows: list[Row], depth: int) -> None:
    found = of(rows, "Table 6", f"ResNet {depth}", "# params")
    assert (found["value"], found["verdict"]) == (f"{PARAMETERS[depth]:,}", "rounds")


def test_convolutions_that_regions_share_are_torchvisions(rows: list[Row]) -> None:
    import torch
    from torch import nn

    with torch.device("meta"):
        network = torchvision.models.resnet101()
    names = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and "downsample" not in name and "layer4" not in name
    ]
    says = "convolutions of ResNet-101 that all regions share, conv1 to conv4_x"
    assert of(rows, "appendix A", says)["value"] == str(len(names)) == "91"


@pytest.mark.parametrize(
    ("printed", "value", "verdict"),
    [
        ("8×", 152 / 19, "equal"),
        ("28%", 100 * (27.2 / 21.2 - 1), "rounds"),
        ("18%", 100 * 3.6 / 19.6, "rounds"),
        ("64%", 100 * (1 - 9.0 / 25.3), "rounds"),
        ("6.0", 27.2 - 21.2, "equal"),
        ("6.9", 48.4 - 41.5, "equal"),
        ("16", 224 / 14, "equal"),
        ("thirteen", 16 - 3, "equal"),
        ("doubled", 135_168 / 69_632, "rounds"),
        ("2", 29.9 - 27.2, "explained"),
    ],
)
def test_arithmetic_of_the_text(rows: list[Row], printed: str, value: float, verdict: str) -> None:
    text = [row for row in rows if not row["place"].startswith("Table")]
    (found, *_) = [r for r in text if r["printed"] == printed and "stage" not in r["row"]][-1:]
    assert float(found["value"].rstrip("%")) == pytest.approx(value, rel=1e-3)
    assert (found["status"], found["verdict"]) == ("computed", verdict)


@pytest.mark.parametrize(
    ("file", "old", "new", "table"),
    [
        ("table1", "11.3×10^9", "11.4×10^9", "1"),
        ("table1", 'repeats: "36"', 'repeats: "35"', "1"),
        ("table6", "0.27M", "0.28M", "6"),
        ("table8", '"27.2"', '"27.9"', "section4.3"),
        ("text", 'printed: thirteen\n    means: "13"', 'printed: "16"', "section4.1"),
        ("section4-2", 'filters: "64"', 'filters: "65"', "section4.2"),
        ("training", 'batch_size: "128"', 'batch_size: "64"', "section4.2"),
    ],
)
def test_another_number_differs(
    file: str, old: str, new: str, table: str, cli: Callable, project: Path
) -> None:
    own = project / f"specs/paper/{file}.yaml"
    own.parent.mkdir(parents=True)
    shipped = (ROOT / f"specs/paper/{file}.yaml").read_text()
    assert old in shipped
    own.write_text(shipped.replace(old, new))
    code, out, _ = cli("paper", table)
    assert code == 1 and "differs" in out


# ---- What a person sees --------------------------------------------------------------------------


def test_the_readme_counts_what_the_ledger_says() -> None:
    (found,) = re.findall(f"{readme.BEGIN}.*{readme.END}", (ROOT / "README.md").read_text(), re.S)
    assert found == readme.block(ledger()[0])


def test_its_commands_are_of_what_there_is(rows: list[Row]) -> None:
    commands = {row["command"] for row in rows} - {""}
    assert commands
    for command in commands:
        found = re.fullmatch(r"resnet-gen (reproduce|diff|train) (\w+)( .*)?", command)
        assert found, command
        assert found[2] in (experiment_files() if found[1] == "reproduce" else [*NAMES, *DETECTORS])


@pytest.mark.parametrize("table", ["1", "table2", "Table 6", "9", "text", "abstract"])
def test_a_table_shows_every_number(table: str, rows: list[Row], cli: Callable) -> None:
    code, out, err = cli("paper", table)
    assert code == 0 and err == "" and "\x1b" not in out
    name = f"table{table}" if table.isdigit() else table.lower().replace(" ", "")
    places = {r["place"]: r["place"].lower().replace(" ", "") for r in rows}
    chosen = [
        row
        for row in rows
        if places[row["place"]] == name or (name == "text" and "Table" not in row["place"])
    ]
    words = " ".join(out.split())
    assert chosen and all(row["status"] in words or row["verdict"] in words for row in chosen)
    if name not in ("table1", "text"):  # whose long cells are folded
        assert all(row["printed"] in words for row in chosen)


def test_the_overview_and_what_is_left_out(rows: list[Row], cli: Callable) -> None:
    code, out, _ = cli("paper")
    assert code == 0 and f" {len(rows)} " in out.replace("\n", " ")
    assert "table10 and table11" in out and "20 classes" in out
    document = json.loads(cli("paper", "--json").out)
    assert sum(document["counts"].values()) == len(document["rows"]) == len(rows)
    assert {"table10", "table11", "text"} == document["left_out"].keys()
    keys = ["place", "row", "column", "printed", "status", "verdict", "value", "how", "command"]
    assert all(list(row) == keys for row in document["rows"])


def test_mistakes(cli: Callable, project: Path) -> None:
    code, out, err = cli("paper", "tabel6")
    assert code == 2 and out == "" and "did you mean `table6`?" in err
    code, out, _ = cli("paper", "table99", "--json")
    assert code == 2 and json.loads(out)["errors"]
    assert cli("paper", "--results", "nowhere").code == 2


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("text", "row: ResNet-101, column", "row: ResNet-11, column", "did you mean `ResNet-101`?"),
        ("text", "network: plain110", "network: plan110", "did you mean `plain110`?"),
        ("text", "within: [layer1.1.]", "within: [layer9.1.]", "layer9.1 has no multiply_adds"),
        ("text", "printed: 8×", "printed: eight", "has no digits"),
        ("table1", '34-layer: "3.6', '34-layr: "3.6', "`34-layr` is no column"),
        ("table7", "07+12 → VOC 07 test: ", "07 → VOC 07 test: ", "which is no column"),
    ],
)
def test_a_wrong_copy_is_told(
    file: str, old: str, new: str, said: str, cli: Callable, project: Path
) -> None:
    own = project / f"specs/paper/{file}.yaml"
    own.parent.mkdir(parents=True)
    shipped = (ROOT / f"specs/paper/{file}.yaml").read_text()
    assert old in shipped
    own.write_text(shipped.replace(old, new))
    code, out, err = cli("paper")
    assert code == 2 and out == "" and said in err and f"specs/paper/{file}.yaml" in err


def test_torch_is_not_needed() -> None:
    code = "import sys; from resnet_gen.cli.main import main; sys.argv = ['resnet-gen', 'paper']\n"
    code += "try: main()\nfinally: print('torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "False\n"
