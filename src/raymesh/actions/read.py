"""Reads published products: one pinned version, from evidence when it is current, from the table when not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from raymesh.errors import NotFoundError
from raymesh.mesh.plan import Scan
from raymesh.spec.documents import DEFAULT_PORT
from raymesh.spec.types import TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

    from raymesh.actions.governed import Access, Claim
    from raymesh.actions.workspace import Storage
    from raymesh.spec.expression import Expression
    from raymesh.spi.engine import Engine
    from raymesh.spi.state import Transaction, Version


@dataclass(frozen=True, slots=True)
class Pinned:
    """One version of one port with the files it consists of. `foreign` tells that another program changed
    the table since raymesh published it; the scan is then the table's own. `access` is what the reader may see,
    once that was decided; the scan then has a view where the mesh is governed."""

    version: Version
    scan: Scan
    foreign: bool = False
    access: Access | None = field(default=None, repr=False, compare=False)


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


def pin_published(storage: Storage, names: Sequence[str]) -> dict[str, Pinned]:
    """As `pin_all`, leaving out what was never published."""
    found: dict[str, Pinned] = {}
    with storage.state.read() as tx:
        current = storage.state.current([split_name(n)[0] for n in names], within=tx) if names else {}
        for name in names:
            if split_name(name) in current:
                found[name] = _pin(storage, name, None, tx)
    return found


def _pin(storage: Storage, name: str, number: int | None, tx: Transaction) -> Pinned:
    product, port = split_name(name)
    current = storage.state.current([product], within=tx).get((product, port))
    if current is None:
        raise unpublished(storage, name)
    if number is not None:  # a version is what was published, whatever somebody made of the table since
        return _numbered(storage, name, number)
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


def _numbered(storage: Storage, name: str, number: int) -> Pinned:
    product, port = split_name(name)
    version = storage.state.version(product, port, number)
    if version is None or version.expired_at is not None:
        kept = [v.number for v in storage.state.versions(product, port) if v.expired_at is None]
        raise NotFoundError(
            f"{name} has no readable version {number}",
            hint=f"readable: {', '.join(map(str, sorted(kept)))}; see raymesh history {product}",
        )
    return Pinned(version, scan_of(storage, version))


def unpublished(storage: Storage, name: str) -> NotFoundError:
    """Why there is nothing to read under `name`: never published, misspelled, or no such port."""
    from raymesh.mesh.reading import did_you_mean
    from raymesh.spec.folders import product_names

    product, port = split_name(name)
    published = sorted({p if q == DEFAULT_PORT else f"{p}__{q}" for p, q in storage.state.current()})
    written = product_names(storage.root)
    if product in written and port == DEFAULT_PORT:
        return NotFoundError(f"{name} has no published version", hint=f"raymesh run +{product} builds it")
    if product in written:
        others = [p for p in published if split_name(p)[0] == product]
        hint = f"published of it: {', '.join(others)}" if others else f"raymesh run +{product} builds it"
        return NotFoundError(f"{product} has no published port {port}", hint=hint)
    known = {*published, *written}
    otherwise = (
        "raymesh ls lists the products" if known else "raymesh new product DOMAIN.NAME makes the first"
    )
    hint = did_you_mean(name, known, otherwise=otherwise) or otherwise
    return NotFoundError(f"there is no product {name}", hint=hint)


def unknown_columns(name: str, missing: Sequence[str], known: Sequence[str]) -> NotFoundError:
    """Names that are no columns of `name`, with close spellings or the columns there are."""
    from raymesh.mesh.reading import did_you_mean

    shown = ", ".join(known[:30]) + (" …" if len(known) > 30 else "")
    hint = did_you_mean(missing[0], known, otherwise=f"columns: {shown}")
    return NotFoundError(f"{name} has no column {', '.join(missing)}", hint=hint)


def open_engine(storage: Storage) -> Engine:
    """The engine that reads and answers queries here, able to reach the mesh's object store."""
    from raymesh.actions.workspace import environment
    from raymesh.spec.secrets import reveal
    from raymesh.spi import registry

    s3 = storage.spec.storage.s3
    said = s3.model_dump(by_alias=True, exclude_none=True) if s3 else {}
    engine: Engine = registry.load("engines", "local")(
        storage=reveal(said, environment(storage.root), storage.root)
    )
    return engine


