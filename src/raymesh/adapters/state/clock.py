"""The database's own clock as an SQL expression: leases must not depend on the clocks of their holders."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement


class database_clock(FunctionElement[int]):  # noqa: N801  (reads as the SQL function it is)
    """Microseconds since 1970 UTC, at the moment the statement runs (milliseconds exact on SQLite)."""

    type = BigInteger()
    inherit_cache = True


@compiles(database_clock, "sqlite")
def _sqlite(*_: Any, **__: Any) -> str:
    return "(cast((julianday('now') - 2440587.5) * 86400000 as integer) * 1000)"


@compiles(database_clock, "postgresql")
def _postgresql(*_: Any, **__: Any) -> str:
    return "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)"
