"""Leases: who may build what. Fences only grow, so a row is never deleted; time is the database's own.

Every function runs inside the caller's transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from raymesh.adapters.state.clock import database_clock
from raymesh.adapters.state.schema import leases
from raymesh.adapters.state.values import from_micros
from raymesh.errors import LeaseLostError
from raymesh.spi.owner import alive
from raymesh.spi.state import Lease

_NOBODY = ""
_COLUMNS = (leases.c.name, leases.c.owner, leases.c.fence, leases.c.until)


def acquire(connection: Connection, name: str, owner: str, ttl_seconds: float) -> Lease | None:
    """The lease for `owner` when it is free, expired, its own already, or its holder's process is dead."""
    # Locked before it is judged: the time counts at which the lock was given, not at which it was asked for.
    row = connection.execute(select(leases.c.owner).where(leases.c.name == name).with_for_update()).first()
    if row is None:
        return _first(connection, name, owner, ttl_seconds)
    taken = update(leases).where(leases.c.name == name)
    if not (row.owner in (_NOBODY, owner) or alive(row.owner) is False):
        taken = taken.where(leases.c.until <= database_clock())
    changed = taken.values(owner=owner, fence=leases.c.fence + 1, until=_after(ttl_seconds))
    found = connection.execute(changed.returning(*_COLUMNS)).first()
    return _lease(found) if found else None


def _first(connection: Connection, name: str, owner: str, ttl_seconds: float) -> Lease | None:
    created = (
        insert(leases).values(name=name, owner=owner, fence=1, until=_after(ttl_seconds)).returning(*_COLUMNS)
    )
    try:
        with connection.begin_nested():
            return _lease(connection.execute(created).one())
    except IntegrityError:  # somebody else created it after we looked
        return None


def renew(connection: Connection, lease: Lease, ttl_seconds: float) -> Lease:
    """The lease, valid from now on for `ttl_seconds`. Raises LeaseLostError when it was lost or has expired."""
    renewed = update(leases).where(*_held(lease)).values(until=_after(ttl_seconds)).returning(*_COLUMNS)
    row = connection.execute(renewed).first()
    if row is None:
        raise _lost(connection, lease)
    return _lease(row)


def release(connection: Connection, lease: Lease) -> None:
    """Give the lease back; nothing happens when somebody else has taken it over."""
    given_back = update(leases).where(leases.c.name == lease.name, leases.c.fence == lease.fence)
    connection.execute(given_back.values(owner=_NOBODY, until=0))


def holder(connection: Connection, name: str) -> Lease | None:
    """The lease as it is held now, None when it is free or has expired."""
    row = connection.execute(
        select(*_COLUMNS).where(leases.c.name == name, leases.c.until > database_clock())
    ).first()
    return _lease(row) if row else None


def verify(connection: Connection, lease: Lease) -> None:
    """Keep anybody from taking the lease over until the transaction ends. Raises LeaseLostError when it is too late."""
    if connection.execute(select(leases.c.fence).where(*_held(lease)).with_for_update()).first() is None:
        raise _lost(connection, lease)


def _held(lease: Lease) -> tuple[Any, ...]:
    mine = (leases.c.name == lease.name, leases.c.fence == lease.fence, leases.c.owner == lease.owner)
    return (*mine, leases.c.until > database_clock())


def _after(ttl_seconds: float) -> Any:
    return database_clock() + int(ttl_seconds * 1_000_000)


def _lease(row: Row[*tuple[Any, ...]]) -> Lease:
    return Lease(row.name, row.owner, row.fence, from_micros(row.until))


def _lost(connection: Connection, lease: Lease) -> LeaseLostError:
    row = connection.execute(select(*_COLUMNS).where(leases.c.name == lease.name)).first()
    if row is not None and row.fence == lease.fence and row.owner == lease.owner:
        what = f"the lease of {lease.name} expired before it was renewed"
    else:
        what = f"the lease of {lease.name} was taken over by another builder"
    return LeaseLostError(f"{what}; nothing was changed", hint="run again")
