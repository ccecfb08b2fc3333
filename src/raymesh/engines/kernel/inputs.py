"""Inputs as views under the names users write, and what a connection must reach to read them."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.engines.kernel import storage as stores
from raymesh.engines.kernel.duck import use_schema
from raymesh.engines.kernel.failures import explain
from raymesh.engines.kernel.fieldids import blaming, require_field_ids
from raymesh.engines.kernel.sqltext import qualified, quote
from raymesh.errors import UsageError
from raymesh.mesh.plan import Input, Scan, SourceScan
from raymesh.spi import registry
from raymesh.spi.scan_sql import scan_sql, type_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from raymesh.spec.types import TableSchema

_GLOB_ESCAPE = re.compile(r"\[([*?\[])\]")
_RESERVED = ("temp", "system", "memory", "pg_catalog", "information_schema")


def bind(
    con: duckdb.DuckDBPyConnection, inputs: Sequence[Input], root: str, storage: Mapping[str, Any]
) -> tuple[str, ...]:
    """Create a view per input (`orders.order_lines`, `source.transactions`); returns the files they read.

    Raises SourceError of a source, CorruptFileError or StorageError of a damaged or missing data file.
    """
    stores.attach(con, storage, (f for i in inputs if isinstance(i.content, Scan) for f in i.content.files))
    files: list[str] = []
    for item in inputs:
        if isinstance(item.content, Scan):
            bind_scan(con, item.name, item.content)
            files += item.content.files
        else:
            _bind_source(con, item.name, item.content, root)
            files += _read_by_view(con, item.name)
    return tuple(files)


def bind_scan(con: duckdb.DuckDBPyConnection, name: str, scan: Scan) -> None:
    """A view of a version's data files, read by field id."""
    require_field_ids(con, scan.files)
    _schema_of(con, name)
    with blaming(con, scan.files):
        con.execute(f"CREATE VIEW {qualified(name)} AS {scan_sql(scan)}")


def bind_empty(con: duckdb.DuckDBPyConnection, name: str, schema: TableSchema) -> None:
    """An empty table with the columns of `schema`."""
    _schema_of(con, name)
    columns = ", ".join(f"{quote(f.name)} {type_text(f.type)}" for f in schema)
    con.execute(f"CREATE TABLE {qualified(name)} ({columns})")


def bind_registered(con: duckdb.DuckDBPyConnection, name: str, content: Any) -> None:
    """A view of a Python object (an Arrow table, a dataset)."""
    _schema_of(con, name)
    con.register(name, content)
    if "." in name:
        con.execute(f"CREATE VIEW {qualified(name)} AS SELECT * FROM {quote(name)}")


@contextmanager
def reading(inputs: Iterable[Input], root: str) -> Iterator[None]:
    """Lets every source say, after the rows were read or reading failed, whether it is to blame."""
    sources = [i.content for i in inputs if isinstance(i.content, SourceScan)]
    try:
        yield
    except Exception as error:  # whatever it is, a source that changed or is damaged explains it better
        for scan in sources:
            registry.load("sources", scan.type)().verify(scan, root, error.__cause__ or error)
        raise
    for scan in sources:
        registry.load("sources", scan.type)().verify(scan, root)


def _bind_source(con: duckdb.DuckDBPyConnection, name: str, scan: SourceScan, root: str) -> None:
    adapter = registry.load("sources", scan.type)()
    try:
        relation = adapter.relation(con, scan, root)
        schema, _, table = name.partition(".")
        use_schema(con, schema)
        try:
            relation.create_view(table)
        finally:
            con.execute("SET schema='main'")
    except duckdb.Error as error:
        adapter.verify(scan, root, error)
        raise explain(error) from error


def _schema_of(con: duckdb.DuckDBPyConnection, name: str) -> None:
    schema, dot, _ = name.partition(".")
    if not dot:
        return
    if schema in _RESERVED:
        raise UsageError(f"no domain can be called {schema!r}: DuckDB keeps the name for itself")
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")


def _read_by_view(con: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    """The addresses in the text of a source's view: what it must be allowed to read later."""
    schema, _, table = name.partition(".")
    found = con.execute(
        "SELECT sql FROM duckdb_views() WHERE schema_name = ? AND view_name = ?", [schema, table]
    )
    sql: str = found.fetchall()[0][0]
    raw = sql.encode()
    tokens = duckdb.tokenize(sql)
    ends = [at for at, _ in tokens[1:]] + [len(raw)]
    texts = (
        raw[at:end].decode().strip()[1:-1].replace("''", "'")
        for (at, kind), end in zip(tokens, ends, strict=True)
        if kind == duckdb.token_type.string_const
    )
    return [form for t in texts if "/" in t for form in {t, _GLOB_ESCAPE.sub(r"\1", t)}]
