"""Reference checks: rows whose key has no partner in another table, counted by an anti-join."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raymesh.engines.kernel.comparisons import describe
from raymesh.engines.kernel.operands import Scope, Term, term
from raymesh.engines.kernel.rows import Table
from raymesh.errors import UsageError
from raymesh.spec.expression import Column
from raymesh.spec.types import Decimal, Primitive, Type
from raymesh.spi.scan_sql import scan_sql

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raymesh.mesh.plan import Scan
    from raymesh.quality.model import Check


def orphans(table: Table, check: Check, inputs: Mapping[str, Scan | Table]) -> int:
    """Rows that refer to nothing; rows with a NULL in the reference refer nowhere and are fine.

    Raises UsageError when the target is not there or its columns cannot be compared.
    """
    return int(table.one(f"SELECT count(*) FROM {orphan_rows(table, check, inputs)}"))


def orphan_rows(table: Table, check: Check, inputs: Mapping[str, Scan | Table], selected: str = "1") -> str:
    """Those rows as a subquery; `selected` are columns of the table."""
    own, target = _keys(table, check), _target(table, check, inputs)
    pairs = list(zip(own, target[1], strict=True))
    for mine, theirs in pairs:
        _require_comparable(mine.type, theirs.type)
    same = " AND ".join(f"{mine.sql} = {theirs.sql}" for mine, theirs in pairs)
    present = " AND ".join(f"{mine.sql} IS NOT NULL" for mine in own)
    return (
        f"(SELECT {selected} FROM {table.rows()} AS s WHERE {present} "
        f"AND NOT EXISTS (SELECT 1 FROM {target[0]} AS t WHERE {same}))"
    )


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
