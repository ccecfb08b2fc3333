"""Consumer SQL in a database that holds nothing but what it may see.

A trusted connection reads data files; the consumer's statement runs on a second, empty, locked one. Between
them stand relations that stream exactly the columns the statement asks for, so the consumer's connection
never learns a path and never holds a file handle. In-process this keeps honest SQL apart from the files; it
is no defence against a statement that burns memory or time (that takes a process of its own).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from raymesh.engines.kernel import duck
from raymesh.engines.kernel import storage as stores
from raymesh.engines.kernel.arrow import arrow_schema
from raymesh.engines.kernel.failures import explain, translated
from raymesh.engines.kernel.fieldids import require_field_ids
from raymesh.engines.kernel.inputs import bind_registered
from raymesh.engines.kernel.pushdown import predicate_of
from raymesh.engines.kernel.query import shape, user_query
from raymesh.engines.kernel.reading import BATCH_ROWS, scan_failure, select
from raymesh.spi.statements import stoppable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from raymesh.engines.kernel.kept import Kept
    from raymesh.errors import MeshError
    from raymesh.mesh.plan import Limits, Scan
    from raymesh.spec.expression import Expression

_FILE = "query"


def answer(
    sql: str,
    inputs: Mapping[str, Scan],
    limits: Limits,
    storage: Mapping[str, Any],
    kept: Kept | None = None,
) -> pa.RecordBatchReader:
    """Run one SELECT over `inputs`; both connections live as long as the reader. `kept` is what is ready for
    queries over views.

    Raises TransformError with line and column of `query` when the statement is wrong or reaches for
    anything else than the inputs.
    """
    box = _box(inputs)(limits, storage, kept)
    try:
        box.fill(inputs)
        reader = box.start(sql)
    except BaseException:
        box.close()
        raise
    return pa.RecordBatchReader.from_batches(box.schema(reader), box.rows(reader))


def _box(inputs: Mapping[str, Scan]) -> type[Box]:
    if all(scan.view is None for scan in inputs.values()):
        return Box
    from raymesh.engines.kernel.governed_query import GovernedBox

    return GovernedBox


class Box:
    """The trusted and the consumer's connection, and the first error that happened between them."""

    def __init__(self, limits: Limits, storage: Mapping[str, Any], kept: Kept | None = None) -> None:
        self.limits = limits
        self.storage = storage
        self.kept = kept
        self.trusted = self.reading()
        self.consumer = self.connect()
        self.failure: MeshError | None = None

    def reading(self) -> duckdb.DuckDBPyConnection:
        """The connection that reads files."""
        return duck.connect(self.limits)

    def connect(self) -> duckdb.DuckDBPyConnection:
        """The consumer's connection."""
        return duck.connect(self.limits, ordered=True)

    def fill(self, inputs: Mapping[str, Scan]) -> None:
        files = [f for scan in inputs.values() for f in scan.files]
        with translated(limits=self.limits):
            stores.attach(self.trusted, self.storage, files)
            require_field_ids(self.trusted, files)
            for name, scan in inputs.items():
                bind_registered(self.consumer, name, Relation.of(scan, self.open))
            duck.lock(self.consumer)

    def start(self, sql: str) -> pa.RecordBatchReader:
        rows = user_query(self.consumer, sql, _FILE)
        shape(self.consumer, rows)  # binds it alone, so that errors name places of the text
        head = "SELECT * FROM "
        self._origin = rows.origin(len(head))
        try:
            return self.consumer.sql(f"{head}{rows.source} AS q").to_arrow_reader(BATCH_ROWS)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise self.explained(error) from error

    def schema(self, reader: pa.RecordBatchReader) -> pa.Schema:
        """The schema of what `rows` gives."""
        return reader.schema

    def rows(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        try:
            while (batch := self.next(reader)) is not None:
                yield batch
        finally:
            reader.close()
            self.close()

    def close(self) -> None:
        self.consumer.close()
        self.trusted.close()

    def next(self, reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
        try:
            return next(reader, None)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise self.explained(error) from error

    def explained(self, error: Exception) -> MeshError:
        """The trusted side's error when it has one: the consumer's connection only knows that a stream broke."""
        return self.failure or explain(error, origin=self._origin, limits=self.limits)

    def open(self, scan: Scan, columns: Sequence[str], where: Expression | None) -> Iterator[pa.RecordBatch]:
        """Some columns of a scan, without rows for which `where` is not true as far as that is quick to tell,
        from a cursor of its own: DuckDB may read two relations at once."""
        cursor = stoppable(self.trusted.cursor())
        try:
            yield from cursor.sql(select(scan, columns, where)).to_arrow_reader(BATCH_ROWS)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            self.failure = scan_failure(error, self.limits, scan.files)
            raise
        finally:
            cursor.close()


Opener: TypeAlias = "Callable[[Scan, Sequence[str], Expression | None], Iterator[pa.RecordBatch]]"


class Relation(ds.InMemoryDataset):  # type: ignore[misc]  # pyarrow has no types
    """A scan as an Arrow dataset: DuckDB asks it for columns and filters whenever it scans."""

    _scan: Scan
    _read: Opener

    @classmethod
    def of(cls, scan: Scan, read: Opener) -> Relation:
        found = cls(arrow_schema(scan.shown).empty_table())
        found._scan = scan
        found._read = read
        return found

    def scanner(self, columns: Sequence[str] | None = None, filter: Any = None, **_: Any) -> _Scanner:  # noqa: A002
        """What DuckDB calls: a reader of `columns` (None: all), rows that pass `filter` only."""
        names = list(columns) if columns is not None else self.schema.names
        tested = [] if filter is None else _tested(filter, self.schema)
        asked = [*names, *(n for n in tested if n not in names)]
        where = None if filter is None else predicate_of(filter, self.schema)
        exact = (
            b.cast(pa.schema([self.schema.field(n) for n in asked]))
            for b in self._read(self._scan, asked, where)
        )
        kept = exact if filter is None else (b.filter(filter).select(names) for b in exact)
        return _Scanner(
            pa.RecordBatchReader.from_batches(pa.schema([self.schema.field(n) for n in names]), kept)
        )


def _tested(expression: Any, schema: pa.Schema) -> list[str]:
    """The columns an Arrow expression needs: those without which it does not bind."""
    shown, empty = str(expression), schema.empty_table()
    return [
        name for name in schema.names if name in shown and not _binds(expression, empty.drop_columns([name]))
    ]


def _binds(expression: Any, table: pa.Table) -> bool:
    try:
        table.filter(expression)
    except pa.ArrowException:
        return False
    return True


class _Scanner:
    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader = reader

    def to_reader(self) -> pa.RecordBatchReader:
        return self._reader