def read(  # noqa: PLR0913 (all that can be asked of a read)
    storage: Storage,
    engine: Engine,
    name: str,
    *,
    columns: Sequence[str] | None = None,
    where: Expression | str | None = None,
    limit: int | None = None,
    version: int | None = None,
    claim: Claim | None = None,
) -> tuple[Pinned, pa.RecordBatchReader]:
    """Rows of a product as a stream of Arrow batches, with the version they come from.

    `where` may be text such as `amount > 10`. In a governed mesh `claim` says who reads. Raises NotFoundError for
    an unknown product, version or column (a hidden one is unknown), UsageError for another condition,
    AccessDeniedError.
    """
    pinned = pin(storage, name, version)
    seen, condition = allowed(storage, name, pinned, claim, columns=columns, where=where)
    return seen, rows_of(engine, seen, columns=columns, where=condition, limit=limit)


def allowed(
    storage: Storage,
    name: str,
    pinned: Pinned,
    claim: Claim | None,
    *,
    columns: Sequence[str] | None = None,
    where: Expression | str | None = None,
    surface: str = "read",
) -> tuple[Pinned, Expression | None]:
    """The version as its reader may see it, with the condition understood. Raises as `read` does."""
    from raymesh.actions.governed import NOBODY, enter

    said = {"where": where if isinstance(where, str) else repr(where)} if where else None
    access = enter(storage, {name: pinned}, claim or NOBODY, surface=surface, said=said)
    found = replace(access.pinned[name], access=access)
    known = found.scan.shown
    if columns is not None and (missing := [c for c in columns if c not in known.names]):
        raise unknown_columns(name, missing, known.names)
    if isinstance(where, str):
        from raymesh.mesh.condition import parse_condition

        where = parse_condition(where, known)
    return found, where


def rows_of(
    engine: Engine,
    pinned: Pinned,
    *,
    columns: Sequence[str] | None = None,
    where: Expression | None = None,
    limit: int | None = None,
) -> pa.RecordBatchReader:
    """The rows of a version that `allowed` let pass."""
    rows = engine.read(pinned.scan, columns=columns, where=where, limit=limit)
    return rows if pinned.access is None else pinned.access.checked(rows)


def dataset_of(
    storage: Storage,
    pinned: Pinned,
    *,
    columns: Sequence[str] | None = None,
    where: Expression | None = None,
    limit: int | None = None,
) -> Any:
    """The rows of a version that `allowed` let pass as a `ray.data.Dataset`, read lazily by tasks of the mesh's
    cluster, while they still may be: that is decided again and again here. Raises AccessDeniedError,
    MissingExtraError without Ray, ClusterError, NotFoundError for an unknown column."""
    from raymesh.actions.planning import reach
    from raymesh.spi import registry

    spec, root = storage.spec.engines.ray, str(storage.root)
    engine = registry.load("engines", "ray")(spec=spec, root=root, storage=reach(storage.spec, storage.root))
    again = None if pinned.access is None else pinned.access.renewable()
    return engine.dataset(pinned.scan, columns=columns, where=where, limit=limit, again=again)


def products_of(sql: str) -> tuple[str, ...]:
    """The products a query names; raises UsageError with the place when it is not one SELECT over products."""
    from raymesh.errors import UsageError
    from raymesh.mesh.sql import read_sql

    reading = read_sql(sql, "query")
    for problem in reading.diagnostics:
        if problem.severity == "error":
            spans = (problem.span,) if problem.span else ()
            raise UsageError(problem.message, hint=problem.help, spans=spans)
    return tuple(r.name for r in reading.references)


def query(
    storage: Storage, engine: Engine, sql: str, names: Sequence[str], claim: Claim | None = None
) -> tuple[Access, pa.RecordBatchReader]:
    """Answer one SELECT over the named products, all pinned by one query, in the engine's sandbox.

    In a governed mesh `claim` says who asks; the products hold what that reader may see. Raises AccessDeniedError.
    """
    from raymesh.actions.governed import NOBODY, enter

    access = enter(storage, pin_all(storage, names), claim or NOBODY, surface="sql", said={"query": sql})
    scans: Mapping[str, Scan] = {n: p.scan for n, p in access.pinned.items()}
    return access, access.checked(engine.query(sql, scans))
