"""Documents as YAML text: keys in the order people expect, text that every YAML reader understands alike."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from raymesh.spec.diagnostics import keys_of, model_at
from raymesh.spec.documents import Document
from raymesh.spec.kinds import KINDS
from raymesh.spec.yaml import read_plain

_FIRST = ("apiVersion", "kind", "id", "name", "version", "status")
_LINE_LENGTH = 100


def to_yaml(document: Mapping[str, Any]) -> str:
    """The document as YAML: known keys in the standard's order, then the unknown ones as they come.

    What is read back is equal to what was given. Keys and values are those of JSON, finite or not.
    """
    model = KINDS.get(str(document.get("kind")))
    return yaml.dump(
        _ordered(document, model, ()),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=_LINE_LENGTH,
        default_flow_style=False,
    )


def export(document: Document[Any]) -> str:
    """A document that was read, as text with the same meaning: variables unresolved, other vendors' data kept."""
    return to_yaml(document.raw)


def _ordered(value: Any, model: type[BaseModel] | None, loc: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        owner = model_at(model, loc) if model else None
        known = _sorted_keys(owner) if owner else ()
        keys = [key for key in known if key in value] + [key for key in value if key not in known]
        # inside a value that no model reads, every key keeps its place
        return {k: _ordered(value[k], model if owner else None, (*loc, k)) for k in keys}
    if isinstance(value, list | tuple):
        return [_ordered(item, model, loc) for item in value]
    return value


def _sorted_keys(model: type[BaseModel]) -> tuple[str, ...]:
    keys = keys_of(model)
    return (*(key for key in _FIRST if key in keys), *(key for key in keys if key not in _FIRST))


class _Dumper(yaml.SafeDumper):
    """Lists of short words on one line, long text in blocks, quotes wherever a reader could mistake text."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (the library asks)
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002  (the library asks)
        return super().increase_indent(flow, indentless=False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = None
    if "\n" in text and not _needs_quotes(text):
        style = "|"
    elif not isinstance(read_plain(text), str) or not text.isprintable():
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


def _needs_quotes(text: str) -> bool:
    """Block text would lose or change these."""
    lines = text.split("\n")
    return any(not c.isprintable() and c != "\n" for c in text) or any(
        line != line.rstrip() for line in lines
    )


def _list(dumper: yaml.SafeDumper, items: Iterable[Any]) -> yaml.Node:
    values = list(items)
    short = all(v is None or isinstance(v, bool | int | float) or _is_short(v) for v in values)
    inline = not values or (short and sum(len(str(v)) + 2 for v in values) < _LINE_LENGTH - 40)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=inline)


def _is_short(value: Any) -> bool:
    return isinstance(value, str) and "\n" not in value


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
