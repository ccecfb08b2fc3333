"""A consumer's SQL over views: one locked database per query, in which only masked rows exist."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from raymesh.engines.kernel import consumer, duck
from raymesh.engines.kernel.gate import require_select
from raymesh.engines.kernel.governed import forgetful, keys_of, prepare, shown, understood
from raymesh.engines.kernel.inputs import bind_registered
from raymesh.engines.kernel.sandbox import Box, Relation
from raymesh.engines.kernel.scrub import clean_schema, scrubbed
from raymesh.errors import InternalError, MeshError
from raymesh.spi.statements import stoppable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from raymesh.engines.kernel.tokens import TokenKey
    from raymesh.mesh.plan import Scan
    from raymesh.spec.expression import Expression


class GovernedBox(Box):
    """Both connections of one governed query. What the consumer is told holds no value and no path."""

    names: tuple[str, ...]
    keys: dict[int, Mapping[str, TokenKey]]

    def reading(self) -> duckdb.DuckDBPyConnection:
        if self.kept is None:
            return duck.connect(self.limits, ordered=True)
        return stoppable(self.kept.trusted(self.limits).cursor())

    def connect(self) -> duckdb.DuckDBPyConnection:
        return consumer.sealed(self.limits) if self.kept is None else self.kept.empty(self.limits)

    def fill(self, inputs: Mapping[str, Scan]) -> None:
        self.names, self.keys = tuple(inputs), {}
        for name, scan in inputs.items():
            if scan.view is None:
                raise InternalError(f"{name} has no view beside others that have one")
            understood(scan, None, None)
            self.keys[id(scan)] = keys_of(scan)
            prepare(self.trusted, scan, self.storage)
            bind_registered(self.consumer, name, Relation.of(scan, self.open))

    def start(self, sql: str) -> pa.RecordBatchReader:
        try:
            statements = self.consumer.extract_statements(sql)
            if len(statements) == 1:  # otherwise `user_query` says what is wrong
                require_select(self.consumer, statements[0].query, self.names)
            return self.timed(lambda: super(GovernedBox, self).start(sql))
        except duckdb.Error:
            return super().start(sql)  # the parser's error, told with its place
        except MeshError as error:
            raise forgetful(error) from None

    def rows(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        yield from scrubbed(super().rows(reader), self.schema(reader))

    def schema(self, reader: pa.RecordBatchReader) -> pa.Schema:
        return clean_schema(reader.schema)

    def next(self, reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
        try:
            return self.timed(lambda: super(GovernedBox, self).next(reader))
        except MeshError as error:
            raise forgetful(error) from None

    def timed(self, step: Any) -> Any:
        """What `step` gives, unless it takes too long."""
        watch = threading.Timer(self.limits.timeout or consumer.SECONDS, self.consumer.interrupt)
        watch.start()
        try:
            return step()
        finally:
            watch.cancel()

    def close(self) -> None:
        if self.kept is None:
            self.consumer.close()
        else:
            self.kept.done(self.limits, self.consumer)
        self.trusted.close()

    def explained(self, error: Exception) -> MeshError:
        return self.failure or consumer.sanitised(error, self._origin, self.limits)

    def open(self, scan: Scan, columns: Sequence[str], where: Expression | None) -> Iterator[pa.RecordBatch]:
        cursor = stoppable(self.trusted.cursor())
        try:
            found = understood(scan, columns or scan.shown.names[:1], where)
            asked = replace(found, needed=found.columns, late=())  # the consumer's side answers the rest
            yield from shown(cursor, scan, asked, self.keys[id(scan)])
        except MeshError as error:
            self.failure = error
            raise
        finally:
            cursor.close()
