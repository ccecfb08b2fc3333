"""Parquet, CSV and JSON files, pinned by path, size and time of change."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.adapters.sources.locations import FileSet, files_of, pin_of
from raymesh.adapters.sources.parquet_files import corrupt_file, parquet_relation, parquet_rows
from raymesh.adapters.sources.settings import read_settings, settings_of
from raymesh.adapters.sources.temporary import private_connection, reason
from raymesh.spi.scan_sql import fields_of
from raymesh.spi.source import SourceDescription

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from raymesh.adapters.sources.locations import SourceFile
    from raymesh.mesh.plan import SourceScan
    from raymesh.spi.source import Division


class FileSource:
    """Files of one kind. Parquet is read when the relation is; CSV and JSON are read at once, with places."""

    def pin(self, spec: Mapping[str, Any], root: str) -> Mapping[str, Any]:
        return pin_of(FileSet(read_settings(spec, root), root).current())

    def describe(self, spec: Mapping[str, Any], root: str) -> SourceDescription:
        files = FileSet(read_settings(spec, root), root)
        chosen = files.current()
        with private_connection() as con, _explained(files):
            files.attach(con)
            rows = None
            if files.settings.kind == "parquet":
                relation = parquet_relation(con, files, chosen)
                types = dict(zip(relation.columns, relation.types, strict=True))
                rows = parquet_rows(con, files, chosen)
            else:
                types = _text_types(con, files, chosen)
            fields = fields_of(types, types.values())
        return SourceDescription(fields, pin_of(chosen), rows, sum(f.size for f in chosen))

    def relation(
        self, con: duckdb.DuckDBPyConnection, scan: SourceScan, root: str
    ) -> duckdb.DuckDBPyRelation:
        files = FileSet(settings_of(scan, root), root)
        chosen = files_of(scan.pin) if scan.pin else files.current()
        files.check(chosen)
        files.attach(con)
        try:
            relation = _relation(con, scan, files, chosen)
        finally:
            files.check(chosen)  # what looks damaged may be a file that is being rewritten
        return relation

    def divide(self, scan: SourceScan, root: str, parts: int) -> Division:
        """Pieces of whole files, large Parquet files cut; one piece where types come from every record."""
        from raymesh.adapters.sources import dividing  # only a cluster needs it

        files = FileSet(settings_of(scan, root), root)
        chosen = files_of(scan.pin) if scan.pin else files.current()
        files.check(chosen)
        with private_connection() as con, _explained(files):
            files.attach(con)
            if scan.type == "parquet":
                return dividing.parquet_pieces(con, scan, files, chosen, parts)
            if scan.type == "csv":
                return dividing.csv_pieces(scan, chosen, parts, _text_types(con, files, chosen))
            from raymesh.adapters.sources.json_places import record_format

            return dividing.json_pieces(scan, chosen, parts, record_format(files, chosen))

    def verify(self, scan: SourceScan, root: str, error: Exception | None = None) -> None:
        files = FileSet(settings_of(scan, root), root)
        chosen = files_of(scan.pin) if scan.pin else ()
        files.check(chosen)
        if isinstance(error, duckdb.Error):
            path = next(
                (f for f in chosen if str(files.root / f.path) in files.readable(reason(error))), None
            )
            if path is not None and scan.type == "parquet":
                raise corrupt_file(files, error, path.path) from None


def _relation(
    con: duckdb.DuckDBPyConnection, scan: SourceScan, files: FileSet, chosen: Sequence[SourceFile]
) -> duckdb.DuckDBPyRelation:
    if scan.type != "parquet":
        return _text_relation(con, files, chosen, scan.pin)
    rows = scan.pin.get("rows")  # one task's share of a large file
    return parquet_relation(con, files, chosen, None if rows is None else (rows[0], rows[1]))


# Readers of text are loaded by those who read text.
def _text_types(
    con: duckdb.DuckDBPyConnection, files: FileSet, chosen: Sequence[SourceFile]
) -> dict[str, Any]:
    if files.settings.kind == "csv":
        from raymesh.adapters.sources.csv_files import csv_types

        return csv_types(con, files, chosen)
    from raymesh.adapters.sources.json_files import json_types

    return json_types(con, files, chosen)


def _text_relation(
    con: duckdb.DuckDBPyConnection, files: FileSet, chosen: Sequence[SourceFile], pin: Mapping[str, Any]
) -> duckdb.DuckDBPyRelation:
    if files.settings.kind == "csv":
        from raymesh.adapters.sources.csv_files import csv_relation

        return csv_relation(con, files, chosen)
    from raymesh.adapters.sources.json_files import json_relation

    judged = pin.get("judged")  # of a piece, see `divide`
    return json_relation(con, files, chosen, None if judged is None else files_of({"files": judged}))


@contextmanager
def _explained(files: FileSet) -> Iterator[None]:
    """What no reader had better words for leaves as a SourceError: nobody else translates a description."""
    try:
        yield
    except duckdb.Error as error:
        raise files.settings.error(files.readable(reason(error)).splitlines()[0]) from None
