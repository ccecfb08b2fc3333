"""From a change of a table to its next metadata file, written and synced but not yet visible."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from pyiceberg.serializers import ToOutputFile
from pyiceberg.table.refs import MAIN_BRANCH, SnapshotRefType
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.table.update import (
    AddSnapshotUpdate,
    RemoveSnapshotsUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
    update_table_metadata,
)

from raymesh.adapters.iceberg.layout import begin, prepare
from raymesh.adapters.iceberg.manifests import Writer
from raymesh.adapters.iceberg.parquet import Place, describe
from raymesh.adapters.iceberg.reading import snapshot_of
from raymesh.adapters.iceberg.summary import summary_of
from raymesh.errors import CorruptFileError, StorageError, UsageError
from raymesh.spi import faults
from raymesh.spi.tables import RUN_PROPERTY, StagedChange, TableChange

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pyiceberg.manifest import DataFile as IcebergFile
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableUpdate

    from raymesh.adapters.iceberg.files import Files

_TOLERATED_MS = 60_000  # how far clocks may disagree; beyond it Iceberg's Java readers refuse the table
_METADATA_NAME = re.compile(r"(\d+)-[^/]*\.metadata\.json(\.gz)?$")


@dataclass(frozen=True, slots=True)
class Ground:
    """The table a change starts from: its folder, and the metadata it has at `base`. None for a new table.

    `written` has every metadata file begun, so that a failure leaves none behind, with its bytes once complete.
    """

    files: Files
    table: str
    location: str
    base: str | None
    metadata: TableMetadata | None
    written: dict[str, int] = field(default_factory=dict)


def stage_files(ground: Ground, change: TableChange) -> StagedChange:
    """One new snapshot with the files of the change: replace, append or rewrite."""
    with _leaving_nothing(ground):
        stamp = _now(ground)
        metadata = prepare(ground.metadata or begin(change, ground.location), change)
        place = Place(change.schema, metadata.spec(), metadata.default_sort_order_id or None)
        added = [describe(ground.files, f, place) for f in change.files]
        ground.files.sync([f.path for f in change.files])
        snapshot = _snapshot(ground, change, metadata, added, stamp)
        faults.at("manifest_written")
        updates = (
            AddSnapshotUpdate(snapshot=snapshot),
            _main(snapshot.snapshot_id),
            *_run(change.properties),
        )
        after = update_table_metadata(metadata, updates, metadata_location=ground.base)
        after = _stamped(after, len(metadata.snapshot_log), stamp)
        return _finish(ground, after, snapshot.snapshot_id, {f.path: f.bytes for f in change.files})


def stage_rollback(ground: Ground, change: TableChange) -> StagedChange:
    """The older snapshot and the change's schema become current. Raises NotFoundError when it is gone."""
    with _leaving_nothing(ground):
        stamp = _now(ground)
        if ground.metadata is None or change.snapshot_id is None:
            raise UsageError(f"a rollback of {change.table} needs a table and a snapshot to go back to")
        snapshot_of(ground.metadata, change.table, change.snapshot_id)
        prepared = prepare(ground.metadata, change)
        updates = (_main(change.snapshot_id), *_run(change.properties))
        after = update_table_metadata(prepared, updates, metadata_location=ground.base)
        return _finish(ground, _stamped(after, len(prepared.snapshot_log), stamp), change.snapshot_id, {})


def stage_expiry(ground: Ground, snapshot_ids: Iterable[int]) -> StagedChange:
    """History without the given snapshots. Unknown ones are ignored, those somebody has tagged stay.

    Raises UsageError for the current snapshot.
    """
    with _leaving_nothing(ground):
        stamp = _now(ground)
        metadata = ground.metadata
        current = metadata.current_snapshot_id if metadata else None
        if metadata is None or current is None or current in set(snapshot_ids):
            raise UsageError(
                f"the current snapshot of {ground.table} cannot expire", hint="keep at least one version"
            )
        tagged = {ref.snapshot_id for ref in metadata.refs.values()}
        known = {s.snapshot_id for s in metadata.snapshots}
        gone = RemoveSnapshotsUpdate.model_validate(
            {"snapshot-ids": sorted((set(snapshot_ids) & known) - tagged)}
        )
        after = update_table_metadata(metadata, (gone,), metadata_location=ground.base)
        return _finish(ground, _stamped(after, len(after.snapshot_log), stamp), current, {})


