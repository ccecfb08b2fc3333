"""Counts of keys and references as staged queries: rows that could be equal meet in one partition, counts add up.

Only what is exact that way: equality of values whose hashes agree (`relations.family`). Everything else stays in
the one task that looks at the whole table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raymesh.engines.kernel.partners import compared
from raymesh.engines.kernel.rows import FILE
from raymesh.engines.kernel.sqltext import quote
from raymesh.engines.ray.drafts import width
from raymesh.engines.ray.relations import Column, family, travels
from raymesh.engines.ray.stages import Read, Stage, StagedQuery
from raymesh.mesh.plan import Scan
from raymesh.spi.scan_sql import type_text

if TYPE_CHECKING:
    from raymesh.engines.kernel.keys import Key
    from raymesh.engines.kernel.operands import Term
    from raymesh.engines.kernel.rows import Table
    from raymesh.quality.model import Check
    from raymesh.spec.types import TableSchema

_N = Column("n", "BIGINT")
_FILE = Column(FILE, "VARCHAR")


@dataclass(frozen=True, slots=True)
class Count:
    """A staged query that counts, what it reads, and the bytes of all values it compares."""

    staged: StagedQuery
    contents: Mapping[str, Scan]
    bytes: float


def key_count(key: Key, rows: Scan) -> Count | None:
    """Rows in excess of one per value of a key, in one column `n`; None when rows cannot be placed by it."""
    columns = _columns(key.terms)
    placed = tuple(c.name for c in columns if family(c.type))
    if not placed or not all(travels(c.type) for c in columns):
        return None
    held = rows.rows * width(columns)
    needed = _needed(rows.schema, [path[0] for path in key.names])
    told = f"SELECT {key.selected} FROM t1 WHERE {key.present}"
    first = _by_files("s1", told, Read("t1", "rows", False, "files", needed, (), rows.rows, held), columns)
    groups = f"SELECT count(*) AS c FROM t2 GROUP BY {key.columns}"
    sql = f"SELECT CAST(coalesce(sum(c - 1), 0) AS BIGINT) AS n FROM ({groups})"
    met = Read("t2", "s1", True, "exchange", columns, placed, rows.rows, held)
    last = Stage("s2", sql, (met,), "partitions", (_N,), "counts rows that share a key")
    return Count(StagedQuery((first, last), "keys", ("rows",)), {"rows": rows}, held)


def orphan_count(
    table: Table, check: Check, inputs: Mapping[str, Scan], rows: Scan, whole_bytes: float
) -> Count | None:
    """Rows that refer to nothing, as columns FILE and `n`; None when they cannot be placed by the reference.

    Raises UsageError as the check itself. A target of at most `whole_bytes` is given to every task.
    """
    pairs = compared(table, check, inputs)
    target = _target(check, inputs, table, rows)
    mine, theirs = _columns([m for m, _ in pairs]), _columns([t for _, t in pairs])
    placed = tuple(
        m.name
        for m, t in zip(mine, theirs, strict=True)
        if family(m.type) and family(m.type) == family(t.type)
    )
    if not placed or not all(travels(c.type) for c in (*mine, *theirs)):
        return None
    counted = (*mine, _FILE, _N)
    sizes = rows.rows * width(counted), target.rows * width(theirs)
    names = [c.path[0] for c in check.keys] or list(check.columns)
    own_read = Read(
        "t1", "rows", False, "files", (*_needed(rows.schema, names), _FILE), (), rows.rows, sizes[0], FILE
    )
    own = _own_sql([m for m, _ in pairs])
    theirs_needed = _needed(target.schema, [c.split(".")[0] for c in (check.target or ("", ()))[1]])
    other = _target_sql([t for _, t in pairs])
    if sizes[1] <= whole_bytes:
        given = Read("t2", "target", False, "whole", theirs_needed, (), target.rows, sizes[1])
        only = Stage(
            "s1", _anti(f"({own})", f"({other})", mine), (own_read, given), "files", (_FILE, _N), "references"
        )
        stages: tuple[Stage, ...] = (only,)
    else:
        target_read = Read("t2", "target", False, "files", theirs_needed, (), target.rows, sizes[1])
        stages = (
            _by_files("s1", own, own_read, counted),
            _by_files("s2", other, target_read, theirs),
            Stage(
                "s3",
                _anti("t3", "t4", mine),
                (
                    Read("t3", "s1", True, "exchange", counted, placed, rows.rows, sizes[0]),
                    Read("t4", "s2", True, "exchange", theirs, placed, target.rows, sizes[1]),
                ),
                "partitions",
                (_FILE, _N),
                "counts references without a partner",
            ),
        )
    contents = {"rows": rows, "target": target}
    return Count(StagedQuery(stages, "references", tuple(contents)), contents, sum(sizes))


def _target(check: Check, inputs: Mapping[str, Scan], table: Table, rows: Scan) -> Scan:
    """The rows referred to: another table's, or all of this one's."""
    name = check.target[0] if check.target else ""
    return inputs[name] if name else Scan(table.schema, table.files, rows.rows, rows.bytes)


def _columns(terms: Sequence[Term]) -> tuple[Column, ...]:
    return tuple(Column(f"k{n}", type_text(t.type)) for n, t in enumerate(terms))


def _needed(schema: TableSchema, names: Sequence[str]) -> tuple[Column, ...]:
    return tuple(Column(f.name, type_text(f.type)) for f in schema if f.name in names)


def _by_files(name: str, sql: str, read: Read, columns: tuple[Column, ...]) -> Stage:
    why = "each task reads its share of the files"
    return Stage(name, sql, (read,), "files", columns, why, read.rows, read.bytes)


def _own_sql(terms: Sequence[Term]) -> str:
    """References of a share of the rows, equal ones of a file once with their number: most of them repeat."""
    chosen = ", ".join(f"{t.sql} AS k{n}" for n, t in enumerate(terms))
    present = " AND ".join(f"{t.sql} IS NOT NULL" for t in terms)
    groups = ", ".join(str(n + 1) for n in range(len(terms) + 1))
    return f"SELECT {chosen}, {quote(FILE)}, count(*) AS n FROM t1 AS s WHERE {present} GROUP BY {groups}"


def _target_sql(terms: Sequence[Term]) -> str:
    chosen = ", ".join(f"{t.sql} AS k{n}" for n, t in enumerate(terms))
    present = " AND ".join(f"{t.sql} IS NOT NULL" for t in terms)
    return f"SELECT DISTINCT {chosen} FROM t2 AS t WHERE {present}"


def _anti(own: str, target: str, keys: Sequence[Column]) -> str:
    same = " AND ".join(f"s.{c.name} = t.{c.name}" for c in keys)
    return (
        f"SELECT {quote(FILE)}, CAST(sum(n) AS BIGINT) AS n FROM {own} AS s "
        f"WHERE NOT EXISTS (SELECT 1 FROM {target} AS t WHERE {same}) GROUP BY 1"
    )
