"""Numbered changes of the database, applied in order, each once, by one process at a time.

A migration is a module `m<number>_<name>` with `apply(connection)`. What is released is never edited:
a change of the schema is a new module at the end of `NAMES`. All pending ones run in one transaction, so
a process that dies half-way leaves the database as it was.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select

from raymesh.adapters.state.clock import database_clock
from raymesh.adapters.state.schema import migrations
from raymesh.errors import StorageError

if TYPE_CHECKING:
    from sqlalchemy import Connection

NAMES = (
    "m0001_initial",
    "m0002_current_versions",
    "m0003_governance",
    "m0004_classifications",
    "m0005_profiles",
)
NEWEST = len(NAMES)

_CREATE = """CREATE TABLE IF NOT EXISTS raymesh_migrations (
    number BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at BIGINT NOT NULL
)"""
# Any number will do that no other user of the same PostgreSQL database takes for its own locks.
_LOCK = "SELECT pg_advisory_xact_lock(7021995063217)"


def applied(connection: Connection) -> int:
    """The number of the newest applied migration. Raises what the driver raises when there is no database yet."""
    return connection.execute(select(func.max(migrations.c.number))).scalar() or 0


def refuse_future(number: int) -> None:
    """Raise StorageError when the database is newer than this program, which could damage it."""
    if number > NEWEST:
        raise StorageError(
            f"the state database was changed by a newer raymesh: its schema is {number}, this program knows {NEWEST}",
            hint="upgrade raymesh, or use another state database",
        )


def upgrade(connection: Connection, to: int = NEWEST) -> None:
    """Apply all migrations up to `to` that are missing, inside the caller's write transaction."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_LOCK)
    connection.exec_driver_sql(_CREATE)
    done = applied(connection)
    refuse_future(done)
    for number, name in enumerate(NAMES[done:to], start=done + 1):
        import_module(f"{__name__}.{name}").apply(connection)
        connection.execute(insert(migrations).values(number=number, name=name, applied_at=database_clock()))
