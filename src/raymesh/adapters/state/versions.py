"""Versions of ports as rows. Every function works inside the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, insert, select, update

from raymesh.adapters.state.clock import database_clock
from raymesh.adapters.state.schema import IS_CURRENT, versions
from raymesh.adapters.state.values import JsonObject, dumps, from_micros, loads, to_micros
from raymesh.errors import CommitConflictError, NotFoundError, UsageError
from raymesh.spi.state import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_MANY = 1000
"""Beyond that many products all current versions are read and the wanted ones picked."""

_COLUMNS = [column for column in versions.c if column.name != "is_current"]


def current(connection: Connection, products: Iterable[str] | None) -> Mapping[tuple[str, str], Version]:
    """Current versions by (product, port), from one statement and so from one moment."""
    query = select(*_COLUMNS).where(IS_CURRENT)
    wanted = None if products is None else frozenset(products)
    if wanted is not None and len(wanted) <= _MANY:
        query = query.where(versions.c.product.in_(sorted(wanted)))
    found = (_version(row) for row in connection.execute(query).all() if wanted is None or row[0] in wanted)
    return {(v.product, v.port): v for v in found}


def one(connection: Connection, product: str, port: str, number: int) -> Version | None:
    """The version, also an expired one."""
    query = select(*_COLUMNS).where(*_of(product, port), versions.c.number == number)
    row = connection.execute(query).first()
    return _version(row) if row else None


def history(connection: Connection, product: str, port: str | None, limit: int) -> Sequence[Version]:
    """Versions of a product, the highest number first."""
    query = select(*_COLUMNS).where(versions.c.product == product)
    if port is not None:
        query = query.where(versions.c.port == port)
    ordered = query.order_by(versions.c.number.desc(), versions.c.port).limit(limit)
    return [_version(row) for row in connection.execute(ordered)]


def readable(connection: Connection) -> Sequence[tuple[Version, bool]]:
    """Every version that has not expired, and whether it is the current one."""
    query = select(*_COLUMNS, versions.c.is_current).where(versions.c.expired_at.is_(None))
    ordered = query.order_by(versions.c.product, versions.c.port, versions.c.number)
    return [(_version(row[:-1]), bool(row[-1])) for row in connection.execute(ordered)]


def add(connection: Connection, version: Version) -> None:
    """Add the version as the current one.

    Raises CommitConflictError unless its number follows the current one: then somebody else published since
    the caller looked.
    """
    place = _of(version.product, version.port)
    before = (
        connection.execute(select(versions.c.number).where(*place, IS_CURRENT).with_for_update()).scalar()
        or 0
    )
    if version.number != before + 1:
        raise CommitConflictError(
            f"version {version.number} of {version.product} ({version.port}) cannot follow version {before}: "
            "another builder published first; nothing was changed",
            hint="run again",
        )
    connection.execute(update(versions).where(*place, versions.c.number == before).values(is_current=0))
    connection.execute(insert(versions).values({**_row(version), "is_current": 1}))


def published_by(
    connection: Connection, run_id: str, product: str | None = None
) -> Sequence[tuple[str, str]]:
    """The (product, port) pairs that a run has published."""
    query = select(versions.c.product, versions.c.port).where(versions.c.run_id == run_id)
    if product is not None:
        query = query.where(versions.c.product == product)
    return [(row.product, row.port) for row in connection.execute(query)]


def forget(connection: Connection, product: str, port: str, numbers: Sequence[int]) -> None:
    """Mark versions as expired. Raises UsageError for the current one, which readers need."""
    chosen = (*_of(product, port), versions.c.number.in_(numbers))
    if connection.execute(select(versions.c.number).where(*chosen, IS_CURRENT)).first() is not None:
        raise UsageError(
            f"the current version of {product} ({port}) cannot expire", hint="name older versions only"
        )
    still_kept = update(versions).where(*chosen, versions.c.expired_at.is_(None))
    connection.execute(still_kept.values(expired_at=database_clock()))


def move_head(connection: Connection, product: str, port: str, metadata_location: str) -> None:
    """Give the current version's table new metadata. Raises NotFoundError when nothing is published."""
    chosen = update(versions).where(*_of(product, port), IS_CURRENT)
    if connection.execute(chosen.values(metadata_location=metadata_location)).rowcount == 0:
        raise NotFoundError(f"{product} ({port}) has no published version", hint=f"raymesh run +{product}")


def _of(product: str, port: str) -> tuple[Any, Any]:
    return versions.c.product == product, versions.c.port == port


def _row(version: Version) -> dict[str, Any]:
    return {
        "product": version.product,
        "port": version.port,
        "number": version.number,
        "kind": version.kind,
        "table_name": version.table,
        "run_id": version.run_id,
        "snapshot_id": version.snapshot_id,
        "metadata_location": version.metadata_location,
        "schema": dumps(version.schema),
        "contract": dumps(version.contract),
        "contract_version": version.contract_version,
        "rows": version.rows,
        "bytes": version.bytes,
        "fingerprint": version.fingerprint,
        "published_at": to_micros(version.published_at),
        "quality_score": version.quality_score,
        "watermark": None if version.watermark is None else dumps(version.watermark),
        "of_version": version.of_version,
        "expired_at": None if version.expired_at is None else to_micros(version.expired_at),
        "governance": dumps(version.governance) if version.governance else None,
    }


def _version(row: Row[*tuple[Any, ...]] | tuple[Any, ...]) -> Version:
    (product, port, number, kind, table, run_id, snapshot_id, location, schema, contract, *rest) = tuple(row)
    (contract_version, rows, size, fingerprint, published_at, score, watermark, *last) = rest
    of_version, expired_at, governance = last
    return Version(
        product=product,
        port=port,
        number=number,
        kind=kind,
        table=table,
        run_id=run_id,
        snapshot_id=snapshot_id,
        metadata_location=location,
        schema=JsonObject(schema),
        contract=JsonObject(contract),
        contract_version=contract_version,
        rows=rows,
        bytes=size,
        fingerprint=fingerprint,
        published_at=from_micros(published_at),
        quality_score=score,
        watermark=None if watermark is None else loads(watermark),
        of_version=of_version,
        expired_at=None if expired_at is None else from_micros(expired_at),
        governance={} if governance is None else JsonObject(governance),
    )
