"""The rows a measurement is about: new and kept files of one table, and what DuckDB says about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.engines.kernel.failures import Report
from raymesh.engines.kernel.sqltext import quote
from raymesh.mesh.plan import Scan
from raymesh.quality.model import Failure
from raymesh.spi.scan_sql import scan_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raymesh.spec.types import TableSchema

FILE = "$file"
_MANY = 400
"""Aggregates in one scan; more would need more memory than a second scan costs time."""


@dataclass(frozen=True, slots=True)
class Table:
    """Data files of one table, read under one schema by field id. `new` were just written."""

    con: duckdb.DuckDBPyConnection
    schema: TableSchema
    new: tuple[str, ...]
    kept: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        return self.kept + self.new

    def rows(self, files: Sequence[str] | None = None, *, with_file: bool = False) -> str:
        """The rows of `files` (default: all) as a subquery to follow FROM, with the path as column FILE."""
        scan = Scan(self.schema, tuple(self.files if files is None else files))
        return f"({scan_sql(scan, FILE if with_file else None)})"

    def all(self, sql: str) -> list[Any]:
        """Every row of a query's answer."""
        found: list[Any] = self.con.execute(sql).fetchall()
        return found

    def one(self, sql: str) -> Any:
        """The single value of a query's answer."""
        return self.all(sql)[0][0]


def counts(table: Table, files: Sequence[str], conditions: Sequence[str]) -> dict[str, tuple[int, list[int]]]:
    """Per file its rows and, for each condition, how many of them meet it; one scan for many conditions."""
    found: dict[str, tuple[int, list[int]]] = {file: (0, [0] * len(conditions)) for file in files}
    for at in range(0, max(len(conditions), 1), _MANY):
        some = conditions[at : at + _MANY]
        aggregates = "".join(f", count_if({c})" for c in some)
        sql = (
            f"SELECT {quote(FILE)}, count(*){aggregates} FROM {table.rows(files, with_file=True)} GROUP BY 1"
        )
        for file, rows, *numbers in table.all(sql) if files else ():
            counted = found[file][1]
            counted[at : at + len(some)] = [int(n or 0) for n in numbers]
            found[file] = int(rows), counted
    return found


def failure(error: Exception) -> Failure:
    """Why a check could not be measured; raises `error` again when the whole build was stopped."""
    report = Report.of(error)
    if isinstance(error, duckdb.InterruptException) or report.kind.upper() == "INTERRUPT":
        raise error
    lines = [line.strip() for line in report.message.splitlines() if line.strip()]
    return Failure("; ".join(lines[:2])[:300] or report.kind)
