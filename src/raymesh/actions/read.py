"""Reads published products: one pinned version, from evidence when it is current, from the table when not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raymesh.errors import NotFoundError
from raymesh.mesh.plan import Scan
from raymesh.spec.documents import DEFAULT_PORT
from raymesh.spec.types import TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

    from raymesh.actions.workspace import Storage
    from raymesh.spec.expression import Expression
    from raymesh.spi.engine import Engine
    from raymesh.spi.state import Transaction, Version


@dataclass(frozen=True, slots=True)
class Pinned:
    """One version of one port with the files it consists of. `foreign` tells that another program changed
    the table since raymesh published it; the scan is then the table's own."""

    version: Version
    scan: Scan
    foreign: bool = False


def split_name(name: str) -> tuple[str, str]:
    """`domain.product` or `domain.product__port` as (product, port)."""
    product, _, port = name.partition("__")
    return product, port or DEFAULT_PORT


def pin(storage: Storage, name: str, number: int | None = None) -> Pinned:
    """The current or the given version of a port.

    Raises NotFoundError that says what there is instead.
    """
    with storage.state.read() as tx:
        return _pin(storage, name, number, tx)


def pin_all(storage: Storage, names: Sequence[str]) -> dict[str, Pinned]:
    """The current versions of several ports, consistent with each other."""
    with storage.state.read() as tx:
        return {name: _pin(storage, name, None, tx) for name in names}


def _pin(storage: Storage, name: str, number: int | None, tx: Transaction) -> Pinned:
    product, port = split_name(name)
    current = storage.state.current([product], within=tx).get((product, port))
    if current is None:
        raise _unknown(storage, name)
    if number is not None and number != current.number:
        return _older(storage, name, number)
    head = storage.tables.heads([current.table], within=tx).get(current.table)
    if head != current.metadata_location:
        return Pinned(current, storage.tables.scan(current.table), foreign=True)
    return Pinned(current, scan_of(storage, current, tx))


def scan_of(storage: Storage, version: Version, tx: Transaction | None = None) -> Scan:
    """The files of a version as the state store knows them."""
    files = storage.state.files(version, within=tx)
    return Scan(
        schema=TableSchema.from_json(dict(version.schema)),
        files=tuple(f.path for f in files),
        rows=version.rows,
        bytes=version.bytes,
    )


def _older(storage: Storage, name: str, number: int) -> Pinned:
    product, port = split_name(name)
    version = storage.state.version(product, port, number)
    if version is None:
        kept = [v.number for v in storage.state.versions(product, port)]
        raise NotFoundError(
            f"{name} has no readable version {number}",
            hint=f"readable: {', '.join(map(str, sorted(kept)))}; see raymesh history {product}",
        )
    return Pinned(version, scan_of(storage, version))


def _unknown(storage: Storage, name: str) -> NotFoundError:
    from difflib import get_close_matches

    product, _ = split_name(name)
    published = sorted({p if q == DEFAULT_PORT else f"{p}__{q}" for p, q in storage.state.current()})
    close = get_close_matches(name, published, n=1)
    if close:
        return NotFoundError(f"no published product {name}", hint=f"did you mean {close[0]}?")
    hint = f"raymesh run +{product}" if "." in name else "name it domain.product; raymesh ls lists them"
    return NotFoundError(f"{name} has no published version", hint=hint)


def read(
    storage: Storage,
    engine: Engine,
    name: str,
    *,
    columns: Sequence[str] | None = None,
    where: Expression | None = None,
    limit: int | None = None,
    version: int | None = None,
) -> tuple[Pinned, pa.RecordBatchReader]:
    """Rows of a product as a stream of Arrow batches, with the version they come from.

    Raises NotFoundError for an unknown product, version or column.
    """
    pinned = pin(storage, name, version)
    if columns is not None:
        known = pinned.scan.schema.names
        if missing := [c for c in columns if c not in known]:
            raise NotFoundError(
                f"{name} has no column {', '.join(missing)}", hint=f"columns: {', '.join(known)}"
            )
    return pinned, engine.read(pinned.scan, columns=columns, where=where, limit=limit)


def query(storage: Storage, engine: Engine, sql: str, names: Sequence[str]) -> pa.RecordBatchReader:
    """Answer one SELECT over the named products, all pinned by one query, in the engine's sandbox."""
    scans: Mapping[str, Scan] = {n: p.scan for n, p in pin_all(storage, names).items()}
    return engine.query(sql, scans)
