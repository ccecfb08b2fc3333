"""DuckDB's types and ours, both ways, and which casts keep every value."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct, Type
from raymesh.spi.scan_sql import type_text

if TYPE_CHECKING:
    from collections.abc import Sequence

_STORED: dict[str, Type] = {
    "boolean": Primitive("boolean"),
    "tinyint": Primitive("int"),
    "utinyint": Primitive("int"),
    "smallint": Primitive("int"),
    "usmallint": Primitive("int"),
    "integer": Primitive("int"),
    "uinteger": Primitive("long"),
    "bigint": Primitive("long"),
    "ubigint": Decimal(20, 0),
    "hugeint": Decimal(38, 0),
    "uhugeint": Decimal(38, 0),
    "float": Primitive("float"),
    "double": Primitive("double"),
    "date": Primitive("date"),
    "time": Primitive("time"),
    "timestamp": Primitive("timestamp"),
    "timestamp_s": Primitive("timestamp"),
    "timestamp_ms": Primitive("timestamp"),
    "timestamp with time zone": Primitive("timestamptz"),
    "varchar": Primitive("string"),
    "enum": Primitive("string"),
    "uuid": Primitive("string"),
    "blob": Primitive("binary"),
}

REFUSED = {
    "null": "it has no type because every value here is NULL; cast it, such as NULL::varchar, or promise it a "
    "physicalType in the contract",
    "timestamp_ns": "nanoseconds cannot be stored; cast it to TIMESTAMP (microseconds) in the transform",
    "timestamptz_ns": "nanoseconds cannot be stored; cast it to TIMESTAMPTZ (microseconds) in the transform",
    "interval": "intervals cannot be stored; use a number of seconds or days",
    "bit": "bit strings cannot be stored; cast it to VARCHAR or BLOB in the transform",
    "bignum": "numbers of any length cannot be stored; cast it to DECIMAL(38, 0) in the transform",
    "time with time zone": "times with an offset cannot be stored; cast it to TIME, or use TIMESTAMPTZ",
    "time_ns": "nanoseconds cannot be stored; cast it to TIME (microseconds) in the transform",
    "union": "unions cannot be stored; use a STRUCT with one member per alternative",
    "variant": "variants cannot be stored; cast it to a STRUCT or to VARCHAR in the transform",
}
"""Types no table can hold, with the advice."""

TYPE_IT = (
    "say the type in the transform, such as pa.array(values, pa.string()), or promise the column a physicalType in the "
    "contract"
)
"""The way out for Python whose values do not tell a type."""

UNTYPED = "null"
"""What DuckDB calls the type of a column that holds only NULL; it fits every promised type."""
UNKNOWN: Type = Struct(())
"""Stands where nobody knows the type yet, because only NULL, or no element at all, was seen there."""


class UnstorableTypeError(ValueError):
    """A DuckDB type no table can hold; the message is the advice."""


def from_duckdb(t: Any, fallback: Type | None = None) -> Type:
    """The type a DuckDB column is stored as: the smallest of ours that holds each of its values.

    `fallback` says what an untyped (all NULL) part is taken for: a type of the same form, or UNKNOWN for every such
    part. Raises UnstorableTypeError.
    """
    kind: str = t.id
    if kind in _STORED:
        return _STORED[kind]
    if kind == UNTYPED and fallback is not None:
        return fallback
    if kind == "decimal":
        return Decimal(**dict(t.children))
    if kind in ("list", "array"):
        return List(from_duckdb(t.children[0][1], _part(fallback, List, "element")))
    if kind == "struct":
        return Struct(tuple(_members(t.children, fallback)))
    if kind == "map":
        return _map(dict(t.children), fallback)
    raise UnstorableTypeError(REFUSED.get(kind, f"{t} cannot be stored; cast it in the transform"))


def _members(children: Sequence[tuple[str, Any]], fallback: Type | None) -> list[Field]:
    known = {f.name.casefold(): f.type for f in fallback.fields} if isinstance(fallback, Struct) else {}
    other = fallback if fallback == UNKNOWN else None
    return [Field(name, from_duckdb(kind, known.get(name.casefold(), other))) for name, kind in children]


def _map(children: dict[str, Any], fallback: Type | None) -> Map:
    key, value = (from_duckdb(children[name], _part(fallback, Map, name)) for name in ("key", "value"))
    return Map(key, value)


def _part(fallback: Type | None, form: type[Type], name: str) -> Type | None:
    inside: Type | None = getattr(fallback, name) if isinstance(fallback, form) else None
    return fallback if fallback == UNKNOWN else inside


def unknown(t: Type, path: str = "") -> list[str]:
    """The paths, below `path`, of what is UNKNOWN in a type."""
    match t:
        case Struct(()):
            return [path]
        case Struct(fields):
            return [p for f in fields for p in unknown(f.type, f"{path}.{f.name}")]
        case List(element):
            return unknown(element, f"{path}[]")
        case Map(key, value):
            return unknown(key, f"{path}[key]") + unknown(value, f"{path}[value]")
    return []


def completed(mine: Type, other: Type | None, otherwise: Type = UNKNOWN) -> Type:
    """`mine` with what is UNKNOWN in it taken from `other`, as far as that has the same form, else `otherwise`."""
    match mine:
        case Struct(()):
            return otherwise if other is None or other == UNKNOWN else other
        case Struct(fields):
            known = {f.name.casefold(): f.type for f in other.fields} if isinstance(other, Struct) else {}
            return Struct(
                tuple(
                    replace(f, type=completed(f.type, known.get(f.name.casefold()), otherwise))
                    for f in fields
                )
            )
        case List(element):
            inner = other.element if isinstance(other, List) else None
            return replace(mine, element=completed(element, inner, otherwise))
        case Map(key, value):
            keys, values = (other.key, other.value) if isinstance(other, Map) else (None, None)
            return replace(
                mine, key=completed(key, keys, otherwise), value=completed(value, values, otherwise)
            )
    return mine


_EXACT_DOUBLE_DIGITS = 15


def misfit(have: Type, want: Type, path: str = "") -> str | None:
    """Why a cast could change a value, or None when it keeps every value or raises.

    Wider numbers are fine; narrower integers are fine because DuckDB raises on overflow; anything that
    would round, cut, parse or shift is not.
    """
    match have, want:
        case Struct(), Struct():
            return _struct_misfit(have, want, path)
        case List(), List():
            return misfit(have.element, want.element, f"{path}[]")
        case Map(), Map():
            return misfit(have.key, want.key, f"{path}[key]") or misfit(
                have.value, want.value, f"{path}[value]"
            )
    if have == want or _keeps(have, want):
        return None
    where = f"{path} is " if path else "it is "
    return f"{where}{type_text(have)}, not {type_text(want)}; {_advice(have, want)}"


def _keeps(have: Type, want: Type) -> bool:
    match have, want:
        case ((Primitive("int" | "long") | Decimal(scale=0)), Primitive("int" | "long")):
            return True  # DuckDB raises when the digits do not fit; the same below
        case (Primitive("int" | "long"), Decimal()) | (Primitive("float" | "int"), Primitive("double")):
            return True
        case Decimal(), Decimal():
            return want.scale >= have.scale
        case Decimal(), Primitive("double"):
            return have.precision <= _EXACT_DOUBLE_DIGITS
    return False


def _advice(have: Type, want: Type) -> str:
    if isinstance(want, Decimal) or want in (Primitive("int"), Primitive("long")):
        return f"round or cast it to {type_text(want)} in the transform"
    if isinstance(have, Primitive) and {have.name, getattr(want, "name", "")} == {"timestamp", "timestamptz"}:
        return "say the zone in the transform, such as column AT TIME ZONE 'UTC'"
    return f"cast it to {type_text(want)} in the transform"


def _struct_misfit(have: Struct, want: Struct, path: str) -> str | None:
    mine = {f.name.casefold(): f for f in have.fields}
    theirs = {f.name.casefold(): f for f in want.fields}
    where = path or "the struct"
    for key in theirs.keys() - mine.keys():
        return f"{where} has no member {theirs[key].name!r}; add it in the transform"
    for key in mine.keys() - theirs.keys():
        return f"{where} has the unexpected member {mine[key].name!r}; leave it out in the transform"
    found = (misfit(mine[k].type, f.type, f"{path}.{f.name}".lstrip(".")) for k, f in theirs.items())
    return next((problem for problem in found if problem), None)
