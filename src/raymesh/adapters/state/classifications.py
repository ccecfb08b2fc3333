"""Classification records and acts in the state database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, insert, select

from raymesh.adapters.state import folding
from raymesh.adapters.state.schema import acts as table
from raymesh.adapters.state.values import clean, dumps, from_micros, loads, to_micros
from raymesh.errors import GovernanceError, NotFoundError
from raymesh.governance.classification import PortRecord, with_confirmed, with_lowered
from raymesh.spi.classifications import Act

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from raymesh.adapters.state.store import SqlStateStore
    from raymesh.governance.classification import Key
    from raymesh.spi.state import Transaction


class SqlClassifications:
    """`Classifications` of a state store, in whose transactions it works."""

    def __init__(self, store: SqlStateStore) -> None:
        self._store = store

    def records(
        self, ports: Iterable[Key] | None = None, within: Transaction | None = None
    ) -> Mapping[Key, PortRecord]:
        """The records of the ports, of all when none are named."""
        with self._store.reading(within) as connection:
            return folding.read(connection, ports)

    def acts(
        self, product: str | None = None, *, limit: int = 1000, within: Transaction | None = None
    ) -> Sequence[Act]:
        """Acts, the latest first."""
        query = select(table).order_by(table.c.id.desc()).limit(limit)
        if product is not None:
            query = query.where(table.c.product == product)
        with self._store.reading(within) as connection:
            return [_act(row) for row in connection.execute(query)]

    def act(self, act: Act, within: Transaction | None = None) -> Act:
        """Record an act and apply it to its port."""
        with self._store.writing(within) as connection:
            key = (act.product, act.port)
            record = folding.read(connection, [key], lock=True).get(key)
            if record is None or act.field not in record.columns:
                raise NotFoundError(f"{act.product} ({act.port}) has no published column `{act.column}`")
            if act.kind in ("lower", "refuse"):
                act = _answered(connection, act)
            folding.write(connection, {key: _applied(record, act)})
            number = connection.execute(insert(table).values(_values(act)).returning(table.c.id)).scalar_one()
            return replace(act, id=number)


def _answered(connection: Connection, act: Act) -> Act:
    """The act about what the proposal says, whatever the caller says."""
    answers = select(table.c.of_act).where(table.c.of_act.is_not(None))
    open_ = select(table).where(table.c.id == act.of, table.c.kind == "propose", table.c.id.not_in(answers))
    row = connection.execute(open_).first()
    proposal = _act(row) if row else None
    if proposal is None or (proposal.product, proposal.port, proposal.field) != (
        act.product,
        act.port,
        act.field,
    ):
        raise NotFoundError(
            f"there is no open proposal {act.of} about `{act.column}` of {act.product}",
            hint=f"raymesh classify {act.product} lists them",
        )
    if act.kind == "lower" and proposal.actor == act.actor:
        raise GovernanceError(
            f"{act.actor} proposed to take {', '.join(proposal.tags)} from `{act.column}` and cannot agree to it too",
            hint="somebody else has to review it",
        )
    return replace(act, tags=proposal.tags, version=proposal.version)


def _applied(record: PortRecord, act: Act) -> PortRecord:
    if act.kind == "confirm":
        return with_confirmed(record, act.field, act.tags)
    if act.kind == "lower":
        return with_lowered(record, act.field, act.tags, act.version)
    return record


def _values(act: Act) -> dict[str, Any]:
    return {
        "product": act.product,
        "port": act.port,
        "field": act.field,
        "column_name": clean(act.column),
        "kind": act.kind,
        "tags": dumps(list(act.tags)),
        "version": act.version,
        "actor": clean(act.actor),
        "reason": clean(act.reason),
        "at": to_micros(act.at),
        "of_act": act.of,
    }


def _act(row: Row[Any]) -> Act:
    return Act(
        id=row.id,
        product=row.product,
        port=row.port,
        field=row.field,
        column=row.column_name,
        kind=row.kind,
        tags=tuple(loads(row.tags)),
        version=row.version,
        actor=row.actor,
        reason=row.reason,
        at=from_micros(row.at),
        of=row.of_act,
    )
