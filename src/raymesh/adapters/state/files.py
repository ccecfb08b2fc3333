"""The index of live data files. Every function works inside the caller's transaction.

A file is kept once per interval of versions that contain it: from `added_version` up to, not including,
`removed_version` (NULL while it is live). A rollback that brings a file back starts a new interval, and so
does a file that stays but whose check state is computed anew.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, delete, exists, insert, or_, select, update

from raymesh.adapters.state.schema import files, versions
from raymesh.adapters.state.values import dumps, loads
from raymesh.errors import CommitConflictError, NotFoundError
from raymesh.spi.state import FileRecord, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_BATCH = 1000
_COLUMNS = (files.c.path, files.c.rows, files.c.bytes, files.c.state)


def of_version(connection: Connection, version: Version) -> Sequence[FileRecord]:
    """The files of a version in the order they were added. Raises NotFoundError when it is unknown or expired."""
    _must_be_readable(connection, version)
    since = or_(files.c.removed_version.is_(None), files.c.removed_version > version.number)
    query = select(*_COLUMNS).where(*_of(version), files.c.added_version <= version.number, since)
    ordered = query.order_by(files.c.added_version, files.c.ordinal)
    return [
        FileRecord(row.path, row.rows, row.bytes, loads(row.state)) for row in connection.execute(ordered)
    ]


def change(
    connection: Connection, version: Version, added: Sequence[FileRecord], removed: Sequence[str]
) -> None:
    """The files of the version before, less `removed`, plus `added`; an added path takes the place of a live one.

    Raises CommitConflictError when a path to remove is not live: then the files changed since the caller looked.
    """
    gone = set(removed)
    if missing := len(gone) - _end(connection, version, gone):
        raise CommitConflictError(
            f"{missing} of {len(gone)} files to remove are not part of the current version of "
            f"{version.product} ({version.port}); nothing was changed",
            hint="run again",
        )
    new = {record.path: record for record in added}
    _end(connection, version, new.keys() - gone)
    _start(connection, version, new.values())


def replace(connection: Connection, version: Version, records: Sequence[FileRecord]) -> None:
    """Exactly these files; those that are live already, with the same check state, keep their interval."""
    wanted = {record.path: record for record in records}
    live = {row.path: row for row in connection.execute(select(*_COLUMNS).where(*_of(version), _LIVE))}
    same = {path for path, row in live.items() if path in wanted and _same(row, wanted[path])}
    _end(connection, version, live.keys() - same)
    _start(connection, version, [record for path, record in wanted.items() if path not in same])


def prune(connection: Connection, product: str, port: str) -> None:
    """Drop the intervals in which no version is left that can be read."""
    readable = exists().where(
        versions.c.product == files.c.product,
        versions.c.port == files.c.port,
        versions.c.number >= files.c.added_version,
        versions.c.number < files.c.removed_version,
        versions.c.expired_at.is_(None),
    )
    ended = (files.c.product == product, files.c.port == port, files.c.removed_version.is_not(None))
    connection.execute(delete(files).where(*ended, ~readable))


_LIVE = files.c.removed_version.is_(None)


def _of(version: Version) -> tuple[Any, Any]:
    return files.c.product == version.product, files.c.port == version.port


def _must_be_readable(connection: Connection, version: Version) -> None:
    key = (versions.c.product == version.product, versions.c.port == version.port)
    row = connection.execute(
        select(versions.c.expired_at).where(*key, versions.c.number == version.number)
    ).first()
    if row is None or row.expired_at is not None:
        state = "does not exist" if row is None else "has expired, its files may be gone"
        raise NotFoundError(
            f"version {version.number} of {version.product} ({version.port}) {state}",
            hint=f"raymesh history {version.product} lists the versions",
        )


def _end(connection: Connection, version: Version, paths: Iterable[str]) -> int:
    """End the intervals of live paths at this version; how many there were."""
    ended = 0
    for batch in _batches(sorted(paths)):
        stop = update(files).where(*_of(version), _LIVE, files.c.path.in_(batch))
        ended += connection.execute(stop.values(removed_version=version.number)).rowcount
    return ended


def _start(connection: Connection, version: Version, records: Iterable[FileRecord]) -> None:
    rows = [
        {
            "product": version.product,
            "port": version.port,
            "path": record.path,
            "added_version": version.number,
            "ordinal": ordinal,
            "rows": record.rows,
            "bytes": record.bytes,
            "state": dumps(record.state),
        }
        for ordinal, record in enumerate(records)
    ]
    if rows:
        connection.execute(insert(files), rows)


def _same(row: Row[*tuple[Any, ...]], record: FileRecord) -> bool:
    return (row.rows, row.bytes, row.state) == (record.rows, record.bytes, dumps(record.state))


def _batches(paths: Sequence[str]) -> Iterator[list[str]]:
    remaining = iter(paths)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
