"""Apache Iceberg tables at a pinned snapshot.

Files without deletes are read by DuckDB by field id, lazily. Everything else (delete files, column defaults,
files without field ids, other file formats) goes through pyiceberg's own scan, read once.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.adapters.sources.iceberg_schema import table_schema
from raymesh.adapters.sources.objects import SCHEME, ObjectStore, is_object
from raymesh.adapters.sources.settings import read_settings, settings_of
from raymesh.adapters.sources.table_formats import selected, table_place
from raymesh.adapters.sources.temporary import keep_arrow, private_connection, reason
from raymesh.errors import CorruptFileError, SourceChangedError
from raymesh.mesh.plan import Scan
from raymesh.spi.scan_sql import fields_of, literal, scan_sql
from raymesh.spi.source import Division, SourceDescription

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb
    from pyiceberg.table import DataScan, FileScanTask, Table

    from raymesh.adapters.sources.settings import Settings
    from raymesh.mesh.plan import SourceScan

_NUMBERED = re.compile(r"v?(\d+)(?:-[^/]*)?(?:\.gz)?\.metadata\.json$")


class IcebergSource:
    """Reads one snapshot of an Iceberg table; pin: `{"table": uuid, "metadata": file, "snapshot": id}`."""

    def pin(self, spec: Mapping[str, Any], root: str) -> Mapping[str, Any]:
        settings = read_settings(spec, root)
        return _pin(settings, _open(settings, root))

    def describe(self, spec: Mapping[str, Any], root: str) -> SourceDescription:
        settings = read_settings(spec, root)
        table = _open(settings, root)
        pin = _pin(settings, table)
        with private_connection() as con:
            empty = _schema(table, pin["snapshot"])
            relation = selected(con, settings, con.sql(scan_sql(Scan(table_schema(empty), ()))))
            fields = fields_of(relation.columns, relation.types)
        summary = _summary(table, pin["snapshot"])
        rows, size = summary.get("total-records"), summary.get("total-files-size")
        return SourceDescription(fields, pin, int(rows) if rows else None, int(size) if size else None)

    def relation(
        self, con: duckdb.DuckDBPyConnection, scan: SourceScan, root: str
    ) -> duckdb.DuckDBPyRelation:
        settings = settings_of(scan, root)
        table = _open(settings, root, scan.pin.get("metadata"))
        pin = _checked(settings, table, scan.pin)
        return selected(con, settings, _rows(con, settings, table, pin))

    def divide(self, scan: SourceScan, root: str, parts: int) -> Division:
        """Pieces of whole data files, where DuckDB reads them."""
        from raymesh.adapters.sources.dividing import table_pieces  # only a cluster needs it

        settings = settings_of(scan, root)
        table = _open(settings, root, scan.pin.get("metadata"))
        pin = _checked(settings, table, scan.pin)
        if pin["snapshot"] is None:
            return Division((scan,), "the table is empty")
        with private_connection() as con:
            tasks = _planned(table, pin["snapshot"])
            if not _is_lazy(con, settings, table, pin["snapshot"], tasks):
                return Division(
                    (scan,), "its deletes, defaults or other kinds of files are read by one reader"
                )
        sizes = {t.file.file_path: t.file.file_size_in_bytes for t in tasks}
        return table_pieces(replace(scan, pin=pin), sizes, parts)

    def verify(self, scan: SourceScan, root: str, error: Exception | None = None) -> None:
        settings = settings_of(scan, root)
        _checked(settings, _open(settings, root, scan.pin.get("metadata")), scan.pin)
        if error is not None and (path := re.search(r"[^\s'\"]+\.parquet", reason(error))):
            raise CorruptFileError(
                f"source {settings.name}: {path[0]} cannot be read: {reason(error).splitlines()[0]}",
                hint="was its snapshot expired, or the file damaged?",
            )


def _open(settings: Settings, root: str, metadata: str | None = None) -> Table:
    from pyiceberg.exceptions import RESTError
    from pyiceberg.table import StaticTable

    try:
        if metadata is None and (settings.catalog or settings.table):
            return _in_catalog(settings)
        place = metadata or _newest_metadata(settings, table_place(settings, root))
        return StaticTable.from_metadata(place, _properties(settings))
    except (OSError, ValueError, KeyError, RESTError) as wrong:
        if metadata is not None:
            raise SourceChangedError(
                f"source {settings.name}: its pinned metadata {metadata} cannot be read any more",
                hint="run again: the current snapshot is pinned then",
            ) from None
        raise settings.error(
            f"{settings.location or settings.table} has no Iceberg table: {str(wrong).splitlines()[0][:300]}",
            "location is a table folder or a metadata.json; with a catalog, table is namespace.table",
        ) from None


def _in_catalog(settings: Settings) -> Table:
    from pyiceberg.catalog import load_catalog
    from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
    from sqlalchemy.exc import SQLAlchemyError

    if not settings.table:
        raise settings.error("a catalog is given but no table", "add `table: namespace.table`")
    properties = {"uri": settings.location, **_properties(settings), **settings.catalog}
    try:
        catalog = load_catalog(properties.pop("name", "default"), **properties)
        try:
            return catalog.load_table(settings.table)
        finally:
            catalog.close()
    except (NoSuchTableError, NoSuchNamespaceError):
        raise settings.error(
            f"the catalog has no table {settings.table}", "table is namespace.table"
        ) from None
    except SQLAlchemyError as wrong:
        raise settings.error(
            f"its catalog does not answer: {type(wrong).__name__}", "check `catalog`"
        ) from None


def _properties(settings: Settings) -> dict[str, str]:
    s3 = settings.s3
    given = {
        "s3.endpoint": s3.endpoint,
        "s3.region": s3.region,
        "s3.access-key-id": s3.key,
        "s3.secret-access-key": s3.secret,
        "s3.session-token": s3.token,
    }
    return {key: value for key, value in given.items() if value}


def _newest_metadata(settings: Settings, place: str) -> str:
    """The metadata file of a table folder with the highest number; a file is taken as it is."""
    if place.endswith(".metadata.json"):
        return place
    if is_object(place):
        found = ObjectStore(settings).below(f"{place}/metadata/")
    else:
        folder = Path(place) / "metadata"
        found = [str(p) for p in folder.iterdir()] if folder.is_dir() else []
    numbered = [(int(m[1]), path) for path in found if (m := _NUMBERED.search(path.rsplit("/", 1)[-1]))]
    if not numbered:
        raise FileNotFoundError(f"no metadata/*.metadata.json below {settings.location}")
    return max(numbered)[1]


def _pin(settings: Settings, table: Table) -> dict[str, Any]:
    return {
        "table": str(table.metadata.table_uuid),
        "metadata": table.metadata_location,
        "snapshot": _snapshot(settings, table),
    }


def _snapshot(settings: Settings, table: Table) -> int | None:
    """The snapshot meant: `version` is a snapshot id, a branch or a tag; without it the current one."""
    wanted = settings.version
    if wanted is None:
        return table.metadata.current_snapshot_id
    named = table.metadata.refs.get(str(wanted))
    if named is not None:
        return named.snapshot_id
    ids = {s.snapshot_id for s in table.metadata.snapshots}
    if str(wanted).isdecimal() and int(wanted) in ids:
        return int(wanted)
    recent = ", ".join(str(s.snapshot_id) for s in table.metadata.snapshots[-3:]) or "none"
    raise settings.error(f"no snapshot, branch or tag {wanted}", f"the newest snapshots: {recent}")


def _checked(settings: Settings, table: Table, pin: Mapping[str, Any]) -> Mapping[str, Any]:
    if not pin:
        return _pin(settings, table)
    known = {s.snapshot_id for s in table.metadata.snapshots}
    if str(table.metadata.table_uuid) != pin["table"] or pin["snapshot"] not in {*known, None}:
        raise SourceChangedError(
            f"source {settings.name}: it no longer holds snapshot {pin['snapshot']}",
            hint="run again: the current snapshot is pinned then",
        )
    return pin


def _schema(table: Table, snapshot: int | None) -> Any:
    """The columns readers see: of the table now for its current snapshot, as they were for an older one."""
    if snapshot == table.metadata.current_snapshot_id:
        return table.schema()
    found = table.metadata.snapshot_by_id(snapshot) if snapshot is not None else None
    if found is None or found.schema_id is None:
        return table.schema()
    return table.schemas().get(found.schema_id, table.schema())


def _summary(table: Table, snapshot: int | None) -> Mapping[str, str]:
    found = table.metadata.snapshot_by_id(snapshot) if snapshot is not None else None
    return found.summary.additional_properties if found is not None and found.summary is not None else {}


def _rows(
    con: duckdb.DuckDBPyConnection, settings: Settings, table: Table, pin: Mapping[str, Any]
) -> duckdb.DuckDBPyRelation:
    snapshot = pin["snapshot"]
    if snapshot is None:
        return con.sql(scan_sql(Scan(table_schema(table.schema()), ())))
    tasks = _planned(table, snapshot)
    if (paths := pin.get("paths")) is not None:  # a piece, see `divide`
        wanted = set(paths)
        tasks = [t for t in tasks if t.file.file_path in wanted]
    if paths is not None or _is_lazy(con, settings, table, snapshot, tasks):
        files = tuple(_addresses(con, settings, tasks))
        return con.sql(scan_sql(Scan(table_schema(_schema(table, snapshot)), files)))
    return keep_arrow(con, _scan(table, snapshot).to_arrow_batch_reader())


def _scan(table: Table, snapshot: int) -> DataScan:
    current = snapshot == table.metadata.current_snapshot_id
    return table.scan() if current else table.scan(snapshot_id=snapshot)


def _planned(table: Table, snapshot: int) -> list[FileScanTask]:
    return list(_scan(table, snapshot).plan_files())


def _is_lazy(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    table: Table,
    snapshot: int,
    tasks: Sequence[FileScanTask],
) -> bool:
    """Whether DuckDB can read the files as they are."""
    if not _plain(tasks) or _has_defaults(_schema(table, snapshot)):
        return False
    return _all_have_ids(con, _addresses(con, settings, tasks))


def _addresses(
    con: duckdb.DuckDBPyConnection, settings: Settings, tasks: Sequence[FileScanTask]
) -> list[str]:
    store = ObjectStore(settings)
    paths = [task.file.file_path for task in tasks]
    if any(is_object(p) for p in paths):
        store.attach(con)
    found = [store.address(p) if p.startswith(SCHEME) else p.removeprefix("file://") for p in paths]
    return [re.sub(r"([*?\[])", r"[\1]", p) for p in found]


def _plain(tasks: Sequence[FileScanTask]) -> bool:
    return all(not t.delete_files and t.file.file_format.value.upper() == "PARQUET" for t in tasks)


def _has_defaults(schema: Any) -> bool:
    return any(f.initial_default is not None for f in schema._lazy_id_to_field.values())


def _all_have_ids(con: duckdb.DuckDBPyConnection, files: Sequence[str]) -> bool:
    """Whether every file carries field ids; one without would read as NULL."""
    if not files:
        return True
    query = (
        f"SELECT file_name FROM parquet_schema({literal(list(files))}) GROUP BY 1 HAVING count(field_id) = 0"
    )
    return not con.execute(query).fetchall()
