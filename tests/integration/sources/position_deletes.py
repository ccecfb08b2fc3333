"""Writes Iceberg position deletes, which pyiceberg reads but does not write by itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg import manifest as m
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import AddSnapshotUpdate, SetSnapshotRefUpdate
from pyiceberg.typedef import Record

_COLUMNS = pa.schema(
    [
        pa.field("file_path", pa.string(), False, {"PARQUET:field_id": "2147483546"}),
        pa.field("pos", pa.int64(), False, {"PARQUET:field_id": "2147483545"}),
    ]
)


class _DeletesWriter(m.ManifestWriterV2):
    def content(self) -> m.ManifestContent:
        return m.ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


def delete_positions(table: Any, folder: Path, positions: list[int]) -> None:
    """Commits a snapshot in which the rows at `positions` of the table's one data file are deleted."""
    (task,) = table.scan().plan_files()
    rows = {"file_path": [task.file.file_path] * len(positions), "pos": positions}
    path = folder / "deletes.parquet"
    pq.write_table(pa.table(rows, schema=_COLUMNS), path)
    new_id, before = table.metadata.new_snapshot_id(), table.current_snapshot()
    output = table.io.new_output(f"{table.location()}/metadata/deletes-m0.avro")
    with _DeletesWriter(table.spec(), table.schema(), output, new_id, "null") as writer:
        writer.add_entry(_entry(path, len(positions), new_id))
    manifests = [*before.manifests(table.io), writer.to_manifest_file()]
    _commit(table, new_id, before, manifests)


def _entry(path: Path, rows: int, snapshot: int) -> m.ManifestEntry:
    file = m.DataFile.from_args(
        content=m.DataFileContent.POSITION_DELETES,
        file_path=f"file://{path}",
        file_format=m.FileFormat.PARQUET,
        partition=Record(),
        record_count=rows,
        file_size_in_bytes=path.stat().st_size,
    )
    return m.ManifestEntry.from_args(
        status=m.ManifestEntryStatus.ADDED, snapshot_id=snapshot, sequence_number=None, data_file=file
    )


def _commit(table: Any, new_id: int, before: Any, manifests: list[Any]) -> None:
    location = f"{table.location()}/metadata/deletes-list.avro"
    number = table.metadata.last_sequence_number + 1
    output = table.io.new_output(location)
    with m.write_manifest_list(2, output, new_id, before.snapshot_id, number, "null") as writer:
        writer.add_manifests(manifests)
    snapshot = Snapshot(
        snapshot_id=new_id,
        parent_snapshot_id=before.snapshot_id,
        sequence_number=number,
        timestamp_ms=max(int(time.time() * 1000), table.metadata.last_updated_ms + 1),
        manifest_list=location,
        summary=Summary(Operation.DELETE),
        schema_id=table.metadata.current_schema_id,
    )
    ref = SetSnapshotRefUpdate(ref_name="main", type="branch", snapshot_id=new_id)
    table.transaction()._apply((AddSnapshotUpdate(snapshot=snapshot), ref)).commit_transaction()
    table.refresh()
