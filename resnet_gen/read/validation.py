"""A file and a model in, a validated object out, or every problem at its line and column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from resnet_gen.errors import Failure, Problem, did_you_mean, quoted
from resnet_gen.read.yaml_source import Document, KeyPath, parse, read_text

Model = TypeVar("Model", bound=BaseModel)

WANTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a word or text",
    "list": "a list",
    "model": "a mapping",
    "dict": "a mapping",
}


def read_document(path: Path, label: str) -> Document:
    """The parsed file: a mapping, with the problems of its YAML.

    Raises:
        Failure: it cannot be read, is no YAML, is empty, or is not a mapping.
    """
    document = parse(read_text(path, label), label)
    if document.data is None and not document.problems:
        hint = "a network needs name, design, depth and shortcut"
        raise Failure(Problem("empty", "the file is empty", hint, label))
    if not isinstance(document.data, dict):
        message = f"{quoted(document.data)} stands where a mapping belongs"
        hint = "write `key: value`, one a line"
        found = document.problem(document.values.get(()), "type", message, hint)
        raise Failure([*document.problems, found])
    return document


def read_model(path: Path, label: str, model: type[Model], what: str) -> Model:
    """The file as `model`; `what` names it to a person: "a recipe".

    Raises:
        Failure: with every problem of the file (exit code 2).
    """
    document = read_document(path, label)
    made, problems = validate(document, model, what)
    if made is None or problems:
        raise Failure(problems)
    return made


def validate(
    document: Document, model: type[Model], what: str, elsewhere: Mapping[str, str] = {}
) -> tuple[Model | None, list[Problem]]:
    """The model, and all problems of the document in the order of its lines.

    `elsewhere` maps keys that do not belong here to where they do.
    """
    problems, made = list(document.problems), None
    try:
        made = model.model_validate(document.data)
    except ValidationError as error:
        places = {(p.line, p.column) for p in problems}
        misspelt = {
            did_you_mean(d["loc"][-1], _fields(model, d["loc"][:-1]))
            for d in error.errors()
            if d["type"] == "extra_forbidden"
        }
        for detail in error.errors():
            if detail["type"] == "missing" and f"did you mean `{detail['loc'][-1]}`?" in misspelt:
                continue
            problem = _problem(document, model, detail, what, elsewhere)
            if (problem.line, problem.column) not in places or detail["type"] == "missing":
                problems.append(problem)
    return made, sorted(problems, key=lambda p: (p.line, p.column))


def _problem(
    document: Document,
    model: type[BaseModel],
    detail: ErrorDetails,
    what: str,
    elsewhere: Mapping[str, str],
) -> Problem:
    path: KeyPath = detail["loc"]
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    place = document.values.get(path)
    if kind == "missing":
        owner = document.values.get(path[:-1])
        description = _fields(model, path[:-1])[key].description or ""
        return document.problem(owner, "missing-key", f"`{key}` is missing", description)
    if kind == "extra_forbidden":
        known = _fields(model, path[:-1])
        owners = [part for part in path[:-1] if isinstance(part, str)]  # `rows`, not its row 0
        owner_name = f"`{owners[-1]}`" if owners else what
        hint = elsewhere.get(key) or did_you_mean(key, known)
        message = f"`{key}` is not a key of {owner_name}"
        return document.problem(document.keys.get(path), "unknown-key", message, hint)
    if "hint" in context:
        return document.problem(place, kind, context["message"], context["hint"])
    message, hint = _value_problem(kind, value, context)
    message = f"`{key}` has no value" if value is None else message
    return document.problem(place, key, message, hint)


def _value_problem(kind: str, value: Any, context: dict[str, Any]) -> tuple[str, str]:
    shown = quoted(value)
    if kind == "literal_error":
        choices = [word.strip(" '") for word in context["expected"].replace(" or ", ",").split(",")]
        return f"{shown} is not one of {', '.join(choices)}", did_you_mean(value, choices)
    bounds = {
        "greater_than_equal": ("ge", "too small: at least"),
        "greater_than": ("gt", "too small: more than"),
        "less_than_equal": ("le", "too large: at most"),
        "less_than": ("lt", "too large: less than"),
    }
    if kind in bounds:
        bound, words = bounds[kind]
        return f"{shown} is {words} {context[bound]}", ""
    if kind in ("too_short", "too_long"):
        wanted = context.get("min_length", context.get("max_length"))
        return f"{context['actual_length']} numbers where {wanted} belong", ""
    if kind == "int_parsing_size":
        return f"{shown} is too large", ""
    wanted = WANTED.get(kind.split("_", maxsplit=1)[0], "something else")
    if kind == "finite_number" or (isinstance(value, float) and not math.isfinite(value)):
        return f"{shown} is not a number to work with", f"write {wanted}"
    hint = f"write {wanted}"
    if isinstance(value, str) and value.strip().lstrip("+-").isdigit() and "int" in kind:
        hint = f"write {value.strip()} without quotes"
    elif isinstance(value, float) and value.is_integer() and "int" in kind:
        hint = f"write {int(value)}"
    return f"{shown} is not {wanted}", hint


def _fields(model: type[BaseModel], path: KeyPath) -> dict[str, Any]:
    """The fields of the model that stands at `path`, through fields, lists and mappings."""
    here: Any = model
    for part in path:
        here = here.model_fields[str(part)].annotation if _is_model(here) else get_args(here)[-1]
        while get_origin(here) in (Annotated, Union, UnionType):  # `Warmup | None` is a Warmup
            here = get_args(here)[0]
    return dict(here.model_fields) if _is_model(here) else {}


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
