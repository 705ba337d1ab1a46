"""Reads a YAML 1.2 file into plain data and remembers where every key and value stands."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.reader import ReaderError

from resnet_gen.errors import Failure, Problem, quoted

MAX_BYTES = 64 * 1024  # the paper's largest table needs 4 KiB
MAX_NESTING = 16

SUFFIXES = (".yaml", ".yml")
PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq", "!")  # mappings and lists
NO_OBJECTS = "specs hold words, numbers and lists"

KeyPath = tuple[str | int, ...]  # the keys and indices that lead to a value


@dataclass(frozen=True)
class Span:
    """A place in the file; line and column count from 1."""

    line: int
    column: int
    width: int


@dataclass
class Document:
    """A parsed file: its data, and the spans of its keys and values by path."""

    label: str
    lines: list[str]
    data: Any = None
    keys: dict[KeyPath, Span] = field(default_factory=dict)
    values: dict[KeyPath, Span] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, span: Span | None, rule: str, message: str, hint: str = "") -> Problem:
        """A problem of this file, with the excerpt of its line."""
        if span is None:
            return Problem(rule, message, hint, self.label)
        excerpt = self.lines[span.line - 1] if span.line <= len(self.lines) else ""
        return Problem(rule, message, hint, self.label, span.line, span.column, span.width, excerpt)


def yaml_files(folder: Path, *, below: bool = False) -> list[Path]:
    """The YAML files in a folder, or with `below` in its folders too; none where it is missing.

    Files and folders whose names begin with a dot are left out.
    """
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith("."):
            continue
        if path.is_dir() and below and not path.is_symlink():
            found += yaml_files(path, below=True)
        elif path.suffix in SUFFIXES and path.is_file():
            found.append(path)
    return found


def read_text(path: Path, label: str) -> str:
    """The file's text.

    Raises:
        Failure: it is missing, a folder, unreadable, too large, or not UTF-8 (exit code 2).
    """
    if path.is_dir():
        files = [p.name for p in yaml_files(path)]
        hint = f"name a file in it, such as {path / files[0]}" if files else "name a YAML file"
        raise Failure(Problem("file", "this is a folder, not a spec", hint, label))
    if path.exists() and not path.is_file():  # a pipe or a device might never end
        raise Failure(Problem("file", "this is not a regular file", "name a YAML file", label))
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        near = [p.name for p in yaml_files(path.parent)]
        hint = f"in {path.parent}: {', '.join(near[:6])}" if near else "look at the path"
        raise Failure(Problem("file", "there is no such file", hint, label)) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Failure(Problem("file", f"cannot be read: {reason}", "", label)) from None
    if len(raw) > MAX_BYTES:
        raise Failure(Problem("file", f"larger than {MAX_BYTES // 1024} KiB", "", label))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8"
        hint = "save the file in UTF-8"
        problem = Problem("encoding", message, hint, label, line, column)
        raise Failure(problem) from None


def parse(text: str, label: str) -> Document:
    """Plain data with spans. Duplicate keys, aliases and deep nesting become problems.

    Raises:
        Failure: the text is no YAML.
    """
    document = Document(label, text.splitlines())
    yaml = YAML(typ="safe", pure=True)
    builder = _Builder(document, yaml, yaml.parse(text))
    try:
        document.data = builder.build()
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - (text.rfind("\n", 0, error.position) + 1) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        message = f"the character U+{code:04X} is not allowed in YAML"
        raise Failure(document.problem(Span(line, column, 1), "syntax", message)) from None
    except MarkedYAMLError as error:
        raise Failure(_syntax(document, error)) from None
    except YAMLError as error:
        raise Failure(Problem("syntax", str(error), "", label)) from None
    except Exception as error:  # the library does not foresee all, such as "\U00110000"
        raise Failure(_unforeseen(document, builder.last, error)) from None
    return document


class _Builder:
    """Turns parser events into data, without ruamel's own composer: no alias is ever expanded."""

    def __init__(self, document: Document, yaml: YAML, stream: Any) -> None:
        self.document, self.yaml = document, yaml
        self.last = Span(1, 1, 1)  # where the last event stands
        self.stream = self._followed(iter(stream))

    def _followed(self, stream: Any) -> Iterator[Any]:
        for event in stream:
            self.last = _span(event)
            yield event

    def build(self) -> Any:
        """The one document of the stream."""
        data, documents = None, 0
        for event in self.stream:
            if isinstance(event, events.DocumentStartEvent):
                documents += 1
                if documents == 2:
                    message = "a second document starts here"
                    hint = "one spec a file: put it into a file of its own"
                    self._report(event, "syntax", message, hint)
                    break
            elif isinstance(event, events.NodeEvent):
                data = self.node(event, ())
        return data

    def node(self, event: Any, path: KeyPath) -> Any:
        self.document.values[path] = _span(event)
        if isinstance(event, events.AliasEvent):
            message = f"the alias *{event.anchor} is not allowed in a spec"
            self._report(event, "alias", message, "write the value out")
            return None
        if isinstance(event, events.ScalarEvent):
            return self.scalar(event)
        if len(path) >= MAX_NESTING:
            mark = event.start_mark
            raise MarkedYAMLError(None, None, f"nested more than {MAX_NESTING} deep", mark)
        if event.tag not in (None, *PLAIN_TAGS):
            message = f"the tag {event.tag} is not allowed in a spec"
            self._report(event, "syntax", message, NO_OBJECTS)
        if isinstance(event, events.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(event := next(self.stream), events.SequenceEndEvent):
                items.append(self.node(event, (*path, len(items))))
            self._widen(path, event)
            return items
        return self.mapping(path)

    def mapping(self, path: KeyPath) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := next(self.stream), events.MappingEndEvent):
            plain = isinstance(event, events.ScalarEvent)
            if not plain:
                message = "a key is a word, not a list, a mapping or an alias"
                self._report(event, "syntax", message)
                if not isinstance(event, events.AliasEvent):
                    self.node(event, (*path, "?"))
            key = event.value if plain else "?"
            if plain and not key:
                self._report(event, "syntax", "there is no key before this colon")
            if key in items:
                first = self.document.keys[(*path, key)].line
                hint = f"it stands in line {first} already: keep one"
                self._report(event, "duplicate-key", f"`{key}` is given twice", hint)
            else:
                self.document.keys[(*path, key)] = _span(event)
            before = len(self.document.problems)
            value = self.node(next(self.stream), (*path, key))
            if value is None and len(self.document.problems) == before:
                # An empty value stands on the next line, no place to point at.
                self.document.values[(*path, key)] = self.document.keys[(*path, key)]
            if plain:
                items.setdefault(key, value)
        self._widen(path, event)
        return items

    def scalar(self, event: Any) -> Any:
        tag = event.tag or self.yaml.resolver.resolve(ScalarNode, event.value, event.implicit)
        node = ScalarNode(tag, event.value, event.start_mark, event.end_mark)
        try:
            return self.yaml.constructor.construct_object(node)
        except Exception:  # each type of the library has errors of its own
            kind = str(tag).rpartition(":")[2].lstrip("!")
            message = f"{quoted(event.value)} cannot be read as {kind}"
            self._report(event, "syntax", message, NO_OBJECTS)
            return None

    def _widen(self, path: KeyPath, end: Any) -> None:
        """Underline the whole of a [list] or {mapping} that ends on the line it began."""
        span, mark = self.document.values[path], end.end_mark
        if mark.line + 1 == span.line:
            width = mark.column + 1 - span.column
            self.document.values[path] = Span(span.line, span.column, max(1, width))

    def _report(self, event: Any, rule: str, message: str, hint: str = "") -> None:
        self.document.problems.append(self.document.problem(_span(event), rule, message, hint))


