"""JSON files: one object per line, or arrays of objects; declared values must convert exactly.

With declared columns each value stays JSON until `exact` converts it; without, DuckDB looks at every record
before it decides on types, so that none is too narrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.adapters.sources.declared import (
    declared_types,
    duplicates,
    mismatch,
    missing,
    not_exact,
)
from raymesh.adapters.sources.exact import Formats, from_json, or_error, or_null
from raymesh.adapters.sources.json_places import explain, no_records, record_format
from raymesh.adapters.sources.temporary import keep, reason
from raymesh.spi.scan_sql import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raymesh.adapters.sources.locations import FileSet, SourceFile

_ROW = "raymesh_record"


def json_relation(
    con: duckdb.DuckDBPyConnection,
    files: FileSet,
    chosen: Sequence[SourceFile],
    judged: Sequence[SourceFile] | None = None,
) -> duckdb.DuckDBPyRelation:
    """All records of all files, read now; raises SourceError with the place of what does not fit.

    That every declared column comes in some record is asked of the files `judged`: those that are read, or those
    of the whole source for the first piece of it, and none for the others.
    """
    wanted = declared_types(con, files.settings)
    if twice := duplicates(wanted):
        raise mismatch(files.settings, twice)
    judged = chosen if judged is None else judged
    try:
        relation = keep(con, _select(files, chosen, wanted))
        return _complete(con, files, judged, relation, wanted) if judged else relation
    except duckdb.Error as error:
        if (found := explain(files, chosen, reason(error), wanted)) is not None:
            raise found from None
        raise


def json_types(
    con: duckdb.DuckDBPyConnection, files: FileSet, chosen: Sequence[SourceFile]
) -> dict[str, Any]:
    """Columns and types as `json_relation` gives them."""
    if wanted := declared_types(con, files.settings):
        return wanted
    try:
        relation = con.sql(_select(files, chosen, {}))
    except duckdb.Error as error:
        if (found := explain(files, chosen, reason(error), {})) is not None:
            raise found from None
        raise
    return dict(zip(relation.columns, relation.types, strict=True))


def _select(files: FileSet, chosen: Sequence[SourceFile], wanted: Mapping[str, Any]) -> str:
    common = (
        f"{_paths(files, chosen)}, format={literal(record_format(files, chosen))}, hive_partitioning=false"
    )
    if not wanted:
        return (
            f"SELECT * FROM read_json({common}, records=true, sample_size=-1, maximum_depth=-1, "
            "map_inference_threshold=-1, union_by_name=true)"
        )
    text = files.settings.text
    columns = []
    for name, target in wanted.items():
        value = identifier(name)
        formats = Formats(text.date_format, text.timestamp_format, spoken=name in text.spoken)
        exact = or_null(value, from_json(value, target, formats))
        columns.append(f"{or_error(value, exact, not_exact(name))} AS {value}")
    raw = ", ".join(f"{literal(name)}: 'JSON'" for name in wanted)
    return f"SELECT {', '.join(columns)} FROM read_json({common}, records=true, columns={{{raw}}})"


def _paths(files: FileSet, chosen: Sequence[SourceFile]) -> str:
    return literal([files.address(f) for f in chosen])


def _complete(
    con: duckdb.DuckDBPyConnection,
    files: FileSet,
    judged: Sequence[SourceFile],
    relation: duckdb.DuckDBPyRelation,
    wanted: Mapping[str, Any],
) -> duckdb.DuckDBPyRelation:
    """`relation`, unless a declared column comes in no record or there is nothing to take types from.

    The other files of `judged` are looked into only for columns that hold nothing in the rows of `relation`.
    """
    if not wanted:
        if relation.columns == ["json"] and not relation.limit(1).fetchall():
            raise no_records(files)
        return relation
    counts = ", ".join(f"count({identifier(n)})" for n in wanted)
    found = relation.aggregate(counts).fetchall()[0]
    empty = [name for name, count in zip(wanted, found, strict=True) if not count]
    if empty:
        _require(con, files, judged, empty)
    return relation


def _require(
    con: duckdb.DuckDBPyConnection, files: FileSet, judged: Sequence[SourceFile], names: Sequence[str]
) -> None:
    """Raises SourceError that lists those of `names` that no record has, not even as null; without any record there
    is nothing to miss."""
    source = f"read_json_objects({_paths(files, judged)}, format={literal(record_format(files, judged))})"
    rows = con.execute(f"SELECT DISTINCT unnest(json_keys(json)) FROM {source} AS {_ROW}").fetchall()
    if not rows and not con.execute(f"SELECT count(*) FROM {source} AS {_ROW}").fetchall()[0][0]:
        return
    present = sorted(row[0] for row in rows)
    problems = [missing(name, present) for name in names if name not in present]
    if problems:
        raise mismatch(files.settings, problems)
