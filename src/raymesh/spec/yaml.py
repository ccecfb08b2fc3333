"""YAML read as YAML 1.2 means it, with every problem placed, and nothing a document can do to harm.

Only the core schema: `yes`, `on`, `12:30`, `2026-01-01` and `1_000` are text, `0o17` is an integer, there are
no merge keys and no language objects. Keys are text. Aliases, nesting and size are limited.

Values are built straight from the C parser's events. Places are found by parsing again, and only
when somebody asks: most documents have no problem to point at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from yaml import events
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs do not re-export it

from raymesh.errors import Diagnostic, SourceSpan
from raymesh.spec.yaml_syntax import syntax_diagnostic

if TYPE_CHECKING:
    from collections.abc import Callable

Loc = tuple[str | int, ...]

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 100
MAX_ALIASED = 100_000
MAX_DIGITS = 1000

_NUMBER_START = frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_TAG = "tag:yaml.org,2002:"


def read_plain(text: str) -> Any:
    """What an unquoted scalar means: null, a boolean, a number, or itself."""
    if text in _WORDS:
        return _WORDS[text]
    return _number(text) if text[0] in _NUMBER_START else text


def _number(text: str) -> Any:
    if _INTEGER.fullmatch(text):
        base = 8 if text[:2] == "0o" else 16 if text[:2] == "0x" else 10
        return int(text, base)
    return float(text) if _FLOAT.fullmatch(text) else text


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """`value` is what was understood (None when nothing was); `diagnostics` what was wrong."""

    value: Any
    diagnostics: tuple[Diagnostic, ...]
    positions: Positions


class Positions:
    """Where every key and value of a document stands; a place that does not exist is its nearest parent's."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._root: yaml.Node | None = None

    def key(self, loc: Loc) -> SourceSpan:
        """The key that names `loc`; for an item of a list, the item."""
        return self._find(loc, of_key=True)

    def value(self, loc: Loc) -> SourceSpan:
        """The value at `loc`."""
        return self._find(loc, of_key=False)

    def _find(self, loc: Loc, *, of_key: bool) -> SourceSpan:
        node = self._nodes()
        if node is None:
            return SourceSpan(self.file)
        key = node
        for part in loc:
            found = _child(node, part)
            if found is None:
                return self._span(key)
            key, node = found
        return self._span(key if of_key else node)

    def _span(self, node: yaml.Node) -> SourceSpan:
        return span_between(self.file, node.start_mark, node.end_mark)

    def _nodes(self) -> yaml.Node | None:
        if self._root is None:
            loader = _PlainLoader(self.text)
            try:
                self._root = loader.get_single_node()
            except yaml.YAMLError:
                return None  # read_yaml has already said what is wrong and where
            finally:
                loader.dispose()
        return self._root


class _PlainLoader(yaml.CSafeLoader):
    """Composes without resolving tags: places need none."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:  # noqa: ARG002  (the parser calls it)
        return _TAG + "str"


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode) and isinstance(part, str):
        matches = [pair for pair in node.value if pair[0].value == part]
        return matches[-1] if matches else None
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and 0 <= part < len(node.value):
        return node.value[part], node.value[part]
    return None


def span_between(file: str, start: Any, end: Any) -> SourceSpan:
    """A span from two of the parser's marks; `end_column` (exclusive) only when both are on one line."""
    same_line = start.line == end.line and end.column > start.column
    return SourceSpan(file, start.line + 1, start.column + 1, end.column + 1 if same_line else None)


