"""Mark the current version of every port, so that finding all of them does not read the whole history.

The unique index also makes the database itself refuse a second current version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

_STATEMENTS = (
    "ALTER TABLE raymesh_versions ADD COLUMN is_current SMALLINT NOT NULL DEFAULT 0",
    """UPDATE raymesh_versions SET is_current = 1
       WHERE number = (SELECT max(newer.number) FROM raymesh_versions AS newer
                       WHERE newer.product = raymesh_versions.product AND newer.port = raymesh_versions.port)""",
    "CREATE UNIQUE INDEX raymesh_versions_current ON raymesh_versions (product, port) WHERE is_current = 1",
)


def apply(connection: Connection) -> None:
    """Add the mark, set it on the newest version of every port, index it."""
    for statement in _STATEMENTS:
        connection.exec_driver_sql(statement)
