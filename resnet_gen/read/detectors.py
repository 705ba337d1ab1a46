"""A detector's name or path turned into its validated spec, its recipe and its backbone.

Detectors stand in specs/detection/, apart from the classifiers that they are made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_gen.errors import Failure, Problem, did_you_mean, quoted
from resnet_gen.read import library
from resnet_gen.read.detector_recipe import (
    DETECTION,
    LOCALIZATION,
    DetectionRecipe,
    LocalizationRecipe,
)
from resnet_gen.read.detector_spec import FasterRcnnSpec, LocalizerSpec
from resnet_gen.read.folders import detector_files
from resnet_gen.read.library import Entry, label_of
from resnet_gen.read.network_spec import ImagenetSpec, canonical, sha256_of
from resnet_gen.read.recipes import detection_training_of, localization_training_of
from resnet_gen.read.validation import read_document, validate
from resnet_gen.read.yaml_source import Document

NOT_OF_WEIGHTS = {"name", "training", "testing", "proposals"}


@dataclass(frozen=True)
class OnBackbone:
    """A detector or a localizer: its spec, its recipe, its backbone, and where it was read."""

    spec: FasterRcnnSpec | LocalizerSpec
    recipe: DetectionRecipe | LocalizationRecipe
    backbone: Entry
    backbone_spec: ImagenetSpec  # the backbone's, which is of Table 1's design
    label: str  # the spec's path as headers print it: specs/detection/faster_rcnn_resnet101.yaml

    @property
    def name(self) -> str:
        """Its name."""
        return self.spec.name

    @property
    def folder(self) -> Path:
        """The folder of its code, below the output folder."""
        return Path(self.spec.family, self.spec.name)

    @property
    def canonical(self) -> dict[str, Any]:
        """The spec with every default, its backbone and its recipe written out."""
        written = self.spec.model_dump(mode="json", exclude={"training"})
        written["backbone"] = canonical(self.backbone.spec, None)
        return written | {"training": self.recipe.model_dump(mode="json")}

    @property
    def sha256(self) -> str:
        """Hash of the canonical spec."""
        return sha256_of(self.canonical)

    @property
    def network_sha256(self) -> str:
        """Hash of what its weights are of: how it is trained and tested does not matter."""
        written = self.canonical
        for key in NOT_OF_WEIGHTS & written.keys():
            del written[key]
        del written["backbone"]["name"]
        return sha256_of(written)


@dataclass(frozen=True)
class DetectorEntry(OnBackbone):
    """One detector."""

    spec: FasterRcnnSpec
    recipe: DetectionRecipe


@dataclass(frozen=True)
class LocalizerEntry(OnBackbone):
    """One localizer."""

    spec: LocalizerSpec
    recipe: LocalizationRecipe


def read_detector(path: Path) -> DetectorEntry | LocalizerEntry:
    """One spec with its recipe and its backbone.

    Raises:
        Failure: with every problem of the file (exit code 2).
    """
    document = read_document(path, path.as_posix())
    design = document.data.get("design", DETECTION)
    if design == LOCALIZATION:
        spec, problems = validate(document, LocalizerSpec, "a localizer")
        recipe, found = localization_training_of(document)
        whole, backbone = _with_backbone(document, spec, [*problems, *found])
        if spec and recipe and backbone and not whole:
            return LocalizerEntry(spec, recipe, *backbone, label_of(path))
    else:
        of_detector, problems = validate(document, FasterRcnnSpec, "a detector")
        trained, found = detection_training_of(document)
        whole, backbone = _with_backbone(document, of_detector, [*problems, *found])
        if of_detector and trained and backbone and not whole:
            return DetectorEntry(of_detector, trained, *backbone, label_of(path))
    raise Failure(sorted(whole, key=lambda p: (p.line, p.column)))


def _with_backbone(
    document: Document, spec: FasterRcnnSpec | LocalizerSpec | None, problems: list[Problem]
) -> tuple[list[Problem], tuple[Entry, ImagenetSpec] | None]:
    """All problems, each once, with those of the backbone; and the backbone."""
    backbone = None
    if isinstance(document.data.get("backbone"), str):
        try:
            backbone = _backbone(document, spec)
        except Failure as failure:
            problems = [*problems, *failure.problems]
    return [*dict.fromkeys(problems)], backbone


def _backbone(
    document: Document, spec: FasterRcnnSpec | LocalizerSpec | None
) -> tuple[Entry, ImagenetSpec]:
    """The network that the spec names, and its spec.

    Raises:
        Failure: there is none, or no detector can be made of it.
    """
    name, place = document.data["backbone"], document.values.get(("backbone",))
    try:
        entry = library.network(name)
    except Failure as failure:
        if any(problem.file for problem in failure.problems):
            raise
        first = failure.problems[0]
        raise Failure(document.problem(place, "backbone", first.message, first.hint)) from None
    made = entry.spec
    if not isinstance(made, ImagenetSpec):
        message = f"{quoted(name)} is of the {made.design} design, and has no conv5_x"
        hint = "a network of Table 1's design, such as resnet101_b"
        raise Failure(document.problem(place, "backbone", message, hint))
    if made.image_channels != 3:
        message = f"{quoted(name)} takes images of {made.image_channels} channels, not colour"
        raise Failure(document.problem(place, "backbone", message, "image_channels: 3"))
    if isinstance(spec, FasterRcnnSpec) and spec.roi.size == 7 and made.shortcut == "A":
        message = f"the shortcuts of {quoted(name)} stride without a layer: option A subsamples"
        hint = "write `roi: {size: 14}`, or take a backbone with option B"
        raise Failure(document.problem(place, "backbone", message, hint))
    return entry, made


def all_detectors() -> list[DetectorEntry | LocalizerEntry]:
    """Every detector and localizer of the specs folders, in the order of their files.

    Raises:
        Failure: with all problems of all files.
    """
    entries, problems = [], []
    for path in detector_files().values():
        try:
            entries.append(read_detector(path))
        except Failure as failure:
            problems += failure.problems
    if problems:
        raise Failure(problems)
    return entries


def detector(name: str) -> DetectorEntry | LocalizerEntry:
    """The detector or localizer called `name`, of specs/detection/NAME.yaml.

    Raises:
        Failure: there is none, or its spec is wrong.
    """
    files = detector_files()
    if name not in files:
        message = f"there is no detector called {quoted(name)}"
        raise Failure(Problem("name", message, did_you_mean(name, files)))
    return read_detector(files[name])
