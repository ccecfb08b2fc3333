"""Our schema and layout as Iceberg's, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyiceberg import types as ice
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import NullOrder, SortDirection, SortField, SortOrder
from pyiceberg.transforms import IdentityTransform

from raymesh.errors import StorageError
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct, TableSchema, Type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyiceberg.table.metadata import TableMetadata

FIRST_PARTITION_ID = 1000  # where the specification starts counting partition fields

_TO_ICEBERG: dict[str, ice.PrimitiveType] = {
    "boolean": ice.BooleanType(),
    "int": ice.IntegerType(),
    "long": ice.LongType(),
    "float": ice.FloatType(),
    "double": ice.DoubleType(),
    "date": ice.DateType(),
    "time": ice.TimeType(),
    "timestamp": ice.TimestampType(),
    "timestamptz": ice.TimestamptzType(),
    "string": ice.StringType(),
    "binary": ice.BinaryType(),
}
_FROM_ICEBERG: dict[type, Any] = {type(v): k for k, v in _TO_ICEBERG.items()}


def to_iceberg(schema: TableSchema, schema_id: int) -> Schema:
    """The schema with the same field ids; every column optional, because files say so."""
    return Schema(*(_nested_field(f) for f in schema), schema_id=schema_id)


def from_iceberg(schema: Schema, last_id: int) -> TableSchema:
    """A table's schema as ours. Raises StorageError for a type only other writers use."""
    return TableSchema(tuple(_field(f) for f in schema.fields), last_id)


def _nested_field(f: Field) -> ice.NestedField:
    return ice.NestedField(f.id, f.name, _iceberg_type(f.type), required=False, doc=f.doc)


def _iceberg_type(type_: Type) -> ice.IcebergType:
    match type_:
        case Primitive(name):
            return _TO_ICEBERG[name]
        case Decimal(precision, scale):
            return ice.DecimalType(precision, scale)
        case Struct(fields):
            return ice.StructType(*(_nested_field(f) for f in fields))
        case List(element, element_id):
            return ice.ListType(element_id, _iceberg_type(element), element_required=False)
        case Map(key, value, key_id, value_id):
            return ice.MapType(
                key_id, _iceberg_type(key), value_id, _iceberg_type(value), value_required=False
            )


def _field(f: ice.NestedField) -> Field:
    if f.initial_default is not None:
        raise StorageError(
            f"column {f.name} has a default for rows written before it existed, which raymesh does not read",
            hint="the table was changed by another writer: rewrite its files there, or roll back",
        )
    return Field(f.name, _type(f.field_type, f.name), f.field_id, f.doc)


def _type(type_: ice.IcebergType, where: str) -> Type:
    match type_:
        case ice.DecimalType():
            return Decimal(type_.precision, type_.scale)
        case ice.StructType():
            return Struct(tuple(_field(f) for f in type_.fields))
        case ice.ListType():
            return List(_type(type_.element_type, where), type_.element_id)
        case ice.MapType():
            key, value = _type(type_.key_type, where), _type(type_.value_type, where)
            return Map(key, value, type_.key_id, type_.value_id)
    if type(type_) not in _FROM_ICEBERG:
        raise StorageError(f"column {where} has the type {type_}, which raymesh does not read")
    return Primitive(_FROM_ICEBERG[type(type_)])


def schema_in(metadata: TableMetadata, wanted: TableSchema) -> Schema:
    """The table's own schema equal to `wanted`, or a new one with the next free id."""
    fresh = to_iceberg(wanted, max((s.schema_id for s in metadata.schemas), default=-1) + 1)
    return next((s for s in metadata.schemas if s == fresh), fresh)


def spec_in(metadata: TableMetadata, wanted: TableSchema, columns: Sequence[str]) -> PartitionSpec:
    """The table's own partition spec by the values of `columns`, or a new one.

    A partition field keeps its id across specs while it means the same column.
    """
    ids = {f.source_id: f.field_id for s in metadata.partition_specs for f in s.fields if _is_identity(f)}
    last = metadata.last_partition_id or FIRST_PARTITION_ID - 1
    fields = []
    for name in columns:
        source = _column(wanted, name, "partitioned")
        if source.id not in ids:
            last = ids[source.id] = last + 1
        fields.append(PartitionField(source.id, ids[source.id], IdentityTransform(), name))
    fresh = PartitionSpec(*fields, spec_id=max((s.spec_id for s in metadata.partition_specs), default=-1) + 1)
    return next((s for s in metadata.partition_specs if s.fields == fresh.fields), fresh)


def order_in(metadata: TableMetadata, wanted: TableSchema, columns: Sequence[str]) -> SortOrder:
    """The table's own sort order by `columns`, ascending with NULL last, or a new one."""
    fields = [
        SortField(
            _column(wanted, c, "sorted").id, IdentityTransform(), SortDirection.ASC, NullOrder.NULLS_LAST
        )
        for c in columns
    ]
    # 0 is reserved for "not sorted"
    next_id = max((o.order_id for o in metadata.sort_orders), default=0) + 1
    fresh = SortOrder(*fields, order_id=next_id if fields else 0)
    return next((o for o in metadata.sort_orders if o.fields == fresh.fields), fresh)


def kept_columns(metadata: TableMetadata, wanted: TableSchema) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Partition and sort columns the table has now, by their names in `wanted`, without those that are gone."""
    names = {f.id: f.name for f in wanted}
    spec, order = metadata.spec(), metadata.sort_order()
    partition = tuple(names[f.source_id] for f in spec.fields if f.source_id in names and _is_identity(f))
    sort = tuple(names[f.source_id] for f in order.fields if f.source_id in names)
    return partition, sort


def _is_identity(f: PartitionField) -> bool:
    return isinstance(f.transform, IdentityTransform)


def _column(schema: TableSchema, name: str, how: str) -> Field:
    found = schema.find(name)
    if found is None or not isinstance(found.type, Primitive | Decimal):
        why = "there is no such column" if found is None else f"it is a {found.type}"
        raise StorageError(
            f"the table cannot be {how} by {name}: {why}",
            hint="name columns of the table that hold one value each",
        )
    return found
