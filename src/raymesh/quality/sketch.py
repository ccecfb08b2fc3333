"""What a data file says about the values of its columns, small and mergeable: distinct values, moments, a sample.

A sketch is an exact summary of a fixed random choice: the least hashes of the distinct values, the rows with the
least random marks. Merging is associative and commutative (the choice from the union is the choice from the
choices), so the sketch of a table is the merge over its files in any order and grouping, and a deleted file
takes its share with it. Moments add up as exact fractions, without rounding.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HASHES = 256
"""Least hashes kept of a column: the number of its distinct values is then known to about 6 percent."""
ROWS = 512
"""Rows sampled of one file."""
SAMPLED = 4096
"""Rows kept of many files."""
WHOLE = 2**64
"""The limit of a choice that left nothing out: hashes and marks are below it."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Everything whose mark is below `limit`: pairs of mark and value, in order.

    Of the values of distinct hashes there is no value but the hash itself, which is the mark.
    """

    limit: int = WHOLE
    items: tuple[tuple[int, Any], ...] = ()

    def cut(self, most: int) -> Chosen:
        """At most `most` items; the first one left out is the new limit."""
        if len(self.items) <= most:
            return self
        limit = self.items[most][0]
        return Chosen(limit, tuple(i for i in self.items if i[0] < limit))


def distinct_union(a: Chosen, b: Chosen) -> Chosen:
    """The least hashes of both."""
    limit = min(a.limit, b.limit)
    return Chosen(limit, tuple(sorted({i for i in (*a.items, *b.items) if i[0] < limit}))).cut(HASHES)


def sample_union(a: Chosen, b: Chosen) -> Chosen:
    """The rows with the least marks of both; equal ones stay as often as they come."""
    limit = min(a.limit, b.limit)
    found = sorted((i for i in (*a.items, *b.items) if i[0] < limit), key=_order)
    return Chosen(limit, tuple(found)).cut(SAMPLED)


def _order(item: tuple[int, Any]) -> tuple[int, str]:
    return item[0], json.dumps(item[1])


@dataclass(frozen=True, slots=True)
class Moments:
    """How many finite numbers there are, their sum and the sum of their squares."""

    n: int = 0
    total: Fraction = Fraction(0)
    squares: Fraction = Fraction(0)

    @classmethod
    def of(cls, n: int, mean: float, variance: float) -> Moments:
        """From what one file's numbers are on average (`variance` of the whole population)."""
        average = Fraction(mean)
        return cls(n, n * average, n * (Fraction(variance) + average * average))

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float | None:
        return float(self.total / self.n) if self.n else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation of the population."""
        if not self.n:
            return None
        return math.sqrt(max(Fraction(0), self.squares / self.n - (self.total / self.n) ** 2))


@dataclass(frozen=True, slots=True)
class Sketch:
    """One column of one or many files.

    `by` names the program and the type that the hashes were made from: others cannot be merged. `hidden` says that
    values of the column must not be shown: then there are hashes and NULLs, and nothing else. Of a `unique` column,
    one that the gate let no value twice into, no hashes are needed.
    """

    id: int
    kind: str
    by: str
    nulls: int = 0
    distinct: Chosen | None = None
    moments: Moments | None = None
    sample: Chosen | None = None
    hidden: bool = False
    unique: bool = False


@dataclass(frozen=True, slots=True)
class TableSketch:
    """The columns of `rows` rows."""

    rows: int = 0
    columns: Mapping[str, Sketch] = field(default_factory=dict)


def merge(a: TableSketch, b: TableSketch) -> TableSketch:
    """The sketch of the rows of both. What one of them does not know of a column, nobody knows."""
    if not a.rows or not b.rows:
        return a if a.rows else b
    both = sorted(a.columns.keys() & b.columns.keys())
    merged = {n: _column(a.columns[n], b.columns[n]) for n in both if a.columns[n].id == b.columns[n].id}
    return TableSketch(a.rows + b.rows, merged)


def total(sketches: Iterable[TableSketch]) -> TableSketch:
    """The merge of all."""
    return reduce(merge, sketches, TableSketch())


def _column(a: Sketch, b: Sketch) -> Sketch:
    same, hidden = a.kind == b.kind, a.hidden or b.hidden
    clear = same and not hidden
    return Sketch(
        a.id,
        min(a.kind, b.kind),
        min(a.by, b.by),
        a.nulls + b.nulls,
        distinct_union(a.distinct, b.distinct) if a.distinct and b.distinct and a.by == b.by else None,
        a.moments + b.moments if clear and a.moments and b.moments else None,
        sample_union(a.sample, b.sample) if clear and a.sample and b.sample else None,
        hidden,
        a.unique and b.unique,
    )


def table_to_json(table: TableSketch) -> dict[str, Any]:
    """A compact JSON value: one sample of rows has the same marks in every column."""
    marks = next((c.sample for c in table.columns.values() if c.sample), Chosen())
    content = {
        "rows": table.rows,
        "limit": marks.limit,
        "marks": [m for m, _ in marks.items],
        "columns": {name: _column_to_json(c) for name, c in table.columns.items()},
    }
    packed = zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 6)
    return {"packed": base64.b85encode(packed).decode()}


def _column_to_json(c: Sketch) -> dict[str, Any]:
    found: dict[str, Any] = {"id": c.id, "kind": c.kind, "by": c.by, "nulls": c.nulls}
    found |= {"hidden": c.hidden, "unique": c.unique}
    if c.distinct:
        found |= {"until": c.distinct.limit, "hashes": [h for h, _ in c.distinct.items]}
    if c.moments:
        m = c.moments
        found["moments"] = [m.n, *(str(f) for f in (m.total, m.squares))]
    if c.sample:
        found["values"] = [v for _, v in c.sample.items]
    return found


def table_from_json(value: Mapping[str, Any]) -> TableSketch | None:
    """The sketch, None for a value that is none."""
    try:
        content = json.loads(zlib.decompress(base64.b85decode(value["packed"])))
        marks, limit = content["marks"], content["limit"]
        columns = {n: _column_from_json(c, marks, limit) for n, c in content["columns"].items()}
        return TableSketch(int(content["rows"]), columns)
    except (KeyError, TypeError, ValueError, zlib.error):
        return None


def _column_from_json(c: Mapping[str, Any], marks: list[int], limit: int) -> Sketch:
    found = Sketch(c["id"], c["kind"], c["by"], c["nulls"], hidden=c["hidden"], unique=c["unique"])
    if "hashes" in c:
        found = replace(found, distinct=Chosen(c["until"], tuple((h, None) for h in c["hashes"])))
    if "moments" in c:
        n, *sums = c["moments"]
        found = replace(found, moments=Moments(n, *(Fraction(s) for s in sums)))
    if "values" in c:
        pairs = tuple(zip(marks, c["values"], strict=True))
        found = replace(found, sample=Chosen(limit, pairs))
    return found
