"""Serves an older version again: a new version with the rows of an old one, in one transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from raymesh.actions import audit, evidence
from raymesh.actions.build import settle
from raymesh.actions.ids import actor, host
from raymesh.actions.read import split_name, unpublished
from raymesh.errors import NotFoundError
from raymesh.spec.types import TableSchema
from raymesh.spi.faults import at
from raymesh.spi.state import Run, Version
from raymesh.spi.tables import TableChange

if TYPE_CHECKING:
    from raymesh.actions.invocation import Invocation


def rollback(invocation: Invocation, name: str, to: int, run_id: str) -> Version:
    """Make version `to` of a port current again and return the new version that says so.

    The fingerprint of the new version is empty, so the next run builds anew: a rollback holds until somebody
    runs the product. Raises NotFoundError when that version is not readable any more.
    """
    state, tables = invocation.workspace.state, invocation.workspace.tables
    product, port = split_name(name)
    with invocation.lease(product, run_id) as lease:
        settle(product, invocation)
        current, old = _both(invocation, product, port, to)
        change = TableChange(
            table=current.table,
            kind="rollback",
            base=tables.heads([current.table]).get(current.table),  # whoever wrote it: this is the way back
            schema=TableSchema.from_json(dict(old.schema)),
            snapshot_id=old.snapshot_id,
            properties={"raymesh.run-id": run_id},
        )
        run = Run(
            run_id,
            invocation.id,
            product,
            "none",
            datetime.now(UTC),
            reason=f"rollback to version {to}",
            actor=actor(),
            host=host(),
        )
        with evidence.recorded(state, run):
            staged = tables.stage(change)
            now = datetime.now(UTC)
            version = replace(
                old,
                number=current.number + 1,
                kind="rollback",
                run_id=run_id,
                snapshot_id=staged.snapshot_id,
                metadata_location=staged.metadata_location,
                fingerprint="",
                published_at=now,
                of_version=to,
            )
            with state.write(lease) as tx:
                at("before_commit")
                tables.commit([staged], tx)
                state.replace_files(tx, version, state.files(old, within=tx))
                state.enqueue(tx, "version-published", _told(version))
                state.finish_run(
                    replace(run, status="published", finished_at=now, rows=old.rows, bytes=old.bytes),
                    within=tx,
                )
                audit.published(invocation.workspace.storage, version, tx, of_version=to)
            audit.witness(invocation.workspace.storage)
    return version


def _both(invocation: Invocation, product: str, port: str, to: int) -> tuple[Version, Version]:
    state = invocation.workspace.state
    current = state.current([product]).get((product, port))
    if current is None:
        raise unpublished(invocation.workspace.storage, product)
    old = state.version(product, port, to)
    if old is None or old.expired_at is not None:
        kept = ", ".join(str(v.number) for v in state.versions(product, port) if v.expired_at is None)
        raise NotFoundError(f"{product} has no readable version {to}", hint=f"readable: {kept}")
    return current, old


def _told(version: Version) -> dict[str, object]:
    return {
        "product": version.product,
        "port": version.port,
        "version": version.number,
        "run_id": version.run_id,
        "rolled_back_to": version.of_version,
        "published_at": version.published_at.isoformat(),
    }
