"""Arrow data at the door: what DuckDB would refuse, misread or cut is converted exactly, or named."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa

from raymesh.engines.kernel.failures import HIDDEN
from raymesh.engines.kernel.types import TYPE_IT
from raymesh.errors import ConformError
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct, Type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CANONICAL = ("arrow.json", "arrow.uuid", "arrow.bool8")
_PRIMITIVES = {
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "string": pa.string(),
    "binary": pa.binary(),
}


def arrow_type(t: Type) -> pa.DataType:
    """The Arrow type of a stored type."""
    match t:
        case Primitive(name):
            return _PRIMITIVES[name]
        case Decimal(precision, scale):
            return pa.decimal128(precision, scale)
        case Struct(fields):
            return pa.struct([(f.name, arrow_type(f.type)) for f in fields])
        case List(element):
            return pa.list_(arrow_type(element))
        case Map(key, value):
            return pa.map_(arrow_type(key), arrow_type(value))


def arrow_schema(fields: Iterable[Field]) -> pa.Schema:
    return pa.schema([(f.name, arrow_type(f.type)) for f in fields])


def door_schema(schema: pa.Schema, known: Mapping[str, pa.DataType]) -> pa.Schema:
    """The types in which columns enter DuckDB. `known` are types for columns, and parts of them, that hold only NULL
    so far.

    Raises ConformError that names every column whose type has no exact counterpart, and every name that
    comes twice.
    """
    problems = [f"{n} columns are called {name!r}" for name, n in Counter(schema.names).items() if n > 1]
    fields = []
    for f in schema:
        try:
            kind = door_type(f.type)
        except ValueError as problem:
            problems.append(f"column {f.name!r}: {problem}")
            continue
        fields.append(pa.field(f.name, completed(kind, known.get(f.name.casefold()))))
    if problems:
        listed = "; ".join(problems)
        raise ConformError(f"the transform's result cannot be stored: {listed}")
    return pa.schema(fields)


def door_type(t: pa.DataType) -> pa.DataType:
    """The type a column is converted to before DuckDB reads it; raises ValueError with the advice."""
    if isinstance(t, pa.BaseExtensionType):
        if t.extension_name in _CANONICAL:
            return t
        raise ValueError(f"the extension type {t.extension_name} cannot be stored; return its storage type")
    if pa.types.is_dictionary(t) or pa.types.is_run_end_encoded(t):
        return door_type(t.value_type)
    if pa.types.is_nested(t):
        return _nested(t)
    return _flat(t)


def _flat(t: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(t) and t.unit == "ns":
        return pa.timestamp("us", t.tz)
    if pa.types.is_time64(t) and t.unit == "ns":
        return pa.time64("us")
    if pa.types.is_date64(t):
        return pa.date32()
    if pa.types.is_float16(t):
        return pa.float32()
    if pa.types.is_decimal(t):
        return _decimal(t)
    if pa.types.is_duration(t) or pa.types.is_interval(t):
        raise ValueError(f"{t} cannot be stored; use a number of seconds or days")
    return t


def _decimal(t: pa.DataType) -> pa.DataType:
    if t.scale > 38:
        raise ValueError(f"{t} has more than 38 digits; round it in the transform")
    if t.scale < 0:
        return pa.decimal128(min(t.precision - t.scale, 38), 0)
    return t if t.precision <= 38 else pa.decimal128(38, t.scale)


def _nested(t: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(t):
        return pa.struct([pa.field(f.name, door_type(f.type)) for f in t])
    if pa.types.is_map(t):
        return pa.map_(door_type(t.key_type), door_type(t.item_type))
    if pa.types.is_union(t):
        raise ValueError("unions cannot be stored; use a struct with one member per alternative")
    inner = door_type(t.value_type)
    if inner == t.value_type:
        return t
    return pa.list_(inner, t.list_size) if pa.types.is_fixed_size_list(t) else pa.list_(inner)


def is_open(t: pa.DataType) -> bool:
    """Whether a type, or a part of it, is that of values that are all NULL."""
    if isinstance(t, pa.BaseExtensionType) or not pa.types.is_nested(t):
        return bool(pa.types.is_null(t))
    return any(is_open(t.field(at).type) for at in range(t.num_fields))


def completed(t: pa.DataType, known: pa.DataType | None) -> pa.DataType:
    """A type of the door with what is open in it taken from `known`, as far as that has the same form."""
    if known is None or not is_open(t):
        return t
    if pa.types.is_null(t):
        return known
    if pa.types.is_struct(t) and pa.types.is_struct(known):
        types = {f.name.casefold(): f.type for f in known}
        return pa.struct([pa.field(f.name, completed(f.type, types.get(f.name.casefold()))) for f in t])
    if pa.types.is_map(t) and pa.types.is_map(known):
        return pa.map_(t.key_type, completed(t.item_type, known.item_type))
    if _is_list(t) and _is_list(known):
        inner = completed(t.value_type, known.value_type)
        return pa.list_(inner, t.list_size) if pa.types.is_fixed_size_list(t) else pa.list_(inner)
    return t


def _is_list(t: pa.DataType) -> bool:
    return any(is_(t) for is_ in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def through_door(
    batch: pa.RecordBatch, schema: pa.Schema, masked: frozenset[str] = frozenset()
) -> pa.RecordBatch:
    """`batch` in the types of `schema`, value for value; raises ConformError naming column and value, of the
    columns `masked` without the value."""
    if batch.schema.names != schema.names:
        raise ConformError(
            f"the transform returned the columns {batch.schema.names} after a batch with {schema.names}",
            hint="return the same columns for every batch",
        )
    hidden = {name.casefold() for name in masked}
    columns = [_converted(batch.column(i), f, f.name.casefold() in hidden) for i, f in enumerate(schema)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _converted(column: pa.Array, field: pa.Field, hides: bool) -> pa.Array:
    if column.type == field.type:
        return column
    if pa.types.is_run_end_encoded(column.type):
        column = pa.compute.run_end_decode(column)
    try:
        return column.cast(field.type, safe=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
        if is_open(field.type):
            raise ConformError(
                f"column {field.name!r} is {column.type} here; so many rows before hold only NULL there that its type "
                f"was taken for {field.type}",
                hint=TYPE_IT,
            ) from problem
        raise ConformError(
            f"column {field.name!r} is {column.type} and cannot become {field.type} exactly: "
            f"{HIDDEN if hides else problem}",
            hint="convert it in the transform; microseconds and 38 digits are the finest that is stored",
        ) from problem
