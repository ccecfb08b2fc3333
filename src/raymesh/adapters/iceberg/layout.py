"""A table's metadata before its next snapshot: the columns, partitions and order the change asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from pyiceberg.partitioning import PartitionSpec
from pyiceberg.table.metadata import TableMetadataV2
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import (
    AddPartitionSpecUpdate,
    AddSchemaUpdate,
    AddSortOrderUpdate,
    SetCurrentSchemaUpdate,
    SetDefaultSortOrderUpdate,
    SetDefaultSpecUpdate,
    update_table_metadata,
)

from raymesh.adapters.iceberg.schema import (
    FIRST_PARTITION_ID,
    kept_columns,
    order_in,
    schema_in,
    spec_in,
    to_iceberg,
)
from raymesh.errors import StorageError

if TYPE_CHECKING:
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableUpdate

    from raymesh.spi.tables import TableChange

# What other writers should do with our tables. History of metadata files is short because maintenance
# removes what is no longer in it.
PROPERTIES = {
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "16",
    "write.format.default": "parquet",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "write.parquet.compression-codec": "zstd",
}


def begin(change: TableChange, location: str) -> TableMetadata:
    """The metadata of a new table without rows."""
    schema = change.schema
    empty = TableMetadataV2.model_validate(
        {
            "format-version": 2,
            "location": location,
            "table-uuid": uuid4(),
            "last-updated-ms": 0,
            "last-column-id": schema.last_id,
            "schemas": [to_iceberg(schema, 0)],
            "current-schema-id": 0,
            "partition-specs": [PartitionSpec()],
            "default-spec-id": 0,
            "last-partition-id": FIRST_PARTITION_ID - 1,
            "sort-orders": [UNSORTED_SORT_ORDER],
            "default-sort-order-id": 0,
            "properties": dict(PROPERTIES),
        }
    )
    spec = spec_in(empty, schema, change.layout.partition_by if change.layout else ())
    specs = [PartitionSpec(*spec.fields, spec_id=0)]
    last = max((f.field_id for f in spec.fields), default=FIRST_PARTITION_ID - 1)
    return empty.model_copy(update={"partition_specs": specs, "last_partition_id": last})


def prepare(metadata: TableMetadata, change: TableChange) -> TableMetadata:
    """The metadata with the change's schema and layout current; nothing else is different.

    Without a layout the table keeps the partitions and order it has. Raises StorageError for a table that
    another writer has brought to a format raymesh does not write.
    """
    if metadata.format_version != 2:
        raise StorageError(
            f"table {change.table} has format version {metadata.format_version}; raymesh writes version 2",
            hint="another writer has changed the format of the table: publish under a new port",
        )
    updated = update_table_metadata(metadata, _updates(metadata, change))
    last_id = max(updated.last_column_id, change.schema.last_id)
    return updated.model_copy(update={"last_column_id": last_id, "last_updated_ms": metadata.last_updated_ms})


def _updates(metadata: TableMetadata, change: TableChange) -> tuple[TableUpdate, ...]:
    partition, sort = kept_columns(metadata, change.schema)
    if change.layout is not None:
        partition, sort = change.layout.partition_by, change.layout.sort_by
    schema = schema_in(metadata, change.schema)
    spec = spec_in(metadata, change.schema, partition)
    order = order_in(metadata, change.schema, sort)
    out: list[TableUpdate] = []
    if schema not in metadata.schemas:
        out.append(AddSchemaUpdate.model_validate({"schema": schema}))
    if spec not in metadata.partition_specs:
        out.append(AddPartitionSpecUpdate(spec=spec))
    if order not in metadata.sort_orders:
        out.append(AddSortOrderUpdate.model_validate({"sort-order": order}))
    return (
        *out,
        SetCurrentSchemaUpdate.model_validate({"schema-id": schema.schema_id}),
        SetDefaultSpecUpdate.model_validate({"spec-id": spec.spec_id}),
        SetDefaultSortOrderUpdate.model_validate({"sort-order-id": order.order_id}),
    )
