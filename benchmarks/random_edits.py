"""Random edits of a Python file, as a slip of the keyboard or a half-remembered API makes them.

Each edit changes the syntax tree in one place: a number, an operator, an argument, a name, a line,
or a call around an expression. Docstrings and what stands below `if __name__` are left alone.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

WRAPPERS = [  # around a tensor: those that change it, and those that do not
    *("F.relu({})", "torch.tanh({})", "-{}", "2 * {}", "{}.abs()", "{}.detach()", "{}.flip(1)"),
    *("{}.roll(1, 0)", "{}.transpose(-1, -2)", "{}.clone()", "{}.contiguous()", "{} + 0"),
    *(
        "{} * 1.0",
        "F.dropout({}, 0.5, self.training)",
        "{}.mean(0, keepdim=True)",
        "{}.half().float()",
    ),
    *("{}.flip(-1)", "F.leaky_relu({})", "{}.clamp(max=1.0)", "torch.zeros_like({})"),
]
KEYWORDS = {  # arguments that a call may be given, with values that change something or nothing
    "Conv2d": ["stride=2", "padding=0", "padding=2", "dilation=2", "groups=2", "bias=True",
               "padding_mode='reflect'", "padding_mode='circular'"],
    "BatchNorm2d": ["eps=1e-3", "momentum=0.01", "affine=False", "track_running_stats=False",
                    "momentum=0.1", "eps=1e-5"],
    "Linear": ["bias=False", "bias=True"],
    "MaxPool2d": ["ceil_mode=True", "dilation=2", "padding=0"],
    "relu": ["inplace=True"],
    "pad": ["value=1.0", "mode='constant'"],
    "kaiming_normal_": ["a=1.0", "mode='fan_in'", "nonlinearity='leaky_relu'"],
    "mean": ["keepdim=True"],
}  # fmt: skip
OPERATORS: list[type[ast.operator]] = [ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Div]
COMPARISONS: list[type[ast.cmpop]] = [ast.Eq, ast.NotEq, ast.Lt, ast.Gt, ast.LtE, ast.GtE]


class Edit(NamedTuple):
    """An edited file: what kind of edit it is, which one, and the text."""

    kind: str
    what: str
    text: str


def edits(source: str, generator: random.Random) -> Iterator[Edit]:
    """Edits without end, each of the file as it was; all kinds are as likely."""
    kinds = list(KINDS)
    while True:
        kind = generator.choice(kinds)
        tree = ast.parse(source)
        what = KINDS[kind](_body(tree), generator)
        if what is None:
            continue
        text = ast.unparse(ast.fix_missing_locations(tree))
        if text != ast.unparse(ast.parse(source)):
            yield Edit(kind, what, text)


def _body(tree: ast.Module) -> list[ast.AST]:
    """Every node that may be edited."""
    kept = [n for n in tree.body if not isinstance(n, (ast.If, ast.Import, ast.ImportFrom))]
    kept = [n for n in kept if not (isinstance(n, ast.Assign) and ast.unparse(n).startswith("__"))]
    nodes = []
    for top in kept:
        for node in ast.walk(top):
            inside_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if not inside_docstring and not _is_annotation(node):
                nodes.append(node)
    documented = {
        id(n.body[0].value)
        for n in ast.walk(tree)
        if isinstance(n, (ast.Module, ast.FunctionDef, ast.ClassDef))
        and isinstance(n.body[0], ast.Expr)
    }
    return [node for node in nodes if id(node) not in documented]


def _is_annotation(node: ast.AST) -> bool:
    return isinstance(node, (ast.arg, ast.Module)) or (
        isinstance(node, ast.Name) and node.id in ("int", "Tensor", "None", "bool")
    )


def _choose(nodes: list[ast.AST], generator: random.Random, *kinds: type) -> ast.AST | None:
    fitting = [node for node in nodes if isinstance(node, kinds)]
    return generator.choice(fitting) if fitting else None


def _number(nodes: list[ast.AST], generator: random.Random) -> str | None:
    numbers = [
        n for n in nodes
        if isinstance(n, ast.Constant) and isinstance(n.value, (int, float))
    ]  # fmt: skip
    if not numbers:
        return None
    node = generator.choice(numbers)
    before = node.value
    if isinstance(before, bool):
        node.value = not before
    else:
        assert isinstance(before, (int, float))
        node.value = generator.choice([before + 1, before - 1, 2 * before, 0, 1, -before])
    return f"{before} → {node.value}"


def _operator(nodes: list[ast.AST], generator: random.Random) -> str | None:
    node = _choose(nodes, generator, ast.BinOp, ast.Compare, ast.BoolOp, ast.IfExp)
    before = ast.unparse(node) if node else ""
    if isinstance(node, ast.BinOp):
        node.op = generator.choice(OPERATORS)()
    elif isinstance(node, ast.Compare):
        node.ops = [generator.choice(COMPARISONS)()]
    elif isinstance(node, ast.BoolOp):
        node.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
    elif isinstance(node, ast.IfExp):
        node.body, node.orelse = node.orelse, node.body
    return f"{before} → {ast.unparse(node)}" if node else None


def _argument(nodes: list[ast.AST], generator: random.Random) -> str | None:
    node = _choose(nodes, generator, ast.Call)
    if not isinstance(node, ast.Call):
        return None
    before, name = ast.unparse(node), ast.unparse(node.func).rpartition(".")[2]
    how = generator.choice(["drop", "swap", "add", "add"])
    if how == "add" and name in KEYWORDS:
        given = generator.choice(KEYWORDS[name])
        call = ast.parse(f"f({given})", mode="eval").body
        assert isinstance(call, ast.Call)
        new = call.keywords[0]
        node.keywords = [k for k in node.keywords if k.arg != new.arg] + [new]
    elif how == "swap" and len(node.args) > 1:
        one, other = generator.sample(range(len(node.args)), 2)
        node.args[one], node.args[other] = node.args[other], node.args[one]
    elif how == "drop" and (node.args or node.keywords):
        everything: list[ast.AST] = [*node.args, *node.keywords]
        gone = generator.choice(everything)
        node.args = [a for a in node.args if a is not gone]
        node.keywords = [k for k in node.keywords if k is not gone]
    else:
        return None
    return f"{before} → {ast.unparse(node)}"


def _name(nodes: list[ast.AST], generator: random.Random) -> str | None:
    """Another name of the same file: `bn1` for `bn2`, `x` for `out`, `fan_in` for `fan_out`."""
    kind = generator.choice([ast.Name, ast.Attribute, ast.Constant])
    field = {ast.Name: "id", ast.Attribute: "attr", ast.Constant: "value"}[kind]
    fitting = [n for n in nodes if isinstance(n, kind) and isinstance(getattr(n, field), str)]
    if not fitting:
        return None
    node = generator.choice(fitting)
    before = getattr(node, field)
    others = sorted({getattr(n, field) for n in fitting} - {before})
    if kind is ast.Constant:
        others += ["fan_in", "leaky_relu", "linear", "tanh"]
    if not others:
        return None
    setattr(node, field, generator.choice(others))
    return f"{before} → {getattr(node, field)}"


def _line(nodes: list[ast.AST], generator: random.Random) -> str | None:
    blocks = [
        n.body for n in nodes
        if isinstance(n, (ast.FunctionDef, ast.For, ast.If)) and len(n.body) > 1
    ]  # fmt: skip
    if not blocks:
        return None
    block = generator.choice(blocks)
    first = int(isinstance(block[0], ast.Expr) and isinstance(block[0].value, ast.Constant))
    places = list(range(first, len(block)))
    if len(places) < 2:
        return None
    place, how = generator.choice(places), generator.choice(["dropped", "doubled", "swapped"])
    text = ast.unparse(block[place])
    if how == "dropped":
        del block[place]
    elif how == "doubled":
        block.insert(place, copy.deepcopy(block[place]))
    else:
        other = generator.choice([p for p in places if p != place])
        block[place], block[other] = block[other], block[place]
    return f"{how}: {text}"


def _wrapper(nodes: list[ast.AST], generator: random.Random) -> str | None:
    """Around what is returned or assigned, an argument, or one side of a sum."""
    places: list[tuple[ast.AST, str, int | None]] = []
    methods = [n for n in nodes if isinstance(n, ast.FunctionDef) and n.name == "forward"]
    for node in (inner for method in methods for inner in ast.walk(method)):
        if isinstance(node, (ast.Return, ast.Assign)) and node.value is not None:
            places.append((node, "value", None))
        elif isinstance(node, ast.Call) and node.args:
            places.append((node, "args", generator.randrange(len(node.args))))
        elif isinstance(node, ast.BinOp):
            places.append((node, generator.choice(["left", "right"]), None))
    if not places:
        return None
    parent, field, index = generator.choice(places)
    holder = getattr(parent, field)
    inner = holder if index is None else holder[index]
    wrapper = generator.choice(WRAPPERS)
    text = wrapper.format(f"({ast.unparse(inner)})")
    outer = ast.parse(text, mode="eval").body
    if index is None:
        setattr(parent, field, outer)
    else:
        holder[index] = outer
    return text


KINDS: dict[str, Callable[[list[ast.AST], random.Random], str | None]] = {
    "number": _number,
    "operator": _operator,
    "argument": _argument,
    "name": _name,
    "line": _line,
    "call": _wrapper,
}