def read_yaml(data: bytes, file: str) -> YamlDocument:
    """The one document in `data`; never raises, whatever the bytes are. `file` is its name in messages."""
    if len(data) > MAX_BYTES:
        problem = f"the file has {len(data):,} bytes; a document may have {MAX_BYTES:,}"
        return _unreadable(file, "document-too-large", problem, SourceSpan(file))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        place = SourceSpan(file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        return _unreadable(
            file, "not-utf8", "the file is not UTF-8 text", place, "save it with the encoding UTF-8"
        )
    builder = _Builder(file, text)
    value = builder.run()
    return YamlDocument(value, tuple(builder.diagnostics), Positions(file, text))


def _unreadable(
    file: str, code: str, message: str, span: SourceSpan, way_out: str | None = None
) -> YamlDocument:
    return YamlDocument(None, (Diagnostic(code, message, span, help=way_out),), Positions(file, ""))


class _StopError(Exception):
    """The rest of the document cannot be understood."""


class _Builder:
    """Turns events into values. One builder reads one document once."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.diagnostics: list[Diagnostic] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.open: set[str] = set()
        self.aliased = 0
        self.nodes = 0
        self.next: Callable[[], Any]

    def run(self) -> Any:
        loader = CParser(self.text)
        self.next = loader.get_event
        try:
            return self._document()
        except _StopError:
            return None
        except yaml.YAMLError as error:
            self.diagnostics.append(syntax_diagnostic(error, self.file, self.text))
            return None
        finally:
            loader.dispose()

    def _document(self) -> Any:
        self.next()  # the stream starts
        event = self.next()
        if type(event) is events.StreamEndEvent:
            return None
        value = self._node(self.next(), 0)
        self.next()  # the document ends
        event = self.next()
        if type(event) is not events.StreamEndEvent:
            self.report("several-documents", "a file holds one document; here a second one starts", event)
        return value

    def _node(self, event: Any, depth: int) -> Any:
        kind = type(event)
        if kind is events.AliasEvent:
            return self._alias(event)
        anchor, before = event.anchor, self.nodes
        self.nodes += 1
        if anchor:
            self.open.add(anchor)
        if kind is events.ScalarEvent:
            value: Any = self._scalar(event)
        elif depth >= MAX_DEPTH:
            self.report("too-deep", f"the document is nested deeper than {MAX_DEPTH} levels", event)
            raise _StopError
        elif kind is events.MappingStartEvent:
            value = self._mapping(event, depth + 1)
        else:
            value = self._sequence(event, depth + 1)
        if anchor:
            self.open.discard(anchor)
            self.anchors[anchor] = (value, self.nodes - before)
        return value

    def _sequence(self, start: Any, depth: int) -> list[Any]:
        self._collection_tag(start, "seq")
        items: list[Any] = []
        get = self.next
        while type(event := get()) is not events.SequenceEndEvent:
            items.append(self._node(event, depth))
        return items

    def _mapping(self, start: Any, depth: int) -> dict[str, Any]:
        self._collection_tag(start, "map")
        out: dict[str, Any] = {}
        places: dict[str, Any] = {}
        get = self.next
        while type(event := get()) is not events.MappingEndEvent:
            key = self._node(event, depth)
            following = get()
            if type(key) is not str:
                key = self._bad_key(event)
            elif key in places:
                self._duplicate(key, places[key], event)
            elif key == "<<" and not event.style:
                self._merge(event)
            places[key] = event
            out[key] = self._node(following, depth)
        return out

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.tag is None:
            if not event.implicit[0]:
                return text
            if text in _WORDS:
                return _WORDS[text]
            return self._number(text, event) if text[0] in _NUMBER_START else text
        return self._tagged(event)

    def _number(self, text: str, event: Any) -> Any:
        if len(text) > MAX_DIGITS and _INTEGER.fullmatch(text):
            self.report("number-too-long", f"a number of {len(text)} digits is not understood", event)
            return 0
        return _number(text)

    def _tagged(self, event: Any) -> Any:
        text, tag = event.value, event.tag
        if tag in ("!", _TAG + "str"):
            return text
        plain: Any = _WORDS[text] if text in _WORDS else self._number(text, event)
        wanted = _TAGGED_TYPES.get(tag)
        if wanted is None:
            self._bad_tag(event)
        elif not isinstance(plain, wanted) or isinstance(plain, bool) is not (wanted is bool):
            self.report("wrong-type", f"`{text}` is not what its tag `{_short(tag)}` says", event)
        else:
            return float(text) if tag == _TAG + "float" else plain
        return text

    def _alias(self, event: Any) -> Any:
        name = event.anchor
        if name in self.open:
            self.report("alias", f"the alias `*{name}` contains itself", event)
            raise _StopError
        if name not in self.anchors:
            self.report("alias", f"the alias `*{name}` names no anchor above it", event)
            return None
        value, size = self.anchors[name]
        self.nodes += size
        self.aliased += size
        if self.aliased > MAX_ALIASED:
            self.report("alias", f"the aliases repeat more than {MAX_ALIASED:,} values", event)
            raise _StopError
        return value

    def _collection_tag(self, event: Any, name: str) -> None:
        if event.tag is not None and event.tag not in ("!", _TAG + name):
            self._bad_tag(event)

    def _bad_tag(self, event: Any) -> None:
        what = f"the tag `{_short(event.tag)}` has no meaning here"
        self.report("yaml-tag", what, event, "remove the tag; put text in quotes")

    def _bad_key(self, event: Any) -> str:
        text = event.value if isinstance(event, events.ScalarEvent) else ""
        what = f"the key `{text}` is not text" if text else "a key must be text"
        self.report("key-not-text", what, event, f'write it in quotes: "{text}"' if text else None)
        return text

    def _duplicate(self, key: str, first: Any, event: Any) -> None:
        line = first.start_mark.line + 1
        self.report("duplicate-key", f"`{key}` is here a second time; it is already on line {line}", event)

    def _merge(self, event: Any) -> None:
        what = "merge keys (`<<`) are not part of YAML 1.2"
        self.report("merge-key", what, event, "repeat the keys, or alias the whole value")

    def report(self, code: str, message: str, event: Any, way_out: str | None = None) -> None:
        span = span_between(self.file, event.start_mark, event.end_mark)
        self.diagnostics.append(Diagnostic(code, message, span, help=way_out))


_TAGGED_TYPES: dict[str, type | tuple[type, ...]] = {
    _TAG + "int": int,
    _TAG + "float": (int, float),
    _TAG + "bool": bool,
    _TAG + "null": type(None),
}


def _short(tag: str) -> str:
    return tag.replace(_TAG, "!!", 1)
