"""Whether every promise of a contract was judged: looked up in the document itself, not in what was made of it.

The gate asks this of every verdict, so that a promise that was lost on the way (not compiled, not measured, not
judged) keeps the version from being published like a broken one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from raymesh.quality.model import Check, CheckResult

Loc: TypeAlias = tuple[str | int, ...]

_FLAGS = ("required", "unique", "primaryKey")
_VALUES = ("logicalType", "physicalType", "enum")
TABLE: Loc = ("schema", 0)
KEY: Loc = (*TABLE, "primaryKey")
"""The place of the promise that several columns together are the key."""


def unjudged(
    document: Mapping[str, Any], checks: Sequence[Check], results: Sequence[CheckResult]
) -> tuple[str, ...]:
    """What a contract promises and nobody judged, as places in the document or ids of checks."""
    known = {c.where for c in checks}
    lost = [".".join(map(str, place)) for place in promised_places(document) if place not in known]
    told = Counter(r.check.id for r in results)
    lost += [c.id for c in checks if told[c.id] != 1]
    if not checks or not results:
        lost.append("the contract as a whole")
    return tuple(dict.fromkeys(lost))


def promised_places(document: Mapping[str, Any]) -> Iterator[Loc]:
    """Every place of a contract, as written, that promises something about its first table."""
    tables = document.get("schema") or ()
    if tables:
        yield from _numbered(tables[0], TABLE)
        columns = _list(tables[0], "properties")
        if any(p.get("primaryKey") is True for p in columns):
            yield KEY
        for n, item in enumerate(columns):
            yield from _of_item(item, (*TABLE, "properties", n))
    for n in range(len(_list(document, "slaProperties"))):
        yield ("slaProperties", n)


def _of_item(item: Mapping[str, Any], where: Loc) -> Iterator[Loc]:
    yield from ((*where, key) for key in _FLAGS if item.get(key) is True)
    yield from ((*where, key) for key in _VALUES if item.get(key))
    yield from ((*where, "logicalTypeOptions", name) for name in item.get("logicalTypeOptions") or {})
    yield from _numbered(item, where)
    for n, inner in enumerate(_list(item, "properties")):
        yield from _of_item(inner, (*where, "properties", n))
    if isinstance(item.get("items"), Mapping):
        yield from _of_item(item["items"], (*where, "items"))
    for part, inner in (item.get("map") or {}).items():
        if isinstance(inner, Mapping):
            yield from _of_item(inner, (*where, "map", part))


def _numbered(item: Mapping[str, Any], where: Loc) -> Iterator[Loc]:
    for key in ("quality", "relationships"):
        yield from ((*where, key, n) for n in range(len(_list(item, key))))


def _list(item: Mapping[str, Any], key: str) -> Sequence[Any]:
    found = item.get(key)
    return found if isinstance(found, list | tuple) else ()
