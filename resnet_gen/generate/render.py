"""Entries in, the text of their files out: Jinja prints, ruff lints and formats."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from ruff import find_ruff_bin  # type: ignore[import-untyped]

from resnet_gen.errors import Failure, Problem
from resnet_gen.generate import header
from resnet_gen.generate.detection_train_view import detection_train_view
from resnet_gen.generate.detector_view import detector_view, testing_view
from resnet_gen.generate.hub_view import hub_view
from resnet_gen.generate.imagenet_train_view import imagenet_train_view
from resnet_gen.generate.localizer_view import localization_train_view, localizer_view
from resnet_gen.generate.model_view import model_view
from resnet_gen.generate.train_view import train_view
from resnet_gen.generate.vgg_view import vgg_view
from resnet_gen.network.expansion import expand
from resnet_gen.read.all_specs import AnyEntry
from resnet_gen.read.detectors import DetectorEntry, LocalizerEntry, OnBackbone
from resnet_gen.read.folders import folders
from resnet_gen.read.library import Entry
from resnet_gen.read.network_spec import VggSpec
from resnet_gen.read.recipe import ImagenetRecipe

HUB = Path("hubconf.py")  # torch.hub's name for it; it lies beside the families' folders
# The same bytes in every network's folder.
SHARED = ("folder", "run", "flags", "checkpoint", "weights", "predict", "distributed")
OF_DESIGN = {
    "cifar": ("cifar/data.py", "cifar/fast_step.py"),
    "imagenet": ("imagenet/data.py", "imagenet/evaluate.py", "shared/workers.py"),
    "faster_rcnn": (
        *("detection/annotations.py", "detection/backbone.py", "detection/data.py"),
        *("detection/evaluate.py", "detection/measures.py", "shared/workers.py"),
    ),
    "localizer": (
        *("detection/annotations.py", "detection/backbone.py", "localization/locating.py"),
        *("localization/pictures.py", "shared/workers.py"),
    ),
}
OF_SOME_SPECS = ("model", "detector", "testing", "alternating", "localizer")
SIBLINGS = sorted(
    {*OF_SOME_SPECS, *SHARED, *(Path(name).stem for names in OF_DESIGN.values() for name in names)}
)
ISOLATED = ["--isolated", "--quiet", "--no-cache", "--target-version", "py311"]
RULES = ["--select", "E,F,I,UP,B", "--ignore", "E501"]
LINE_LENGTH = ["--line-length", "100"]
FIRST_PARTY = ["--config", f"lint.isort.known-first-party={SIBLINGS}"]


class Rendered(NamedTuple):
    """A generated file."""

    header: str
    text: str  # without the header


def environment() -> Environment:
    """The templates: the user's own first, then the package's."""
    return Environment(
        loader=FileSystemLoader(folders("templates")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (what is printed is Python)
    )


def render(entries: Sequence[AnyEntry], *, hub: bool = False) -> dict[Path, Rendered]:
    """Each file below the output folder; with `hub`, also the one that leads to all networks.

    Raises:
        Failure: a template of the user's own (exit code 2) or of ours (3) prints no clean Python.
    """
    templates = environment()
    raw: dict[Path, str] = {}
    header_of: dict[Path, Callable[[str], str]] = {}
    try:
        for entry in entries:
            for name, text in _of_spec(templates, entry).items():
                raw[entry.folder / name] = text
                header_of[entry.folder / name] = partial(header.of_network, entry)
            if isinstance(entry, OnBackbone):  # the backbone's model.py, its header included
                path, backbone = entry.folder / "model.py", entry.backbone
                raw[path] = _of_network(templates, backbone)["model.py"]
                header_of[path] = partial(header.of_network, backbone)
            for name, source in _plain_files(entry).items():
                text = templates.loader.get_source(templates, source)[0]  # type: ignore[union-attr]
                raw[entry.folder / name] = text
                header_of[entry.folder / name] = header.of_design
        networks = [entry for entry in entries if isinstance(entry, Entry)]
        if hub and networks:
            template = templates.get_template(f"{HUB}.jinja")
            raw[HUB] = template.render(asdict(hub_view(networks)))
            header_of[HUB] = partial(header.of_networks, networks)
    except (TemplateError, ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise _broken(f"{type(error).__name__}: {error}") from None
    return {path: Rendered(header_of[path](text), text) for path, text in clean(raw).items()}


def _of_network(templates: Environment, entry: Entry) -> dict[str, str]:
    """What is printed for one network alone: model.py, and train.py where there is a recipe."""
    spec, design, network = entry.spec, entry.spec.design, expand(entry.spec)
    model = templates.get_template(f"{design}/model.py.jinja")
    seen = vgg_view(network, spec) if isinstance(spec, VggSpec) else model_view(network, spec)
    files = {"model.py": model.render(asdict(seen))}
    if entry.recipe is not None:
        train = templates.get_template(f"{design}/train.py.jinja")
        if isinstance(entry.recipe, ImagenetRecipe):
            view = asdict(imagenet_train_view(entry, entry.recipe))
        else:
            view = asdict(train_view(entry, entry.recipe))
        files["train.py"] = train.render(view)
    return files


def _of_spec(templates: Environment, entry: AnyEntry) -> dict[str, str]:
    """What is printed for one spec alone, besides the model.py of a backbone."""
    if isinstance(entry, DetectorEntry):
        return _of_detector(templates, entry)
    return (
        _of_localizer(templates, entry)
        if isinstance(entry, LocalizerEntry)
        else _of_network(templates, entry)
    )


def _of_localizer(templates: Environment, entry: LocalizerEntry) -> dict[str, str]:
    localizer = templates.get_template("localization/localizer.py.jinja")
    train = templates.get_template("localization/train.py.jinja")
    return {
        "localizer.py": localizer.render(asdict(localizer_view(entry))),
        "train.py": train.render(asdict(localization_train_view(entry))),
    }


def _of_detector(templates: Environment, entry: DetectorEntry) -> dict[str, str]:
    """What is printed for one detector alone, besides its backbone's model.py."""
    detector = templates.get_template("detection/detector.py.jinja")
    train = templates.get_template("detection/train.py.jinja")
    files = {
        "detector.py": detector.render(asdict(detector_view(entry))),
        "train.py": train.render(asdict(detection_train_view(entry))),
    }
    if entry.spec.testing.adds:
        testing = templates.get_template("detection/testing.py.jinja")
        files["testing.py"] = testing.render(asdict(testing_view(entry.spec)))
    return files


