"""Rows to staged Parquet files: cast, sorted, partitioned, cut at the target size; all of them or none."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel import storage as stores
from raymesh.engines.kernel.failures import hidden_columns, translated
from raymesh.engines.kernel.fieldids import field_ids, remember
from raymesh.engines.kernel.increment import known_files, only_new, refuse_unplaced
from raymesh.engines.kernel.sqltext import quote, text
from raymesh.mesh.plan import DataFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb

    from raymesh.engines.kernel.conform import Conformed
    from raymesh.engines.kernel.failures import Origin
    from raymesh.engines.kernel.query import Rows
    from raymesh.mesh.plan import Limits, Output


_ROW_GROUP_SHARES = 8
_SMALLEST_ROW_GROUP = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """Where the files of one output go: `<location>/<run id>-<port>-<n>.parquet`. A build that writes
    the output in several parts gives each a name, which stands before the number."""

    output: Output
    run_id: str
    storage: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""

    @property
    def folder(self) -> str:
        return self.output.location

    @property
    def prefix(self) -> str:
        """How the name of every file begins that this build writes for this port."""
        return f"{self.run_id}-{self.output.port}-{self.part}"

    def staged(self) -> list[str]:
        """The files of this build that exist now, whole or half."""
        if stores.is_object(self.folder):
            store = stores.object_store(self.storage)
            store.invalidate_cache()
            return [f"s3://{name}" for name in store.glob(f"{self.folder}/{self.prefix}*.parquet")]
        return [str(p) for p in Path(self.folder).glob(f"*{self.prefix}*.parquet")]

    def remove(self) -> None:
        """Delete what this build staged; files that are gone already are fine."""
        if stores.is_object(self.folder):
            if found := self.staged():
                stores.object_store(self.storage).rm(found)
            return
        for path in self.staged():
            Path(path).unlink(missing_ok=True)


@contextmanager
def staging(target: Target) -> Iterator[Target]:
    """The folder is there; everything staged is removed when something raises inside."""
    if not stores.is_object(target.folder):
        with translated():
            Path(target.folder).mkdir(parents=True, exist_ok=True)
    try:
        yield target
    except BaseException:
        with suppress(OSError):  # what cannot be removed now is an orphan that maintenance collects
            target.remove()
        raise


def stage(
    con: duckdb.DuckDBPyConnection,
    rows: Rows,
    conformed: Conformed,
    target: Target,
    limits: Limits | None = None,
) -> tuple[DataFile, ...]:
    """Write `rows` in the exact types of `conformed`; zero rows make no file.

    Raises ConformError when a value does not fit its promised type, TransformError when the user's SQL fails
    on a row, TransformMemoryError, DiskFullError.
    """
    stores.attach(con, target.storage, [target.folder, *known_files(target.output)])
    statement, origin = copy_statement(rows, conformed, target, limits)
    with translated(origin=origin, limits=limits):
        written = con.execute(statement).fetchall()
    refuse_unplaced(target.output, written)
    files = tuple(_data_file(row) for row in written if row[1])
    remember(f.path for f in files)
    return files


def copy_statement(
    rows: Rows, conformed: Conformed, target: Target, limits: Limits | None = None
) -> tuple[str, Origin]:
    """The COPY that stages `rows`, and where its parts come from."""
    output = target.output
    head = "COPY (SELECT "
    casts: list[tuple[int, int, str]] = []
    for source, kind, name in conformed.casts():
        cast = f"CAST(q.{quote(source)} AS {kind}) AS {quote(name)}"
        start = len(head.encode())
        casts.append((start, start + len(cast.encode()), name))
        head += cast + ", "
    head = head.removesuffix(", ") + " FROM "
    sources = dict(zip(conformed.schema.names, conformed.sources, strict=True))
    tail = f" AS q{only_new(output, sources)}{_order(output)}) TO {text(target.folder)} ({_options(conformed, target, limits)})"
    return head + rows.source + tail, replace(
        rows.origin(len(head.encode()), tuple(casts)), masked=hidden_columns(output)
    )


def _order(output: Output) -> str:
    return " ORDER BY " + ", ".join(quote(c) for c in output.layout.sort_by) if output.layout.sort_by else ""


def _options(conformed: Conformed, target: Target, limits: Limits | None) -> str:
    layout = target.output.layout
    options = [
        "FORMAT parquet",
        "COMPRESSION zstd",
        f"FIELD_IDS {field_ids(conformed.schema)}",
        f"KV_METADATA {{run: {text(target.run_id)}}}",
        f"FILE_SIZE_BYTES '{layout.target_bytes}B'",
        f"FILENAME_PATTERN {text(target.prefix + '{i}')}",
        "OVERWRITE_OR_IGNORE true",  # the folder holds other versions' files; our names are new
        "RETURN_STATS true",
    ]
    if limits is not None and not layout.sort_by:  # needs an engine that may reorder
        options.append(f"ROW_GROUP_SIZE_BYTES '{_row_group_bytes(limits)}B'")
    if layout.partition_by:
        columns = ", ".join(quote(c) for c in layout.partition_by)
        options += [f"PARTITION_BY ({columns})", "WRITE_PARTITION_COLUMNS true", "HIVE_FILE_PATTERN false"]
    else:
        options.append("WRITE_EMPTY_FILE false")  # partitions never are, and the two cannot be combined
    return ", ".join(options)


def _row_group_bytes(limits: Limits) -> int:
    """Every thread gathers a row group and encodes it; wide rows must not fill the memory with that."""
    return max(limits.memory_bytes // (_ROW_GROUP_SHARES * limits.threads), _SMALLEST_ROW_GROUP)


def _data_file(row: tuple[Any, ...]) -> DataFile:
    """One row of COPY's statistics: name, rows, bytes, …, partition values."""
    keys = row[5] or {}
    values = json.loads(keys) if isinstance(keys, str) else keys
    return DataFile(row[0], row[1], row[2], tuple((k, v) for k, v in values.items()))
