"""Small tables, the Parquet files they are made of, and how to read them back by field id."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from raymesh.mesh.evolution import evolve
from raymesh.mesh.plan import DataFile, Layout
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct, TableSchema, Type
from raymesh.spi.tables import RUN_PROPERTY, TableChange

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raymesh.mesh.plan import Scan
    from raymesh.spi.state import StateStore
    from raymesh.spi.tables import StagedChange, TableStore

INT, LONG, TEXT = Primitive("int"), Primitive("long"), Primitive("string")
FLOAT, DOUBLE, DATE = Primitive("float"), Primitive("double"), Primitive("date")
_DUCKDB = {"int": "integer", "long": "bigint", "string": "varchar", "binary": "blob"}

Row = dict[str, Any]


def schema(previous: TableSchema | None = None, /, **columns: Type) -> TableSchema:
    """A schema with field ids; `previous` is what the table had before."""
    return evolve(previous, [Field(name, type_) for name, type_ in columns.items()]).schema


def numbers(first: int, last: int) -> list[Row]:
    """Rows of the plain table: an id and a name."""
    return [{"id": n, "name": f"name {n}"} for n in range(first, last + 1)]


PLAIN = schema(id=LONG, name=TEXT)


class LocalShelf:
    """Moves files between this machine and the warehouse; here they are the same."""

    def put(self, local: Path, address: str) -> None:
        """Move a local file to its address in the warehouse."""
        Path(address).parent.mkdir(parents=True, exist_ok=True)
        local.rename(address)

    def get(self, address: str, folder: Path) -> Path:  # noqa: ARG002  (object stores copy into the folder)
        """A local path with the content of the address."""
        return Path(address)


@dataclass(frozen=True)
class Bench:
    """A table store on an opened state store, and the moves tests make with it. `folder` is for local files."""

    tables: TableStore
    state: StateStore
    shelf: Any
    folder: Path

    def write(
        self,
        table: str,
        columns: TableSchema,
        rows: Sequence[Row],
        partition: Sequence[str] = (),
        *,
        sync: bool = True,
    ) -> DataFile:
        """One Parquet file in the table's folder, synced as a build does."""
        local = write_parquet(self.folder / f"{uuid4().hex}.parquet", columns, rows)
        address = f"{self.tables.location(table)}/{local.name}"
        size = local.stat().st_size
        self.shelf.put(local, address)
        if sync:
            self.tables.sync([address])
        values = tuple((c, None if rows[0][c] is None else str(rows[0][c])) for c in partition)
        return DataFile(address, len(rows), size, values)

    def change(
        self,
        table: str,
        kind: Any,
        rows: Sequence[Row] | None = None,
        columns: TableSchema = PLAIN,
        **more: Any,
    ) -> TableChange:
        """A change from where the table is now; `rows` become one file unless `files` are given."""
        files = more.pop("files", None)
        if files is None:
            files = (self.write(table, columns, rows),) if rows is not None else ()
        run = more.pop("run", uuid4().hex)
        base = more.pop("base", self.tables.heads([table]).get(table))
        layout = more.pop("layout", Layout())
        properties = {RUN_PROPERTY: run}
        return TableChange(
            table, kind, base, columns, tuple(files), layout=layout, properties=properties, **more
        )

    def commit(self, *staged: StagedChange) -> None:
        with self.state.write() as tx:
            self.tables.commit(staged, tx)

    def publish(
        self,
        table: str,
        kind: Any,
        rows: Sequence[Row] | None = None,
        columns: TableSchema = PLAIN,
        **more: Any,
    ) -> StagedChange:
        """Stage and commit one change."""
        staged = self.tables.stage(self.change(table, kind, rows, columns, **more))
        self.commit(staged)
        return staged

    def rows(self, table: str, snapshot_id: int | None = None) -> list[Row]:
        """What a reader gets, matched by field id, in no particular order."""
        return self.read(self.tables.scan(table, snapshot_id))

    def read(self, scan: Scan) -> list[Row]:
        paths = [str(self.shelf.get(f, self.folder)) for f in scan.files]
        return read_parquet(paths, scan.schema) if paths else []

    def ids(self, table: str, snapshot_id: int | None = None) -> list[int]:
        return sorted(r["id"] for r in self.rows(table, snapshot_id))

    def orphans(self, table: str) -> set[str]:
        """Files nobody needs any more."""
        return {path for path, _ in self.tables.list_files(table)} - self.tables.live_files(table)


