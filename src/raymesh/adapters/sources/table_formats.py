"""What Iceberg and Delta sources share: a table's place and the declared columns over its rows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from raymesh.adapters.sources.declared import declared_types, projection
from raymesh.adapters.sources.objects import is_object

if TYPE_CHECKING:
    import duckdb

    from raymesh.adapters.sources.settings import Settings


def table_place(settings: Settings, root: str) -> str:
    """The table's folder or file: an `s3://` address as it is, anything else as an absolute path."""
    location = settings.location
    if is_object(location):
        return location.rstrip("/")
    return os.path.normpath(Path(root).absolute() / Path(location.removeprefix("file://")).expanduser())


def selected(
    con: duckdb.DuckDBPyConnection, settings: Settings, relation: duckdb.DuckDBPyRelation
) -> duckdb.DuckDBPyRelation:
    """`relation` under the declared columns; raises SourceError that lists all differences."""
    return relation.project(select_list(con, settings, relation))


def select_list(con: duckdb.DuckDBPyConnection, settings: Settings, relation: duckdb.DuckDBPyRelation) -> str:
    """The select list that turns `relation` into the declared shape."""
    present = dict(zip(relation.columns, relation.types, strict=True))
    return projection(settings, present, declared_types(con, settings))
