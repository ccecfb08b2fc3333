"""The rows a measurement is about: new and kept files of one table, and what DuckDB says about them."""

from __future__ import annotations

import re
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

    from raymesh.engines.kernel.sketches import Sketching
    from raymesh.spec.types import TableSchema

FILE, ROW = "$file", "$row"
HIDDEN = "***"
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_BRACKETS = re.compile(r"\([^()]*\)")
_NUMBER = re.compile(r"(?<![\w*])[-+]?\d[\d.,:eE+-]*(?![\w*])")
_ABOUT_TEXT = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException, duckdb.IOException)
_TEXT_KINDS = frozenset(
    {"binder", "catalog", "parser", "syntax", "io", "permission", "out of memory", "not implemented"}
)
"""Errors about the text of a query or about files; they name columns and places, never values of rows."""
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

    def rows(
        self, files: Sequence[str] | None = None, *, with_file: bool = False, with_row: bool = False
    ) -> str:
        """The rows of `files` (default: all) as a subquery to follow FROM, with the path as column FILE and the
        number in the file as column ROW."""
        scan = Scan(self.schema, tuple(self.files if files is None else files))
        return f"({scan_sql(scan, FILE if with_file else None, ROW if with_row else None)})"

    def all(self, sql: str) -> list[Any]:
        """Every row of a query's answer."""
        found: list[Any] = self.con.execute(sql).fetchall()
        return found

    def one(self, sql: str) -> Any:
        """The single value of a query's answer."""
        return self.all(sql)[0][0]


def counts(
    table: Table, files: Sequence[str], conditions: Sequence[str], beside: Sketching | None = None
) -> dict[str, tuple[int, list[int]]]:
    """Per file its rows and, for each condition, how many of them meet it; one scan for many conditions.

    Sketches are taken `beside` that.
    """
    found: dict[str, tuple[int, list[int]]] = {file: (0, [0] * len(conditions)) for file in files}
    for at in range(0, max(len(conditions), 1), _MANY):
        some = conditions[at : at + _MANY]
        sketches = beside.aggregates if beside is not None and at == 0 else ()
        aggregates = "".join(f", {a}" for a in (*(f"count_if({c})" for c in some), *sketches))
        source = table.rows(files, with_file=True, **({"with_row": True} if sketches else {}))
        sql = f"SELECT {quote(FILE)}, count(*){aggregates} FROM {source} GROUP BY 1"
        for file, rows, *numbers in table.all(sql) if files else ():
            counted = found[file][1]
            counted[at : at + len(some)] = [int(n or 0) for n in numbers[: len(some)]]
            if beside is not None and sketches:
                beside.take(file, int(rows), numbers[len(some) :])
            found[file] = int(rows), counted
    return found


def failure(error: Exception) -> Failure:
    """Why a check could not be measured; raises `error` again when the whole build was stopped."""
    report = Report.of(error)
    if isinstance(error, duckdb.InterruptException) or report.kind.upper() == "INTERRUPT":
        raise error
    lines = [line.strip() for line in report.message.splitlines() if line.strip()]
    said = "; ".join(lines[:2]) or report.kind
    about_values = not isinstance(error, _ABOUT_TEXT) and report.kind.casefold() not in _TEXT_KINDS
    return Failure((without_values(said) if about_values else said)[:300])


def without_values(message: str) -> str:
    """A message about a row without what it quotes of it: values have no place in evidence."""
    return _NUMBER.sub(HIDDEN, _BRACKETS.sub(f"({HIDDEN})", _QUOTED.sub(HIDDEN, message)))
