"""Contracts and data files for tests, in few words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from raymesh.engines.kernel.measure import measure
from raymesh.quality.compile import compile_checks
from raymesh.quality.judge import judge
from raymesh.quality.model import Check, CheckResult, Verdict
from raymesh.spec.contract import Contract
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct, TableSchema, Type


def contract(*properties: dict[str, Any], quality: list[Any] | None = None, **more: Any) -> Contract:
    """A contract of one table `orders`."""
    relationships = more.pop("relationships", [])
    table = {
        "name": "orders",
        "properties": list(properties),
        "quality": quality or [],
        "relationships": relationships,
    }
    return Contract.model_validate(
        {
            "apiVersion": "v3.2.0",
            "kind": "DataContract",
            "id": "orders",
            "version": "1.0.0",
            "schema": [table],
            **more,
        }
    )


def checks_of(*properties: dict[str, Any], **more: Any) -> dict[str, Check]:
    """The checks of such a contract by id."""
    settings = {
        k: more.pop(k) for k in ("settings_on_violation", "adapters", "resolve", "spans") if k in more
    }
    found = compile_checks(contract(*properties, **more), table="sales.orders", **settings)
    return {c.id: c for c in found}


def schema_of(**types: str | Type) -> TableSchema:
    """Columns with types (`"long"` stands for the primitive), ids given to every part."""
    ids = iter(range(1, 10_000))

    def numbered(t: Type) -> Type:
        match t:
            case Struct(fields):
                return Struct(tuple(Field(f.name, numbered(f.type), next(ids)) for f in fields))
            case List(element):
                return List(numbered(element), next(ids))
            case Map(key, value):
                return Map(numbered(key), numbered(value), next(ids), next(ids))
        return t

    fields = []
    for name, t in types.items():
        plain = Primitive(t) if isinstance(t, str) else t  # type: ignore[arg-type]  # a name of a primitive
        fields.append(Field(name, numbered(plain), next(ids)))
    return TableSchema(tuple(fields), 9_999)


_ARROW: dict[str, pa.DataType] = {
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
    """The Arrow type with field ids on its parts."""
    match t:
        case Primitive(name):
            return _ARROW[name]
        case Decimal(precision, scale):
            return pa.decimal128(precision, scale)
        case Struct(fields):
            return pa.struct([_arrow_field(f) for f in fields])
        case List(element, element_id):
            return pa.list_(_arrow_field(Field("element", element, element_id)))
        case Map(key, value, key_id, value_id):
            key_field = _arrow_field(Field("key", key, key_id)).with_nullable(False)
            return pa.map_(key_field, _arrow_field(Field("value", value, value_id)))


def _arrow_field(f: Field) -> pa.Field:
    return pa.field(f.name, arrow_type(f.type), metadata={"PARQUET:field_id": str(f.id)})


def write(path: Path, schema: TableSchema, rows: list[dict[str, Any]]) -> str:
    """Rows as a Parquet file with field ids."""
    fields = [_arrow_field(f) for f in schema]
    columns = [
        pa.array([_stored(row.get(f.name), f.type) for row in rows], arrow_type(f.type)) for f in schema
    ]
    pq.write_table(pa.Table.from_arrays(columns, schema=pa.schema(fields)), path)
    return str(path)


def _stored(value: Any, t: Type) -> Any:
    """Maps are dicts in rows and pairs in Arrow."""
    match t:
        case _ if value is None:
            return None
        case Struct(fields):
            return {f.name: _stored(value.get(f.name), f.type) for f in fields}
        case List(element):
            return [_stored(v, element) for v in value]
        case Map(_, inner):
            return [(k, _stored(v, inner)) for k, v in value.items()]
    return value


def judged(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    schema: TableSchema,
    rows: list[dict[str, Any]],
    checks: dict[str, Check] | tuple[Check, ...],
    **more: Any,
) -> dict[str, CheckResult]:
    """Write the rows, measure, judge: the results by check id."""
    return {r.check.id: r for r in verdict(con, folder, schema, rows, checks, **more).results}


def verdict(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    schema: TableSchema,
    rows: list[dict[str, Any]],
    checks: dict[str, Check] | tuple[Check, ...],
    **more: Any,
) -> Verdict:
    """Write the rows, measure, judge."""
    wanted = tuple(checks.values()) if isinstance(checks, dict) else checks
    file = write(folder / f"{len(list(folder.iterdir()))}.parquet", schema, rows)
    return judge(wanted, measure(con, [file], schema, wanted, **more))
