"""Reference checks: rows whose key has no partner in another table, counted by an anti-join."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from raymesh.engines.kernel.comparisons import describe
from raymesh.engines.kernel.operands import Scope, Term, term, unlimited
from raymesh.engines.kernel.rows import FILE, Table
from raymesh.engines.kernel.sqltext import quote
from raymesh.errors import UsageError
from raymesh.spec.expression import Column
from raymesh.spec.types import Decimal, Primitive, Type
from raymesh.spi.scan_sql import scan_sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raymesh.mesh.plan import Scan
    from raymesh.quality.model import Check

_MOST_FILES = 256


def orphans(
    table: Table, check: Check, inputs: Mapping[str, Scan | Table], files: Sequence[str]
) -> dict[str, int]:
    """Per file its rows that refer to nothing; rows with a NULL in the reference refer nowhere and are fine.

    Raises UsageError when the target is not there or its columns cannot be compared.
    """
    rows = orphan_rows(table, check, inputs, quote(FILE), table.rows(files, with_file=True))
    return dict.fromkeys(files, 0) | dict(table.all(f"SELECT {quote(FILE)}, count(*) FROM {rows} GROUP BY 1"))


def sight(table: Table, check: Check, inputs: Mapping[str, Scan | Table]) -> tuple[str, tuple[str, ...]]:
    """What exactly is compared (a digest of both keys), and the files of the target as digests.

    A row with a partner keeps it as long as the target loses no file. Many files are told by one digest of all.
    """
    own, target = _keys(table, check), _target(table, check, inputs)
    scan = inputs.get(check.target[0]) if check.target and check.target[0] else table
    schema = scan.schema if scan is not None else table.schema
    names = {c.split(".")[0] for c in check.target[1]} if check.target else set()
    theirs = [(f.id, str(f.type)) for f in schema if f.name in names]
    mine = [(f.id, str(f.type)) for f in table.schema if f.name in check.columns]
    keys = [t.sql for t in own], [t.sql for t in target[1]]
    files = sorted(_digest(f) for f in scan.files) if scan is not None else []
    seen = files if len(files) <= _MOST_FILES else [_digest("\0".join(files))]
    return _digest(f"{check.target}{mine}{theirs}{keys}"), tuple(seen)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def orphan_rows(
    table: Table,
    check: Check,
    inputs: Mapping[str, Scan | Table],
    selected: str = "1",
    rows: str | None = None,
) -> str:
    """Those rows as a subquery; `selected` are columns of the table, or of the `rows` of it."""
    target, pairs = _target(table, check, inputs), compared(table, check, inputs)
    own = [mine for mine, _ in pairs]
    same = " AND ".join(f"{unlimited(mine)} = {unlimited(theirs)}" for mine, theirs in pairs)
    present = " AND ".join(f"{mine.sql} IS NOT NULL" for mine in own)
    return (
        f"(SELECT {selected} FROM {rows or table.rows()} AS s WHERE {present} "
        f"AND NOT EXISTS (SELECT 1 FROM {target[0]} AS t WHERE {same}))"
    )


def compared(table: Table, check: Check, inputs: Mapping[str, Scan | Table]) -> list[tuple[Term, Term]]:
    """What of a row (named s) has to equal what of the target (named t). Raises UsageError as `orphans`."""
    pairs = list(zip(_keys(table, check), _target(table, check, inputs)[1], strict=True))
    for mine, theirs in pairs:
        _require_comparable(mine.type, theirs.type)
    return pairs


def _keys(table: Table, check: Check) -> list[Term]:
    scope = Scope.of(table.schema, "s.")
    return [term(c, scope) for c in check.keys or tuple(Column((c,)) for c in check.columns)]


def _target(table: Table, check: Check, inputs: Mapping[str, Scan | Table]) -> tuple[str, list[Term]]:
    if check.target is None:
        raise UsageError(f"{check.id} names no table")
    name, columns = check.target
    scan = inputs.get(name) if name else None
    if name and scan is None:
        raise UsageError(f"there is no published version of {name} to look into")
    if scan is None:
        schema, rows = table.schema, table.rows()
    else:
        schema, rows = scan.schema, scan.rows() if isinstance(scan, Table) else f"({scan_sql(scan)})"
    scope = Scope.of(schema, "t.")
    return rows, [term(Column(tuple(c.split("."))), scope) for c in columns]


def _require_comparable(mine: Type, theirs: Type) -> None:
    """Both of one kind; a float against an exact number would be rounded."""
    if mine == theirs or (_exact(mine) and _exact(theirs)):
        return
    if {str(mine), str(theirs)} <= {"float", "double"}:
        return
    raise UsageError(f"a {describe(mine)} cannot refer to a {describe(theirs)}")


def _exact(type_: Type) -> bool:
    return isinstance(type_, Decimal) or type_ in (Primitive("int"), Primitive("long"))
