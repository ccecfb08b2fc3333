"""Key checks: rows in excess of one per value, exact, with as little work as the data allows.

NULLs never equal each other; NaN equals NaN and -0.0 equals 0.0. In the order in which they are tried:
- the table was unique on fewer columns, so it is on more;
- only new files came: their keys are looked up among the kept ones, whose own number is known. Kept files whose
  least and greatest values say that they cannot hold any of the new keys are not read;
- few rows are grouped;
- the rows come in strictly rising order, or the integers fit a bitmap: no set is needed;
- grouping, which spills to disk. (Sorting is a quarter faster in memory and half as fast when it spills.)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raymesh.engines.kernel.comparisons import describe
from raymesh.engines.kernel.operands import Scope, Term, term, unlimited
from raymesh.engines.kernel.ranges import near_files
from raymesh.errors import UsageError
from raymesh.spec.expression import Column
from raymesh.spec.types import Decimal, List, Map, Primitive

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from raymesh.engines.kernel.rows import Table
    from raymesh.quality.model import Check, FileState
    from raymesh.spec.types import Field

_SORTABLE = ("int", "long", "string", "date", "time", "timestamp", "timestamptz", "boolean")
_MOST_BITS = 2**27
_BITS_PER_ROW = 64
_PROBE = 50_000
FEW = 200_000
"""Up to so many rows grouping is at once done; looking for a shortcut would take longer."""


@dataclass(frozen=True, slots=True)
class Key:
    """The columns of a key: SQL under the names k0, k1, …, and what identifies the definition.

    `fields` are those columns of the table that are a whole part of the key themselves.
    """

    terms: tuple[Term, ...]
    names: frozenset[tuple[str, ...]]
    definition: str
    fields: tuple[Field, ...] = ()

    @property
    def selected(self) -> str:
        return ", ".join(f"{t.sql} AS k{n}" for n, t in enumerate(self.terms))

    @property
    def present(self) -> str:
        return " AND ".join(f"{t.sql} IS NOT NULL" for t in self.terms)

    @property
    def columns(self) -> str:
        return ", ".join(f"k{n}" for n in range(len(self.terms)))

    def of(self, rows: str) -> str:
        """The keys of rows that have one, as a subquery."""
        return f"(SELECT {self.selected} FROM {rows} WHERE {self.present})"

    def apart(self, rows: str) -> str:
        """The same for a join between files, whose limits do not speak of NaN; see `unlimited`."""
        terms = ", ".join(f"{unlimited(t)} AS k{n}" for n, t in enumerate(self.terms))
        return f"(SELECT {terms} FROM {rows} WHERE {self.present})"


def key_of(check: Check, table: Table) -> Key:
    """The key a check names; raises UsageError for columns that do not exist or cannot be compared."""
    columns = check.keys or tuple(Column((c,)) for c in check.columns)
    if not columns:
        raise UsageError(f"{check.id} names no column")
    columns = tuple(sorted(set(columns), key=lambda c: c.path))
    terms = tuple(term(c, Scope.of(table.schema)) for c in columns)
    for t in terms:
        if isinstance(t.type, Map | List):
            raise UsageError(f"a {describe(t.type)} cannot be a key")
    ids = [(f.id, str(f.type)) for f in table.schema if f.name in {c.path[0] for c in columns}]
    whole = tuple(f for f in table.schema if (f.name,) in {c.path for c in columns})
    return Key(terms, frozenset(c.path for c in columns), f"{[c.path for c in columns]}{ids}", whole)


def fingerprint(key: Key, files: Sequence[str]) -> str:
    """Names a key over exactly these files."""
    text = "\0".join([key.definition, *sorted(files)])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def known_excess(
    check_id: str, key: Key, files: Sequence[str], states: Mapping[str, FileState]
) -> int | None:
    """The excess over exactly `files`, if it was measured when the last of them was added."""
    if not files:
        return 0
    wanted = fingerprint(key, files)
    noted = (states[f].whole.get(check_id) for f in files if f in states)
    return next((int(n[1]) for n in noted if n and n[0] == wanted), None)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known before a key is measured: keys found to have no excess, the states of all files, and the
    excess over the kept ones alone, None when nobody measured it."""

    unique: Sequence[Key]
    states: Mapping[str, FileState]
    kept: int | None

    def rows(self, files: Iterable[str]) -> int:
        return sum(self.states[f].rows for f in files if f in self.states)


