"""Engines for SQLite and PostgreSQL under which a transaction means the same on both.

Writers never lose an update: on SQLite they take the write lock before they read (`BEGIN IMMEDIATE`), on
PostgreSQL they lock the rows they decide on. Readers see one consistent snapshot and never wait for writers.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError

from raymesh.adapters.state.failures import Failures
from raymesh.errors import MissingExtraError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from raymesh.adapters.state.address import Address

LOCK_SECONDS = 30
"""How long a writer waits for another one before it gives up."""
_PAUSE_SECONDS = 0.01

_POOL = {"pool_size": 5, "max_overflow": 20, "hide_parameters": True}


@dataclass(frozen=True, slots=True)
class Database:
    """An opened database: `writer` for transactions that change something, `reader` for snapshots."""

    address: Address
    writer: Engine
    reader: Engine
    failures: Failures

    def close(self) -> None:
        self.reader.dispose()
        self.writer.dispose()


def connect(address: Address) -> Database:
    """Engines for the address; nothing is connected or created yet.

    Raises MissingExtraError when the PostgreSQL driver is not installed.
    """
    failures = Failures(address.shown, address.secrets)
    writer, reader = _sqlite(address) if address.file else _postgresql(address)
    return Database(address, writer, reader, failures)


def broken(connection: Connection) -> bool:
    """Whether COMMIT would pass for success and do nothing, because a statement failed before.

    PostgreSQL answers it with ROLLBACK then, and SQLite has ended the transaction by itself when the disk was full.
    """
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        return not driver.in_transaction
    from psycopg.pq import TransactionStatus

    return bool(driver.info.transaction_status == TransactionStatus.INERROR)


def _sqlite(address: Address) -> tuple[Engine, Engine]:
    def engine(begin: str, *pragmas: str) -> Engine:
        made = create_engine(address.url, connect_args={"timeout": LOCK_SECONDS}, **_POOL)
        event.listen(made, "connect", _configure(pragmas))
        event.listen(made, "begin", lambda connection: connection.exec_driver_sql(begin))
        _keep_to_process(made)
        return made

    journal = f"journal_mode={address.journal_mode}"
    return engine("BEGIN IMMEDIATE", journal, "synchronous=full", "foreign_keys=on"), engine(
        "BEGIN", "query_only=on"
    )


def _configure(pragmas: tuple[str, ...]) -> Any:
    def configure(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        for pragma in pragmas:
            _set(connection, pragma)

    return configure


def _set(connection: sqlite3.Connection, pragma: str) -> None:
    """Set a pragma, waiting for others: SQLite's own waiting does not cover a change of the journal."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            connection.execute(f"PRAGMA {pragma}").close()
        except connection.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _keep_to_process(engine: Engine) -> None:
    """Make a forked child connect anew: an SQLite connection used on both sides of a fork corrupts the file."""

    def remember(_: Any, record: Any) -> None:
        record.info["process"] = os.getpid()

    def verify(_: Any, record: Any, proxy: Any) -> None:
        if record.info["process"] != os.getpid():
            record.dbapi_connection = proxy.dbapi_connection = None
            raise DisconnectionError("the connection belongs to the parent process")

    event.listen(engine, "connect", remember)
    event.listen(engine, "checkout", verify)


def _postgresql(address: Address) -> tuple[Engine, Engine]:
    try:
        import psycopg  # noqa: F401  (create_engine would raise a less helpful error)
    except ImportError:
        raise MissingExtraError("a state database on PostgreSQL", "postgres") from None
    engine = create_engine(address.url, pool_pre_ping=True, **_POOL)
    _keep_to_process(engine)
    reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    writer = engine.execution_options(isolation_level="READ COMMITTED")
    event.listen(writer, "begin", _limit_waiting)
    return writer, reader


def _limit_waiting(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")


def make_directory(path: Path) -> None:
    """Create a directory and its parents so that they survive a power cut."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        with suppress(FileExistsError):
            directory.mkdir()
        handle = os.open(directory.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
