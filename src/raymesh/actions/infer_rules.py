"""From a profile to a contract: pure, and only what enough rows support.

Limits are left with room: a rule that holds for today's rows by chance breaks tomorrow's build.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from raymesh.actions.infer_patterns import (
    TEXT_KINDS,
    TextKind,
    names_a_key,
    natural_limits,
    tag_of_name,
)
from raymesh.spec.types import Decimal, List, Map, Primitive, Struct, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raymesh.actions.infer_profile import ColumnProfile, TableProfile

SHARE = 0.8
"""Share of the looked-at values that must be of a kind for its tag to be suggested."""
_LENGTHS = (8, 16, 32, 64, 128, 255, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
_WORDS = {"int": "integer", "long": "bigint", "string": "varchar"}
_LOGICAL = {
    "boolean": "boolean",
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamp",
    "string": "string",
    "binary": "string",
}
_NUMBERS = {Primitive("int"), Primitive("long"), Primitive("float"), Primitive("double")}
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")


def contract_of(found: TableProfile, *, name: str, identifier: str, minimum_rows: int) -> dict[str, Any]:
    """An ODCS 3.2 contract, a draft, for a table with this profile."""
    key = _key(found, minimum_rows)
    table: dict[str, Any] = {
        "name": name,
        "physicalType": "table",
        "description": _grain(name, key),
        "properties": [_property(c, key, minimum_rows) for c in found.columns],
    }
    if found.rows:
        table["quality"] = [{"metric": "rowCount", "mustBeGreaterThan": 0, "dimension": "completeness"}]
    contract = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": identifier,
        "name": name.replace("_", " ").capitalize(),
        "version": "1.0.0",
        "status": "draft",
        "description": {"purpose": f"What {name} holds.", "limitations": _basis(found, minimum_rows)},
        "schema": [table],
    }
    domain, dot, _ = identifier.partition(".")
    return {**contract, "domain": domain} if dot else contract


def physical_type(kind: Type) -> str:
    """The type in the words contracts use: `decimal(18,2)`, `struct(a integer)`, `varchar[]`."""
    match kind:
        case Primitive(name):
            return _WORDS.get(name, name)
        case Decimal(precision, scale):
            return f"decimal({precision},{scale})"
        case Struct(fields):
            return "struct(" + ", ".join(f"{_quoted(f.name)} {physical_type(f.type)}" for f in fields) + ")"
        case List(element):
            return f"{physical_type(element)}[]"
        case Map(key, value):
            return f"map({physical_type(key)}, {physical_type(value)})"


def _quoted(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _grain(name: str, key: tuple[str, ...]) -> str:
    return f"One row per {' and '.join(key)}." if key else f"Rows of {name}; no column identifies them."


def _basis(found: TableProfile, minimum_rows: int) -> str:
    tested = (
        f"all {found.rows:,} rows"
        if found.sampled == found.rows
        else f"{found.sampled:,} of {found.rows:,} rows"
    )
    few = (
        ""
        if found.rows >= minimum_rows
        else f" Fewer than {minimum_rows} rows: only names and types are proposed."
    )
    return f"Proposed from data, to be reviewed: counts and limits from all {found.rows:,} rows, formats of text from {tested}.{few}"


def _key(found: TableProfile, minimum_rows: int) -> tuple[str, ...]:
    """The primary key: a column called like one, else the first column when it is unique, else a set."""
    if found.rows < minimum_rows:
        return ()
    candidates = [c for c in found.columns if c.unique and c.present == c.rows and c.rows]
    named = [c.name for c in candidates if names_a_key(c.name)]
    first = [c.name for c in candidates if c is found.columns[0]]
    return tuple((named or first)[:1]) or found.key


def _property(column: ColumnProfile, key: tuple[str, ...], minimum_rows: int) -> dict[str, Any]:
    supported = column.present >= minimum_rows
    kind = _kind(column) if supported else None
    tag = _tag(column)
    out = {"name": column.name, **_typed(column.type), "description": _evidence(column, kind, tag)}
    options = {**out.pop("logicalTypeOptions", {}), **(_options(column, kind) if supported else {})}
    values = _values(column, tag) if supported else None
    if options and values is None:
        out["logicalTypeOptions"] = options
    if supported and column.present == column.rows:
        out["required"] = True
    if supported and column.unique and column.name not in key and (names_a_key(column.name) or kind):
        out["unique"] = True
    if column.name in key:
        out |= {"primaryKey": True, "primaryKeyPosition": key.index(column.name) + 1}
    if values is not None:
        out["enum"] = [{"value": value} for value in values]
    return out | ({"tags": [tag]} if tag else {})


def _typed(kind: Type) -> dict[str, Any]:
    out: dict[str, Any] = {"physicalType": physical_type(kind)}
    match kind:
        case Primitive(name):
            zone = {"logicalTypeOptions": {"timezone": True}} if name == "timestamptz" else {}
            return out | {"logicalType": _LOGICAL[name], **zone}
        case Decimal(_, scale):
            return out | {"logicalType": "number" if scale else "integer"}
        case Struct(fields):
            return out | {
                "logicalType": "object",
                "properties": [{"name": f.name, **_typed(f.type)} for f in fields],
            }
        case List(element):
            return out | {"logicalType": "array", "items": _typed(element)}
        case Map(key, value):
            return out | {"logicalType": "map", "map": {"key": _typed(key), "value": _typed(value)}}


def _kind(column: ColumnProfile) -> TextKind | None:
    """The kind every looked-at value is of."""
    whole = (k for k, n in zip(TEXT_KINDS, column.matches, strict=False) if n == column.looked_at > 0)
    return next(whole, None)


def _tag(column: ColumnProfile) -> str | None:
    """The classification the values suggest when most are of a kind, otherwise the name's."""
    enough = max(5, SHARE * column.looked_at)
    by_value = (k.tag for k, n in zip(TEXT_KINDS, column.matches, strict=False) if k.tag and n >= enough)
    return next(by_value, None) or tag_of_name(column.name)


