"""A detector's folder: which file imports which, what it has and what it is the same as."""

from __future__ import annotations

import re

import pytest

from conftest import DETECTORS, folder
from resnet_gen.read.detectors import DetectorEntry, detector
from test_rooms import imports

FASTER_RCNN = [name for name in DETECTORS if name.startswith("faster_rcnn")]
MAY_IMPORT = {
    "model": set(),
    "distributed": set(),
    "detector": {"model"},
    "alternating": {"detector"},
    "testing": {"detector"},
    "folder": {"distributed"},
    "checkpoint": {"distributed"},
    "flags": {"distributed"},
    "workers": {"distributed"},
    "measures": {"distributed"},
    "annotations": {"distributed", "folder"},
    "weights": {"distributed", "folder", "checkpoint"},
    "run": {"distributed", "checkpoint", "weights"},
    "data": {"distributed", "folder", "annotations", "workers"},
    "backbone": {"distributed", "folder", "checkpoint", "weights", "workers"},
    "evaluate": {"distributed", "folder", "annotations", "data", "measures", "weights"},
    "localizer": {"model"},
    "pictures": {"distributed", "folder", "annotations", "workers"},
    "locating": {"distributed", "checkpoint", "annotations", "localizer", "pictures"},
}
INSTALLED = {"torch", "torchvision", "PIL", "pycocotools"}


@pytest.mark.parametrize("name", DETECTORS)
def test_imports_go_one_way(name: str) -> None:
    paths = {path.stem: path for path in folder(name).glob("*.py")}
    train = imports(paths.pop("train"))
    assert train - paths.keys() <= INSTALLED
    by_others = {"checkpoint", "folder", "measures", "workers"}
    assert paths.keys() - train <= by_others
    for stem, path in paths.items():
        of_folder = imports(path) & (paths.keys() | {"train"})
        assert of_folder <= MAY_IMPORT[stem], stem
        assert imports(path) - of_folder <= INSTALLED, stem  # and not resnet_gen


@pytest.mark.parametrize("name", DETECTORS)
def test_the_backbone_is_the_classifiers_byte_for_byte(name: str) -> None:
    backbone = detector(name).backbone
    own = folder(name).parents[1] / backbone.folder / "model.py"
    assert (folder(name) / "model.py").read_bytes() == own.read_bytes()


@pytest.mark.parametrize("name", FASTER_RCNN)
def test_a_folder_has_only_what_its_detector_uses(name: str) -> None:
    entry = detector(name)
    assert isinstance(entry, DetectorEntry)
    spec, has = entry.spec, {path.stem for path in folder(name).glob("*.py")}
    assert ("testing" in has) == spec.testing.adds
    assert ("alternating" in has) == (entry.recipe.steps == "alternating")
    assert "predict" not in has and "fast_step" not in has
    text = (folder(name) / "detector.py").read_text()
    assert ("context" in text.lower()) == spec.context
    assert ("stride = (1, 1)" in text) == (spec.roi.size == 7)
    assert ("roi_pool" in text) == (spec.roi.kind == "pool")
    if spec.testing.adds:
        testing = (folder(name) / "testing.py").read_text()
        assert ("VOTERS" in testing) == spec.testing.refine
        assert ("SCALES" in testing) == (spec.testing.scales is not None)


@pytest.mark.parametrize("name", DETECTORS)
def test_lengths(name: str) -> None:
    """Aims: 115 lines of detector.py and what an option adds, and files of one page or two."""
    for path in folder(name).glob("*.py"):
        lines = len(path.read_text().splitlines())
        assert lines <= {"detector": 160, "train": 350}.get(path.stem, 350), path.name
        text = [line.partition("  # type: ignore")[0] for line in path.read_text().splitlines()]
        assert max(map(len, text[2:])) <= 100, path.name


def test_files_that_no_spec_changes_are_the_same_everywhere() -> None:
    of_one_detector = {"model", "detector", "localizer", "train", "testing"}
    contents: dict[str, set[str]] = {}
    for name in DETECTORS:
        for path in folder(name).glob("*.py"):
            contents.setdefault(path.stem, set()).add(path.read_text())
    assert {stem for stem, texts in contents.items() if len(texts) > 1} <= of_one_detector
    shared = {"distributed", "folder", "checkpoint", "flags", "run", "weights", "workers"}
    for stem in shared:
        classifiers = folder("resnet18_b") / f"{stem}.py"
        assert contents[stem] == {classifiers.read_text()}, stem


@pytest.mark.parametrize("name", DETECTORS)
def test_a_resumed_run_has_every_constant_of_its_recipe(name: str) -> None:
    text = (folder(name) / "train.py").read_text()
    block = text[text.index("# ---- The recipe ---") : text.index("SAME_ON_RESUME = (")]
    constants = set(re.findall(r"^([A-Z_]+) = ", block, re.M))
    same = text[text.index("SAME_ON_RESUME = (") :].partition("\n)\n")[0]
    assert constants - {"BATCH_SIZE", "LOSSES", "TEST_SIDES"} <= set(
        re.findall(r'"([A-Z_]+)"', same)
    )