def _plain_files(entry: AnyEntry) -> dict[str, str]:
    """The files that train.py imports, each with its place below templates/: plain Python."""
    if entry.recipe is None:
        return {}
    files = {f"{name}.py": f"shared/{name}.py" for name in SHARED}
    if isinstance(entry, OnBackbone):
        del files["predict.py"]  # which names classes of whole images
    if isinstance(entry, DetectorEntry) and entry.recipe.steps == "alternating":
        files["alternating.py"] = "detection/alternating.py"
    return files | {Path(source).name: source for source in OF_DESIGN[entry.spec.design]}


def clean(texts: dict[Path, str]) -> dict[Path, str]:
    """The texts as ruff formats them, all in one process, by this package's own rules alone.

    Raises:
        Failure: one is no Python, or breaks a lint rule.
    """
    with tempfile.TemporaryDirectory() as folder:
        for path, text in texts.items():
            target = Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        for command in (
            ["check", *ISOLATED, *RULES, *LINE_LENGTH, *FIRST_PARTY, "--output-format", "concise"],
            ["format", *ISOLATED, *LINE_LENGTH],
        ):
            done = subprocess.run(
                [find_ruff_bin(), *command, "."],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                lines = (done.stdout + done.stderr).strip().splitlines()
                raise _broken("; ".join(lines[:3]))
        return {path: Path(folder, path).read_text(encoding="utf-8") for path in texts}


def _broken(message: str) -> Failure:
    own = len(folders("templates")) > 1
    hint = "look at the templates/ folder here" if own else "this is a bug in resnet-gen"
    return Failure(Problem("template", message, hint), exit_code=2 if own else 3)
