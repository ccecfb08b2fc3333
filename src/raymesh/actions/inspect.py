"""Looks at the mesh: what there is, in which state, since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from raymesh.actions.governed import Known, known
from raymesh.actions.read import split_name, unpublished
from raymesh.errors import AccessDeniedError, NotFoundError
from raymesh.mesh.diff import VersionDiff, compare_versions
from raymesh.mesh.quarantine import guarded_port
from raymesh.spec.documents import DEFAULT_PORT
from raymesh.spec.types import TableSchema

if TYPE_CHECKING:
    from raymesh.actions.governed import Claim
    from raymesh.actions.workspace import Storage, Workspace
    from raymesh.mesh.model import Product
    from raymesh.spi.state import CheckRecord, InputPin, Run, Version


@dataclass(frozen=True, slots=True)
class Listing:
    """One product in a list; `version` is None before the first publish, `last` is its latest run. `counted` says
    that the reader may know how many rows it has."""

    product: Product
    version: Version | None
    last: Run | None
    counted: bool = True


def listing(workspace: Workspace, products: Sequence[str], claim: Claim | None = None) -> list[Listing]:
    """The named products with their current versions and latest runs, in build order."""
    current = workspace.state.current(products)
    latest = _latest(workspace.state.runs(limit=10_000))
    versions = [current.get((p, DEFAULT_PORT)) for p in products]
    told = known(workspace.storage, [v for v in versions if v is not None], claim)
    return [
        Listing(
            workspace.graph.product(p), v, latest.get(p), told.everything if v is None else told.counts(v)
        )
        for p, v in zip(products, versions, strict=True)
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
    counted: bool = True
    """Whether the reader may know numbers of rows and what was measured in them."""


def details(
    workspace: Workspace, name: str, run_id: str | None = None, claim: Claim | None = None
) -> Details:
    """Everything known of a product; the checks are those of `run_id`, by default of its latest judged run.

    In a governed mesh numbers and sample rows are there as far as `claim`'s reader may see the rows. Raises NotFoundError for an unknown product or run.
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
    found = Details(product, version, run, tuple(checks), tuple(inputs), ended, aside)
    ports = [v for v in current.values() if guarded_port(v.port) is None]
    return _permitted(found, ports, known(workspace.storage, ports, claim))


def _owner(product: Product) -> str | None:
    team = product.documents.document.model.team
    return team.name if team else None


def _counts_all(told: Known, ports: Sequence[Version], owner: str | None) -> bool:
    """Whether the reader may know numbers of rows of all these ports of a product. One that was never published
    has no version to decide by: what its runs measured is for the team that owns it."""
    if ports:
        return all(told.counts(v) for v in ports)
    return told.everything or (owner is not None and owner in told.groups)


def _permitted(found: Details, ports: Sequence[Version], told: Known) -> Details:
    """A run judges all ports of a product, so it is told to those who may know about each of them."""
    if told.everything:
        return found
    counted = _counts_all(told, ports, _owner(found.product))
    return replace(
        found,
        checks=tuple(_permitted_check(c, ports, told, counted=counted) for c in found.checks),
        quarantined=found.quarantined if counted else 0,
        counted=counted,
    )


def _permitted_check(
    check: CheckRecord, ports: Sequence[Version], told: Known, *, counted: bool
) -> CheckRecord:
    """A check's outcome; what was measured only for those who may know it, of sample rows what they may see."""
    detail = dict(check.detail)
    if counted:
        detail["sample"] = [row for s in detail.get("sample") or () if (row := _sample(s, ports, told))]
        return replace(check, detail=detail)
    return replace(
        check, value=None, detail={k: v for k, v in detail.items() if k not in ("sample", "message")}
    )


def _sample(row: Mapping[str, Any], ports: Sequence[Version], told: Known) -> dict[str, Any]:
    """What of a sample row may be seen, of whichever port it is: a column hidden in one of them is not shown."""
    shown = dict(row)
    for version in ports:
        seen = told.sample(version, row)
        columns = {f.name for f in TableSchema.from_json(dict(version.schema))}
        shown = {k: v for k, v in shown.items() if k in seen or k not in columns}
    known_columns = {k for version in ports for k in told.sample(version, row)}
    return {k: v for k, v in shown.items() if k in known_columns}