def _snapshot(
    ground: Ground,
    change: TableChange,
    metadata: TableMetadata,
    added: Sequence[IcebergFile],
    stamp: int,
) -> Snapshot:
    parent = metadata.current_snapshot()
    parent_id = parent.snapshot_id if parent else None
    writer = Writer(
        ground.files.io,
        f"{ground.location}/metadata",
        metadata,
        metadata.new_snapshot_id(),
        written=ground.written,
    )
    found = _manifests(writer, change, parent, added)
    return Snapshot.model_validate(
        {
            "snapshot-id": writer.snapshot_id,
            "parent-snapshot-id": parent_id,
            "sequence-number": metadata.next_sequence_number(),
            "timestamp-ms": stamp,
            "manifest-list": writer.write_list(found, parent_id),
            "summary": summary_of(change, metadata, added, writer.removed),
            "schema-id": metadata.current_schema_id,
        }
    )


def _manifests(
    writer: Writer, change: TableChange, parent: Snapshot | None, added: Sequence[IcebergFile]
) -> list[ManifestFile]:
    match change.kind:
        case "append":
            return writer.append(parent, added)
        case "rewrite":
            return writer.rewrite(parent, added, change.removed)
    return writer.replace(parent, added)


def _finish(
    ground: Ground, metadata: TableMetadata, snapshot_id: int, sizes: Mapping[str, int]
) -> StagedChange:
    """Write the metadata file, wait for the disk, and look that every file is as long as it was written."""
    path = f"{ground.location}/metadata/{_version(ground.base):05d}-{uuid4()}.metadata.json"
    ground.written[path] = 0
    output = ground.files.io.new_output(path)
    ToOutputFile.table_metadata(metadata, output)
    ground.written[path] = len(output)
    ground.files.sync(list(ground.written))
    faults.at("metadata_written")
    if ground.files.can_tear:
        _check_sizes(ground, {**sizes, **ground.written})
    return StagedChange(ground.table, ground.base, path, snapshot_id, tuple(ground.written))


def _check_sizes(ground: Ground, expected: Mapping[str, int]) -> None:
    for path, size in expected.items():
        if ground.files.size(path) != size:
            raise CorruptFileError(
                f"{path} is torn: it had {size} bytes when it was written", hint="build the product again"
            )


@contextmanager
def _leaving_nothing(ground: Ground) -> Iterator[None]:
    try:
        yield
    except BaseException:  # whatever ends the stage, what it has written is of no use to anybody
        with suppress(OSError):
            ground.files.delete(ground.written)
        raise


def _now(ground: Ground) -> int:
    """The time of the change in milliseconds, never before the last one.

    Raises StorageError when the clock is behind the table by more than readers tolerate.
    """
    now, last = time.time_ns() // 1_000_000, ground.metadata.last_updated_ms if ground.metadata else 0
    if now < last - _TOLERATED_MS:
        raise StorageError(
            f"this machine's clock is {(last - now) / 1000:.0f} s behind the last change of {ground.table}; "
            "Iceberg readers refuse a table whose history goes backwards",
            hint="set the clock right, then run it again",
        )
    return max(now, last)


def _stamped(metadata: TableMetadata, log_before: int, stamp: int) -> TableMetadata:
    """The metadata with our time instead of the one pyiceberg took."""
    log = metadata.snapshot_log
    ours = [*log[:log_before], *(e.model_copy(update={"timestamp_ms": stamp}) for e in log[log_before:])]
    return metadata.model_copy(update={"last_updated_ms": stamp, "snapshot_log": ours})


def _main(snapshot_id: int) -> TableUpdate:
    return SetSnapshotRefUpdate.model_validate(
        {"ref-name": MAIN_BRANCH, "type": SnapshotRefType.BRANCH, "snapshot-id": snapshot_id}
    )


def _run(properties: Mapping[str, str]) -> tuple[TableUpdate, ...]:
    """The run also becomes a property of the table: a rollback writes no summary that could name it."""
    run_id = properties.get(RUN_PROPERTY)
    return (SetPropertiesUpdate(updates={RUN_PROPERTY: run_id}),) if run_id else ()


def _version(base: str | None) -> int:
    found = _METADATA_NAME.search(base) if base else None
    return int(found[1]) + 1 if found else 0
