"""PostgreSQL tables and queries: streamed as Arrow from one read-only snapshot, read exactly once.

Columns that Arrow has no exact type for (numeric, uuid, json, enums, intervals, addresses …) are asked for as
text; numeric becomes the decimal its column declares. The password never leaves this module.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.adapters.sources.declared import not_exact, read_not_exact
from raymesh.adapters.sources.exact import Exact, from_text, or_error
from raymesh.adapters.sources.postgres_address import Address, address_of
from raymesh.adapters.sources.postgres_columns import Column, columns_of, server_select
from raymesh.adapters.sources.settings import read_settings, settings_of
from raymesh.adapters.sources.table_formats import selected
from raymesh.adapters.sources.temporary import keep_arrow, private_connection, reason
from raymesh.errors import MissingExtraError
from raymesh.spi.scan_sql import fields_of, identifier
from raymesh.spi.source import SourceDescription

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from raymesh.adapters.sources.settings import Settings
    from raymesh.mesh.plan import SourceScan

_EARLIEST = "'4714-11-24 (BC)'"


class PostgresSource:
    """Reads a table or a query. A database has no versions to pin: every run reads it anew."""

    def pin(self, spec: Mapping[str, Any], root: str) -> Mapping[str, Any]:  # noqa: ARG002
        return {}

    def describe(self, spec: Mapping[str, Any], root: str) -> SourceDescription:
        settings = read_settings(spec, root)
        columns = _columns(settings, address_of(settings))
        with private_connection() as con:
            empty = ", ".join(f"CAST(NULL AS {c.type}) AS {identifier(c.name)}" for c in columns)
            relation = selected(con, settings, con.sql(f"SELECT {empty} WHERE FALSE"))
            return SourceDescription(fields_of(relation.columns, relation.types))

    def relation(
        self, con: duckdb.DuckDBPyConnection, scan: SourceScan, root: str
    ) -> duckdb.DuckDBPyRelation:
        settings = settings_of(scan, root)
        address = address_of(settings)
        columns = _columns(settings, address)
        wanted = {name: con.type(text) for name, text in settings.columns}
        columns = [c.declared(wanted.get(c.name)) for c in columns]
        with _failures(settings, address), _rows(settings, address, columns) as rows:
            kept = keep_arrow(con, rows, ", ".join(_converted(con, c) for c in columns))
        return selected(con, settings, kept)

    def verify(self, scan: SourceScan, root: str, error: Exception | None = None) -> None:
        """Nothing to verify: `relation` read one snapshot, completely."""


def _columns(settings: Settings, address: Address) -> list[Column]:
    psycopg = _driver("psycopg")
    try:
        with psycopg.connect(address.url(read_only=True), connect_timeout=10) as con:
            return columns_of(con, settings)
    except psycopg.Error as wrong:
        raise address.error(settings, wrong) from None


@contextmanager
def _rows(settings: Settings, address: Address, columns: Sequence[Column]) -> Iterator[Any]:
    """The rows as an Arrow stream, open as long as the context."""
    adbc = _driver("adbc_driver_postgresql.dbapi")
    with adbc.connect(address.url(read_only=True)) as con, con.cursor() as cursor:
        cursor.execute(server_select(settings, columns))
        yield cursor.fetch_record_batch()


def _driver(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as absent:
        raise MissingExtraError("reading PostgreSQL", "postgres") from absent


def _converted(con: duckdb.DuckDBPyConnection, column: Column) -> str:
    value, target = identifier(column.name), con.type(column.type)
    if column.as_text:
        exact = from_text(value, target)
    elif target.id in {"date", "timestamp", "timestamp with time zone"}:
        exact = Exact(f"{value} >= CAST({_EARLIEST} AS {target})", value)  # infinity arrives before all dates
    else:
        exact = Exact(None, value)
    return f"{or_error(value, exact, not_exact(column.name))} AS {value}"


@contextmanager
def _failures(settings: Settings, address: Address) -> Iterator[None]:
    manager = _driver("adbc_driver_manager")
    try:
        yield
    except manager.Error as wrong:
        raise address.error(settings, wrong) from None
    except (duckdb.InterruptException, duckdb.OutOfMemoryException):
        raise
    except (duckdb.Error, OSError) as wrong:
        found = read_not_exact(reason(wrong))
        if found is None:
            raise address.error(settings, Exception(reason(wrong))) from None
        raise _no_such_value(settings, *found) from None


def _no_such_value(settings: Settings, column: str, value: str) -> Exception:
    return settings.error(
        f"column {column} holds a value that no column can keep exactly: {value[:60]!r} "
        "(infinity of a date, NaN of a numeric, or a numeric without a declared size)",
        f"declare the column with its decimal(precision, scale), or use a `query` that converts {column}",
    )
