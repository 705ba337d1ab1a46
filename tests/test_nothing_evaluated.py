"""No file that somebody hands over becomes code: no eval, no pickles, no YAML objects."""

from __future__ import annotations

import ast

import pytest

from conftest import ROOT

ALLOWED = {  # by file, what is used there, and why
    "resnet_gen/weights/pickles.py": "import of pickle",  # its Unpickler runs nothing
    "resnet_gen/weights/reading.py": "the name pickle",  # of a kind of file
    "resnet_gen/weights/writing.py": "import of pickle",  # writes detectron2's and Caffe2's files
    "resnet_gen/export/pt2_file.py": "torch.load without weights_only=True",  # what it just made
}
CALLS = {"eval", "exec", "__import__"}
MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
MODULES |= {"yaml", "jsonpickle", "code", "codeop"}


def evaluated(source: str) -> list[str]:
    """What of a file turns data into code, or could, by its lines."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            if {"load", "unsafe_load", "eval", "exec"} & {alias.name for alias in node.names}:
                names += ["yaml"] if node.module in ("torch", "torch.serialization") else []
        if MODULES & {name.split(".")[0] for name in names}:
            found.append(f"{node.lineno}: import of {', '.join(names)}")
        if isinstance(node, ast.Name) and node.id in CALLS:
            found.append(f"{node.lineno}: {node.id}")
        if isinstance(node, ast.Attribute) and f"{_owner(node)}.{node.attr}" == "builtins.eval":
            found.append(f"{node.lineno}: builtins.eval")
        if isinstance(node, ast.Constant) and node.value in MODULES - {"code"}:
            found.append(f"{node.lineno}: the name {node.value}")  # of importlib.import_module
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found += _call(node, node.func)
    return found


def _call(node: ast.Call, function: ast.Attribute) -> list[str]:
    owner, given = _owner(function), {word.arg: ast.unparse(word.value) for word in node.keywords}
    if (
        owner.startswith("torch")
        and function.attr == "load"
        and given.get("weights_only") != "True"
    ):
        return [f"{node.lineno}: torch.load without weights_only=True"]
    if function.attr == "load" and owner in ("np", "numpy") and "allow_pickle" in given:
        return [f"{node.lineno}: numpy.load with pickles"]
    return [f"{node.lineno}: builtins.{function.attr}"] if owner == "builtins" else []


def _owner(function: ast.Attribute) -> str:
    return ast.unparse(function.value)


@pytest.mark.parametrize(
    "line",
    [
        *("eval('1')", "exec('x = 1')", "run = eval", "import pickle", "from pickle import loads"),
        *("import marshal", "import shelve as s", "import yaml", "from yaml import load"),
        *("torch.load(path)", "torch.load(path, weights_only=False)", "from torch import load"),
        *("builtins.exec('1')", "importlib.import_module('pickle')"),
    ],
)
def test_it_is_seen(line: str) -> None:
    assert evaluated(f"def function():\n    {line}\n")


def test_what_is_no_danger_is_not() -> None:
    assert not evaluated("model.eval()\ntorch.load(path, weights_only=True)\njson.load(file)\n")


def test_nothing_that_is_read_becomes_code() -> None:
    """The package, the templates that are Python, and what the others print."""
    folders = ("resnet_gen", "templates", "generated")
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(paths) > 200
    found = {}
    for path in paths:
        name = path.relative_to(ROOT).as_posix()
        uses = evaluated(path.read_text("utf-8"))
        found[name] = sorted({use.split(": ", 1)[1] for use in uses})
    assert {name: lines for name, lines in found.items() if lines} == {
        name: [use] for name, use in ALLOWED.items()
    }


def test_pickles_are_written_and_not_read() -> None:
    tree = ast.parse((ROOT / "resnet_gen/weights/writing.py").read_text("utf-8"))
    uses = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {use for use in uses if use.startswith("pickle.")} == {"pickle.dump"}


def test_yaml_is_read_without_objects() -> None:
    """ruamel.yaml's safe loader, in Python: each place that makes one says so."""
    calls = []
    for path in sorted((ROOT / "resnet_gen").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "YAML":
                calls.append((path.name, {w.arg: ast.unparse(w.value) for w in node.keywords}))
    reading = [given for name, given in calls if name == "yaml_source.py"]
    assert reading == [{"typ": "'safe'", "pure": "True"}]
    assert {name for name, _ in calls} == {"yaml_source.py", "showing.py"}  # which writes
