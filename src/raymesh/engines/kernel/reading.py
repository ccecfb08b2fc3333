"""Reading published rows: streamed, in file order, with errors of damaged files as ours."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from raymesh.engines.kernel import duck
from raymesh.engines.kernel import storage as stores
from raymesh.engines.kernel.failures import explain, translated
from raymesh.engines.kernel.fieldids import blaming, naming, require_field_ids
from raymesh.engines.kernel.sqltext import quote
from raymesh.errors import MeshError, NotFoundError, UsageError
from raymesh.spi.scan_sql import scan_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from raymesh.engines.kernel.kept import Kept
    from raymesh.mesh.plan import Limits, Scan
    from raymesh.spec.expression import Expression

BATCH_ROWS = 65_536


def read_scan(
    scan: Scan,
    limits: Limits,
    storage: Mapping[str, Any],
    *,
    columns: Sequence[str] | None = None,
    where: Expression | None = None,
    limit: int | None = None,
    kept: Kept | None = None,
) -> pa.RecordBatchReader:
    """The rows of `scan` (with a view: what it shows) as a stream; the connection behind it lives as long as the
    reader. `kept` is what is ready for reads of views."""
    if scan.view is not None:
        from raymesh.engines.kernel.governed import read_view

        return read_view(scan, limits, storage, columns=columns, where=where, limit=limit, kept=kept)
    sql = select(scan, columns, where, limit)
    con = duck.connect(limits, ordered=True)
    try:
        with translated(limits=limits, user=False):
            stores.attach(con, storage, scan.files)
            require_field_ids(con, scan.files)
            with blaming(con, scan.files):
                reader = con.sql(sql).to_arrow_reader(BATCH_ROWS)
    except BaseException:
        con.close()
        raise
    return pa.RecordBatchReader.from_batches(reader.schema, stream(reader, con, limits, scan.files))


def select(
    scan: Scan,
    columns: Sequence[str] | None = None,
    where: Expression | None = None,
    limit: int | None = None,
) -> str:
    """The SELECT of some rows and columns of a scan."""
    if limit is not None and limit < 0:
        raise UsageError(f"the limit {limit} is negative")
    chosen = ", ".join(quote(c) for c in _known(columns, scan)) if columns is not None else "*"
    sql = f"SELECT {chosen} FROM ({scan_sql(scan)}) AS scan"
    if where is not None:
        from raymesh.engines.kernel.predicates import predicate_sql

        sql += f" WHERE {predicate_sql(where, scan.schema, exact_null=False)}"
    return sql if limit is None else f"{sql} LIMIT {limit:d}"


def stream(
    reader: pa.RecordBatchReader, con: duckdb.DuckDBPyConnection, limits: Limits, files: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """The batches of `reader`; closes `con` at the end or when the stream is dropped. `files` are what it
    reads, to be named when one of them is damaged."""
    try:
        while (batch := _next(reader, limits, files)) is not None:
            yield batch
    finally:
        reader.close()
        con.close()


def _next(reader: pa.RecordBatchReader, limits: Limits, files: Sequence[str]) -> pa.RecordBatch | None:
    try:
        return next(reader, None)
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise scan_failure(error, limits, files) from error


def scan_failure(error: Exception, limits: Limits, files: Sequence[str]) -> MeshError:
    """What ended a scan of `files`; a damaged file is named as far as DuckDB lets us know."""
    return naming(explain(error, limits=limits, user=False), files)


def _known(columns: Sequence[str], scan: Scan) -> Sequence[str]:
    if not columns:
        raise UsageError("no column is asked for")
    for name in columns:
        if scan.schema.find(name) is None:
            close = get_close_matches(name, scan.schema.names, 1)
            hint = f"did you mean {close[0]!r}?" if close else "columns: " + ", ".join(scan.schema.names[:30])
            raise NotFoundError(f"there is no column {name!r}", hint=hint)
    return columns
