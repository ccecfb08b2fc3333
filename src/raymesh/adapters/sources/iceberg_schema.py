"""pyiceberg schemas as our column types, with their field ids."""

from __future__ import annotations

from typing import Any

from pyiceberg import types as iceberg

from raymesh.errors import SourceError
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct, TableSchema, Type

_PRIMITIVES: dict[type, Primitive] = {
    iceberg.BooleanType: Primitive("boolean"),
    iceberg.IntegerType: Primitive("int"),
    iceberg.LongType: Primitive("long"),
    iceberg.FloatType: Primitive("float"),
    iceberg.DoubleType: Primitive("double"),
    iceberg.DateType: Primitive("date"),
    iceberg.TimeType: Primitive("time"),
    iceberg.TimestampType: Primitive("timestamp"),
    iceberg.TimestamptzType: Primitive("timestamptz"),
    iceberg.StringType: Primitive("string"),
    iceberg.UUIDType: Primitive("string"),
    iceberg.BinaryType: Primitive("binary"),
    iceberg.FixedType: Primitive("binary"),
}


def table_schema(schema: Any) -> TableSchema:
    """Columns of a pyiceberg schema; raises SourceError for a type that no product can have."""
    return TableSchema(tuple(_field(f) for f in schema.fields), schema.highest_field_id)


def _field(field: Any) -> Field:
    return Field(field.name, _type(field.field_type, field.name), field.field_id, field.doc)


def _type(kind: Any, name: str) -> Type:
    match kind:
        case iceberg.DecimalType():
            return Decimal(kind.precision, kind.scale)
        case iceberg.StructType():
            return Struct(tuple(_field(f) for f in kind.fields))
        case iceberg.ListType():
            return List(_type(kind.element_type, name), kind.element_id)
        case iceberg.MapType():
            return Map(_type(kind.key_type, name), _type(kind.value_type, name), kind.key_id, kind.value_id)
    found = _PRIMITIVES.get(type(kind))
    if found is None:
        raise SourceError(
            f"column {name} is an Iceberg {kind}, which no product can hold", hint="leave it out"
        )
    return found