def _options(column: ColumnProfile, kind: TextKind | None) -> dict[str, Any]:
    if column.type == Primitive("string"):
        if kind is not None and (kind.format or kind.pattern):
            return {"format": kind.format} if kind.format else {"pattern": kind.pattern}
        return _lengths(column)
    if isinstance(column.type, Decimal) or column.type in _NUMBERS:
        return _range(column)
    return {}


def _lengths(column: ColumnProfile) -> dict[str, Any]:
    longest = column.longest or 0
    if column.shortest == longest and 0 < longest <= 64 and (column.distinct or 0) > 1:
        return {"minLength": longest, "maxLength": longest}
    room = next((size for size in _LENGTHS if size >= 2 * longest), None)
    return {"maxLength": room} if room else {}


def _range(column: ColumnProfile) -> dict[str, Any]:
    """Limits the name implies when all values keep them; otherwise only that nothing is negative."""
    if column.minimum is None:
        return {}
    limits = natural_limits(column.name)
    if limits and limits[0] <= column.minimum and column.maximum <= limits[1]:
        return {"minimum": limits[0], "maximum": limits[1]}
    return {"minimum": 0} if column.minimum >= 0 else {}


def _values(column: ColumnProfile, tag: str | None) -> list[str] | None:
    """The list of values, when there are few, each comes often and none is personal."""
    found: Mapping[str, int] = column.values or {}
    personal = tag is not None and tag.startswith("pii.direct")
    rare = len(found) < 2 or min(found.values()) < 2 or column.present < 10 * len(found)
    if rare or personal or names_a_key(column.name):
        return None
    return list(found)


def _evidence(column: ColumnProfile, kind: TextKind | None, tag: str | None) -> str:
    """What was seen, in a sentence; values themselves only of columns that are not personal."""
    absent = column.rows - column.present
    parts = [f"{column.present:,} values", f"{absent:,} missing" if absent else "none missing"]
    if column.distinct is not None:
        about = "" if column.exact else "about "
        parts.append(
            "all different" if column.unique and column.present else f"{about}{column.distinct:,} different"
        )
    if column.minimum is not None and column.type != Primitive("string") and tag is None:
        parts.append(f"from {column.minimum} to {column.maximum}")
    if column.longest is not None:
        parts.append(f"{column.shortest} to {column.longest} characters")
    if kind is not None:
        parts.append(
            f"all {kind.words}"
            if column.looked_at == column.present
            else f"{kind.words} in {column.looked_at:,} looked at"
        )
    elif tag is not None and (seen := _most(column, tag)):
        parts.append(seen)
    return f"Seen: {', '.join(parts)}."


def _most(column: ColumnProfile, tag: str) -> str | None:
    counted = zip(TEXT_KINDS, column.matches, strict=False)
    return next(
        (f"{n:,} of {column.looked_at:,} are {k.words}" for k, n in counted if k.tag == tag and n), None
    )
