"""Rows on stdout or in a file: table, CSV, JSON lines, Parquet, Arrow, or one JSON document."""

from __future__ import annotations

import json
import math
import sys
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raymesh.cli.report import put_table, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

FORMATS = ("table", "csv", "json", "parquet", "arrow")
BINARY = ("parquet", "arrow")
SHOWN = 20
"""Rows a table shows when nobody says how many."""
WIDEST = 60


def write_rows(reader: pa.RecordBatchReader, form: str, to: str | None) -> None:
    """Stream `reader` to a file or stdout in the given form. A file appears only when it is complete."""
    if form == "table":
        if to is not None:
            raise click.UsageError(f"A table is for the terminal; add --format to write {to}.")
        _table(reader)
    elif to is None:
        if form in BINARY and sys.stdout.isatty():
            raise click.UsageError(f"{form} is no text; write it with --to FILE or into a pipe.")
        sys.stdout.flush()
        _stream(reader, form, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        _file(reader, form, Path(to))


def put_document(reader: pa.RecordBatchReader, schema: str, content: Mapping[str, Any]) -> None:
    """One JSON document with `content`, the columns and all rows, written as they come."""
    head = {
        "schema": f"raymesh/{schema}",
        **content,
        "columns": [{"name": f.name, "type": str(f.type)} for f in reader.schema],
    }
    opening = json.dumps(head, indent=2, default=str, ensure_ascii=False)
    click.echo(f'{opening[:-2]},\n  "rows": [', nl=False)
    first = True
    for batch in reader:
        for row in batch.to_pylist():
            click.echo(f"{'' if first else ','}\n    {_object(row)}", nl=False)
            first = False
    click.echo("]\n}" if first else "\n  ]\n}")


def _file(reader: pa.RecordBatchReader, form: str, target: Path) -> None:
    partial = target.with_name(f".{target.name}.partial")
    if not target.parent.is_dir():
        raise click.UsageError(f"There is no folder {target.parent} to write {target.name} into.")
    try:
        with partial.open("wb") as sink:
            _stream(reader, form, sink)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    say(f"wrote {target}")


def _stream(reader: pa.RecordBatchReader, form: str, sink: Any) -> None:
    writers = {"csv": _csv, "json": _json, "parquet": _parquet, "arrow": _arrow}
    writers[form](reader, sink)


def _table(reader: pa.RecordBatchReader) -> None:
    import pyarrow as pa

    table = reader.read_all()
    columns = [[_cell(v) for v in column.to_pylist()] for column in table.columns]
    right = [
        i
        for i, f in enumerate(table.schema)
        if pa.types.is_integer(f.type) or pa.types.is_floating(f.type) or pa.types.is_decimal(f.type)
    ]
    put_table(table.schema.names, list(zip(*columns, strict=True)), right=right)
    if not table.num_rows:
        say("no rows")


def _cell(value: Any) -> str:
    if value is None:
        return "∅"
    text = str(value)
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def _csv(reader: pa.RecordBatchReader, sink: Any) -> None:
    from pyarrow import csv

    with csv.CSVWriter(sink, _flat(reader.schema)) as writer:
        for batch in reader:
            writer.write_batch(_flatten(batch))


def _is_text(kind: pa.DataType) -> bool:
    """Whether CSV can hold a type only as text."""
    import pyarrow as pa

    return bool(pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _flat(schema: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([f.with_type(pa.string()) if _is_text(f.type) else f for f in schema])


def _flatten(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Nested values as JSON and bytes as base64: CSV has no other way to hold them."""
    import pyarrow as pa

    columns = [
        pa.array([None if v is None else _text(_plain(v)) for v in c.to_pylist()], pa.string())
        if _is_text(c.type)
        else c
        for c in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_flat(batch.schema))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _dump(value)


def _json(reader: pa.RecordBatchReader, sink: Any) -> None:
    for batch in reader:
        for row in batch.to_pylist():
            sink.write(_object(row).encode() + b"\n")


def _object(row: Mapping[str, Any]) -> str:
    return _dump(_plain(row))


def _dump(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: times as in ISO 8601, bytes as base64, decimals as text, NaN and infinity
    as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        from base64 import b64encode

        return b64encode(value).decode()
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _parquet(reader: pa.RecordBatchReader, sink: Any) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(sink, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)


def _arrow(reader: pa.RecordBatchReader, sink: Any) -> None:
    import pyarrow as pa

    with pa.ipc.new_stream(sink, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