# ── Parquet with field ids, as engines write and read it ─────────────────────────────────────


def write_parquet(path: Path, columns: TableSchema, rows: Sequence[Row], **options: str) -> Path:
    """A Parquet file as DuckDB's COPY writes it, with the schema's field ids."""
    import duckdb
    import pyarrow as pa

    names = ", ".join(f"{_name(f.name)}::{_duckdb(f.type)} AS {_name(f.name)}" for f in columns)
    ids = "{" + ", ".join(_id_entry(f.name, f.id, f.type) for f in columns) + "}"
    more = "".join(f", {key} {value}" for key, value in options.items())
    arrow = pa.schema([pa.field(f.name, _arrow(f.type)) for f in columns])
    with duckdb.connect() as con:
        con.register("given", pa.Table.from_pylist(list(rows), schema=arrow))
        con.execute(f"COPY (SELECT {names} FROM given) TO '{path}' (FORMAT parquet, FIELD_IDS {ids}{more})")
    return path


def read_parquet(paths: Sequence[str], columns: TableSchema) -> list[Row]:
    """The rows of the files, columns and members matched by field id, as engines read a scan."""
    import duckdb

    entries = ", ".join(_read_entry(f.id, f.name, f.type) for f in columns)
    with duckdb.connect() as con:
        query = f"SELECT * FROM read_parquet({list(paths)!r}, schema=MAP{{{entries}}})"
        found: list[Row] = con.sql(query).to_arrow_table().to_pylist()
    return found


def _id_entry(name: str, id_: int, type_: Type) -> str:
    match type_:
        case Struct(fields):
            inside = [_id_entry(f.name, f.id, f.type) for f in fields]
        case List(element, element_id):
            inside = [_id_entry("element", element_id, element)]
        case Map(key, value, key_id, value_id):
            inside = [_id_entry("key", key_id, key), _id_entry("value", value_id, value)]
        case _:
            return f"{_name(name)}: {id_}"
    return f"{_name(name)}: {{__duckdb_field_id: {id_}, {', '.join(inside)}}}"


def _read_entry(id_: int, name: str, type_: Type) -> str:
    match type_:
        case Struct(fields):
            inside = [_read_entry(f.id, f.name, f.type) for f in fields]
        case List(element, element_id):
            inside = [_read_entry(element_id, "element", element)]
        case Map(key, value, key_id, value_id):
            inside = [_read_entry(key_id, "key", key), _read_entry(value_id, "value", value)]
        case _:
            inside = []
    children = f", children: MAP{{{', '.join(inside)}}}" if inside else ""
    return f"{id_}: {{name: {_text(name)}, type: {_text(_duckdb(type_))}, default_value: NULL{children}}}"


def _duckdb(type_: Type) -> str:
    match type_:
        case Decimal(precision, scale):
            return f"DECIMAL({precision}, {scale})"
        case Struct(fields):
            return "STRUCT(" + ", ".join(f"{_name(f.name)} {_duckdb(f.type)}" for f in fields) + ")"
        case List(element):
            return _duckdb(element) + "[]"
        case Map(key, value):
            return f"MAP({_duckdb(key)}, {_duckdb(value)})"
        case Primitive(name):
            return _DUCKDB.get(name, name)


def _arrow(type_: Type) -> Any:
    import pyarrow as pa

    match type_:
        case Decimal(precision, scale):
            return pa.decimal128(precision, scale)
        case Struct(fields):
            return pa.struct([pa.field(f.name, _arrow(f.type)) for f in fields])
        case List(element):
            return pa.list_(_arrow(element))
        case Map(key, value):
            return pa.map_(_arrow(key), _arrow(value))
        case Primitive(name):
            simple = {
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
            return simple[name]


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def total(summary: Mapping[str, str], what: str) -> int:
    """A total a snapshot states about itself."""
    return int(summary[f"total-{what}"])