@dataclass(frozen=True, slots=True)
class History:
    """Versions and runs; `counted` says that the reader may know numbers of rows."""

    versions: tuple[Version, ...]
    runs: tuple[Run, ...]
    counted: bool = True


def history(storage: Storage, name: str, limit: int = 20, claim: Claim | None = None) -> History:
    """Versions and runs of a product, newest first. Raises NotFoundError when there are none."""
    product, port = split_name(name)
    versions = storage.state.versions(product, port, limit=limit)
    runs = storage.state.runs(product=product, limit=limit)
    if not versions and not runs:
        raise unpublished(storage, name)
    current = storage.state.current([product])
    ports = [v for v in current.values() if guarded_port(v.port) is None]
    return History(
        tuple(sorted(versions, key=lambda v: v.number, reverse=True)),
        tuple(sorted(runs, key=lambda r: r.started_at, reverse=True)),
        _counts_all(known(storage, ports, claim), ports, None),
    )


def diff(
    storage: Storage, name: str, old: int | None, new: int | None, claim: Claim | None = None
) -> tuple[Version, Version, VersionDiff]:
    """What changed between two versions of a port: by default between the current one and the one before it.

    Raises NotFoundError when there is no such version, AccessDeniedError for a reader who may not know how many
    rows there are.
    """
    product, port = split_name(name)
    current = storage.state.current([product]).get((product, port))
    if current is None:
        raise unpublished(storage, name)
    after = current if new is None else _version(storage, product, port, new)
    if old is None and after.number == 1:
        raise NotFoundError(f"{name} has only one version", hint="there is nothing to compare it with yet")
    before = _version(storage, product, port, after.number - 1 if old is None else old)
    if not known(storage, [after], claim).counts(after):
        raise AccessDeniedError(f"what changed in {name} is for those who may see all of its rows")
    return before, after, compare_versions(before, after)


def _version(storage: Storage, product: str, port: str, number: int) -> Version:
    found = storage.state.version(product, port, number)
    if found is None:
        kept = ", ".join(str(v.number) for v in storage.state.versions(product, port))
        raise NotFoundError(f"{product} has no readable version {number}", hint=f"readable: {kept}")
    return found


def version_json(version: Version, *, counted: bool = True) -> dict[str, Any]:
    """A version as the JSON documents show it; `counted` says that its reader may know how many rows it has."""
    return {
        "product": version.product,
        "port": version.port,
        "version": version.number,
        "kind": version.kind,
        "of_version": version.of_version,
        "run_id": version.run_id,
        "snapshot_id": version.snapshot_id,
        "contract_version": version.contract_version,
        "rows": version.rows if counted else None,
        "bytes": version.bytes if counted else None,
        "quality_score": version.quality_score,
        "published_at": version.published_at.isoformat(),
        **_standards_json(version),
    }


def _standards_json(version: Version) -> dict[str, Any]:
    """Which standards judged a version and how; nothing for one that none did."""
    said = version.governance.get("standards") or {}
    return {"standards_version": said.get("version"), "standards_outcome": said.get("outcome")}


def run_reason(run: Run, *, counted: bool = True) -> str | None:
    """Why a run was made, or how it ended: what went wrong may quote values, so without `counted` it is not said."""
    return run.reason if counted or run.status == "published" else None


def run_json(run: Run, *, counted: bool = True) -> dict[str, Any]:
    """A run as the JSON documents show it; without `counted` it holds nothing that depends on rows."""
    return {
        "run_id": run.run_id,
        "status": run.status,
        "engine": run.engine,
        "reason": run_reason(run, counted=counted),
        "started_at": run.started_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "rows": run.rows if counted else None,
        "quality_score": run.quality_score,
        "checks": dict(run.checks),
        "resources": dict(run.resources) if counted else {},
        "error": dict(run.error) if run.error and counted else None,
        "actor": run.actor,
        "host": run.host,
    }
