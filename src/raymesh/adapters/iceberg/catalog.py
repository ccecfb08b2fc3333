"""The rows of the Iceberg SQL catalog: which metadata file is current, one row per table.

The two tables are the ones every Iceberg SQL catalog uses (Java's JdbcCatalog, PyIceberg's SqlCatalog, version 1
of their layout). Changing a table is one compare-and-set on its row, so changing several tables and writing
evidence is one database transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, MetaData, String, Table, inspect, or_, select, text, tuple_, update

from raymesh.adapters.iceberg.places import split_name
from raymesh.errors import CommitConflictError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Select

    from raymesh.spi.tables import StagedChange

_METADATA = MetaData()
TABLES = Table(
    "iceberg_tables",
    _METADATA,
    Column("catalog_name", String(255), primary_key=True),
    Column("table_namespace", String(255), primary_key=True),
    Column("table_name", String(255), primary_key=True),
    Column("metadata_location", String(1000)),
    Column("previous_metadata_location", String(1000)),
    Column("iceberg_type", String(5)),
)
NAMESPACES = Table(
    "iceberg_namespace_properties",
    _METADATA,
    Column("catalog_name", String(255), primary_key=True),
    Column("namespace", String(255), primary_key=True),
    Column("property_key", String(255), primary_key=True),
    Column("property_value", String(1000), nullable=False),
)
_ASK_FOR_ALL = 400  # more names than this, and reading every row beats a long list of parameters
_CREATE_LOCK = 0x7261796D657368  # any number; serialises the first writers on PostgreSQL


class CatalogRows:
    """One named catalog in one database.

    Every method works on the connection it is given; errors of the database are the business of whoever opened it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._exists = False

    def heads(self, connection: Connection, tables: Iterable[str], *, committed: bool) -> dict[str, str]:
        """Current metadata location by table, of those that exist, read with one SELECT.

        `committed` says that the connection sees nothing of an unfinished transaction.
        """
        names = {split_name(t): t for t in tables}
        if not names or not self._present(connection, committed=committed):
            return {}
        rows = connection.execute(self._select(sorted(names))).all()
        return {names[ns, name]: where for ns, name, where in rows if (ns, name) in names}

    def _select(self, names: Sequence[tuple[str, str]]) -> Select[str, str, str]:
        at = TABLES.c
        query = select(at.table_namespace, at.table_name, at.metadata_location).where(
            at.catalog_name == self.name,
            at.metadata_location.is_not(None),
            or_(at.iceberg_type.is_(None), at.iceberg_type == "TABLE"),
        )
        few = len(names) <= _ASK_FOR_ALL
        return query.where(tuple_(at.table_namespace, at.table_name).in_(names)) if few else query

    def swap(self, connection: Connection, staged: Sequence[StagedChange]) -> None:
        """Make every staged change current, or none: raises CommitConflictError when a base has moved on."""
        with connection.begin_nested():
            self._create(connection)
            # always in the same order, so that two publishers never wait for each other in a circle
            for change in sorted(staged, key=lambda c: c.table):
                moved = (
                    self._insert(connection, change)
                    if change.base is None
                    else self._move(connection, change)
                )
                if moved != 1:
                    raise _conflict(change)

    def _move(self, connection: Connection, change: StagedChange) -> int:
        namespace, name = split_name(change.table)
        statement = (
            update(TABLES)
            .where(
                TABLES.c.catalog_name == self.name,
                TABLES.c.table_namespace == namespace,
                TABLES.c.table_name == name,
                TABLES.c.metadata_location == change.base,
            )
            .values(metadata_location=change.metadata_location, previous_metadata_location=change.base)
        )
        return connection.execute(statement).rowcount

    def _insert(self, connection: Connection, change: StagedChange) -> int:
        namespace, name = split_name(change.table)
        place = {"catalog_name": self.name, "namespace": namespace}
        self._insert_new(
            connection, NAMESPACES, {**place, "property_key": "exists", "property_value": "true"}
        )
        row = {
            "catalog_name": self.name,
            "table_namespace": namespace,
            "table_name": name,
            "metadata_location": change.metadata_location,
            "iceberg_type": "TABLE",
        }
        return self._insert_new(connection, TABLES, row)

    @staticmethod
    def _insert_new(connection: Connection, table: Table, row: dict[str, Any]) -> int:
        """1 when the row was added, 0 when there is one with its key."""
        if connection.dialect.name == "postgresql":  # each takes its time to load, and one is enough
            from sqlalchemy.dialects.postgresql import insert
        else:
            from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]
        # drivers do not agree on the row count of an INSERT, so the row is asked back
        statement = insert(table).values(**row).on_conflict_do_nothing().returning(*table.primary_key)
        return len(connection.execute(statement).all())

    def _present(self, connection: Connection, *, committed: bool) -> bool:
        if self._exists:
            return True
        found = inspect(connection).has_table(TABLES.name)
        self._exists = found and committed  # what this transaction has created may still be rolled back
        return found

    def _create(self, connection: Connection) -> None:
        if self._present(connection, committed=False):
            return
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATE_LOCK})
        _METADATA.create_all(connection)


def _conflict(change: StagedChange) -> CommitConflictError:
    what = "exists already" if change.base is None else "was changed by somebody else"
    return CommitConflictError(
        f"table {change.table} {what} since this change was prepared; nothing was changed",
        hint="run it again: it starts from the table as it is now",
    )
