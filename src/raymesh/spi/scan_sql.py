"""SQL text of scans and names, in one place: quoted identifiers, escaped literals, types, files read by field id.

Engines, sources and actions that talk to DuckDB build their text from these functions only, so that no
name, path or value of a user ever becomes SQL by itself. Nothing here imports DuckDB.
"""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal as Number
from typing import TYPE_CHECKING, Any

from raymesh.errors import InternalError
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct, Type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raymesh.mesh.plan import Scan

_TO_SQL = {
    "boolean": "BOOLEAN",
    "int": "INTEGER",
    "long": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "string": "VARCHAR",
    "binary": "BLOB",
}
_FROM_SQL: dict[str, Type] = {
    "boolean": Primitive("boolean"),
    "tinyint": Primitive("int"),
    "smallint": Primitive("int"),
    "integer": Primitive("int"),
    "utinyint": Primitive("int"),
    "usmallint": Primitive("int"),
    "uinteger": Primitive("long"),
    "bigint": Primitive("long"),
    "ubigint": Decimal(20, 0),
    "hugeint": Decimal(38, 0),
    "uhugeint": Decimal(38, 0),
    "float": Primitive("float"),
    "double": Primitive("double"),
    "date": Primitive("date"),
    "time": Primitive("time"),
    "timestamp": Primitive("timestamp"),
    "timestamp_s": Primitive("timestamp"),
    "timestamp_ms": Primitive("timestamp"),
    "timestamp_ns": Primitive("timestamp"),
    "timestamp with time zone": Primitive("timestamptz"),
    "blob": Primitive("binary"),
}


def identifier(name: str) -> str:
    """`name` as a quoted identifier: `a"b` becomes `"a""b"`."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str:  # noqa: PLR0911 (one line per kind of value)
    """A constant as SQL text; raises TypeError for kinds of values that have no literal."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | Number():
            return str(value)
        case float():
            return f"{str(value)!r}::DOUBLE"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case datetime():
            zone = "TIMESTAMPTZ" if value.tzinfo else "TIMESTAMP"
            return f"{zone} '{value.isoformat(sep=' ')}'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case time():
            return f"TIME '{value.isoformat()}'"
        case list() | tuple():
            return "[" + ", ".join(literal(v) for v in value) + "]"
    raise TypeError(f"no SQL literal for {type(value).__name__}")


def type_text(kind: Type) -> str:
    """The DuckDB name of a type, names of members quoted: `STRUCT("a" INTEGER)`."""
    match kind:
        case Primitive(name):
            return _TO_SQL[name]
        case Decimal(precision, scale):
            return f"DECIMAL({precision},{scale})"
        case Struct(fields):
            return "STRUCT(" + ", ".join(f"{identifier(f.name)} {type_text(f.type)}" for f in fields) + ")"
        case List(element):
            return f"{type_text(element)}[]"
        case Map(key, value):
            return f"MAP({type_text(key)}, {type_text(value)})"


def type_of(duckdb_type: Any) -> Type:
    """The column type that holds every value of a DuckDB type; what has no counterpart becomes a string."""
    kind = duckdb_type.id
    if kind == "decimal":
        size = dict(duckdb_type.children)
        return Decimal(size["precision"], size["scale"])
    if kind in {"list", "array"}:
        return List(type_of(dict(duckdb_type.children)["child"]))
    if kind == "struct":
        return Struct(tuple(Field(name, type_of(child)) for name, child in duckdb_type.children))
    if kind == "map":
        parts = dict(duckdb_type.children)
        return Map(type_of(parts["key"]), type_of(parts["value"]))
    return _FROM_SQL.get(kind, Primitive("string"))


def fields_of(names: Iterable[str], duckdb_types: Iterable[Any]) -> tuple[Field, ...]:
    """Columns of a relation (`rel.columns`, `rel.types`) as fields without ids."""
    return tuple(Field(name, type_of(kind)) for name, kind in zip(names, duckdb_types, strict=True))


def scan_sql(scan: Scan, file_column: str | None = None, row_column: str | None = None) -> str:
    """A SELECT of all columns of `scan`, its Parquet files read by field id at every depth.

    Every file must carry field ids: a file without them would read as NULL. `file_column` names one more
    column with the path of the file each row comes from, `row_column` one with its number there. A scan with a view has no such text: raw rows are
    not for whoever holds it (InternalError).
    """
    if scan.view is not None:
        raise InternalError("a scan with a view was about to be read without it")
    if not scan.files:
        columns = [f"CAST(NULL AS {type_text(f.type)}) AS {identifier(f.name)}" for f in scan.schema]
        columns += [f"CAST(NULL AS VARCHAR) AS {identifier(file_column)}"] if file_column else []
        columns += [f"CAST(NULL AS BIGINT) AS {identifier(row_column)}"] if row_column else []
        return f"SELECT {', '.join(columns)} WHERE FALSE"
    entries = ", ".join(_entry(f.id, f.name, f.type) for f in scan.schema)
    named = f", filename={literal(file_column)}" if file_column else ""
    where = ""
    if scan.between is not None:
        first, end = scan.between
        where = f" WHERE file_row_number >= {first:d} AND file_row_number < {end:d}"
    numbered = f", file_row_number AS {identifier(row_column)}" if row_column else ""
    return f"SELECT *{numbered} FROM read_parquet({literal(list(scan.files))}, schema=MAP{{{entries}}}{named}){where}"


def _entry(field_id: int, name: str, kind: Type) -> str:
    children = ", ".join(_entry(*child) for child in _children(kind))
    nested = f", children: MAP{{{children}}}" if children else ""
    return f"{field_id}: {{name: {literal(name)}, type: {literal(type_text(kind))}, default_value: NULL{nested}}}"


def _children(kind: Type) -> list[tuple[int, str, Type]]:
    match kind:
        case Struct(fields):
            return [(f.id, f.name, f.type) for f in fields]
        case List(element, element_id):
            return [(element_id, "element", element)]
        case Map(key, value, key_id, value_id):
            return [(key_id, "key", key), (value_id, "value", value)]
        case _:
            return []
