"""Field ids in Parquet files: written into every one, demanded of every one that is read."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from raymesh.engines.kernel.failures import explain
from raymesh.engines.kernel.sqltext import quote, texts
from raymesh.errors import CorruptFileError
from raymesh.spec.types import Field, List, Map, Struct, TableSchema, Type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from raymesh.errors import MeshError

_MOST_REMEMBERED = 100_000
_known: set[str] = set()
"""Files seen to carry field ids. A published file never changes, so each is looked at once per process."""


def field_ids(schema: TableSchema) -> str:
    """The value of COPY's `field_ids` option: the id of every column and nested member."""
    return "{" + ", ".join(f"{quote(f.name)}: {_ids(f.id, f.type)}" for f in schema) + "}"


def _ids(field_id: int, t: Type) -> str:
    if field_id <= 0:
        raise ValueError("a column without a field id cannot be written")
    inner = ", ".join(f"{quote(c.name)}: {_ids(c.id, c.type)}" for c in _children(t))
    return f"{{__duckdb_field_id: {field_id}, {inner}}}" if inner else str(field_id)


def _children(t: Type) -> tuple[Field, ...]:
    match t:
        case Struct(fields):
            return fields
        case List(element, element_id):
            return (Field("element", element, element_id),)
        case Map(key, value, key_id, value_id):
            return (Field("key", key, key_id), Field("value", value, value_id))
    return ()


def remember(files: Iterable[str]) -> None:
    """Note that these files carry field ids, because we wrote them."""
    if len(_known) > _MOST_REMEMBERED:
        _known.clear()
    _known.update(files)


def require_field_ids(con: duckdb.DuckDBPyConnection, files: Iterable[str]) -> None:
    """Raise CorruptFileError unless every file carries field ids; read without them it would be all NULL."""
    unseen = [f for f in files if f not in _known]
    if not unseen:
        return
    with blaming(con, unseen):
        found = con.execute(
            f"SELECT DISTINCT file_name FROM parquet_schema({texts(unseen)}) WHERE field_id IS NOT NULL"
        ).fetchall()
    missing = sorted(set(unseen) - {name for (name,) in found})
    if missing:
        raise CorruptFileError(
            f"{missing[0]} carries no field ids, so its columns cannot be told apart",
            hint="it was not written by raymesh; publish its rows through a product instead",
        )
    remember(unseen)


@contextmanager
def blaming(con: duckdb.DuckDBPyConnection, files: Sequence[str]) -> Iterator[None]:
    """Find the damaged one of `files` when DuckDB says that some file is damaged, but not which."""
    try:
        yield
    except duckdb.Error as error:
        found = explain(error, user=False)
        if isinstance(found, CorruptFileError) and not any(f in found.message for f in files):
            found = naming(found, [f for f in files if not _opens(con, f)] or files)
        raise found from error


def naming(error: MeshError, files: Sequence[str]) -> MeshError:
    """The error of a damaged file, saying which of `files` it can be when DuckDB did not say."""
    if not isinstance(error, CorruptFileError) or any(f in error.message for f in files):
        return error
    where = files[0] if len(files) == 1 else f"one of {len(files)} files, {files[0]} to {files[-1]}"
    return CorruptFileError(f"{where}: {error.message}", hint=error.hint)


def _opens(con: duckdb.DuckDBPyConnection, file: str) -> bool:
    try:
        con.execute("SELECT count(*) FROM parquet_schema(?)", [file]).fetchall()
    except duckdb.Error:
        return False
    return True
