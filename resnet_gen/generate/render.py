"""Entries in, the text of their files out: Jinja prints, ruff lints and formats."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from ruff import find_ruff_bin  # type: ignore[import-untyped]

from resnet_gen.errors import Failure, Problem
from resnet_gen.generate.imagenet_train_view import imagenet_train_view
from resnet_gen.generate.model_view import model_view
from resnet_gen.generate.train_view import train_view
from resnet_gen.network.expansion import expand
from resnet_gen.read.library import Entry, folders
from resnet_gen.read.recipe import ImagenetRecipe

ISOLATED = ["--isolated", "--quiet", "--no-cache", "--target-version", "py311"]
RULES = ["--select", "E,F,I,UP,B", "--ignore", "E501"]
LINE_LENGTH = ["--line-length", "100"]
OWN_MODEL = ["--config", "lint.isort.known-first-party=['model']"]


def environment() -> Environment:
    """The templates: the user's own first, then the package's."""
    return Environment(
        loader=FileSystemLoader(folders("templates")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render(entries: Iterable[Entry]) -> dict[Path, tuple[Entry, str]]:
    """Each file below the output folder: its entry and its text, without the header.

    Raises:
        Failure: a template of the user's own (exit code 2) or of ours (3) prints no clean Python.
    """
    templates = environment()
    raw: dict[Path, tuple[Entry, str]] = {}
    try:
        for entry in entries:
            model = templates.get_template(f"{entry.spec.design}/model.py.jinja")
            view = asdict(model_view(expand(entry.spec)))
            raw[entry.folder / "model.py"] = entry, model.render(view)
            if entry.recipe is not None:
                train = templates.get_template(f"{entry.spec.design}/train.py.jinja")
                if isinstance(entry.recipe, ImagenetRecipe):
                    view = asdict(imagenet_train_view(entry, entry.recipe))
                else:
                    view = asdict(train_view(entry, entry.recipe))
                raw[entry.folder / "train.py"] = entry, train.render(view)
    except (TemplateError, ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise _broken(f"{type(error).__name__}: {error}") from None
    texts = clean({path: text for path, (_, text) in raw.items()})
    return {path: (entry, texts[path]) for path, (entry, _) in raw.items()}


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
            ["check", *ISOLATED, *RULES, *LINE_LENGTH, *OWN_MODEL, "--output-format", "concise"],
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
