"""IcebergTables: versions of tables in a warehouse, their catalog in the state store's database."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

from raymesh.adapters.iceberg.files import Files, LocalFiles, ObjectFiles, storage_errors
from raymesh.adapters.iceberg.places import Places, plain
from raymesh.errors import CommitConflictError, CorruptFileError, NotFoundError, StorageError
from raymesh.spi.tables import RUN_PROPERTY, Snapshot, StagedChange, TableChange

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot as IcebergSnapshot

    from raymesh.adapters.iceberg.staging import Ground
    from raymesh.mesh.plan import Scan
    from raymesh.spec.types import TableSchema
    from raymesh.spi.state import StateStore, Transaction

CATALOG_NAME = "raymesh"


class IcebergTables:
    """Iceberg tables under `warehouse`, which is a folder (relative to `root`) or `s3://bucket/prefix`.

    `storage` describes the object store: endpointUrl, region, accessKeyId, secretAccessKey, directly or under
    `s3`; secrets may be references, resolved at the first request. Several threads may use one object.
    """

    shares_state = True

    def __init__(
        self, *, warehouse: str, root: str, state: StateStore, storage: Mapping[str, Any] | None = None
    ) -> None:
        from raymesh.adapters.iceberg.catalog import CatalogRows

        self._places = Places.under(warehouse, root)
        self._state = state
        self._rows = CatalogRows(CATALOG_NAME)
        settings = (storage or {}).get("s3", storage or {})
        self._files: Files = (
            ObjectFiles(settings) if self._places.is_object else LocalFiles(self._places.warehouse)
        )

    # ── where things are ─────────────────────────────────────────────────────────────────────

    def prepare(self) -> None:
        for module in ("pyarrow.parquet", "raymesh.adapters.iceberg.staging"):
            import_module(module)

    def location(self, table: str) -> str:
        """The folder or prefix for the table's data files; a folder is made when it is missing."""
        place = self._places.data(table)
        with storage_errors(f"the folder of table {table} cannot be made"):
            self._files.make(place)
        return place

    def heads(self, tables: Iterable[str], within: Transaction | None = None) -> Mapping[str, str]:
        if within is not None:
            return self._rows.heads(within.handle, tables, committed=False)
        with self._state.read() as reading:
            return self._rows.heads(reading.handle, tables, committed=True)

    # ── changing ─────────────────────────────────────────────────────────────────────────────

    def stage(self, change: TableChange) -> StagedChange:
        """Write everything the change needs, durably, without making it visible.

        Raises CorruptFileError for torn or foreign files, DiskFullError and StorageError when storage fails,
        CommitConflictError when the table has already moved on; then nothing is left behind.
        """
        from raymesh.adapters.iceberg import staging

        with storage_errors(f"table {change.table} could not be staged"):
            ground = self._ground(change.table, change.base)
            stage = staging.stage_rollback if change.kind == "rollback" else staging.stage_files
            return stage(ground, change)

    def expire(self, table: str, snapshot_ids: Sequence[int], base: str) -> StagedChange:
        from raymesh.adapters.iceberg import staging

        with storage_errors(f"history of table {table} could not be staged"):
            return staging.stage_expiry(self._ground(table, base), snapshot_ids)

    def commit(self, staged: Sequence[StagedChange], within: Transaction) -> None:
        """Make all staged changes current in the caller's transaction; they are visible when it commits.

        Raises CommitConflictError when a table has moved on, and has then changed nothing.
        """
        self._rows.swap(within.handle, staged)

    def discard(self, staged: Sequence[StagedChange]) -> None:
        """Remove what staging wrote. A change that was committed after all is left alone."""
        heads = self.heads([s.table for s in staged])
        for change in staged:
            if change.table in heads and self._was_committed(change, heads[change.table]):
                continue
            with storage_errors(f"staged metadata of {change.table} could not be removed"):
                self._files.delete(change.written)

    # ── reading ──────────────────────────────────────────────────────────────────────────────

    def scan(self, table: str, snapshot_id: int | None = None) -> Scan:
        from raymesh.adapters.iceberg import reading

        with storage_errors(f"table {table} could not be read"):
            metadata, _ = self._current(table)
            return reading.scan(self._files, metadata, table, snapshot_id)

    def schema(self, table: str) -> TableSchema | None:
        """The columns the table has now, None when there is no table."""
        from raymesh.adapters.iceberg import reading

        with storage_errors(f"table {table} could not be read"):
            found = self._find(table)
            return reading.schema_of(found[0], None) if found else None

    def snapshots(self, table: str) -> Sequence[Snapshot]:
        """The snapshots the table keeps, oldest first; none when there is no table."""
        with storage_errors(f"table {table} could not be read"):
            found = self._find(table)
            return [_snapshot(s) for s in found[0].snapshots] if found else []

    def find_run(self, table: str, run_id: str) -> Snapshot | None:
        """The snapshot a run committed; for a rollback, the one it went back to while it is current."""
        with storage_errors(f"table {table} could not be read"):
            found = self._find(table)
            if found is None:
                return None
            metadata, current = found[0], found[0].current_snapshot()
            by_summary = [s for s in metadata.snapshots if s.summary and s.summary[RUN_PROPERTY] == run_id]
            if by_summary:
                return _snapshot(by_summary[-1])
            if current is None or metadata.properties.get(RUN_PROPERTY) != run_id:
                return None
            return _snapshot(current)

    # ── files ────────────────────────────────────────────────────────────────────────────────

    def live_files(self, table: str) -> frozenset[str]:
        """Every file a retained snapshot needs, and those the history of metadata names."""
        from raymesh.adapters.iceberg import reading

        with storage_errors(f"table {table} could not be read"):
            found = self._find(table)
            return reading.live_files(self._files, *found) if found else frozenset()

    def list_files(self, table: str) -> Sequence[tuple[str, int]]:
        """All data and metadata files in the table's folder, with their sizes in bytes."""
        with storage_errors(f"the files of table {table} could not be listed"):
            return self._files.list(self._places.table(table))

    def delete_files(self, paths: Sequence[str]) -> None:
        """Delete files; missing ones are fine. Raises StorageError, before deleting any, for one outside the warehouse."""
        for path in paths:
            if not self._places.owns(plain(path)):
                raise StorageError(
                    f"{path} is not in the warehouse {self._places.warehouse}; nothing was deleted",
                    hint="raymesh deletes only files it keeps itself",
                )
        with storage_errors("files could not be deleted"):
            self._files.delete(paths)

    def sync(self, paths: Sequence[str]) -> None:
        with storage_errors("staged files could not be synced to disk"):
            self._files.sync(paths)

    def close(self) -> None:
        """Nothing is held open between calls."""

    # ── inside ───────────────────────────────────────────────────────────────────────────────

    def _find(self, table: str) -> tuple[TableMetadata, str] | None:
        """The table's metadata and its location, None when there is no table."""
        from raymesh.adapters.iceberg import reading

        location = self.heads([table]).get(table)
        return (reading.load(self._files.io, location), location) if location else None

    def _current(self, table: str) -> tuple[TableMetadata, str]:
        found = self._find(table)
        if found is None:
            raise NotFoundError(f"there is no table {table}", hint="build its product first: raymesh run")
        return found

    def _ground(self, table: str, base: str | None) -> Ground:
        from raymesh.adapters.iceberg import reading, staging

        try:
            metadata = reading.load(self._files.io, base) if base else None
        except CorruptFileError:
            if self.heads([table]).get(table) != base:  # the base is history, and its metadata was cleaned up
                raise CommitConflictError(
                    f"table {table} was changed by somebody else since this change was prepared",
                    hint="run it again: it starts from the table as it is now",
                ) from None
            raise
        return staging.Ground(self._files, table, self._places.table(table), base, metadata)

    def _was_committed(self, change: StagedChange, head: str) -> bool:
        """Whether the table's history, as it is now, has the change."""
        from raymesh.adapters.iceberg import reading

        if head == change.metadata_location:
            return True
        metadata = reading.load(self._files.io, head)
        known = {e.metadata_file for e in metadata.metadata_log} | {
            s.manifest_list for s in metadata.snapshots
        }
        return not known.isdisjoint(change.written)


def _snapshot(found: IcebergSnapshot) -> Snapshot:
    summary = found.summary
    told = {"operation": summary.operation.value, **summary.additional_properties} if summary else {}
    return Snapshot(found.snapshot_id, datetime.fromtimestamp(found.timestamp_ms / 1000, UTC), told)
