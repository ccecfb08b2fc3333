"""User Python between two DuckDB streams: rows in batch by batch, rows out batch by batch, memory bounded.

User code runs in the calling thread; a second thread runs the COPY that takes its batches from a short
queue. So the libraries user code calls see one thread, and reading, computing and writing overlap.
"""

from __future__ import annotations

import queue
import threading
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raymesh.engines.kernel.arrow import (
    arrow_schema,
    arrow_type,
    completed,
    door_schema,
    is_open,
    through_door,
)
from raymesh.engines.kernel.conform import Conformed, conform
from raymesh.engines.kernel.failures import Origin, hidden_columns, translated
from raymesh.engines.kernel.increment import candidates
from raymesh.engines.kernel.query import Rows, registered, shape
from raymesh.engines.kernel.sqltext import qualified, quote
from raymesh.engines.kernel.usercode import boundary, load
from raymesh.engines.kernel.write import Target, stage
from raymesh.errors import ConformError, TransformError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from raymesh.mesh.plan import BuildPlan, DataFile, Limits, Output, Promise

BATCH_ROWS = 65_536
_QUEUED = 1
_LOOKED_AHEAD = 8
"""The share of the memory that batches may take which are read ahead for the types of columns."""
_RESULT = "__raymesh_result"


def over_batches(
    con: duckdb.DuckDBPyConnection, plan: BuildPlan, target: Target, rows: Rows
) -> tuple[Conformed, tuple[DataFile, ...]]:
    """Call the function of `target.output` on batches of `rows` and stage what it returns.

    In append mode it sees only rows that may be new, when its input has the incremental column.
    """
    function = load(target.output.transform, plan.root)
    with incoming(con, plan, target.output, rows) as taken:
        return _stage_stream(con, function.over_batches(taken), plan, target)


@contextmanager
def incoming(
    con: duckdb.DuckDBPyConnection, plan: BuildPlan, output: Output, rows: Rows
) -> Iterator[Iterator[pa.RecordBatch]]:
    """`rows` in batches of the size that the transform asks for, at least one; in append mode those that may be
    new."""
    size = int(output.transform.options.get("size") or BATCH_ROWS)
    columns = shape(con, rows).columns
    cursor = con.cursor()
    try:
        origin = rows.origin(len("SELECT * FROM "))
        statement = f"SELECT * FROM {rows.source} AS q{candidates(output, columns)}"
        with translated(origin=origin, limits=plan.limits):
            reader = cursor.sql(statement).to_arrow_reader(size)
        yield _at_least_one(_explained(reader, origin, plan.limits), reader.schema)
    finally:
        cursor.close()


def over_inputs(
    con: duckdb.DuckDBPyConnection, plan: BuildPlan, target: Target
) -> tuple[Conformed, tuple[DataFile, ...]]:
    """Call the function of `target.output` on whole inputs and stage what it returns."""
    transform = target.output.transform
    function = load(transform, plan.root)
    relations = {
        parameter: con.sql(f"SELECT * FROM {qualified(name)}")
        for parameter, name in transform.bindings.items()
    }
    unbound = function.forms.keys() ^ relations.keys()
    if unbound:
        raise TransformError(
            f"{function.file}: parameters and inputs do not match: {', '.join(sorted(unbound))}"
        )
    result = function.over_inputs(relations)
    if type(result).__name__ == "DuckDBPyRelation":
        if (made := _as_view(result, con, function.file)) is not None:
            conformed = conform(shape(con, made), target.output)
            return conformed, stage(con, made, conformed, target, plan.limits)
        with boundary(function.file, plan.root):
            result = result.to_arrow_reader(BATCH_ROWS)
    return _stage_stream(con, function.results(result), plan, target)


def stage_batches(
    con: duckdb.DuckDBPyConnection,
    made: Iterator[pa.RecordBatch],
    plan: BuildPlan,
    target: Target,
    *,
    stand_in: bool = False,
) -> tuple[Conformed, tuple[DataFile, ...]]:
    """Conform and stage rows that were made elsewhere; the first batch decides the columns, later ones the types of
    what holds only NULL in it (`conform` says what `stand_in` does when none does).

    Without any batch the contract decides them; raises ConformError when it does not fix every type.
    """
    return _stage_stream(con, made, plan, target, stand_in=stand_in)


def _as_view(result: Any, con: duckdb.DuckDBPyConnection, file: str) -> Rows | None:
    """The relation as a view of `con`, so that DuckDB runs it to the file; None when it belongs elsewhere."""
    import duckdb

    try:
        result.create_view(_RESULT)
        con.sql(f"SELECT * FROM {quote(_RESULT)}").columns  # noqa: B018 - binds, and so proves it is ours
    except duckdb.Error:
        return None
    return Rows(quote(_RESULT), "", file)


