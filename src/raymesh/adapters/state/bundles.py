"""Bundles that were in force; the newest is never left for an older one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, insert, select

from raymesh.adapters.state.schema import audit_head, bundles
from raymesh.adapters.state.values import from_micros, to_micros
from raymesh.errors import BundleRollbackError
from raymesh.spi.bundles import BundleRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raymesh.adapters.state.store import SqlStateStore
    from raymesh.spi.state import Transaction


class SqlBundles:
    """A `BundleStore` in the database of a state store."""

    def __init__(self, store: SqlStateStore) -> None:
        self._store = store

    def newest(self, within: Transaction | None = None) -> BundleRecord | None:
        """The bundle in force; None when this mesh was never governed."""
        with self._store.reading(within) as connection:
            return _newest(connection)

    def remember(self, record: BundleRecord, within: Transaction | None = None) -> bool:
        """Put a bundle in force; False when exactly it is already. Raises BundleRollbackError for an older one."""
        if record == (known := self.newest(within)) or (known and _same(record, known)):
            return False
        with self._store.writing(within) as connection:
            # The head of the audit log is the one row that all who decide something take turns on.
            connection.execute(select(audit_head.c.one).with_for_update())
            newest = _newest(connection)
            if newest is not None:
                if _same(record, newest):
                    return False
                _refuse_older(record, newest)
            connection.execute(
                insert(bundles).values(
                    version=record.version,
                    digest=record.digest,
                    at=to_micros(record.at),
                    signer=record.signer,
                )
            )
            return True

    def history(self, limit: int = 100) -> Sequence[BundleRecord]:
        """The newest first."""
        with self._store.reading() as connection:
            query = select(bundles).order_by(bundles.c.version.desc()).limit(limit)
            return [_record(row) for row in connection.execute(query)]


def _newest(connection: Connection) -> BundleRecord | None:
    row = connection.execute(select(bundles).order_by(bundles.c.version.desc()).limit(1)).one_or_none()
    return None if row is None else _record(row)


def _record(row: Any) -> BundleRecord:
    return BundleRecord(row.version, row.digest, from_micros(row.at), row.signer)


def _same(a: BundleRecord, b: BundleRecord) -> bool:
    return (a.version, a.digest, a.signer) == (b.version, b.digest, b.signer)


def _refuse_older(record: BundleRecord, newest: BundleRecord) -> None:
    if newest.signer and not record.signer:
        raise BundleRollbackError(
            f"bundle {record.version} is not signed, and bundle {newest.version}, which is in force, is",
            hint="raymesh bundle sign signs the policies as they are",
        )
    if record.version < newest.version:
        raise BundleRollbackError(
            f"bundle {record.version} is older than bundle {newest.version}, which is in force",
            hint=f"give the policies a version above {newest.version} and sign them again",
        )
    if record.version == newest.version:
        raise BundleRollbackError(
            f"bundle {record.version} is in force with other content",
            hint=f"give the policies a version above {newest.version} and sign them again",
        )
