"""Reading table metadata without believing it: a torn file is named, never read as fewer rows."""

from __future__ import annotations

import json
import struct
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyiceberg.exceptions import ValidationError
from pyiceberg.manifest import ManifestContent, ManifestEntry, ManifestFile, read_manifest_list
from pyiceberg.serializers import FromInputFile

from raymesh.adapters.iceberg.places import plain
from raymesh.adapters.iceberg.schema import from_iceberg
from raymesh.errors import CorruptFileError, NotFoundError, StorageError
from raymesh.mesh.plan import Scan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.io import FileIO
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot

    from raymesh.adapters.iceberg.files import Files
    from raymesh.spec.types import TableSchema

# What pyiceberg's decoders raise on bytes that are not what they should be.
_UNDECODABLE = (
    ValueError,
    LookupError,
    EOFError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
    json.JSONDecodeError,
    ValidationError,
)
_DAMAGED = "restore the file from a backup, or roll the table back to a version that does not need it"


@contextmanager
def named(path: str) -> Iterator[None]:
    """Errors of reading `path` as CorruptFileError with its name; other failures of storage as they are."""
    try:
        yield
    except FileNotFoundError as error:
        raise CorruptFileError(f"{plain(path)} is missing", hint=_DAMAGED) from error
    except _UNDECODABLE as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CorruptFileError(f"{plain(path)} is torn: {said}", hint=_DAMAGED) from error


def load(io: FileIO, location: str) -> TableMetadata:
    """The table metadata at `location`. Raises CorruptFileError when it is missing or torn."""
    with named(location):
        return FromInputFile.table_metadata(io.new_input(location))


def snapshot_of(metadata: TableMetadata, table: str, snapshot_id: int | None) -> Snapshot | None:
    """The snapshot asked for, the current one by default. Raises NotFoundError when it is not there."""
    if snapshot_id is None:
        return metadata.current_snapshot()
    found = metadata.snapshot_by_id(snapshot_id)
    if found is None:
        raise NotFoundError(
            f"table {table} has no snapshot {snapshot_id}",
            hint="it may have expired: raymesh history shows what is kept",
        )
    return found


def schema_of(metadata: TableMetadata, snapshot: Snapshot | None) -> TableSchema:
    """The columns of a snapshot: those the table has now for the current one, else those it was written with."""
    is_current = snapshot is None or snapshot.snapshot_id == metadata.current_snapshot_id
    schema = metadata.schema()
    if not is_current and snapshot is not None and snapshot.schema_id is not None:
        schema = next((s for s in metadata.schemas if s.schema_id == snapshot.schema_id), schema)
    return from_iceberg(schema, metadata.last_column_id)


def manifests(io: FileIO, snapshot: Snapshot) -> list[ManifestFile]:
    """The manifests of a snapshot, as many as its summary says it has files for."""
    with named(snapshot.manifest_list):
        found = list(read_manifest_list(io.new_input(snapshot.manifest_list)))
    if not found and _promised(snapshot):
        raise CorruptFileError(f"{plain(snapshot.manifest_list)} is torn: it names no files", hint=_DAMAGED)
    return found


def entries(io: FileIO, manifest: ManifestFile) -> list[ManifestEntry]:
    """The live entries of a manifest. Raises CorruptFileError when it is not as long as when it was written."""
    path = manifest.manifest_path
    with named(path):
        source = io.new_input(path)
        size = len(source)
        if size != manifest.manifest_length:
            raise CorruptFileError(
                f"{plain(path)} is torn: {size} of {manifest.manifest_length} bytes are left", hint=_DAMAGED
            )
        return manifest.fetch_manifest_entry(io, discard_deleted=True)


def scan(files: Files, metadata: TableMetadata, table: str, snapshot_id: int | None) -> Scan:
    """The data files of a snapshot. Raises StorageError when rows were deleted without rewriting their files."""
    snapshot = snapshot_of(metadata, table, snapshot_id)
    schema = schema_of(metadata, snapshot)
    if snapshot is None:
        return Scan(schema, ())
    found = []
    for manifest in manifests(files.io, snapshot):
        live = entries(files.io, manifest)
        if live and manifest.content == ManifestContent.DELETES:
            raise StorageError(
                f"table {table} has delete files, written by another writer; its data files still hold the rows",
                hint="compact the table with the writer that deleted, or roll it back",
            )
        found += [entry.data_file for entry in live]
    promised = _promised(snapshot)
    if promised is not None and len(found) < promised:
        raise CorruptFileError(
            f"{plain(snapshot.manifest_list)} is torn: it names {len(found)} of {promised} data files",
            hint=_DAMAGED,
        )
    return Scan(
        schema,
        tuple(plain(f.file_path) for f in found),
        sum(f.record_count for f in found),
        sum(f.file_size_in_bytes for f in found),
    )


def live_files(files: Files, metadata: TableMetadata, location: str) -> frozenset[str]:
    """Every data and metadata file any retained snapshot needs, and the metadata files history names."""
    live = {location, *(e.metadata_file for e in metadata.metadata_log)}
    live |= {s.statistics_path for s in (*metadata.statistics, *metadata.partition_statistics)}
    seen: set[str] = set()
    for snapshot in metadata.snapshots:
        live.add(snapshot.manifest_list)
        for manifest in manifests(files.io, snapshot):
            if manifest.manifest_path not in seen:  # successive snapshots share most of them
                seen.add(manifest.manifest_path)
                live |= {e.data_file.file_path for e in entries(files.io, manifest)}
    return frozenset(plain(path) for path in live | seen)


def _promised(snapshot: Snapshot) -> int | None:
    """The number of data files the summary says the snapshot has."""
    said = snapshot.summary["total-data-files"] if snapshot.summary else None
    return int(said) if said is not None and str(said).isdigit() else None
