"""Judged rows in memory, for libraries that need all of them at once."""

from __future__ import annotations

from typing import Any

from raymesh.errors import MissingExtraError, UsageError

MOST_ROWS = 2_000_000
MOST_BYTES = 512 * 1024 * 1024


def frame(rows: Any, engine: str, extra: str) -> Any:
    """All rows as a pandas frame with nullable types kept apart from NaN; see `whole`."""
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtraError(f"rules of {engine}", extra) from None
    return whole(rows, engine).to_pandas(types_mapper=pd.ArrowDtype)


def whole(rows: Any, engine: str) -> Any:
    """All rows as an Arrow table, or a UsageError when they are more than such a library may have at once: a part
    of them would prove nothing."""
    import pyarrow as pa

    batches: list[pa.RecordBatch] = []
    count = size = 0
    reader = rows.to_arrow_reader(65_536)
    for batch in reader:
        count, size = count + batch.num_rows, size + batch.nbytes
        if count > MOST_ROWS or size > MOST_BYTES:
            raise UsageError(
                f"{engine} needs all rows in memory, and these are more than {MOST_ROWS:,} rows or {MOST_BYTES >> 20} MB; "
                "say the rule in SQL or with the library metrics"
            )
        batches.append(batch)
    return pa.Table.from_batches(batches, schema=reader.schema)
