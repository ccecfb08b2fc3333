"""Columns of a PostgreSQL table or query: what DuckDB makes of each, and how the server hands it out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from raymesh.adapters.sources.declared import duplicates
from raymesh.spi.scan_sql import identifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raymesh.adapters.sources.settings import Settings

_NATIVE = {
    16: "BOOLEAN",
    17: "BLOB",
    20: "BIGINT",
    21: "SMALLINT",
    23: "INTEGER",
    25: "VARCHAR",
    700: "FLOAT",
    701: "DOUBLE",
    1042: "VARCHAR",
    1043: "VARCHAR",
    1082: "DATE",
    1083: "TIME",
    1114: "TIMESTAMP",
    1184: "TIMESTAMP WITH TIME ZONE",
    1000: "BOOLEAN[]",
    1005: "SMALLINT[]",
    1007: "INTEGER[]",
    1009: "VARCHAR[]",
    1015: "VARCHAR[]",
    1016: "BIGINT[]",
    1021: "FLOAT[]",
    1022: "DOUBLE[]",
}
_NUMERIC = 1700
_UNSIZED = "DECIMAL(38,18)"


@dataclass(frozen=True, slots=True)
class Column:
    """`type` is the DuckDB type; `server_cast` is what the server casts to before it sends; then it is text."""

    name: str
    type: str
    server_cast: str | None = None
    sized: bool = True

    @property
    def as_text(self) -> bool:
        return self.server_cast == "text" and self.type != "VARCHAR"

    def declared(self, kind: Any) -> Column:
        """A numeric without a size takes the declared decimal or integer type."""
        return self if self.sized or kind is None else replace(self, type=str(kind))


def server_select(settings: Settings, columns: Sequence[Column]) -> str:
    """The one statement the server runs."""
    wanted = (identifier(c.name) + (f"::{c.server_cast}" if c.server_cast else "") for c in columns)
    named = (f"{w} AS {identifier(c.name)}" for w, c in zip(wanted, columns, strict=True))
    return f"SELECT {', '.join(named)} FROM {_rows_of(settings)}"


def columns_of(con: Any, settings: Settings) -> list[Column]:
    """Asks the server (psycopg connection `con`) for names and types; no rows are read.

    It is prepared, which the server allows for a single statement only.
    """
    con.read_only = True
    described = con.execute(f"SELECT * FROM {_rows_of(settings)} LIMIT 0", prepare=True).description or ()
    if twice := duplicates(c.name for c in described):
        raise settings.error("; ".join(twice), "give the columns of the query different names with AS")
    unknown = [c.type_code for c in described if c.type_code not in _NATIVE]
    arrays = con.execute(
        "SELECT oid::bigint FROM pg_type WHERE oid = ANY(%s) AND typcategory = 'A' AND typelem <> 0",
        [unknown],
    ).fetchall()
    return [_column(c, {row[0] for row in arrays}) for c in described]


def _column(described: Any, arrays: set[int]) -> Column:
    oid, name = described.type_code, described.name
    if oid == _NUMERIC:
        precision, scale = described.precision, described.scale
        fits = precision is not None and precision <= 38 and 0 <= scale <= precision
        return Column(name, f"DECIMAL({precision},{scale})" if fits else _UNSIZED, "text", fits)
    if oid in _NATIVE:
        return Column(name, _NATIVE[oid])
    if oid in arrays:
        return Column(name, "VARCHAR[]", "text[]")
    return Column(name, "VARCHAR", "text")


def _rows_of(settings: Settings) -> str:
    """The table, quoted, or the query as a subquery, which can be nothing but one SELECT."""
    if settings.query and settings.table:
        raise settings.error("it has both a table and a query", "keep one of the two")
    if settings.query:
        return f"(\n{settings.query.strip().rstrip(';')}\n) AS rows_of_source"
    if not settings.table:
        raise settings.error(
            "it names neither a table nor a query", "add `table: schema.table` or `query: …`"
        )
    return ".".join(identifier(part) for part in settings.table.split("."))
