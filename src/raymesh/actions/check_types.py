"""How text is read for a check: CSV has no types of its own, so each column is asked to be what is promised.

A value that cannot be what the contract says is no error of reading but the answer to the type check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raymesh.spec.physical import declared_type, logical_accepts
from raymesh.spec.types import Primitive
from raymesh.spi.scan_sql import type_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from raymesh.spec.contract_schema import Property
    from raymesh.spec.types import Field, Type

TEXT = "VARCHAR"
_WIDEST = {
    "integer": "DECIMAL(38,0)",
    "number": "DECIMAL(38,10)",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "boolean": "BOOLEAN",
}
_LADDERS = {
    "integer": ("BIGINT", "DECIMAL(38,0)"),
    "number": ("BIGINT", "DECIMAL(38,10)", "DOUBLE"),
    "timestamp": ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
}
"""Types of text that keep a promise, each for values the one before it cannot hold. What was guessed from the first
values says nothing about the last."""
_GUESSED = ("date", "time", "timestamp", "timestamptz")
"""What DuckDB takes text of JSON for when it looks like it."""
_SPOKEN = ("date", "time", "timestamp")
"""Kinds that JSON can only write as text."""


def column_names(fields: Iterable[Field], properties: Sequence[Property]) -> dict[str, str]:
    """Column of the data → name in the contract, where they differ: by `physicalName`, or in case only."""
    present = [f.name for f in fields]
    folded = {name.casefold(): name for name in present}
    names: dict[str, str] = {}
    for column in properties:
        wanted = [n for n in (column.physical_name, column.name) if n]
        found = next((n for n in wanted if n in present), None)
        found = found or next((folded[n.casefold()] for n in wanted if n.casefold() in folded), None)
        if found is not None and found != column.name:
            names[found] = column.name
    return names


def declared_columns(
    kind: str, fields: Iterable[Field], properties: Sequence[Property], names: Mapping[str, str]
) -> dict[str, str]:
    """The DuckDB type to read each column of a text file as; columns the contract does not name stay as seen."""
    promised = {p.name: p for p in properties}
    found: dict[str, str] = {}
    for f in fields:
        column = promised.get(names.get(f.name, f.name))
        if kind == "csv":
            found[f.name] = _of_text(f.type, column)
        else:
            found[f.name] = _of_json(f.type, column)
    return found


def next_type(column: Property | None, tried: str) -> str:
    """What to read a column as that has a value which is not exactly `tried`; text when that breaks the promise."""
    if column is None or declared_type(column) is not None:
        return TEXT
    ladder = _LADDERS.get(column.logical_type or "", ())
    zone = str((column.logical_type_options or {}).get("defaultTimezone", "UTC"))
    if tried not in ladder[:-1] or (tried == "TIMESTAMP" and zone not in ("UTC", "Etc/UTC")):
        return TEXT
    return ladder[ladder.index(tried) + 1]


def spoken_columns(
    types: Mapping[str, str], properties: Sequence[Property], names: Mapping[str, str]
) -> list[str]:
    """Columns of JSON whose values must be JSON strings: a number is none, although it can be read as text."""
    promised = {p.name: p for p in properties}
    columns = {c: promised.get(names.get(c, c)) for c, kind in types.items() if kind == TEXT}
    return [c for c, p in columns.items() if p is not None and declared_type(p) == Primitive("string")]


def _of_text(seen: Type, column: Property | None) -> str:
    if column is None:
        return TEXT
    if (exact := declared_type(column)) is not None:
        return type_text(exact)
    logical = column.logical_type or ""
    if not logical or logical_accepts(logical, seen):
        return type_text(seen)
    return _WIDEST.get(logical, TEXT)


def _of_json(seen: Type, column: Property | None) -> str:
    """Numbers, texts and truths have types of their own in JSON; only times and exact decimals are written otherwise."""
    if column is None:
        return type_text(seen)
    if str(seen) in _GUESSED and column.logical_type == "string":
        return TEXT
    exact = declared_type(column)
    spoken = column.logical_type in _SPOKEN and seen == Primitive("string")
    if spoken or (exact is not None and column.logical_type == "number" and _number(seen)):
        return type_text(exact) if exact is not None else _WIDEST[str(column.logical_type)]
    if exact is not None and column.logical_type == "integer" and seen == Primitive("long"):
        return type_text(exact)
    return type_text(seen)


def _number(seen: Type) -> bool:
    return logical_accepts("number", seen)
