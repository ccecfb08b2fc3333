"""Rows that can be read once, or must be judged before anything else sees them, kept as a table.

Text files and database cursors are read exactly once, into a temporary table that spills to disk like any
other: their errors carry places and come before the transform runs, and reading again costs nothing.
"""

from __future__ import annotations

import itertools
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from raymesh.spi.scan_sql import identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count(1)


def keep(con: duckdb.DuckDBPyConnection, select: str) -> duckdb.DuckDBPyRelation:
    """The rows of `select`, read now; raises DuckDB's errors."""
    name = identifier(f"raymesh_source_{next(_numbers)}")
    con.execute(f"CREATE TEMPORARY TABLE {name} AS {select}")
    return con.sql(f"SELECT * FROM temp.main.{name}")


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
    con = duckdb.connect(config={"threads": 2, "autoinstall_known_extensions": False, "temp_directory": ""})
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
