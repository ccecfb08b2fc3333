"""What runs prove: check results, column lineage, pinned inputs. Inside the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, Table, func, insert, select

from raymesh.adapters.state.schema import checks, inputs, lineage
from raymesh.adapters.state.values import clean, dumps, loads
from raymesh.spi.state import CheckRecord, InputPin, LineageEdge

if TYPE_CHECKING:
    from collections.abc import Sequence


def add_checks(connection: Connection, run_id: str, port: str, records: Sequence[CheckRecord]) -> None:
    """Add the results of one port, once per run: a second delivery is refused."""
    rows = [
        {
            "run_id": run_id,
            "port": port,
            "ordinal": ordinal,
            "check_id": clean(record.check_id),
            "kind": record.kind,
            "status": record.status,
            "value": dumps(record.value),
            "unit": record.unit,
            "dimension": record.dimension,
            "severity": record.severity,
            "blocking": int(record.blocking),
            "detail": dumps(record.detail),
        }
        for ordinal, record in enumerate(records)
    ]
    _insert(connection, checks, rows)


def checks_of(connection: Connection, run_id: str, port: str | None) -> Sequence[CheckRecord]:
    """Results in the order they were recorded, port by port."""
    query = select(checks).where(checks.c.run_id == run_id).order_by(checks.c.port, checks.c.ordinal)
    if port is not None:
        query = query.where(checks.c.port == port)
    return [check_of(row) for row in connection.execute(query)]


def check_of(row: Row[Any]) -> CheckRecord:
    """The check result a row keeps."""
    return CheckRecord(
        check_id=row.check_id,
        kind=row.kind,
        status=row.status,
        value=loads(row.value),
        unit=row.unit,
        dimension=row.dimension,
        severity=row.severity,
        blocking=bool(row.blocking),
        detail=loads(row.detail),
    )


def add_lineage(connection: Connection, run_id: str, product: str, edges: Sequence[LineageEdge]) -> None:
    """Add edges behind those the run has."""
    count = select(func.count()).select_from(lineage).where(lineage.c.run_id == run_id)
    first = connection.execute(count).scalar_one()
    rows = [
        {
            "run_id": run_id,
            "ordinal": ordinal,
            "product": product,
            "column_name": edge.column,
            "source": edge.source,
            "source_column": edge.source_column,
            "kind": edge.kind,
        }
        for ordinal, edge in enumerate(edges, start=first)
    ]
    _insert(connection, lineage, rows)


def lineage_of(connection: Connection, run_id: str) -> Sequence[LineageEdge]:
    """Edges in the order they were recorded."""
    query = select(lineage).where(lineage.c.run_id == run_id).order_by(lineage.c.ordinal)
    return [
        LineageEdge(row.column_name, row.source, row.source_column, row.kind)
        for row in connection.execute(query)
    ]


def add_inputs(connection: Connection, run_id: str, pins: Sequence[InputPin]) -> None:
    """Add what the run read, each input once."""
    rows = [
        {
            "run_id": run_id,
            "input": pin.input,
            "ordinal": ordinal,
            "version": pin.version,
            "snapshot_id": pin.snapshot_id,
            "pin": dumps(pin.pin),
        }
        for ordinal, pin in enumerate(pins)
    ]
    _insert(connection, inputs, rows)


def inputs_of(connection: Connection, run_id: str) -> Sequence[InputPin]:
    """Pins in the order they were recorded."""
    query = select(inputs).where(inputs.c.run_id == run_id).order_by(inputs.c.ordinal)
    return [
        InputPin(row.input, row.version, row.snapshot_id, loads(row.pin)) for row in connection.execute(query)
    ]


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)
