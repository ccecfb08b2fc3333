"""Binds queries over empty inputs: what columns would they return?"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import duckdb

from raymesh.engines.kernel import duck
from raymesh.engines.kernel.failures import translated
from raymesh.engines.kernel.inputs import bind_empty
from raymesh.engines.kernel.query import Shape, shape, user_query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raymesh.mesh.plan import Limits
    from raymesh.spec.types import TableSchema


class Binder:
    """One locked, empty database that answers any number of questions, one after the other.

    Opening a database costs more than binding a query. Each question is a transaction that is rolled back, so no
    question sees the tables of another.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._con: duckdb.DuckDBPyConnection | None = None
        self._lock = threading.Lock()

    def bind(self, sql: str, inputs: Mapping[str, TableSchema], file: str) -> Shape:
        """Columns and types of a query; raises TransformError with line and column when it is wrong."""
        with self._lock, translated(limits=self._limits):
            con = self._open()
            con.execute("BEGIN TRANSACTION")
            try:
                for name, schema in inputs.items():
                    bind_empty(con, name, schema)
                return shape(con, user_query(con, sql, file))
            finally:
                con.execute("ROLLBACK")

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._con is None:
            con = duck.connect(self._limits)
            duck.lock(con)
            self._con = con
        return self._con

    def close(self) -> None:
        if self._con is not None:
            self._con.close()
            self._con = None
