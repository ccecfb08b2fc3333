"""Rows that can be read once, or must be judged before anything else sees them, kept as a table.

Text files and database cursors are read exactly once, into a table of the connection that spills to disk like
any other: their errors carry places and come before the transform runs, and reading again costs nothing.
It is no TEMPORARY table, because cursors of the connection do not see those.
"""

from __future__ import annotations

import itertools
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from raymesh.spi.scan_sql import identifier
from raymesh.spi.statements import stoppable

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count(1)
_SCHEMA = identifier("raymesh__sources")
"""No domain can be called so: names hold no double underscore."""


def keep(con: duckdb.DuckDBPyConnection, select: str) -> duckdb.DuckDBPyRelation:
    """The rows of `select`, read now; raises DuckDB's errors."""
    name = f"{_SCHEMA}.{identifier(f'source_{next(_numbers)}')}"
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
    con.execute(f"CREATE TABLE {name} AS {select}")
    return con.sql(f"SELECT * FROM {name}")


def keep_arrow(con: duckdb.DuckDBPyConnection, rows: object, columns: str = "*") -> duckdb.DuckDBPyRelation:
    """The rows of an Arrow stream, read now under the select list `columns`."""
    name = f"raymesh_stream_{next(_numbers)}"
    con.register(name, rows)
    try:
        return keep(con, f"SELECT {columns} FROM {identifier(name)}")
    finally:
        con.unregister(name)


@contextmanager
def private_connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A small connection for describing a source, closed at the end; it downloads no extensions."""
    con = stoppable(
        duckdb.connect(config={"threads": 2, "autoinstall_known_extensions": False, "temp_directory": ""})
    )
    try:
        yield con
    finally:
        con.close()


def reason(error: Exception) -> str:
    """What DuckDB said, also when the connection reports errors as JSON."""
    text = str(error)
    start = text.find("{")
    if start < 0:
        return text
    try:
        said = json.loads(text[start:])["exception_message"]
    except (ValueError, KeyError, TypeError):
        return text
    return str(said)
