"""A user's SELECT: checked to be exactly one, wrapped so that it can be nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.engines.kernel.failures import Origin, translated
from raymesh.engines.kernel.sqltext import qualified, quote
from raymesh.errors import SourceSpan, TransformError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SELECT = (duckdb.StatementType.SELECT, duckdb.StatementType.MULTI)  # MULTI is a PIVOT over found values
_ONE = "write one SELECT; steps go into WITH"


@dataclass(frozen=True, slots=True)
class Rows:
    """Something to select from: `source` follows FROM. When it holds a user's text, `sql` is that text,
    `file` its place and `lead` the bytes before it in `source`. When `source` was made of a user's text instead,
    `places` are those of its bytes behind `lead`; see Origin."""

    source: str
    sql: str = ""
    file: str = ""
    lead: int = 0
    places: Mapping[int, tuple[int, int]] | None = None

    def origin(self, before: int, casts: tuple[tuple[int, int, str], ...] = ()) -> Origin:
        """Where positions of a statement come from that has `before` bytes in front of `source`."""
        return Origin(self.sql, self.file, before + self.lead, casts, places=self.places)


@dataclass(frozen=True, slots=True)
class Shape:
    """Names and DuckDB types of a query's columns, duplicates included."""

    columns: tuple[str, ...]
    types: tuple[Any, ...]


def view(name: str) -> Rows:
    """The rows of a bound input."""
    return Rows(qualified(name))


def registered(name: str) -> Rows:
    """The rows of an object registered under exactly this name."""
    return Rows(quote(name))


def user_query(con: duckdb.DuckDBPyConnection, sql: str, file: str) -> Rows:
    """The rows of a user's SELECT (FROM-first is fine); raises TransformError with its place.

    The text becomes a subquery, where DuckDB accepts nothing that writes or sets.
    """
    with translated(origin=Origin(sql, file)):
        statements = con.extract_statements(sql)
    if not statements:
        raise TransformError("the file holds no statement", hint=_ONE, spans=(SourceSpan(file),))
    if len(statements) > 1:
        second = sql.find(statements[1].query.strip()[:40]) if statements[1].query.strip() else 0
        span = _span(sql, file, second)
        raise TransformError(f"{len(statements)} statements where one is allowed", hint=_ONE, spans=(span,))
    statement = statements[0]
    if statement.type not in _SELECT:
        kind = str(statement.type).rpartition(".")[2]
        raise TransformError(f"{kind} where a SELECT is expected", hint=_ONE, spans=(SourceSpan(file),))
    if statement.named_parameters:
        names = ", ".join(f"${name}" for name in sorted(statement.named_parameters))
        raise TransformError(
            f"the SELECT has parameters ({names})", hint="write the values", spans=(SourceSpan(file),)
        )
    return Rows("(\n" + _without_semicolons(sql) + "\n)", sql, file, 2)


def shape(con: duckdb.DuckDBPyConnection, rows: Rows) -> Shape:
    """The columns of `rows`, without running anything."""
    probe = "DESCRIBE SELECT * FROM "
    with translated(origin=rows.origin(len(probe))):
        con.execute(f"{probe}{rows.source} AS q").fetchall()
    types = con.sql(f"SELECT * FROM {rows.source} AS q").types
    return Shape(tuple(_names(con, rows)), tuple(types))


def _names(con: duckdb.DuckDBPyConnection, rows: Rows) -> Sequence[str]:
    """The columns as the user names them; as a subquery a second `a` would already be `a_1`."""
    if rows.sql and con.extract_statements(rows.sql)[0].type == duckdb.StatementType.SELECT:
        return list(con.sql(rows.sql).columns)
    return list(con.sql(f"SELECT * FROM {rows.source} AS q").columns)


def _without_semicolons(sql: str) -> str:
    """The text of one statement with its closing semicolons blanked; positions stay."""
    raw = bytearray(sql.encode())
    for at, kind in duckdb.tokenize(sql):
        if kind == duckdb.token_type.operator and raw[at : at + 1] == b";":
            raw[at] = ord(" ")
    return raw.decode()


def _span(sql: str, file: str, at: int) -> SourceSpan:
    before = sql[: max(at, 0)]
    return SourceSpan(file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
