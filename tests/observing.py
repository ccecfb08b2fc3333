"""What somebody who may not see everything can observe: results, their bytes, errors."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raymesh.engines.local import LocalEngine
from raymesh.errors import MeshError
from raymesh.mesh.plan import Limits, Scan


def serialised(table: pa.Table | pa.RecordBatch) -> bytes:
    """Everything that may leave a process: IPC, pickle, Parquet, and the buffers as they lie in memory."""
    found = pa.table(table) if isinstance(table, pa.RecordBatch) else table
    ipc, parquet = io.BytesIO(), io.BytesIO()
    with pa.ipc.new_stream(ipc, found.schema) as writer:
        writer.write_table(found)
    if found.num_columns:
        pq.write_table(found, parquet, compression="none", use_dictionary=False)
    raw = b"".join(bytes(b) for c in found.columns for k in c.chunks for b in k.buffers() if b)
    return ipc.getvalue() + pickle.dumps(found) + parquet.getvalue() + raw


def observed(look: Callable[[], pa.Table | pa.RecordBatchReader]) -> Any:
    """What a look shows: bytes and schema of a result, or all of an error."""
    try:
        found = look()
        table = found.read_all() if isinstance(found, pa.RecordBatchReader) else found
    except MeshError as error:
        engine = error.__cause__ or error.__context__  # an engine's own words must not travel with an error
        return type(error).__name__, error.message, error.hint, error.spans, repr(engine)
    return (
        serialised(table),
        str(table.schema),
        table.schema.metadata,
        [len(c) for c in table.column(0).chunks],
    )


class Bench:
    """One engine and tables with views, by name."""

    def __init__(self, folder: Path, tables: Mapping[str, Scan], *, threads: int = 1) -> None:
        self.engine = LocalEngine(Limits(1 << 28, threads, str(folder / "scratch")))
        self.tables = dict(tables)

    def sql(self, query: str) -> pa.Table:
        return self.engine.query(query, self.tables).read_all()

    def rows(self, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.sql(query).to_pylist()
        return found

    def read(self, name: str = "t", **options: Any) -> pa.Table:
        return self.engine.read(self.tables[name], **options).read_all()

    def close(self) -> None:
        self.engine.close()
