"""What changed between two published versions of a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from raymesh.spec.types import Field, List, Map, Struct, TableSchema, Type

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["added", "removed", "renamed", "retyped", "contract"]
_SIGNS: dict[Kind, str] = {"added": "+", "removed": "-", "renamed": "~", "retyped": "~", "contract": "~"}
_NESTED = ("name", "properties", "items", "map")


class Published(Protocol):
    """What a version tells about itself: its schema and contract as JSON, rows, bytes."""

    @property
    def schema(self) -> Mapping[str, Any]: ...
    @property
    def contract(self) -> Mapping[str, Any]: ...
    @property
    def rows(self) -> int: ...
    @property
    def bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `column` is the column's path today (`address.zip`), or the old one of a removed column;
    empty for the table. A `contract` change names the contract's `key`; `old` and `new` are its values, types or
    names, None where there is none.
    """

    kind: Kind
    column: str
    old: Any = None
    new: Any = None
    key: str = ""

    def __str__(self) -> str:
        where = f"column {self.column}" if self.column else "table"
        match self.kind:
            case "added":
                what = f"{where} {self.new}"
            case "removed":
                what = f"{where} {self.old}"
            case "renamed":
                what = f"{where} was called {self.old}"
            case "retyped":
                what = f"{where} {self.old} → {self.new}"
            case "contract":
                what = f"{where} {self.key}: {_short(self.old)} → {_short(self.new)}"
        return f"{_SIGNS[self.kind]} {what}"

    def to_json(self) -> dict[str, Any]:
        out = {"kind": self.kind, "column": self.column, "old": self.old, "new": self.new}
        return out | ({"key": self.key} if self.key else {})


@dataclass(frozen=True, slots=True)
class VersionDiff:
    """Rows and bytes as after minus before; `changes` of columns in the order of the table, then of the contract."""

    rows: int
    bytes: int
    changes: tuple[Change, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "rows_change": self.rows,
            "bytes_change": self.bytes,
            "changes": [c.to_json() for c in self.changes],
        }


def compare_versions(before: Published, after: Published) -> VersionDiff:
    """Differences between two versions. Columns are matched by field id, so a rename is a rename; what the
    contract says of a column is compared with what it said of the same column before."""
    old, new = (TableSchema.from_json(dict(v.schema)) for v in (before, after))
    columns = tuple(_fields(old.fields, new.fields, ""))
    names = {f.name: f.name for f in new.fields}
    by_id = {f.id: f.name for f in old.fields}
    names |= {f.name: by_id[f.id] for f in new.fields if f.id in by_id}
    contract = tuple(_contract(before.contract, after.contract, names))
    return VersionDiff(after.rows - before.rows, after.bytes - before.bytes, columns + contract)


# columns


def _fields(old: tuple[Field, ...], new: tuple[Field, ...], path: str) -> Iterator[Change]:
    before = {f.id: f for f in old}
    for field in new:
        where = _join(path, field.name)
        found = before.pop(field.id, None)
        if found is None:
            yield Change("added", where, new=str(field.type))
            continue
        if found.name != field.name:
            yield Change("renamed", where, _join(path, found.name), where)
        yield from _types(found.type, field.type, where)
    for gone in before.values():
        yield Change("removed", _join(path, gone.name), old=str(gone.type))


def _types(old: Type, new: Type, path: str) -> Iterator[Change]:
    match old, new:
        case Struct(before), Struct(after):
            yield from _fields(before, after, path)
        case List(before_item), List(after_item):
            yield from _types(before_item, after_item, f"{path}.element")
        case Map(before_key, before_value), Map(after_key, after_value):
            yield from _types(before_key, after_key, f"{path}.key")
            yield from _types(before_value, after_value, f"{path}.value")
        case _ if old != new:
            yield Change("retyped", path, str(old), str(new))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


# contracts


def _contract(old: Mapping[str, Any], new: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Change]:
    yield from _keys(_without(old, "schema"), _without(new, "schema"), "")
    old_table, new_table = _table(old), _table(new)
    yield from _keys(_without(old_table, "properties"), _without(new_table, "properties"), "")
    before = _by_name(old_table)
    for name, column in _by_name(new_table).items():
        found = before.get(names.get(name, name))
        if found is not None:
            yield from _keys(_without(found, *_NESTED), _without(column, *_NESTED), name)


def _keys(old: Mapping[str, Any], new: Mapping[str, Any], column: str) -> Iterator[Change]:
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield Change("contract", column, old.get(key), new.get(key), key)


def _without(value: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {k: v for k, v in value.items() if k not in keys}


def _table(contract: Mapping[str, Any]) -> Mapping[str, Any]:
    objects = contract.get("schema") or [{}]
    return objects[0] if isinstance(objects[0], Mapping) else {}


def _by_name(table: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {p["name"]: p for p in table.get("properties") or [] if isinstance(p, Mapping) and "name" in p}


def _short(value: Any) -> str:
    if value is None:
        return "not said"
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