def excess(table: Table, key: Key, known: Known) -> int:
    """Rows in excess of one per value over new and kept files."""
    if any(u.names <= key.names for u in known.unique):
        return 0
    if table.kept and known.kept is not None:
        return known.kept + _added(table, key, known.states, known.rows(table.new))
    return _alone(table, key, table.rows(), known.rows(table.files))


def _added(table: Table, key: Key, states: Mapping[str, FileState], rows: int) -> int:
    """New rows whose value an earlier new row or a kept row already has.

    The new keys are the ones a set is made of: they are few, and the kept rows stream by. Their least and
    greatest value skip whole parts of the kept files.
    """
    if not table.new:
        return 0
    new, near = table.rows(table.new), near_files(key, table.new, table.kept, states)
    twice = _alone(table, key, new, rows)
    if not near:
        return twice
    known = (
        f"SELECT DISTINCT {key.columns} FROM {key.apart(table.rows(near))} "
        f"SEMI JOIN (SELECT DISTINCT {key.columns} FROM {key.apart(new)}) USING ({key.columns})"
    )
    return twice + int(table.one(f"SELECT count(*) FROM ({known})"))


def _alone(table: Table, key: Key, of: str, rows: int) -> int:
    return _by_grouping(table, key, of) if rows <= FEW else _whole(table, key, of)


def _whole(table: Table, key: Key, rows: str) -> int:
    if all(isinstance(t.type, Decimal) or str(t.type) in _SORTABLE for t in key.terms):
        if _rises(table, key, rows):
            return 0
        if (found := _by_bitmap(table, key, rows)) is not None:
            return found
    return _by_grouping(table, key, rows)


def _rises(table: Table, key: Key, rows: str) -> bool:
    """Whether the keys rise strictly in whatever order the rows come: then no two are equal.

    Exactly one row has none before it, unless the rows were looked at in several sequences, which would
    prove nothing.
    """
    some = f"SELECT {key.columns} FROM {key.of(rows)} LIMIT {_PROBE}"
    return _rise(table, key, f"({some})") and _rise(table, key, key.of(rows))


def _rise(table: Table, key: Key, keys: str) -> bool:
    row = f"row({key.columns})" if len(key.terms) > 1 else "k0"
    pairs = f"SELECT {row} AS k, lag({row}) OVER () AS p FROM {keys}"
    firsts, drops = table.all(
        f"SELECT count(*) FILTER (WHERE p IS NULL), count(*) FILTER (WHERE k <= p) FROM ({pairs})"
    )[0]
    return bool(firsts <= 1 and not drops)


def _by_bitmap(table: Table, key: Key, rows: str) -> int | None:
    """One bit per possible integer, when they are few enough."""
    if len(key.terms) > 1 or key.terms[0].type not in (Primitive("int"), Primitive("long")):
        return None
    low, high, n = table.all(f"SELECT min(k0), max(k0), count(*) FROM {key.of(rows)}")[0]
    if not n:
        return 0
    if high - low >= min(_MOST_BITS, n * _BITS_PER_ROW):
        return None
    different = table.one(f"SELECT bit_count(bitstring_agg(k0, {low}, {high})) FROM {key.of(rows)}")
    return int(n) - int(different)


def _by_grouping(table: Table, key: Key, rows: str) -> int:
    groups = f"SELECT count(*) AS c FROM {key.of(rows)} GROUP BY {key.columns}"
    return int(table.one(f"SELECT coalesce(sum(c - 1), 0) FROM ({groups})"))
