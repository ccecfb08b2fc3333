"""Events of agreements, and what reads took of their budgets."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from raymesh.adapters.state.schema import agreement_events, agreement_usage
from raymesh.adapters.state.values import clean, dumps, from_micros, loads, to_micros
from raymesh.errors import CommitConflictError
from raymesh.governance.agreements import AgreementEvent
from raymesh.spi.agreements import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from raymesh.adapters.state.store import SqlStateStore
    from raymesh.spi.state import Transaction


class SqlAgreements:
    """An `AgreementStore` in the database of a state store."""

    def __init__(self, store: SqlStateStore) -> None:
        self._store = store

    def add(self, event: AgreementEvent, within: Transaction | None = None) -> None:
        """Add an event whose number follows the last one. Raises CommitConflictError when it does not."""
        last = select(func.coalesce(func.max(agreement_events.c.number), 0)).where(
            agreement_events.c.agreement == event.agreement
        )
        with self._store.writing(within) as connection:
            if connection.execute(last).scalar_one() != event.number - 1:
                raise CommitConflictError(
                    f"somebody else acted on agreement {event.agreement} first",
                    hint=f"raymesh access show {event.agreement}",
                )
            connection.execute(
                insert(agreement_events).values(
                    agreement=event.agreement,
                    number=event.number,
                    kind=event.kind,
                    at=to_micros(event.at),
                    actor=clean(event.actor),
                    product=event.product,
                    body=dumps(event.body),
                )
            )

    def events(self, agreement: str, within: Transaction | None = None) -> Sequence[AgreementEvent]:
        """All events of one agreement, in order."""
        query = (
            select(agreement_events)
            .where(agreement_events.c.agreement == agreement)
            .order_by(agreement_events.c.number)
        )
        with self._store.reading(within) as connection:
            return [_event(row) for row in connection.execute(query)]

    def about(
        self, product: str | None = None, within: Transaction | None = None
    ) -> Sequence[tuple[AgreementEvent, ...]]:
        """The events of every agreement on a product (or of all), the newest agreement first."""
        query = select(agreement_events).order_by(
            agreement_events.c.agreement.desc(), agreement_events.c.number
        )
        if product is not None:
            query = query.where(agreement_events.c.product == product)
        with self._store.reading(within) as connection:
            found = [_event(row) for row in connection.execute(query)]
        return [tuple(group) for _, group in groupby(found, key=lambda event: event.agreement)]

    def usage(self, agreement: str, within: Transaction | None = None) -> Usage:
        """What reads have taken so far."""
        query = select(agreement_usage).where(agreement_usage.c.agreement == agreement)
        with self._store.reading(within) as connection:
            row = connection.execute(query).one_or_none()
        return Usage() if row is None else Usage(row.rows, row.queries, from_micros(row.last_at))

    def use(
        self,
        agreement: str,
        *,
        rows: int,
        queries: int,
        at: datetime,
        limits: tuple[int | None, int | None] = (None, None),
        within: Transaction | None = None,
    ) -> bool:
        """Take from the budgets; False, taking nothing, when that would exceed one."""
        taken = agreement_usage.c.rows + rows, agreement_usage.c.queries + queries
        change = update(agreement_usage).where(agreement_usage.c.agreement == agreement)
        for after, limit in zip(taken, limits, strict=True):
            if limit is not None:
                change = change.where(after <= limit)
        with self._store.writing(within) as connection:
            _begin(connection, agreement, at)
            values = {"rows": taken[0], "queries": taken[1], "last_at": to_micros(at)}
            return connection.execute(change.values(**values)).rowcount == 1


def _begin(connection: Connection, agreement: str, at: datetime) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = {"agreement": agreement, "rows": 0, "queries": 0, "last_at": to_micros(at)}
    connection.execute(dialect.insert(agreement_usage).values(**row).on_conflict_do_nothing())


def _event(row: Any) -> AgreementEvent:
    return AgreementEvent(
        row.agreement,
        row.number,
        row.kind,
        from_micros(row.at),
        row.actor,
        row.product,
        loads(row.body),
    )
