"""`raymesh read`: a product's rows as table, CSV, JSON, Parquet or Arrow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raymesh.cli.report import put_table, say

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("table", "csv", "json", "parquet", "arrow")
SHOWN = 20


@click.command()
@click.argument("product")
@click.option("--columns", help="Names, separated by commas.")
@click.option("--where", help="A condition, such as \"amount > 10 and country in ('DE', 'AT')\".")
@click.option(
    "--limit", type=click.IntRange(0), help=f"At most so many rows; a table shows {SHOWN} when not given."
)
@click.option(
    "--version", "number", type=click.IntRange(1), help="An older version instead of the current one."
)
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--to", type=click.Path(dir_okay=False), help="Write to a file instead of stdout.")
@click.pass_obj
def read(
    folder: str | None,
    product: str,
    columns: str | None,
    where: str | None,
    limit: int | None,
    number: int | None,
    form: str,
    to: str | None,
) -> int:
    """Print or export the rows of PRODUCT (domain.product)."""
    from raymesh.actions.read import pin
    from raymesh.actions.read import read as act
    from raymesh.actions.workspace import open_storage_only
    from raymesh.spi import registry

    with open_storage_only(Path(folder) if folder else None) as storage:
        engine = registry.load("engines", "local")()
        condition = None
        if where:
            from raymesh.mesh.condition import parse_condition

            condition = parse_condition(where, pin(storage, product, number).scan.schema)
        names = [c.strip() for c in columns.split(",")] if columns else None
        shown = SHOWN if form == "table" and limit is None and to is None else limit
        pinned, reader = act(
            storage, engine, product, columns=names, where=condition, limit=shown, version=number
        )
        try:
            write_rows(reader, form, to)
        finally:
            engine.close()
    if pinned.foreign:
        say(f"note: another program changed {product} since raymesh published it; this is the table as it is")
    if form == "table" and limit is None and to is None and where is None and pinned.scan.rows > SHOWN:
        say(
            f"{SHOWN} of {pinned.scan.rows:,} rows; --limit N shows more, --format parquet --to FILE exports all"
        )
    return 0


def write_rows(reader: pa.RecordBatchReader, form: str, to: str | None) -> None:
    """Stream `reader` to a file or stdout in the given form."""
    if form == "table":
        _table(reader)
        return
    if to is None:
        _stream(reader, form, sys.stdout.buffer)
        return
    target = Path(to)
    partial = target.with_name(f".{target.name}.partial")
    try:
        with partial.open("wb") as sink:
            _stream(reader, form, sink)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _stream(reader: pa.RecordBatchReader, form: str, sink: Any) -> None:
    writers = {"csv": _csv, "json": _json, "parquet": _parquet, "arrow": _arrow}
    writers[form](reader, sink)


def _table(reader: pa.RecordBatchReader) -> None:
    table = reader.read_all()
    rows = [[_cell(v) for v in row.values()] for row in table.to_pylist()]
    import pyarrow as pa

    right = [
        i
        for i, f in enumerate(table.schema)
        if pa.types.is_integer(f.type) or pa.types.is_floating(f.type) or pa.types.is_decimal(f.type)
    ]
    put_table(table.schema.names, rows, right=right)


def _cell(value: Any) -> str:
    if value is None:
        return "∅"
    text = str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _csv(reader: pa.RecordBatchReader, sink: Any) -> None:
    from pyarrow import csv

    with csv.CSVWriter(sink, _flat(reader.schema)) as writer:
        for batch in reader:
            writer.write_batch(_flatten(batch))


def _flat(schema: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([f.with_type(pa.string()) if pa.types.is_nested(f.type) else f for f in schema])


def _flatten(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Nested values as JSON text: CSV has no other way to hold them."""
    import json

    import pyarrow as pa

    columns = [
        pa.array([None if v is None else json.dumps(v, default=str) for v in c.to_pylist()], pa.string())
        if pa.types.is_nested(c.type)
        else c
        for c in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_flat(batch.schema))


def _json(reader: pa.RecordBatchReader, sink: Any) -> None:
    import json

    for batch in reader:
        for row in batch.to_pylist():
            sink.write(json.dumps(row, default=str, ensure_ascii=False).encode() + b"\n")


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