def _span(event: Any) -> Span:
    start, end = event.start_mark, event.end_mark
    width = end.column - start.column if end.line == start.line else 1
    return Span(start.line + 1, start.column + 1, max(1, width))


def _syntax(document: Document, error: MarkedYAMLError) -> Problem:
    """The parser's complaint, at the place of the mistake where that is known to be another."""
    message = " ".join(str(error.problem or error.context or "this is not YAML").split())
    mark = error.problem_mark or error.context_mark
    if mark and mark.line >= len(document.lines) and error.context_mark:
        mark = error.context_mark  # what was opened there has no end
        message = f"what begins here does not end ({message})"
    line = mark.line if mark else 0
    text = document.lines[line] if line < len(document.lines) else ""
    column, hint = mark.column if mark else 0, ""
    indentation = text[: len(text) - len(text.lstrip())]
    glued = next((k for k, t in enumerate(document.lines) if re.match(r"\s*\w+:[^\s:/]", t)), None)
    if "\t" in indentation or text[column : column + 1] == "\t":
        message, hint = "a tab cannot indent or separate in YAML", "use spaces"
        column = text.index("\t")
    elif glued is not None and glued <= line:
        message, hint = "a space is missing after the colon", "write `key: value`"
        line, column = glued, document.lines[glued].index(":")
    elif "mapping values are not allowed" in message:
        hint = "one `key: value` a line; quote a text that holds a colon"
    return document.problem(Span(line + 1, column + 1, 1), "syntax", message, hint)


def _unforeseen(document: Document, last: Span, error: Exception) -> Problem:
    """The problem of an error without a place: that of a wrong escape, or of the last event."""
    for number, line in enumerate(document.lines, start=1):
        for found in re.finditer(r"\\U([0-9a-fA-F]{8})", line):
            if int(found[1], 16) > sys.maxunicode:
                span = Span(number, found.start() + 1, len(found[0]))
                return document.problem(span, "syntax", f"there is no character U+{found[1]}")
    return document.problem(last, "syntax", f"this is not YAML: {error}")
