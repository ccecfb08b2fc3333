"""Reads through a view: row rule on raw values, then masks, then a scrub; only then anything a consumer asks.

The trusted connection runs no text of a consumer. Of what a consumer asks it takes the columns, and those
conditions that can be answered early without telling anything (`masking.leak_proof`); all others are answered on
masked rows, in a database that holds nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from raymesh.engines.kernel import consumer, duck
from raymesh.engines.kernel import storage as stores
from raymesh.engines.kernel.fieldids import require_field_ids
from raymesh.engines.kernel.masking import leak_proof, rows_sql, shown_sql, visible_everywhere
from raymesh.engines.kernel.predicates import predicate_sql
from raymesh.engines.kernel.pushdown import terms_of
from raymesh.engines.kernel.scrub import clean_schema, scrub_array, scrubbed
from raymesh.engines.kernel.sqltext import quote
from raymesh.engines.kernel.tokens import TokenKey, contexts, tokens
from raymesh.errors import AccessDeniedError, MeshError, NotFoundError, UsageError
from raymesh.spec.expression import And, Expression, columns_of
from raymesh.spec.mask import Raw, Token, fitting
from raymesh.spi.scan_sql import scan_sql
from raymesh.spi.statements import stoppable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from raymesh.engines.kernel.kept import Kept
    from raymesh.mesh.plan import Limits, Scan, View, ViewColumn

BATCH_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Asked:
    """What is read of a view: `columns` in order, rows for which `early` and `late` are true, at most `limit`.

    `early` is answered before masks, `late` on masked rows. `needed` are the columns that takes.
    """

    columns: tuple[str, ...]
    needed: tuple[str, ...]
    early: tuple[Expression, ...] = ()
    late: tuple[Expression, ...] = ()
    limit: int | None = None


def read_view(
    scan: Scan,
    limits: Limits,
    storage: Mapping[str, Any],
    *,
    columns: Sequence[str] | None = None,
    where: Expression | None = None,
    limit: int | None = None,
    kept: Kept | None = None,
) -> pa.RecordBatchReader:
    """What the view of `scan` shows of some columns and rows, as a stream.

    `kept` spares the time of opening databases. Raises NotFoundError for columns that are hidden or not there, in
    the same words. What fails on the way is a StorageError that says nothing about files or values.
    """
    asked = understood(scan, columns, where, limit)
    keys = keys_of(scan)
    con = duck.connect(limits, ordered=True) if kept is None else stoppable(kept.trusted(limits).cursor())
    try:
        prepare(con, scan, storage)
        masked = shown(con, scan, asked, keys)
        reader = _filtered(masked, scan, asked, limits, kept) if asked.late else masked
    except BaseException as error:
        con.close()
        if isinstance(error, MeshError):
            forgetful(error)
        raise
    return pa.RecordBatchReader.from_batches(reader.schema, _closing(reader, con.close))


def keys_of(scan: Scan) -> dict[str, TokenKey]:
    """The keys of the tokens a view shows. Raises GovernanceError when their secret cannot be read."""
    view = _view(scan)
    return contexts((c.mask for c in view.columns), view.key)


def prepare(con: duckdb.DuckDBPyConnection, scan: Scan, storage: Mapping[str, Any]) -> None:
    """Let the trusted connection reach the files of `scan`; the rows can be read by `shown` then."""
    try:
        stores.attach(con, storage, scan.files)
        require_field_ids(con, scan.files)
    except (MeshError, duckdb.Error, OSError) as error:
        raise consumer.unreadable(error) from None


def understood(
    scan: Scan, columns: Sequence[str] | None, where: Expression | None, limit: int | None = None
) -> Asked:
    """A consumer's wish against what the view shows."""
    if limit is not None and limit < 0:
        raise UsageError(f"the limit {limit} is negative")
    view, known = _view(scan), scan.shown
    if not known.fields:
        raise AccessDeniedError("no column of this product may be read")
    if columns is not None and not columns:
        raise UsageError("no column is asked for")
    for name in columns or ():
        if known.find(name) is None:
            hint = "columns: " + ", ".join(known.names[:30])
            raise NotFoundError(f"there is no column {name!r}", hint=hint)
    raw = frozenset(
        c.name for c in view.columns if isinstance(c.mask, Raw) and visible_everywhere(c, view.rows)
    )
    early: list[Expression] = []
    late: list[Expression] = []
    for term in terms_of(where):
        predicate_sql(term, known)  # a condition that makes no sense is refused before anything is read
        (early if leak_proof(term, raw, known) else late).append(term)
    asked = tuple(columns) if columns is not None else known.names
    tested = columns_of(tuple(late))
    needed = (*dict.fromkeys(asked), *sorted(tested - set(asked)))
    return Asked(asked, needed, tuple(early), tuple(late), limit)


