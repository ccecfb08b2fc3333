"""Delta Lake tables through delta-rs, at a pinned version.

Plain tables are read as an Arrow dataset, lazily, with filters pushed down. Tables with deletion vectors or
column mapping are read once through delta-rs' own query engine: its Arrow dataset refuses the first and
silently reads NULL for the second.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raymesh.adapters.sources.objects import is_object
from raymesh.adapters.sources.settings import read_settings, settings_of
from raymesh.adapters.sources.table_formats import selected, table_place
from raymesh.adapters.sources.temporary import keep_arrow, private_connection, reason
from raymesh.errors import CorruptFileError, MissingExtraError, SourceChangedError
from raymesh.spi.scan_sql import fields_of
from raymesh.spi.source import Division, SourceDescription

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from raymesh.adapters.sources.settings import Settings
    from raymesh.mesh.plan import SourceScan

_DRAWN = re.compile(r"\x1b\[[0-9;]*m|↳")


class DeltaSource:
    """Reads one version of a Delta table; pin: `{"table": id, "version": n}`."""

    def pin(self, spec: Mapping[str, Any], root: str) -> Mapping[str, Any]:
        return _pin(_open(read_settings(spec, root), root))

    def describe(self, spec: Mapping[str, Any], root: str) -> SourceDescription:
        settings = read_settings(spec, root)
        table = _open(settings, root)
        with private_connection() as con:
            empty = pa.schema(table.schema().to_arrow()).empty_table()
            relation = selected(con, settings, con.from_arrow(empty))
            fields = fields_of(relation.columns, relation.types)
        files = pa.table(table.get_add_actions(flatten=True))
        rows = _total(files, "num_records") if not _needs_engine(table) else None
        return SourceDescription(fields, _pin(table), rows, _total(files, "size_bytes"))

    def relation(
        self, con: duckdb.DuckDBPyConnection, scan: SourceScan, root: str
    ) -> duckdb.DuckDBPyRelation:
        settings = settings_of(scan, root)
        table = _open(settings, root, scan.pin.get("version"))
        if not _pinned(table, scan):
            raise _replaced(settings)
        if _needs_engine(table):
            relation = keep_arrow(con, _through_engine(table))
        else:
            relation = con.from_arrow(_dataset(table, scan.pin.get("paths")))
        return selected(con, settings, relation)

    def divide(self, scan: SourceScan, root: str, parts: int) -> Division:
        """Pieces of whole data files."""
        from raymesh.adapters.sources.dividing import table_pieces  # only a cluster needs it

        settings = settings_of(scan, root)
        table = _open(settings, root, scan.pin.get("version"))
        if not _pinned(table, scan):
            raise _replaced(settings)
        if _needs_engine(table):
            return Division((scan,), "its deletion vectors or mapped columns are read by one reader")
        files = pa.table(table.get_add_actions(flatten=True))
        known = dict(
            zip(files.column("path").to_pylist(), files.column("size_bytes").to_pylist(), strict=True)
        )
        sizes = {f.path: known.get(f.path) or 0 for f in _dataset(table).get_fragments()}
        return table_pieces(replace(scan, pin=scan.pin or _pin(table)), sizes, parts)

    def verify(self, scan: SourceScan, root: str, error: Exception | None = None) -> None:
        settings = settings_of(scan, root)
        table = _open(settings, root, scan.pin.get("version"))
        if not _pinned(table, scan):
            raise _replaced(settings)
        if error is not None and (path := _named_file(table, reason(error))):
            raise CorruptFileError(
                f"source {settings.name}: {path} cannot be read: {reason(error).splitlines()[0]}",
                hint="was the table vacuumed, or the file damaged?",
            )


def _open(settings: Settings, root: str, version: int | None = None) -> Any:
    try:
        import deltalake
        from deltalake.exceptions import DeltaError
    except ImportError as absent:
        raise MissingExtraError("reading Delta tables", "delta") from absent
    wanted = version if version is not None else settings.version
    place = table_place(settings, root)
    try:
        return deltalake.DeltaTable(place, version=wanted, storage_options=_storage(settings))
    except OSError as wrong:
        raise settings.error(
            f"{settings.location} cannot be read: {_causes(wrong)[-1]}",
            "check location and storage: endpointUrl, region, accessKeyId and secretAccessKey",
        ) from None
    except (DeltaError, ValueError, TypeError) as wrong:
        what = "has no Delta table" if wanted is None else f"has no Delta table with version {wanted}"
        raise settings.error(
            f"{settings.location} {what}: {_causes(wrong)[0]}",
            "check location, version and storage of the source; old versions go when a table is vacuumed",
        ) from None


def _causes(error: Exception) -> list[str]:
    """What the library says, which it draws as a coloured tree: the first cause comes last."""
    lines = (_DRAWN.sub("", line).strip() for line in str(error).splitlines())
    return [line for line in lines if line] or [type(error).__name__]


def _storage(settings: Settings) -> dict[str, str]:
    if not is_object(settings.location):
        return {}
    s3 = settings.s3
    given = {
        "AWS_ENDPOINT_URL": s3.endpoint,
        "AWS_REGION": s3.region or os.environ.get("AWS_REGION", "us-east-1"),
        "AWS_ACCESS_KEY_ID": s3.key,
        "AWS_SECRET_ACCESS_KEY": s3.secret,
        "AWS_SESSION_TOKEN": s3.token,
        "AWS_ALLOW_HTTP": "true" if (s3.endpoint or "").startswith("http://") else None,
    }
    return {key: value for key, value in given.items() if value}


def _pin(table: Any) -> dict[str, Any]:
    return {"table": str(table.metadata().id), "version": int(table.version())}


def _pinned(table: Any, scan: SourceScan) -> bool:
    """Whether `table` is the one that a scan, or a piece of it, is pinned to."""
    return not scan.pin or _pin(table).items() <= scan.pin.items()


def _dataset(table: Any, paths: Sequence[str] | None = None) -> Any:
    """The table as an Arrow dataset, of some of its files only when `paths` are given."""
    whole = table.to_pyarrow_dataset()
    if paths is None:
        return whole
    wanted = set(paths)
    some = [f for f in whole.get_fragments() if f.path in wanted]
    return type(whole)(some, whole.schema, whole.format, whole.filesystem)


def _needs_engine(table: Any) -> bool:
    mapped = table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none"
    return mapped or bool(set(table.protocol().reader_features or ()) - {"timestampNtz"})


def _through_engine(table: Any) -> pa.RecordBatchReader:
    from deltalake import QueryBuilder

    rows = QueryBuilder().register("source", table).execute("SELECT * FROM source")
    return pa.RecordBatchReader.from_stream(rows)


def _total(files: pa.Table, column: str) -> int | None:
    if column not in files.column_names:
        return None
    values = files.column(column).to_pylist()
    return None if None in values else sum(values)


def _replaced(settings: Settings) -> SourceChangedError:
    return SourceChangedError(
        f"source {settings.name}: the Delta table at {settings.location} was replaced by another one",
        hint="run again: the new table is pinned then",
    )


def _named_file(table: Any, message: str) -> str | None:
    return next((f for f in table.file_uris() if f.rsplit("/", 1)[-1] in message), None)
