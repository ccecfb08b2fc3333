"""Profiles of data files: sketches of their values, beside the index of files that every plan reads.

Files that were published before have none; their versions are profiled without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

_CREATE = """CREATE TABLE raymesh_profiles (
    product TEXT NOT NULL,
    port TEXT NOT NULL,
    path TEXT NOT NULL,
    profile TEXT NOT NULL,
    PRIMARY KEY (product, port, path)
)"""


def apply(connection: Connection) -> None:
    """Create the table."""
    connection.exec_driver_sql(_CREATE)