def _explained(reader: pa.RecordBatchReader, origin: Origin, limits: Limits) -> Iterator[pa.RecordBatch]:
    """The batches of a DuckDB reader, its errors as ours."""
    import duckdb

    from raymesh.engines.kernel.failures import explain

    while True:
        try:
            batch = next(reader, None)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise explain(error, origin=origin, limits=limits) from error
        if batch is None:
            return
        yield batch


def _at_least_one(rows: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """An empty batch when there is none, so that the function still says what columns it makes."""
    first = next(rows, None)
    yield pa.RecordBatch.from_pylist([], schema=schema) if first is None else first
    yield from rows


def _stage_stream(
    con: duckdb.DuckDBPyConnection,
    made: Iterator[pa.RecordBatch],
    plan: BuildPlan,
    target: Target,
    *,
    stand_in: bool = False,
) -> tuple[Conformed, tuple[DataFile, ...]]:
    """Conform and stage batches as they come; the first decides the columns."""
    output = target.output
    schema, taken, more = _known(made, output, plan.limits.memory_bytes // _LOOKED_AHEAD)
    con.register(_RESULT, schema.empty_table())
    rows = registered(_RESULT)
    looked_at = sum(batch.num_rows for batch in taken) if more else None
    conformed = conform(shape(con, rows), output, stand_in=stand_in, rows=looked_at)
    con.unregister(_RESULT)
    return conformed, _Writer(con, schema).write(chain(taken, made), conformed, plan, target)


def _known(
    made: Iterator[pa.RecordBatch], output: Output, most: int
) -> tuple[pa.Schema, list[pa.RecordBatch], bool]:
    """The types in which rows enter DuckDB, the batches that were taken to know them, and whether there may be more:
    the first one, and others, up to `most` bytes, while a column, or a part of one, whose type nothing promises holds
    only NULL."""
    first = next(made, None)
    if first is None:
        first = _nothing(output)
    taken, size = [first], first.nbytes
    schema = door_schema(first.schema, _promised_types(output.promises))
    while any(is_open(f.type) for f in schema) and size <= most:
        batch = next(made, None)
        if batch is None:
            return schema, taken, False
        taken.append(batch)
        size += batch.nbytes
        if batch.schema.names != schema.names:
            break  # the door refuses it by name
        later = door_schema(batch.schema, {})
        schema = pa.schema(
            [pa.field(a.name, completed(a.type, b.type)) for a, b in zip(schema, later, strict=True)]
        )
    return schema, taken, True


def _nothing(output: Output) -> pa.RecordBatch:
    """No rows, in the promised columns; a function that yields nothing says nothing about them."""
    fields = [p.type for p in output.promises if p.type is not None]
    if len(fields) < max(len(output.promises), 1):
        raise ConformError(
            f"{output.table}: the transform made no rows and the contract does not fix every column's type",
            hint="return an empty table with its columns, or give every column a physicalType",
        )
    return pa.RecordBatch.from_pylist([], schema=arrow_schema(fields))


def _promised_types(promises: tuple[Promise, ...]) -> dict[str, pa.DataType]:
    """For columns that hold only NULL in the first batch."""
    return {p.name.casefold(): arrow_type(p.type.type) for p in promises if p.type is not None}


class _Writer:
    """The COPY thread and the queue that feeds it."""

    def __init__(self, con: duckdb.DuckDBPyConnection, schema: pa.Schema) -> None:
        self.con = con
        self.schema = schema
        self.waiting: queue.Queue[pa.RecordBatch | None] = queue.Queue(_QUEUED)
        self.files: tuple[DataFile, ...] = ()
        self.failure: BaseException | None = None
        self.abandoned = False

    def write(
        self, made: Iterator[pa.RecordBatch], conformed: Conformed, plan: BuildPlan, target: Target
    ) -> tuple[DataFile, ...]:
        reader = pa.RecordBatchReader.from_batches(self.schema, self._arriving())
        self.con.register(_RESULT, reader)
        thread = threading.Thread(target=self._copy, args=(conformed, plan, target), name="raymesh-copy")
        thread.start()
        masked = hidden_columns(target.output)
        try:
            for batch in made:
                if not self._offer(through_door(batch, self.schema, masked)):
                    break
        except BaseException:
            self.abandoned = True
            raise
        finally:
            self._offer(None)
            thread.join()
            self.con.unregister(_RESULT)
        if self.failure is not None:
            raise self.failure
        return self.files

    def _offer(self, batch: pa.RecordBatch | None) -> bool:
        """Hand a batch over; False when the COPY has ended."""
        while self.failure is None:
            try:
                self.waiting.put(batch, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def _arriving(self) -> Iterator[pa.RecordBatch]:
        while (batch := self.waiting.get()) is not None:
            yield batch
        if self.abandoned:
            raise RuntimeError(
                "the transform failed"
            )  # makes COPY remove its file; the cause is raised by write()

    def _copy(self, conformed: Conformed, plan: BuildPlan, target: Target) -> None:
        try:
            self.files = stage(self.con, registered(_RESULT), conformed, target, plan.limits)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that can raise it
            self.failure = error
