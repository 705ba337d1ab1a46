"""Files made wrong at random: their bytes, and the trees that they hold. Seeded: the same again."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

from ruamel.yaml import YAML

ODD = (
    *("", " ", "\x00", "\x1b[31m", "\u202e", "\ufeff", "\u2028", "\x85", "\U0001f9ff", "é", "\\"),
    *(
        "../../escape",
        "/etc/passwd",
        "~",
        "null",
        "no",
        "1e999",
        "0x1F",
        "0b2",
        "1_000",
        "2026-01-01",
    ),
    *(
        "a" * 300,
        "×" * 5000,
        "{{ 7 * 7 }}",
        "{% raw %}",
        "'''",
        '"""',
        "`",
        "#",
        "\n",
        "\r\n",
        "\t",
    ),
    *("con", "__init__", "import os", "ℵ", "ﬁ", "١٢", "²", "00", "-0", "=", "<<", "?", "::", "%s"),
)
NUMBERS = (
    *(0, 1, -1, 2, 3, 7, 10**6, 10**9, 2**31, 2**63, 10**30, 10**400, -(10**30)),
    *(0.0, -0.0, 0.5, 1e-300, 1e300, 5e-324, float("inf"), float("-inf"), float("nan")),
)
PIECES = (
    *(b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xfe\xff", b"\r", b"\r\n", b"\t", b"\n", b"\n\n---\n"),
    *(b"&a ", b"*a ", b"!!python/object:os.system ", b"!x ", b"%YAML 1.1\n---\n", b"%TAG ! x\n"),
    *(b"{", b"}", b"[", b"]", b": ", b"- ", b"? ", b"|", b">-\n", b"'", b'"', b"#", b"@", b"`"),
    *(b"\xc3\xa9", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\xc2\x85", b'"\\U00110000"', b'"\\x"'),
    *(b"<<: *a\n", b"...\n", b"9" * 5000, b"x" * 70_000, b"[" * 500, b"{a: " * 300, b"\\"),
)
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def of_bytes(rng: random.Random, content: bytes) -> bytes:
    """The content with a few bytes or lines changed, taken away, doubled, moved or put in."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        place = rng.randrange(len(data) + 1)
        end = min(len(data), place + rng.choice((1, 1, 4, 30)))
        kind = rng.randrange(9)
        if kind == 0 and data:
            data[place % len(data)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[place:end]
        elif kind == 2:
            data[place:place] = data[place:end]
        elif kind in (3, 4):
            data[place:place] = rng.choice(PIECES)
        elif kind == 5:
            data[place:end] = rng.randbytes(end - place)
        elif kind == 6:
            data = (
                data[: rng.choice((0, place))] + rng.choice((b"", b"\xef\xbb\xbf")) + data[place:]
            )
        elif kind == 7:
            data = bytearray(
                bytes(data).replace(b"\n", rng.choice((b"\r\n", b"\r", b"", b"\n ")), 3)
            )
        else:
            lines = bytes(data).splitlines(keepends=True) or [b""]
            rng.shuffle(lines)
            data = bytearray(b"".join(lines[: rng.randrange(len(lines)) + 1]))
    return bytes(data)


def of_tree(rng: random.Random, tree: Any) -> Any:
    """A copy with one to three of its values or keys dropped, doubled, renamed, retyped."""
    changed = [copy.deepcopy(tree)]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        owner, key = rng.choice(list(_places(changed)) or [(changed, 0)])
        if rng.random() < 0.35 and owner is not changed:
            _key(rng, owner, key)
        else:
            owner[key] = _value(rng, owner[key], changed[0])
    return changed[0]


def _places(owner: Any) -> Any:
    """Every (mapping, key) and (list, index) below, those of tensors not among them."""
    items = owner.items() if isinstance(owner, dict) else enumerate(owner)
    for key, value in list(items):
        yield owner, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


def _key(rng: random.Random, owner: Any, key: Any) -> None:
    """Another set of keys: without this one, with a misspelt one, with one more."""
    kind = rng.randrange(4)
    value = owner[key]
    if kind == 0:
        del owner[key]
    elif isinstance(owner, list):
        owner.insert(key, copy.copy(value)) if kind == 1 else owner.reverse()
    elif kind == 1:
        del owner[key]
        word = str(key)
        owner[word[1:] + word[:1] if rng.random() < 0.5 else rng.choice(ODD)] = value
    elif kind == 2:
        owner[rng.choice(ODD)] = value
    else:
        other = rng.choice(list(owner))
        owner[key], owner[other] = owner[other], value


def _value(rng: random.Random, value: Any, root: Any) -> Any:
    """Another value: a number out of range, an odd text, another type, deeper, or much longer."""
    near: list[Callable[[], Any]] = [
        lambda: rng.choice(NUMBERS),
        lambda: rng.choice(ODD),
        lambda: rng.choice((None, True, False, [], {}, [[]], {"": None})),
        lambda: [value],
        lambda: {rng.choice(ODD): value},
        lambda: str(value)[:200],
        lambda: _deep(rng.choice((3, 20, 90)), value),
        lambda: [value] * rng.choice((2, 17, 400)) if not isinstance(value, (dict, list)) else [],
        lambda: copy.deepcopy(rng.choice([owner[key] for owner, key in _places([root])])),
    ]
    if isinstance(value, bool):
        near += [lambda: not value] * 3
    elif isinstance(value, (int, float)):
        near += [lambda: value + 1, lambda: -value, lambda: value * 10, lambda: float(value)] * 2
    elif isinstance(value, str):
        near += [lambda: value[:-1], lambda: value * 2, value.upper, lambda: value + "1"]
        near += [lambda: _digits(rng, value)] * 3
    elif isinstance(value, list):
        near += [lambda: value[:-1], lambda: value + value, lambda: value[::-1], list] * 2
    return rng.choice(near)()


def _digits(rng: random.Random, text: str) -> str:
    """The text with other digits, which a pattern takes."""
    return "".join(
        rng.choice("0123456789") if c.isdigit() and rng.random() < 0.5 else c for c in text
    )


def _deep(levels: int, value: Any) -> Any:
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def as_yaml(rng: random.Random, tree: Any) -> bytes:
    """The tree as YAML, in blocks or flows; now and then with a tag, an anchor, an alias, a BOM."""
    text = json.dumps(tree, ensure_ascii=rng.random() < 0.3)
    if isinstance(tree, dict) and rng.random() < 0.8:
        text = "".join(
            f"{json.dumps(key) if rng.random() < 0.2 or not str(key).isidentifier() else key}: "
            f"{json.dumps(value, ensure_ascii=False)}\n"
            for key, value in tree.items()
        )
    text = text.replace("Infinity", ".inf").replace("NaN", ".nan")
    kind = rng.randrange(12)
    if kind == 0:
        text = text.replace(
            ": ", rng.choice((": &x ", ": *x ", ": !!str ", ": !!set ", ": !y ")), 1
        )
    elif kind == 1:
        text = rng.choice(("\ufeff", "# " + "x" * 3000 + "\n", "---\n", "!!omap\n", "\t")) + text
    elif kind == 2:
        text += rng.choice(("...\n", "---\n", LAUGHS, "<<: {a: 1}\n", "? [a]\n", "\x00"))
    elif kind == 3:
        text = text.replace("\n", "\r\n")
    return text.encode("utf-8", "surrogatepass")


def tree_of(content: bytes) -> Any:
    """The plain data of a file of ours."""
    return YAML(typ="safe", pure=True).load(content)
