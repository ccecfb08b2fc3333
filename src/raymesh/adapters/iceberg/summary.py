"""What a snapshot says about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyiceberg.table.snapshots import Operation, SnapshotSummaryCollector, Summary, update_snapshot_summaries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.manifest import DataFile as IcebergFile
    from pyiceberg.table.metadata import TableMetadata

    from raymesh.spi.tables import TableChange

_OPERATIONS = {"append": Operation.APPEND, "replace": Operation.OVERWRITE, "rewrite": Operation.REPLACE}


def summary_of(
    change: TableChange, metadata: TableMetadata, added: Sequence[IcebergFile], removed: Sequence[IcebergFile]
) -> Summary:
    """Counts of what the change adds and removes, the totals after it, and the change's own properties."""
    parent = metadata.current_snapshot()
    counted = Summary(Operation.OVERWRITE, **_counts(metadata, added, removed))
    whole = update_snapshot_summaries(counted, parent.summary if parent else None)
    values = dict(whole.additional_properties)
    if change.kind == "replace":
        values |= _totals(added)  # known exactly, whatever an earlier writer left out
    own = {k: v for k, v in change.properties.items() if k != "operation"}
    return Summary(_OPERATIONS[change.kind], **(own | values))


def _counts(
    metadata: TableMetadata, added: Sequence[IcebergFile], removed: Sequence[IcebergFile]
) -> dict[str, str]:
    collector = SnapshotSummaryCollector()
    schema, specs = metadata.schema(), metadata.specs()
    for f in added:
        collector.add_file(f, schema, specs[f.spec_id])
    for f in removed:
        collector.remove_file(f, schema, specs[f.spec_id])
    return collector.build()


def _totals(files: Sequence[IcebergFile]) -> dict[str, str]:
    return {
        "total-data-files": str(len(files)),
        "total-records": str(sum(f.record_count for f in files)),
        "total-files-size": str(sum(f.file_size_in_bytes for f in files)),
        "total-delete-files": "0",
        "total-position-deletes": "0",
        "total-equality-deletes": "0",
    }
