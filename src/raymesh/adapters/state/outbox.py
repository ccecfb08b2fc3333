"""Events to tell others about, kept until they are delivered: at least once, never lost with their cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select, update

from raymesh.adapters.state.clock import database_clock
from raymesh.adapters.state.schema import outbox
from raymesh.adapters.state.values import dumps, from_micros, loads
from raymesh.spi.state import OutboxEvent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def enqueue(connection: Connection, kind: str, payload: Mapping[str, Any]) -> None:
    """Add an event that becomes deliverable when the transaction commits."""
    connection.execute(insert(outbox).values(kind=kind, payload=dumps(payload), created_at=database_clock()))


def pending(connection: Connection, limit: int) -> Sequence[OutboxEvent]:
    """Events not delivered yet, oldest first; those that failed least often before the others.

    So an event that can never be delivered does not hold up the rest.
    """
    query = select(outbox).order_by(outbox.c.attempts, outbox.c.id).limit(limit)
    return [
        OutboxEvent(row.id, row.kind, loads(row.payload), from_micros(row.created_at), row.attempts)
        for row in connection.execute(query)
    ]


def delivered(connection: Connection, ids: Sequence[int]) -> None:
    """Forget events that were delivered; their ids are never used again."""
    connection.execute(delete(outbox).where(outbox.c.id.in_(ids)))


def failed(connection: Connection, ids: Sequence[int]) -> None:
    """Count a failed attempt to deliver events, which stay pending."""
    connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(attempts=outbox.c.attempts + 1))
