"""Table maintenance: compaction, expiry of old versions by policy, removal of orphaned files.

Nothing that a retained version needs is removed, and nothing a living build has staged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from raymesh.actions import audit
from raymesh.actions.build import settle
from raymesh.actions.compaction import compact
from raymesh.actions.ids import new_id
from raymesh.mesh.quarantine import guarded_port, quarantine_port
from raymesh.spi.faults import at
from raymesh.spi.state import Version

if TYPE_CHECKING:
    from raymesh.actions.invocation import Invocation
    from raymesh.spec.mesh import SnapshotPolicy
    from raymesh.spi.state import Lease


@dataclass(frozen=True, slots=True)
class Maintained:
    """What maintenance did to one table: versions expired, files compacted into fewer, files removed with
    their bytes."""

    table: str
    expired_versions: tuple[int, ...] = ()
    compacted_from: int = 0
    compacted_to: int = 0
    removed_files: int = 0
    removed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class MaintainOptions:
    """Which steps to take; `dry_run` only reports what would be removed or compacted."""

    compaction: bool = True
    expiry: bool = True
    orphans: bool = True
    dry_run: bool = False


def maintain(invocation: Invocation, product: str, options: MaintainOptions) -> list[Maintained]:
    """Maintain every table of `product`, under its lease. Raises StorageError, LeaseLostError."""
    done = []
    with invocation.lease(product, new_id()) as lease:
        settle(product, invocation)
        ports = invocation.workspace.graph.product(product).ports
        for port in [name for p in ports for name in (p.name, quarantine_port(p.name))]:
            current = invocation.workspace.state.current([product]).get((product, port))
            if current is not None:
                done.append(_maintain_table(invocation, current, lease, options))
    return done


def _maintain_table(
    invocation: Invocation, current: Version, lease: Lease, options: MaintainOptions
) -> Maintained:
    report = Maintained(current.table)
    if options.compaction:
        before, after = compact(invocation, current, lease, dry_run=options.dry_run)
        report = replace(report, compacted_from=before, compacted_to=after)
        current = invocation.workspace.state.current([current.product])[current.product, current.port]
    if options.expiry:
        numbers = _expire(invocation, current, lease, dry_run=options.dry_run)
        report = replace(report, expired_versions=numbers)
    if options.orphans:
        at("during_maintain")
        removed = _remove_orphans(invocation, current.table, dry_run=options.dry_run)
        report = replace(report, removed_files=len(removed), removed_bytes=sum(removed.values()))
    return report


def expirable(versions: Sequence[Version], policy: SnapshotPolicy, now: datetime) -> list[Version]:
    """Versions the policy no longer keeps: beyond the `keep` newest and older than `max_age`.

    The current version always stays, and so does every version whose snapshot a kept one shares (after a
    rollback).
    """
    newest = sorted(versions, key=lambda v: v.number, reverse=True)
    keep = policy.keep if policy.keep is not None else (1 if policy.max_age is not None else len(newest))
    kept = newest[: max(keep, 1)]
    if policy.max_age is not None:
        limit = now - timedelta(seconds=policy.max_age)
        kept += [v for v in newest[len(kept) :] if v.published_at >= limit]
    shared = {v.snapshot_id for v in kept}
    return [v for v in newest if v not in kept and v.snapshot_id not in shared]


def _expire(invocation: Invocation, current: Version, lease: Lease, *, dry_run: bool) -> tuple[int, ...]:
    workspace = invocation.workspace
    policy = workspace.graph.product(current.product).documents.settings.snapshots or workspace.spec.snapshots
    found = workspace.state.versions(current.product, current.port, limit=100_000)
    versions = [v for v in found if v.expired_at is None]
    old = expirable(versions, policy, datetime.now(UTC))
    numbers = tuple(sorted(v.number for v in old))
    if numbers and (reason := _legal_hold(invocation, current)):
        if not dry_run:
            audit.held(workspace.storage, current, numbers, reason)
        return ()
    if dry_run or not old:
        return numbers
    head = workspace.tables.heads([current.table])[current.table]
    snapshots = sorted({v.snapshot_id for v in old})
    staged = workspace.tables.expire(current.table, snapshots, head)
    with workspace.state.write(lease) as tx:
        workspace.tables.commit([staged], tx)
        workspace.state.forget_versions(tx, current.product, current.port, numbers)
        if head == current.metadata_location:  # otherwise another program's rows would count as published
            workspace.state.move_head(tx, current.product, current.port, staged.metadata_location)
        audit.expired(workspace.storage, current, numbers, tx)
    audit.witness(workspace.storage)
    return numbers


def _legal_hold(invocation: Invocation, current: Version) -> str | None:
    """Why no version of a port may expire, whatever retention says; its quarantine is held with it."""
    name = guarded_port(current.port) or current.port
    ports = invocation.workspace.graph.product(current.product).ports
    return next((p.settings.legal_hold for p in ports if p.name == name), None)


def _remove_orphans(invocation: Invocation, table: str, *, dry_run: bool) -> Mapping[str, int]:
    """Files under the table's location that nothing retained needs. The lease is held, and `settle` has closed
    dead runs, so no build of this table is alive and every unreferenced file is an orphan."""
    tables = invocation.workspace.tables
    live = tables.live_files(table)
    orphans = {path: size for path, size in tables.list_files(table) if path not in live}
    if not dry_run and orphans:
        tables.delete_files(sorted(orphans))
    return orphans
