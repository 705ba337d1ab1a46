"""`diff` of detectors and localizers: what is shipped is equal, and an edit of any file is told."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, folder
from resnet_gen.cli import main as command_line
from resnet_gen.compare.detector import (
    asking,
    comparing,
    describing,
    localizer_asking,
    localizer_comparing,
)
from resnet_gen.compare.rows import Row, Verdict
from resnet_gen.read.detectors import DetectorEntry, LocalizerEntry, detector, read_detector

ALL = "context: true\ntesting: {refine: true, scales: [96, 128, 160, 192, 224], region: 56}\n"
Capture = pytest.CaptureFixture[str]


def told(entry: DetectorEntry | LocalizerEntry, code: Path) -> list[Row]:
    """The rows of a comparison, asked in this process."""
    if isinstance(entry, DetectorEntry):
        answers = asking.ask(code / "detector.py", comparing.given(entry))
        assert "problem" not in answers, answers
        return comparing.rows(entry, describing.words(answers) | numbers(answers))
    answers = localizer_asking.ask(code / "localizer.py", {"classes": entry.spec.classes})
    assert "problem" not in answers, answers
    return localizer_comparing.rows(entry, localizer_comparing.words(answers) | numbers(answers))


def numbers(answers: Mapping[str, Any]) -> dict[str, str]:
    return {f"numbers.{key}": comparing.closeness(by) for key, by in answers["numbers"].items()}


def wrong(rows: list[Row]) -> set[str]:
    """The keys of the rows where the code is not what the spec says."""
    return {row.key for row in rows if row.right != row.spec}


@pytest.mark.parametrize(
    ("name", "count"), [("faster_rcnn_resnet101", 31), ("localizer_resnet101", 20)]
)
def test_the_papers_are_equal_in_every_row(name: str, count: int) -> None:
    rows = told(detector(name), folder(name))
    assert len(rows) == count and {row.verdict for row in rows} == {Verdict.EQUAL}
    paper = {row.key: row.left for row in rows if row.left}
    if name == "faster_rcnn_resnet101":  # as appendix A prints it
        assert paper["shared.convolutions"] == "91" and paper["proposals"] == "300"
        assert paper["recipe.iterations"] == "240k and 80k"
    else:
        assert paper["sampled"] == "8, 50% objects" and paper["recipe.images"] == "256"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small detector with every option, and the small localizer, generated elsewhere."""
    root = tmp_path_factory.mktemp("project")
    (root / "specs/detection").mkdir(parents=True)
    text = (ROOT / "specs/detection/faster_rcnn_small.yaml").read_text()
    (root / "specs/detection/whole.yaml").write_text(
        text.replace("faster_rcnn_small", "whole").replace("training:", f"{ALL}training:")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr("sys.argv", ["resnet-gen", "generate", "whole", "localizer_small"])
        with pytest.raises(SystemExit) as stop:
            command_line.main()
        assert not stop.value.code
    return root


EDITS = [
    ("detector", "STRIDE = 16 ", "STRIDE = 8 ", {"numbers.regions"}),
    ("detector", "        freeze_batch_norm(net)\n", "", {"batch_norm"}),
    ("detector", "maps, boxes, 7,", "maps, boxes, 8,", {"numbers.regions"}),
    ("detector", "list(mean), [1.0] * 3", "list(mean), [2.0] * 3", {"numbers.mean"}),
    ("detector", "nms_thresh=0.7", "nms_thresh=0.6", {"rpn.nms"}),
    ("detector", "fg_iou_thresh=0.7", "fg_iou_thresh=0.6", {"rpn"}),
    ("detector", "positive_fraction=0.25", "positive_fraction=0.5", {"regions"}),
    ("detector", "(10.0, 10.0, 5.0, 5.0)", "(1.0, 1.0, 1.0, 1.0)", {"siblings.deviations"}),
    ("detector", '"testing": 6_000', '"testing": 1_000', {"proposals.before"}),
    ("detector", "LONGER_SIDE = 267", "LONGER_SIDE = 300", {"longer_side"}),
    ("testing", "VOTERS = 0.5", "VOTERS = 0.6", {"refinement"}),
    ("testing", "votes = score * (box", "votes = 1.0 * (box", {"numbers.detections"}),
    ("testing", "torch.maximum(merged", "torch.minimum(merged", {"numbers.detections"}),
    ("testing", "argmax(dim=1) + 1", "argmin(dim=1) + 1", {"numbers.detections"}),
    ("testing", "SCORE, NMS = 0.05, 0.3", "SCORE, NMS = 0.05, 0.5", {"numbers.detections"}),
    ("testing", "REGION = 56", "REGION = 112", {"scales.region"}),
    ("train", "10**passed", "5**passed", {"recipe.learning_rates"}),
    ("train", "MILESTONES = (1_800,)", "MILESTONES = (1_900,)", {"recipe.iterations"}),
    ("train", "(step + 1) / WARMUP", "((step + 1) / WARMUP) ** 2", {"recipe.warmup"}),
    ("train", "MOMENTUM, weight_decay=WEIGHT", "0.8, weight_decay=WEIGHT", {"recipe.momentum"}),
    ("train", "FLIP = False", "FLIP = True", {"recipe.flip"}),
]


def edited(project: Path, tmp_path: Path, name: str, edit: tuple[str, str, str]) -> Path:
    """A copy of a generated folder with one line of one file changed."""
    code = tmp_path / "code"
    shutil.copytree(project / "generated/detection" / name, code)
    file, old, new = edit
    path = code / f"{file}.py"
    text = path.read_text()
    assert text.count(old) == 1, path.name
    path.write_text(text.replace(old, new))
    return code


@pytest.mark.parametrize(
    ("file", "old", "new", "keys"), EDITS, ids=[f"{file}-{new}" for file, _, new, _ in EDITS]
)
def test_an_edit_of_a_detector_is_told(
    project: Path, tmp_path: Path, file: str, old: str, new: str, keys: set[str]
) -> None:
    entry = read_detector(project / "specs/detection/whole.yaml")
    code = edited(project, tmp_path, "whole", (file, old, new))
    assert wrong(told(entry, code)) >= keys


OF_LOCALIZER = [
    ("localizer", "SAMPLED = 8", "SAMPLED = 16", {"sampled"}),
    ("localizer", "FILTERS = 48", "FILTERS = 64", {"parameters"}),
    ("localizer", "self.maps(regions).mean(dim=(2, 3))", "self.maps(regions).amax(dim=(2, 3))",
     {"numbers.regions"}),
    ("localizer", 'x = F.relu(x) if name == "bn1" else x', "x = F.relu(x)", {"numbers.maps"}),
    ("train", "rng.randint(*SHORTER_SIDE)", "SHORTER_SIDE[0]", {"recipe.sides"}),
    ("train", "10**passed", "2**passed", {"recipe.learning_rates"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "old", "new", "keys"), OF_LOCALIZER, ids=[f"{e[0]}-{e[2]}" for e in OF_LOCALIZER]
)
def test_an_edit_of_a_localizer_is_told(
    project: Path, tmp_path: Path, file: str, old: str, new: str, keys: set[str]
) -> None:
    code = edited(project, tmp_path, "localizer_small", (file, old, new))
    assert wrong(told(detector("localizer_small"), code)) >= keys


def test_what_is_generated_is_what_the_spec_says(project: Path) -> None:
    """With every option: the rows in which the edits above are told are equal without them."""
    entry = read_detector(project / "specs/detection/whole.yaml")
    assert not wrong(told(entry, project / "generated/detection/whole"))
    assert not wrong(
        told(detector("localizer_small"), project / "generated/detection/localizer_small")
    )


def test_the_command_names_the_spec_that_is_not_the_papers(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["resnet-gen", "diff", "faster_rcnn_small"])
    with pytest.raises(SystemExit) as stop:
        command_line.main()
    assert stop.value.code == 1
    shown = capsys.readouterr().out
    assert "proposals of a test: the spec sets proposals: 40; the paper has another value" in shown
    assert "24 equal, 7 differs" in shown


def test_broken_code_is_told_with_its_line(project: Path, tmp_path: Path) -> None:
    edit = ("detector", "from model import ResNet18Small", "from model import ResNet18Little")
    code = edited(project, tmp_path, "whole", edit)
    answers = asking.ask(code / "detector.py", {})
    assert "ResNet18Little" in answers["problem"]["message"] and answers["exit_code"] == 2
