"""What two aggregate queries say about the columns of a relation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING, Any

from raymesh.actions.infer_patterns import TEXT_KINDS, names_a_key_part
from raymesh.spec.types import Decimal, Primitive, Type
from raymesh.spi.scan_sql import identifier, type_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import duckdb

EXACT_ROWS = 20_000_000
"""Uniqueness is counted exactly up to this many rows and not proposed beyond."""
COMPOSITE_ROWS = 5_000_000
"""Keys of several columns are looked for up to this many rows: every set tried is one more count."""
FEW = 30
"""Most different texts a column may have to be a list of values."""


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column. `distinct` counts different values, exactly when `exact`; lengths are in characters.

    `values` maps each different text to its rows when there are few; `matches` counts per kind of text the
    looked-at values that are of it, `looked_at` how many were.
    """

    name: str
    type: Type
    rows: int
    present: int
    distinct: int | None = None
    exact: bool = False
    minimum: Any = None
    maximum: Any = None
    shortest: int | None = None
    longest: int | None = None
    values: Mapping[str, int] | None = None
    matches: tuple[int, ...] = ()
    looked_at: int = 0

    @property
    def unique(self) -> bool:
        """Whether no value comes twice, known exactly."""
        return self.exact and self.distinct == self.present


@dataclass(frozen=True, slots=True)
class TableProfile:
    """All columns; `key` is a smallest set of columns that identifies each row, empty when none was found."""

    rows: int
    sampled: int
    columns: tuple[ColumnProfile, ...]
    key: tuple[str, ...] = field(default=())


def profile(relation: duckdb.DuckDBPyRelation, sample_rows: int, minimum_rows: int) -> TableProfile:
    """Profile `relation`, which is read two or three times; `sample_rows` values are tested for formats."""
    columns = [
        ColumnProfile(name, type_of(kind), 0, 0)
        for name, kind in zip(relation.columns, relation.types, strict=True)
    ]
    rows, columns = _first_look(relation, columns)
    every = max(1, -(-rows // sample_rows))
    sampled, columns = _second_look(relation, columns, rows, every)
    found = TableProfile(rows, sampled, tuple(columns))
    if not minimum_rows <= rows <= COMPOSITE_ROWS or any(c.unique and c.present == rows for c in columns):
        return found
    return replace(found, key=_composite_key(relation, found))


def _first_look(
    relation: duckdb.DuckDBPyRelation, columns: Sequence[ColumnProfile]
) -> tuple[int, list[ColumnProfile]]:
    values = iter(_aggregate(relation, ["count(*)", *(e for c in columns for e in _basics(c))]))
    rows = next(values)
    return rows, [_with_basics(replace(c, rows=rows), values) for c in columns]


def _basics(column: ColumnProfile) -> Iterator[str]:
    name = identifier(column.name)
    yield f"count({name})"
    if not _plain(column):
        return
    number = f" FILTER (WHERE NOT isnan({name}))" if _floating(column) else ""
    yield from (f"min({name}){number}", f"max({name}){number}", f"approx_count_distinct({name})")
    if _text(column):
        yield from (f"min(length({name}))", f"max(length({name}))")


def _with_basics(column: ColumnProfile, values: Iterator[Any]) -> ColumnProfile:
    present = next(values)
    if not _plain(column):
        return replace(column, present=present)
    low, high, distinct = next(values), next(values), next(values)
    lengths = (next(values), next(values)) if _text(column) else (None, None)
    return replace(
        column,
        present=present,
        minimum=low,
        maximum=high,
        distinct=distinct,
        shortest=lengths[0],
        longest=lengths[1],
    )


def _second_look(
    relation: duckdb.DuckDBPyRelation, columns: Sequence[ColumnProfile], rows: int, every: int
) -> tuple[int, list[ColumnProfile]]:
    chosen = _sample(relation.columns, every)
    wanted = [list(_details(c, rows, chosen)) for c in columns]
    values = iter(_aggregate(relation, [f"count(*){chosen}", *(e for w in wanted for _, e in w)]))
    sampled = next(values)
    return sampled, [
        _with_details(c, [(kind, next(values)) for kind, _ in w])
        for c, w in zip(columns, wanted, strict=True)
    ]


def _sample(names: Iterable[str], every: int) -> str:
    """A FILTER for one row in `every`, always the same ones, whatever the order of rows."""
    if every == 1:
        return ""
    return f" FILTER (WHERE hash({', '.join(identifier(n) for n in names)}) % {every} = 0)"


def _details(column: ColumnProfile, rows: int, chosen: str) -> Iterator[tuple[str, str]]:
    name = identifier(column.name)
    if column.present == 0 or column.distinct is None:
        return
    if _may_be_key(column) and rows <= EXACT_ROWS and column.distinct >= 0.9 * column.present:
        yield "distinct", f"count(DISTINCT {name})"
    if not _text(column):
        return
    if column.distinct <= 2 * FEW:
        yield "values", f"histogram({name})"
    yield "looked at", f"count({name}){chosen}"
    for kind in TEXT_KINDS:
        yield "match", f"count_if({kind.test.format(c=name)}){chosen}"


def _with_details(column: ColumnProfile, found: Sequence[tuple[str, Any]]) -> ColumnProfile:
    named = dict(found)
    values = named.get("values")
    if values is not None and len(values) <= FEW:
        column = replace(column, values=dict(sorted(values.items())), distinct=len(values), exact=True)
    if "distinct" in named:
        column = replace(column, distinct=named["distinct"], exact=True)
    matches = tuple(value for kind, value in found if kind == "match")
    return replace(column, matches=matches, looked_at=named.get("looked at", 0))


def _composite_key(relation: duckdb.DuckDBPyRelation, found: TableProfile) -> tuple[str, ...]:
    """The first pair, or else triple, of key-like columns no two rows agree in."""
    parts = [
        c.name for c in found.columns if c.present == c.rows and _may_be_key(c) and names_a_key_part(c.name)
    ][:6]
    different = {c.name: 1.1 * (c.distinct or 0) for c in found.columns}  # room for the estimate's error
    for size in (2, 3):
        sets = [s for s in combinations(parts, size) if prod(different[n] for n in s) >= found.rows]
        if not sets:
            continue
        counts = _aggregate(relation, [f"count(DISTINCT ({', '.join(map(identifier, s))}))" for s in sets])
        hits = [s for s, count in zip(sets, counts, strict=True) if count == found.rows]
        if hits:
            return hits[0]
    return ()


def _aggregate(relation: duckdb.DuckDBPyRelation, expressions: Sequence[str]) -> tuple[Any, ...]:
    row: tuple[Any, ...] = relation.aggregate(", ".join(expressions)).fetchall()[0]
    return row


def _plain(column: ColumnProfile) -> bool:
    return isinstance(column.type, Primitive | Decimal) and column.type != Primitive("binary")


def _text(column: ColumnProfile) -> bool:
    return column.type == Primitive("string")


def _floating(column: ColumnProfile) -> bool:
    return column.type in (Primitive("float"), Primitive("double"))


def _may_be_key(column: ColumnProfile) -> bool:
    return column.type in _KEY_TYPES or (isinstance(column.type, Decimal) and column.type.scale == 0)


_KEY_TYPES = {Primitive("int"), Primitive("long"), Primitive("string"), Primitive("date")}
