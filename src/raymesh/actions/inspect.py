"""Looks at the mesh: what there is, in which state, since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raymesh.actions.read import split_name, unpublished
from raymesh.errors import NotFoundError
from raymesh.mesh.diff import VersionDiff, compare_versions
from raymesh.mesh.quarantine import guarded_port
from raymesh.spec.documents import DEFAULT_PORT

if TYPE_CHECKING:
    from raymesh.actions.workspace import Storage, Workspace
    from raymesh.mesh.model import Product
    from raymesh.spi.state import CheckRecord, InputPin, Run, Version


@dataclass(frozen=True, slots=True)
class Listing:
    """One product in a list; `version` is None before the first publish, `last` is its latest run."""

    product: Product
    version: Version | None
    last: Run | None


def listing(workspace: Workspace, products: Sequence[str]) -> list[Listing]:
    """The named products with their current versions and latest runs, in build order."""
    current = workspace.state.current(products)
    latest = _latest(workspace.state.runs(limit=10_000))
    return [
        Listing(workspace.graph.product(p), current.get((p, DEFAULT_PORT)), latest.get(p)) for p in products
    ]


def _latest(runs: Sequence[Run]) -> Mapping[str, Run]:
    latest: dict[str, Run] = {}
    for run in runs:
        if run.product not in latest or run.started_at > latest[run.product].started_at:
            latest[run.product] = run
    return latest


@dataclass(frozen=True, slots=True)
class Details:
    """One product in full: documents, current version, the checks of one run and what that run read."""

    product: Product
    version: Version | None
    run: Run | None
    checks: tuple[CheckRecord, ...]
    inputs: tuple[InputPin, ...]
    ended: Run | None = None
    """The latest run when it failed or was stopped before its checks, and nothing else was asked for."""
    quarantined: int = 0
    """Rows set aside now, of all its ports."""


def details(workspace: Workspace, name: str, run_id: str | None = None) -> Details:
    """Everything known of a product; the checks are those of `run_id`, by default of its latest judged run.

    Raises NotFoundError for an unknown product or run.
    """
    product = workspace.graph.product(split_name(name)[0])
    current = workspace.state.current([product.name])
    version = current.get((product.name, DEFAULT_PORT))
    aside = sum(v.rows for v in current.values() if guarded_port(v.port) is not None)
    runs = sorted(
        workspace.state.runs(product=product.name, limit=1000), key=lambda r: r.started_at, reverse=True
    )
    if run_id is not None:
        run = next((r for r in runs if r.run_id.startswith(run_id)), None)
        if run is None:
            raise NotFoundError(f"{product.name} has no run {run_id}", hint=f"raymesh history {product.name}")
    else:
        run = next((r for r in runs if r.status in ("published", "blocked") and r.checks), None)
    checks = workspace.state.checks(run.run_id) if run else ()
    inputs = workspace.state.inputs(run.run_id) if run else ()
    ended = runs[0] if runs and run_id is None and runs[0] is not run else None
    if ended is not None and ended.status not in ("failed", "interrupted"):
        ended = None
    return Details(product, version, run, tuple(checks), tuple(inputs), ended, aside)


@dataclass(frozen=True, slots=True)
class History:
    versions: tuple[Version, ...]
    runs: tuple[Run, ...]


def history(storage: Storage, name: str, limit: int = 20) -> History:
    """Versions and runs of a product, newest first. Raises NotFoundError when there are none."""
    product, port = split_name(name)
    versions = storage.state.versions(product, port, limit=limit)
    runs = storage.state.runs(product=product, limit=limit)
    if not versions and not runs:
        raise unpublished(storage, name)
    return History(
        tuple(sorted(versions, key=lambda v: v.number, reverse=True)),
        tuple(sorted(runs, key=lambda r: r.started_at, reverse=True)),
    )


def diff(
    storage: Storage, name: str, old: int | None, new: int | None
) -> tuple[Version, Version, VersionDiff]:
    """What changed between two versions of a port: by default between the current one and the one before it.

    Raises NotFoundError when there is no such version.
    """
    product, port = split_name(name)
    current = storage.state.current([product]).get((product, port))
    if current is None:
        raise unpublished(storage, name)
    after = current if new is None else _version(storage, product, port, new)
    if old is None and after.number == 1:
        raise NotFoundError(f"{name} has only one version", hint="there is nothing to compare it with yet")
    before = _version(storage, product, port, after.number - 1 if old is None else old)
    return before, after, compare_versions(before, after)


def _version(storage: Storage, product: str, port: str, number: int) -> Version:
    found = storage.state.version(product, port, number)
    if found is None:
        kept = ", ".join(str(v.number) for v in storage.state.versions(product, port))
        raise NotFoundError(f"{product} has no readable version {number}", hint=f"readable: {kept}")
    return found


def version_json(version: Version) -> dict[str, Any]:
    """A version as the JSON documents show it."""
    return {
        "product": version.product,
        "port": version.port,
        "version": version.number,
        "kind": version.kind,
        "of_version": version.of_version,
        "run_id": version.run_id,
        "snapshot_id": version.snapshot_id,
        "contract_version": version.contract_version,
        "rows": version.rows,
        "bytes": version.bytes,
        "quality_score": version.quality_score,
        "published_at": version.published_at.isoformat(),
    }


def run_json(run: Run) -> dict[str, Any]:
    """A run as the JSON documents show it."""
    return {
        "run_id": run.run_id,
        "status": run.status,
        "engine": run.engine,
        "reason": run.reason,
        "started_at": run.started_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "rows": run.rows,
        "quality_score": run.quality_score,
        "checks": dict(run.checks),
        "resources": dict(run.resources),
        "error": dict(run.error) if run.error else None,
        "actor": run.actor,
        "host": run.host,
    }
