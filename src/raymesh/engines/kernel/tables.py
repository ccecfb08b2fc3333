"""Queries over tables that are in memory already, in a database that holds nothing else and is locked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from raymesh.engines.kernel import duck
from raymesh.engines.kernel.failures import translated
from raymesh.engines.kernel.query import shape, user_query
from raymesh.errors import MeshError, TransformError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from raymesh.mesh.plan import Limits


def named_tables(queries: Mapping[str, str], known: Collection[str]) -> dict[str, frozenset[str] | MeshError]:
    """The tables each query names, lower case, or what is wrong with the query; nothing is run. Keys are the files
    the queries stand in.

    Where DuckDB cannot tell without the tables (a join by USING), it is every one of `known` whose name occurs.
    """
    con = duckdb.connect(config={"errors_as_json": True, "enable_external_access": False})
    try:
        return {file: _named(con, sql, file, known) for file, sql in queries.items()}
    finally:
        con.close()


def _named(
    con: duckdb.DuckDBPyConnection, sql: str, file: str, known: Collection[str]
) -> frozenset[str] | MeshError:
    try:
        rows = user_query(con, sql, file)
    except MeshError as error:
        return error
    try:
        return frozenset(name.lower() for name in con.get_table_names(f"{_HEAD}{rows.source} AS q"))
    except duckdb.Error:
        return frozenset(re.findall(r"\w+", sql.lower())) & frozenset(known)


_HEAD = "SELECT * FROM "


def answers(
    queries: Mapping[str, str], tables: Mapping[str, pa.Table], limits: Limits
) -> dict[str, pa.Table | MeshError]:
    """The answer to each query over `tables`, or why there is none; keys are the files they stand in.

    The connection reaches no file, no address, no extension and no setting.
    """
    con = duck.connect(limits, ordered=True)
    try:
        for name, table in tables.items():
            con.register(name, table)
        duck.lock(con)
        return {file: _answer(con, sql, file, limits) for file, sql in queries.items()}
    finally:
        con.close()


def _answer(con: duckdb.DuckDBPyConnection, sql: str, file: str, limits: Limits) -> pa.Table | MeshError:
    try:
        rows = user_query(con, sql, file)
        shape(con, rows)  # says where in the query what is wrong
        with translated(origin=rows.origin(len(_HEAD)), limits=limits):
            return con.sql(f"{_HEAD}{rows.source} AS q").to_arrow_table()
    except TransformError as error:
        return error
