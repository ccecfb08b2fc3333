"""Parquet files as one relation: footers are compared first, rows are read when the relation is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.adapters.sources.declared import declared_types, duplicates, projection
from raymesh.adapters.sources.temporary import reason
from raymesh.errors import CorruptFileError, MeshError
from raymesh.spi.scan_sql import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raymesh.adapters.sources.locations import FileSet, SourceFile


def parquet_relation(
    con: duckdb.DuckDBPyConnection,
    files: FileSet,
    chosen: Sequence[SourceFile],
    rows: tuple[int, int] | None = None,
) -> duckdb.DuckDBPyRelation:
    """Rows of all files, under the declared columns when there are any; with `rows` only those of each file from
    the first number up to before the second.

    Raises SourceError that lists every difference between files and from the declared columns, and
    CorruptFileError for a file that is no whole Parquet file. Pickled extension types read as plain binary.
    """
    settings = files.settings
    keys = files.partition_keys(chosen)
    wanted = declared_types(con, settings)
    shapes = {f.path: _shape(con, files, f) for f in chosen}
    present = _agreed(files, shapes, wanted)
    present |= {key: wanted.get(key, con.type("VARCHAR")) for key in keys if key not in present}
    columns = projection(settings, present, wanted)
    some = f" WHERE file_row_number >= {rows[0]:d} AND file_row_number < {rows[1]:d}" if rows else ""
    return con.sql(f"SELECT {columns} FROM {_read([files.address(f) for f in chosen], keys, present)}{some}")


def parquet_rows(con: duckdb.DuckDBPyConnection, files: FileSet, chosen: Sequence[SourceFile]) -> int:
    """The number of rows, from the footers."""
    paths = literal([files.address(f) for f in chosen])
    found = con.execute(f"SELECT sum(num_rows)::BIGINT FROM parquet_file_metadata({paths})").fetchall()
    return int(found[0][0] or 0)


def row_groups(con: duckdb.DuckDBPyConnection, files: FileSet, file: SourceFile) -> list[int]:
    """Rows of every row group of a file, in order; empty when `rows` cannot be told by their number, because a column
    of that name would be taken for it."""
    found = con.execute(
        "SELECT any_value(row_group_num_rows), bool_or(lower(path_in_schema) = 'file_row_number') "
        f"FROM parquet_metadata({literal([files.address(file)])}) GROUP BY row_group_id ORDER BY row_group_id"
    ).fetchall()
    return [] if any(taken for _, taken in found) else [int(rows) for rows, _ in found]


def corrupt_file(files: FileSet, error: Exception, path: str | None = None) -> MeshError:
    """What a DuckDB error about a Parquet file means for people."""
    message = files.readable(reason(error)).splitlines()[0]
    if "encrypt" in message.lower():
        return files.settings.error(f"{path or 'a file'} is encrypted: {message}", "give it out decrypted")
    place = path or files.settings.location
    return CorruptFileError(
        f"source {files.settings.name}: {place} is not a whole Parquet file: {message}",
        hint="it is damaged, cut off or of another format: write it again",
    )


def _read(paths: Sequence[str], keys: Sequence[str], present: Mapping[str, Any]) -> str:
    partitions = "hive_partitioning=false"
    if keys:
        types = ", ".join(f"{identifier(k)}: {literal(str(present[k]))}" for k in keys)
        partitions = f"hive_partitioning=true, hive_types_autocast=false, hive_types={{{types}}}"
    return f"read_parquet({literal(list(paths))}, {partitions})"


def _shape(con: duckdb.DuckDBPyConnection, files: FileSet, file: SourceFile) -> dict[str, Any]:
    try:
        relation = con.sql(f"SELECT * FROM {_read([files.address(file)], (), {})}")
        names = _names(con, files.address(file))
    except duckdb.Error as error:
        raise corrupt_file(files, error, file.path) from None
    if twice := duplicates(names):
        raise files.settings.error(f"{file.path}: " + "; ".join(twice), "write it with different names")
    return dict(zip(relation.columns, relation.types, strict=True))


def _names(con: duckdb.DuckDBPyConnection, path: str) -> list[str]:
    """Top-level names as the footer has them (DuckDB itself renames the second of a kind)."""
    rows = con.execute(
        f"SELECT name, coalesce(num_children, 0) FROM parquet_schema({literal([path])}) ORDER BY column_id"
    ).fetchall()
    names: list[str] = []
    skip = 0
    for name, children in rows[1:]:
        if skip == 0:
            names.append(name)
            skip = children
        else:
            skip += children - 1
    return names


def _agreed(
    files: FileSet, shapes: Mapping[str, dict[str, Any]], wanted: Mapping[str, Any]
) -> dict[str, Any]:
    """The shape all files share; with declared columns only those must agree."""
    (first, shape), *others = shapes.items()
    problems = [f"{path}: {p}" for path, other in others for p in _differences(first, shape, other, wanted)]
    if problems:
        shown = [*problems[:20], *([f"and {len(problems) - 20} more"] if len(problems) > 20 else [])]
        listed = "\n".join(f"  - {p}" for p in shown)
        raise files.settings.error(
            f"its files do not have the same columns ({len(problems)} differences):\n{listed}",
            f"write them like {first}, or declare under `columns` those that all of them have",
        )
    return dict(shape)


def _differences(
    first: str, shape: Mapping[str, Any], other: Mapping[str, Any], wanted: Mapping[str, Any]
) -> list[str]:
    considered = [n for n in dict.fromkeys((*shape, *other)) if not wanted or n in wanted]
    found = []
    for name in considered:
        if name not in other:
            found.append(f"column {name} of {first} is missing")
        elif name not in shape:
            found.append(f"column {name} is not in {first}")
        elif str(shape[name]) != str(other[name]):
            found.append(f"column {name} is {other[name]}, but {shape[name]} in {first}")
    return found