def select(scan: Scan, asked: Asked) -> str:
    """The trusted side's statement: raw values in, masked values (or texts of tokens) out."""
    view, raw = _view(scan), replace(scan, view=None)
    columns = {c.name: c for c in view.columns}
    listed = ", ".join(f"{shown_sql(columns[n], view, scan.schema)} AS {quote(n)}" for n in asked.needed)
    conditions = [rows_sql(view.rows, scan.schema)]
    conditions += [predicate_sql(e, scan.schema, exact_null=False) for e in asked.early]
    sql = f"SELECT {listed} FROM ({scan_sql(raw)}) AS scan WHERE {' AND '.join(conditions)}"
    return sql if asked.late or asked.limit is None else f"{sql} LIMIT {asked.limit:d}"


def shown(
    con: duckdb.DuckDBPyConnection, scan: Scan, asked: Asked, keys: Mapping[str, TokenKey]
) -> pa.RecordBatchReader:
    """The masked, scrubbed rows of `asked.needed`, read by the trusted connection `con`."""
    view = _view(scan)
    types = {f.name: f.type for f in scan.schema}
    wanted = {c.name: c for c in view.columns}
    hashed = {n: keys[m.context] for n in asked.needed if (m := _token(wanted[n], types[n])) is not None}
    try:
        reader = con.sql(select(scan, asked)).to_arrow_reader(BATCH_ROWS)
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise consumer.unreadable(error) from None
    schema = clean_schema(reader.schema)
    return pa.RecordBatchReader.from_batches(schema, _masked(reader, schema, hashed))


def _token(column: ViewColumn, kind: Any) -> Token | None:
    mask = fitting(column.mask, kind)
    return mask if isinstance(mask, Token) else None


def _masked(
    reader: pa.RecordBatchReader, schema: pa.Schema, hashed: Mapping[str, TokenKey]
) -> Iterator[pa.RecordBatch]:
    try:
        while (batch := _next(reader)) is not None:
            columns = [
                scrub_array(tokens(column, hashed[f.name]) if f.name in hashed else column)
                for f, column in zip(schema, batch.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
    finally:
        reader.close()


def _next(reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
    try:
        return next(reader, None)
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise consumer.unreadable(error) from None


def _filtered(
    masked: pa.RecordBatchReader, scan: Scan, asked: Asked, limits: Limits, kept: Kept | None
) -> pa.RecordBatchReader:
    """Masked rows for which the late conditions hold, found in a database that holds only them."""
    guard = Guarded(masked)
    con, over = _empty(limits, kept)
    try:
        con.register("shown", guard.reader)
        condition = predicate_sql(And(asked.late), scan.shown, exact_null=False)
        sql = f"SELECT {', '.join(quote(c) for c in asked.columns)} FROM shown WHERE {condition}"
        sql = sql if asked.limit is None else f"{sql} LIMIT {asked.limit:d}"
        reader = con.sql(sql).to_arrow_reader(BATCH_ROWS)
    except (duckdb.Error, pa.ArrowException) as error:
        over()
        raise guard.failure or consumer.sanitised(error, None, limits) from None
    except BaseException:
        over()
        raise
    schema = clean_schema(reader.schema)
    batches = scrubbed(guard.watch(reader, limits), schema)
    return pa.RecordBatchReader.from_batches(schema, _closing(batches, over))


def _empty(limits: Limits, kept: Kept | None) -> tuple[duckdb.DuckDBPyConnection, Callable[[], None]]:
    """An empty, locked database, and what to call when its query is over."""
    con = consumer.sealed(limits) if kept is None else kept.empty(limits)
    return con, con.close if kept is None else partial(kept.done, limits, con)


class Guarded:
    """A stream into another database that remembers why it broke: that database only knows that it did."""

    def __init__(self, source: pa.RecordBatchReader) -> None:
        self.failure: MeshError | None = None
        self.reader = pa.RecordBatchReader.from_batches(source.schema, self._through(source))

    def _through(self, source: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        try:
            yield from source
        except MeshError as error:
            self.failure = error
            raise

    def watch(self, reader: pa.RecordBatchReader, limits: Limits) -> Iterator[pa.RecordBatch]:
        """The batches of `reader`, which depends on this stream, with its errors in our words."""
        try:
            yield from reader
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise self.failure or consumer.sanitised(error, None, limits) from None


def _closing(batches: Any, over: Callable[[], None]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except MeshError as error:
        raise forgetful(error) from None
    finally:
        if (close := getattr(batches, "close", None)) is not None:
            close()
        over()


def forgetful(error: MeshError) -> MeshError:
    """The error without what it came from: an engine's own words may hold values."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _view(scan: Scan) -> View:
    if scan.view is None:
        raise AccessDeniedError("this read has no view: nothing may be shown")
    return scan.view
