"""Runs as rows. Every function works inside the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, insert, select, update

from raymesh.adapters.state.schema import runs
from raymesh.adapters.state.values import clean, dumps, from_micros, loads, to_micros
from raymesh.spi.state import Run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def start(connection: Connection, run: Run) -> None:
    """Add the run; its id must be new."""
    connection.execute(insert(runs).values(_row(run)))


def finish(connection: Connection, run: Run) -> None:
    """Write how the run ended, adding it when it was never started.

    A published run stays published: its version exists, whatever a builder that lost the answer believes.
    """
    row = _row(run)
    final = update(runs).where(runs.c.run_id == run.run_id)
    if run.status != "published":
        final = final.where(runs.c.status != "published")
    if connection.execute(final.values(row)).rowcount:
        return
    if connection.execute(select(runs.c.run_id).where(runs.c.run_id == run.run_id)).first() is None:
        connection.execute(insert(runs).values(row))


def find(connection: Connection, wanted: Mapping[str, str | None], limit: int) -> Sequence[Run]:
    """Runs whose columns have the wanted values (None: any), the latest first."""
    query = select(runs).order_by(runs.c.started_at.desc(), runs.c.run_id.desc()).limit(limit)
    for column, value in wanted.items():
        if value is not None:
            query = query.where(runs.c[column] == value)
    return [_run(row) for row in connection.execute(query)]


def _row(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "invocation": run.invocation,
        "product": run.product,
        "engine": run.engine,
        "started_at": to_micros(run.started_at),
        "status": run.status,
        "finished_at": None if run.finished_at is None else to_micros(run.finished_at),
        "fingerprint": run.fingerprint,
        "reason": clean(run.reason),
        "rows": run.rows,
        "bytes": run.bytes,
        "quality_score": run.quality_score,
        "resources": dumps(run.resources),
        "checks": dumps(run.checks),
        "error": None if run.error is None else dumps(run.error),
        "actor": clean(run.actor),
        "host": clean(run.host),
    }


def _run(row: Row[Any]) -> Run:
    return Run(
        run_id=row.run_id,
        invocation=row.invocation,
        product=row.product,
        engine=row.engine,
        started_at=from_micros(row.started_at),
        status=row.status,
        finished_at=None if row.finished_at is None else from_micros(row.finished_at),
        fingerprint=row.fingerprint,
        reason=row.reason,
        rows=row.rows,
        bytes=row.bytes,
        quality_score=row.quality_score,
        resources=loads(row.resources),
        checks=loads(row.checks),
        error=None if row.error is None else loads(row.error),
        actor=row.actor,
        host=row.host,
    )
