"""Sketches of the columns of new files, taken in the scan that counts the row checks.

The scan keeps, per file, the hashes of values below a limit and the rows whose random mark is below another;
both limits are such that a few thousand pass. Columns with few values (their files have dictionaries, or hardly a
hash passed) are looked at by their distinct values alone: these are quick to find just because they are few.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.engines.kernel.profiles import kind_of
from raymesh.engines.kernel.rows import FILE, ROW, failure
from raymesh.engines.kernel.samples import json_value
from raymesh.engines.kernel.sqltext import quote, texts
from raymesh.quality.sketch import (
    HASHES,
    ROWS,
    WHOLE,
    Chosen,
    Moments,
    Sketch,
    TableSketch,
    table_to_json,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from raymesh.engines.kernel.rows import Table
    from raymesh.spec.types import Field

_PASSING = 64 * HASHES
"""Hashes expected to pass of a column without a value twice."""
_FEW = HASHES // 4
_LONGEST = 64
_MOST_LOOKS = 1000
_MOST_COLUMNS = 100
"""Columns that are sketched, from the first on: what one statement computes grows faster than their number."""
_NUMBERS = ("int", "float", "decimal")
_COUNTED = ("int", "string", "date")
"""Kinds whose distinct values are counted in large files without a dictionary; how many different measurements
or moments there are says little and costs a tenth of the scan."""


@dataclass(slots=True)
class Sketching:
    """Sketches under way. `hidden` are columns whose values must not be kept, `unique` those that have no value
    twice in any version that is published."""

    table: Table
    files: tuple[str, ...]
    fields: tuple[Field, ...]
    hidden: frozenset[str]
    unique: frozenset[str]
    hashes: int
    marks: int
    nothing: int
    listed: frozenset[str]
    found: dict[str, tuple[int, tuple[Any, ...]]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Table, hidden: Collection[str], unique: Collection[str] = ()) -> Sketching | None:
        """Sketches of the new files of `table`; None when there is nothing to sketch."""
        fields = tuple(f for f in table.schema if kind_of(f))[:_MOST_COLUMNS]
        if not table.new or not fields:
            return None
        largest, listed = _footers(table)
        hashes, marks = (_limit(n, largest) for n in (_PASSING, ROWS + ROWS // 2))
        nothing = int(table.one("SELECT hash(NULL)"))
        return cls(
            table,
            table.new,
            fields,
            frozenset(hidden),
            frozenset(unique),
            hashes,
            marks,
            nothing,
            listed - frozenset(unique)
            if largest > _PASSING and len(table.new) * len(listed) <= _MOST_LOOKS
            else frozenset(),
        )

    @property
    def shown(self) -> tuple[Field, ...]:
        return tuple(f for f in self.fields if f.name not in self.hidden)

    @property
    def aggregates(self) -> tuple[str, ...]:
        """What the scan has to compute, per file."""
        found = [self._hashes(f) for f in self._hashed]
        found += [a for f in self._numbers for a in _moments(f)]
        return (*found, self._sample())

    @property
    def _hashed(self) -> tuple[Field, ...]:
        wanted = _COUNTED if self.hashes != WHOLE else None
        return tuple(
            f
            for f in self.fields
            if f.name not in self.unique | self.listed and (wanted is None or kind_of(f) in wanted)
        )

    @property
    def _numbers(self) -> tuple[Field, ...]:
        return tuple(f for f in self.shown if kind_of(f) in _NUMBERS)

    def take(self, file: str, rows: int, values: Sequence[Any]) -> None:
        """What the scan computed for one file."""
        self.found[file] = rows, tuple(values)

    def finished(self, footers: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
        """Per file its sketch as JSON; `footers` say how many NULLs there are. Columns without that are left out."""
        few = self._few()
        return {
            file: table_to_json(TableSketch(rows, self._columns(file, values, footers.get(file, {}), few)))
            for file, (rows, values) in self.found.items()
        }

    def _columns(
        self,
        file: str,
        values: tuple[Any, ...],
        footer: Mapping[str, Mapping[str, Any]],
        few: Mapping[tuple[str, str], list[int]],
    ) -> dict[str, Sketch]:
        hashes = dict(zip((f.name for f in self._hashed), values, strict=False))
        rest = values[len(hashes) : -1]
        moments = {f.name: _read_moments(rest[3 * n : 3 * n + 3]) for n, f in enumerate(self._numbers)}
        sample = Chosen(
            self.marks, tuple(sorted(((r["m"], r) for r in values[-1] or ()), key=lambda i: i[0]))
        ).cut(ROWS)
        found = {}
        for n, f in enumerate(self.fields):
            if "nulls" not in footer.get(f.name, {}):
                continue
            whole = few.get((file, f.name))
            chosen = hashes.get(f.name) or () if whole is None else whole
            limit = self.hashes if whole is None else WHOLE
            distinct = Chosen(limit, tuple((int(h), None) for h in chosen)).cut(HASHES)
            known = f.name in hashes or whole is not None
            found[f.name] = Sketch(
                id=f.id,
                kind=kind_of(f) or "",
                by=f"{_program()} {f.type}",
                nulls=int(footer[f.name]["nulls"]),
                distinct=distinct if known else None,
                unique=f.name in self.unique,
                moments=moments.get(f.name),
                sample=None if f.name in self.hidden else _values(sample, f"v{n}"),
                hidden=f.name in self.hidden,
            )
        return found

    def _hashes(self, f: Field) -> str:
        name, value = quote(f.name), f"hash({quote(f.name)})"
        some = f"{value} < {self.hashes}" if self.hashes != WHOLE else ""
        if not some or self.nothing < self.hashes:  # the hash of NULL would pass
            some = f"{name} IS NOT NULL" + (f" AND {some}" if some else "")
        chosen = f"list({value}) FILTER ({some})"
        return f"list_sort(list_distinct({chosen}))[:{HASHES + 1}]"

    def _sample(self) -> str:
        """Marked rows; long texts are cut before they are gathered."""
        mark = f"hash({quote(ROW)}, {quote(FILE)})"
        chosen = f"TRUE{_below(mark, self.marks)}"
        members = "".join(
            f", v{n} := {_short(f, chosen)}" for n, f in enumerate(self.fields) if f.name not in self.hidden
        )
        return f"list(struct_pack(m := {mark}{members})) FILTER ({chosen})"

    def _few(self) -> dict[tuple[str, str], list[int]]:
        """By file and column all hashes of columns with few values, when the scan did not let all pass."""
        if self.hashes == WHOLE:
            return {}
        columns = [
            f
            for n, f in enumerate(self._hashed)
            if all(len(values[n] or ()) < _FEW for _, values in self.found.values())
        ]
        columns += [f for f in self.fields if f.name in self.listed]
        if not columns or not self.found:
            return {}
        parts = [
            f"SELECT {m} AS f, {n} AS n, hash(c) AS h FROM (SELECT DISTINCT {quote(f.name)} AS c FROM "
            f"{self.table.rows((file,))}) WHERE c IS NOT NULL"
            for m, file in enumerate(self.files)
            for n, f in enumerate(columns)
        ]
        if len(parts) > _MOST_LOOKS:
            return {}
        try:
            found = self.table.all(
                f"SELECT f, n, list_sort(list(h))[:{HASHES + 1}] FROM ({' UNION ALL '.join(parts)}) GROUP BY f, n"
            )
        except duckdb.Error as error:
            failure(error)  # a profile is a service: it then says less
            return {}
        known = {(self.files[m], columns[n].name): hashes for m, n, hashes in found}
        return {(file, f.name): known.get((file, f.name), []) for file in self.files for f in columns}


def _footers(table: Table) -> tuple[int, frozenset[str]]:
    """The rows of the largest new file, and the columns all of whose chunks have a dictionary."""
    chunks = table.all(
        "SELECT '' AS _, file_name, path_in_schema, bool_and(dictionary_page_offset IS NOT NULL), "
        f"sum(row_group_num_rows) FROM parquet_metadata({texts(table.new)}) GROUP BY ALL"
    )
    plain = {name for _, _, name, listed, _ in chunks if not listed}
    return max((int(rows) for *_, rows in chunks), default=0), frozenset(c[2] for c in chunks) - plain


def _limit(passing: int, rows: int) -> int:
    return WHOLE if rows <= passing else WHOLE * passing // rows


def _below(value: str, limit: int) -> str:
    return "" if limit == WHOLE else f" AND {value} < {limit}"


def _short(f: Field, chosen: str) -> str:
    name = quote(f.name)
    return f"CASE WHEN {chosen} THEN left({name}, {_LONGEST}) END" if kind_of(f) == "string" else name


def _moments(f: Field) -> tuple[str, str, str]:
    """How many finite numbers, their mean and variance; numbers whose squares overflow are left out."""
    x = f"CAST({quote(f.name)} AS DOUBLE)"
    if kind_of(f) == "float":
        x = f"CASE WHEN isfinite({x}) AND abs({x}) < 1e150 THEN {x} END"
    return f"count({x})", f"avg({x})", f"var_pop({x})"


def _read_moments(values: Sequence[Any]) -> Moments:
    n, mean, variance = values
    return (
        Moments.of(int(n), mean, variance) if n and mean is not None and variance is not None else Moments()
    )


def _values(sample: Chosen, member: str) -> Chosen:
    return Chosen(sample.limit, tuple((int(m), json_value(row[member])) for m, row in sample.items))


@cache
def _program() -> str:
    return f"duckdb {version('duckdb')}"
