"""Profiles of data files. Every function works inside the caller's transaction.

A profile belongs to a file as long as a version that can be read has the file, or may have it again: it is about
the file's rows, which never change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, exists, insert, or_, select

from raymesh.adapters.state.schema import files, profiles
from raymesh.adapters.state.values import dumps, loads

if TYPE_CHECKING:
    from raymesh.spi.state import FileRecord, Version


def of_version(connection: Connection, version: Version) -> Mapping[str, Mapping[str, Any]]:
    """The profiles of the files of a version by path; files without one are left out."""
    since = or_(files.c.removed_version.is_(None), files.c.removed_version > version.number)
    live = exists().where(
        files.c.product == profiles.c.product,
        files.c.port == profiles.c.port,
        files.c.path == profiles.c.path,
        files.c.added_version <= version.number,
        since,
    )
    mine = (profiles.c.product == version.product, profiles.c.port == version.port)
    rows = connection.execute(select(profiles.c.path, profiles.c.profile).where(*mine, live))
    return {row.path: loads(row.profile) for row in rows}


def add(connection: Connection, version: Version, records: Iterable[FileRecord]) -> None:
    """Keep the profiles of new files."""
    told = {record.path: record.profile for record in records if record.profile}
    rows = [
        {"product": version.product, "port": version.port, "path": path, "profile": dumps(profile)}
        for path, profile in told.items()
    ]
    mine = (profiles.c.product == version.product, profiles.c.port == version.port)
    for row in rows:
        connection.execute(delete(profiles).where(*mine, profiles.c.path == row["path"]))
    if rows:
        connection.execute(insert(profiles), rows)


def prune(connection: Connection, product: str, port: str) -> None:
    """Drop the profiles of files that no version has."""
    known = exists().where(
        files.c.product == profiles.c.product,
        files.c.port == profiles.c.port,
        files.c.path == profiles.c.path,
    )
    connection.execute(delete(profiles).where(profiles.c.product == product, profiles.c.port == port, ~known))
