"""Exact conversions as SQL: a value is converted without loss or not at all.

DuckDB's own casts round (`'1.7'` is the bigint 2, `'1.239'` the decimal 1.24), drop times of dates and apply
or ignore time zones. Each function here gives two SQL texts: `ok`, whether a value that is not NULL converts
exactly (None: always), and `value`, which is only meant for values that are ok.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raymesh.spi.scan_sql import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Callable

INTEGERS = {
    "tinyint": (8, True),
    "smallint": (16, True),
    "integer": (32, True),
    "bigint": (64, True),
    "hugeint": (128, True),
    "utinyint": (8, False),
    "usmallint": (16, False),
    "uinteger": (32, False),
    "ubigint": (64, False),
    "uhugeint": (128, False),
}
_ZONED = r":[0-9]{2}(\.[0-9]+)? *[A-Za-z+-]"
_TOO_FINE = r"\.[0-9]{6}[0-9]*[1-9]"
ZONE = "timestamp with time zone"


@dataclass(frozen=True, slots=True)
class Exact:
    """`ok` and `value` of one conversion, see the module."""

    ok: str | None
    value: str

    @property
    def accepted(self) -> str:
        return self.ok or "TRUE"


@dataclass(frozen=True, slots=True)
class Formats:
    """strptime formats of dates and times in text; None is ISO 8601. With `spoken` text is a JSON string only."""

    date: str | None = None
    timestamp: str | None = None
    spoken: bool = False


def or_error(source: str, exact: Exact, message: str) -> str:
    """SQL of the converted value; a value that does not convert raises `message` + tab + its text."""
    if exact.ok is None:
        return exact.value
    shown = f"error({literal(message)} || chr(9) || left(CAST({source} AS VARCHAR), 10000))"
    return f"CASE WHEN {source} IS NULL THEN NULL WHEN {exact.ok} THEN {exact.value} ELSE {shown} END"


def from_text(text: str, target: Any, formats: Formats = Formats()) -> Exact:
    """Text to the DuckDB type `target`. Nested types are written as JSON; a naive timestamp is UTC."""
    kind = "json" if str(target) == "JSON" else target.id
    convert = _FROM_TEXT.get(kind)
    return convert(text, target, formats) if convert else _cast(text, str(target))


def _integer(text: str, target: Any, _formats: Formats) -> Exact:
    fraction = f"(NOT contains({text}, '.') OR regexp_full_match({text}, '[^.]*[.]0*\\s*'))"
    return _cast(text, str(target), f"NOT regexp_matches({text}, '[eE]')", fraction)


def _decimal(text: str, target: Any, _formats: Formats) -> Exact:
    scale = dict(target.children)["scale"]
    digits = f"length(rtrim(rtrim({text}), '0')) - instr({text}, '.') <= {scale}"
    fraction = f"(NOT contains({text}, '.') OR {digits})"
    return _cast(text, str(target), f"NOT regexp_matches({text}, '[eE]')", fraction)


def _floating(text: str, target: Any, _formats: Formats) -> Exact:
    named = f"regexp_matches({text}, '(?i)inf|nan')"
    return _cast(text, str(target), f"(isfinite(TRY_CAST({text} AS {target})) OR {named})")


def _nested(text: str, target: Any, formats: Formats) -> Exact:
    inner = from_json(f"TRY_CAST({text} AS JSON)", target, formats)
    return Exact(f"(json_valid({text}) AND {inner.accepted})", inner.value)


def _cast(text: str, name: str, *conditions: str) -> Exact:
    value = f"TRY_CAST({text} AS {name})"
    return Exact(" AND ".join((f"({value} IS NOT NULL", *conditions)) + ")", value)


def _date(text: str, _target: Any, formats: Formats) -> Exact:
    if formats.date:
        parsed = f"TRY_STRPTIME({text}, {literal(formats.date)})"
        return Exact(f"{parsed} IS NOT NULL", f"CAST({parsed} AS DATE)")
    value = f"TRY_CAST({text} AS DATE)"
    midnight = f"TRY_CAST({text} AS TIMESTAMP) = CAST({value} AS TIMESTAMP)"
    zone = f"NOT regexp_matches({text}, {literal(_ZONED)})"
    return Exact(f"({value} IS NOT NULL AND (NOT contains({text}, ':') OR ({midnight} AND {zone})))", value)


def _timestamp(text: str, _target: Any, formats: Formats) -> Exact:
    if formats.timestamp:
        parsed = f"TRY_STRPTIME({text}, {literal(formats.timestamp)})"
        return Exact(f"{parsed} IS NOT NULL", f"CAST({parsed} AS TIMESTAMP)")
    unzoned = f"NOT regexp_matches({text}, {literal(_ZONED)})"
    return _cast(text, "TIMESTAMP", unzoned, f"NOT regexp_matches({text}, {literal(_TOO_FINE)})")


def _instant(text: str, _target: Any, formats: Formats) -> Exact:
    if formats.timestamp:
        parsed = f"TRY_STRPTIME({text}, {literal(formats.timestamp)})"
        value = (
            parsed if "%z" in formats.timestamp or "%Z" in formats.timestamp else f"timezone('UTC', {parsed})"
        )
        return Exact(f"{parsed} IS NOT NULL", value)
    naive = f"TRY_CAST({text} AS TIMESTAMP)"
    zoned = f"TRY_CAST({text} AS {ZONE})"
    has_zone = f"regexp_matches({text}, {literal(_ZONED)})"
    value = f"CASE WHEN {has_zone} THEN {zoned} ELSE timezone('UTC', {naive}) END"
    return Exact(f"({value} IS NOT NULL AND NOT regexp_matches({text}, {literal(_TOO_FINE)}))", value)


def _time(text: str, _target: Any, _formats: Formats) -> Exact:
    fine = f"NOT regexp_matches({text}, {literal(_TOO_FINE)})"
    return _cast(text, "TIME", f"NOT regexp_matches({text}, {literal(_ZONED)})", fine)


_FROM_TEXT: dict[str, Callable[[str, Any, Formats], Exact]] = {
    **dict.fromkeys(INTEGERS, _integer),
    **dict.fromkeys(("float", "double"), _floating),
    **dict.fromkeys(("struct", "list", "array", "map"), _nested),
    "decimal": _decimal,
    "date": _date,
    "timestamp": _timestamp,
    ZONE: _instant,
    "time": _time,
    "json": lambda text, _target, _formats: Exact(f"json_valid({text})", text),
    "varchar": lambda text, _target, _formats: Exact(None, text),
    "blob": lambda text, _target, _formats: Exact(None, f"encode({text})"),
}


def from_json(value: str, target: Any, formats: Formats = Formats(), depth: int = 0) -> Exact:
    """A JSON value that is not null to the DuckDB type `target`; members that `target` lacks are left out."""
    kind = target.id
    if str(target) == "JSON":
        return Exact(None, f"CAST({value} AS VARCHAR)")
    if kind == "struct":
        return _object(value, target, formats, depth)
    if kind in {"list", "array"}:
        return _array(value, target, formats, depth)
    if kind == "map":
        return _entries(value, target, formats, depth)
    plain = from_text(f"({value} ->> '$')", target, formats)
    if kind == "varchar":
        return Exact(f"json_type({value}) = 'VARCHAR'", plain.value) if formats.spoken else plain
    return Exact(f"(json_type({value}) NOT IN ('OBJECT', 'ARRAY') AND {plain.accepted})", plain.value)


def or_null(value: str, exact: Exact) -> Exact:
    """The conversion of a JSON value that may be null or absent."""
    null = f"({value} IS NULL OR json_type({value}) = 'NULL')"
    return Exact(
        None if exact.ok is None else f"({null} OR {exact.ok})",
        f"CASE WHEN {null} THEN NULL ELSE {exact.value} END",
    )


def _object(value: str, target: Any, formats: Formats, depth: int) -> Exact:
    members = {}
    for name, kind in target.children:
        pointer = "/" + name.replace("~", "~0").replace("/", "~1")
        member = f"json_extract({value}, {literal(pointer)})"
        members[name] = or_null(member, from_json(member, kind, formats, depth))
    ok = " AND ".join([f"(json_type({value}) = 'OBJECT'", *(m.accepted for m in members.values())]) + ")"
    packed = ", ".join(f"{identifier(name)} := {m.value}" for name, m in members.items())
    return Exact(ok, f"struct_pack({packed})")


def _array(value: str, target: Any, formats: Formats, depth: int) -> Exact:
    item, items = f"item{depth}", f"TRY_CAST({value} AS JSON[])"
    element = or_null(item, from_json(item, dict(target.children)["child"], formats, depth + 1))
    wrong = f"len(list_filter({items}, lambda {item}: NOT ({element.accepted})))"
    converted = f"list_transform({items}, lambda {item}: {element.value})"
    fixed = f"CAST({converted} AS {target})" if target.id == "array" else converted
    length = f" AND len({items}) = {dict(target.children)['size']}" if target.id == "array" else ""
    return Exact(f"(json_type({value}) = 'ARRAY' AND {wrong} = 0{length})", fixed)


def _entries(value: str, target: Any, formats: Formats, depth: int) -> Exact:
    key, kinds = f"key{depth}", dict(target.children)
    member = f"json_extract({value}, '/' || replace(replace({key}, '~', '~0'), '/', '~1'))"
    name = from_text(key, kinds["key"], formats)
    content = or_null(member, from_json(member, kinds["value"], formats, depth + 1))
    wrong = (
        f"len(list_filter(json_keys({value}), lambda {key}: NOT ({name.accepted} AND {content.accepted})))"
    )
    pairs = f"list_transform(json_keys({value}), lambda {key}: struct_pack(k := {name.value}, v := {content.value}))"
    return Exact(f"(json_type({value}) = 'OBJECT' AND {wrong} = 0)", f"map_from_entries({pairs})")


def from_typed(value: str, actual: Any, target: Any) -> Exact | None:
    """A typed column to `target`; None when some value of `actual` could not be kept."""
    have, want = actual.id, target.id
    if str(actual) == str(target):
        return Exact(None, value)
    if (have, want) == ("timestamp_ns", "timestamp"):
        return Exact(f"epoch_ns({value}) % 1000 = 0", f"CAST({value} AS TIMESTAMP)")
    if (have, want) in _ALWAYS or (str(actual) == "JSON" and str(target) == "VARCHAR"):
        return _widened(value, target)
    kept = {
        {have, want} <= set(INTEGERS): _wider_integer,
        have == want == "decimal": _wider_decimal,
        have == want and have in {"struct", "list", "map"}: _wider_parts,
    }.get(True)
    return _widened(value, target) if kept and kept(actual, target) else None


def _widened(value: str, target: Any) -> Exact:
    return Exact(None, f"CAST({value} AS {target})")


_ALWAYS = {
    ("float", "double"),
    ("uuid", "varchar"),
    ("enum", "varchar"),
    ("timestamp_s", "timestamp"),
    ("timestamp_ms", "timestamp"),
}


def _wider_integer(actual: Any, target: Any) -> bool:
    (bits, signed), (room, wanted_signed) = INTEGERS[actual.id], INTEGERS[target.id]
    return bits <= room if signed == wanted_signed else (not signed and bits < room)


def _wider_decimal(actual: Any, target: Any) -> bool:
    old, new = dict(actual.children), dict(target.children)
    scale = new["scale"] - old["scale"]
    return bool(scale >= 0 and new["precision"] - old["precision"] >= scale)


def _wider_parts(actual: Any, target: Any) -> bool:
    """Nested types convert when their parts have the same names and order, and convert always."""
    pairs = list(zip(actual.children, target.children, strict=False))
    if len(actual.children) != len(target.children) or any(a[0] != t[0] for a, t in pairs):
        return False
    found = [from_typed("part", a[1], t[1]) for a, t in pairs]
    return all(f is not None and f.ok is None for f in found)
