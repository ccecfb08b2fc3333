"""Rewrites many small files of a table as few large ones, as one snapshot with the same rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from raymesh.actions import audit, evidence
from raymesh.actions.ids import actor, host, new_id
from raymesh.actions.limits import limits_for
from raymesh.actions.planning import access
from raymesh.actions.read import scan_of
from raymesh.errors import StorageError
from raymesh.mesh.plan import BuildPlan, Input, Layout, Output, Promise, Scan, Transform
from raymesh.mesh.quarantine import guarded_port
from raymesh.quality.compile import compile_checks
from raymesh.spec.types import TableSchema
from raymesh.spi.engine import Control
from raymesh.spi.state import Run
from raymesh.spi.tables import TableChange

if TYPE_CHECKING:
    from raymesh.actions.invocation import Invocation
    from raymesh.mesh.model import Port
    from raymesh.quality.model import Check
    from raymesh.spi.engine import StagedOutput
    from raymesh.spi.state import Lease, Version

SMALL = 0.5
"""A file below this share of the target size is small; two small ones or more are worth a rewrite."""


def compact(invocation: Invocation, current: Version, lease: Lease, *, dry_run: bool) -> tuple[int, int]:
    """(files before, files after) of a rewrite; (0, 0) when the table's files are fine as they are."""
    workspace = invocation.workspace
    if workspace.tables.heads([current.table]).get(current.table) != current.metadata_location:
        return 0, 0  # another program wrote here: what is in the table now, only the next run can say
    layout = _layout(invocation, current)
    files = workspace.state.files(current)
    small = [f for f in files if f.bytes < SMALL * layout.target_bytes]
    expected = max(1, round(sum(f.bytes for f in files) / layout.target_bytes))
    if len(small) < 2 or len(files) <= expected or layout.partition_by:
        return 0, 0
    if dry_run:
        return len(files), expected
    scan = scan_of(workspace.storage, current)
    run_id = new_id()
    staged = _rewrite(invocation, current, scan, layout, run_id)
    _publish(invocation, current, staged, layout, lease=lease, run_id=run_id)
    return len(files), len(staged.files)


def _port(invocation: Invocation, current: Version) -> Port:
    """The port of a version; of a quarantine, the port whose rows are set aside there."""
    name = guarded_port(current.port) or current.port
    return invocation.workspace.graph.product(current.product).port(name)


def _layout(invocation: Invocation, current: Version) -> Layout:
    from raymesh.mesh.build_plan import layout

    found = layout(_port(invocation, current).settings)
    return replace(found, partition_by=(), sort_by=()) if guarded_port(current.port) else found


def _counted(invocation: Invocation, current: Version) -> tuple[Check, ...]:
    """The checks whose counts files carry, so that the next append need not read the new files again."""
    if guarded_port(current.port):
        return ()
    port = _port(invocation, current)
    found = compile_checks(
        port.contract, port=port.name, table=port.table, settings_on_violation=port.settings.on_violation
    )
    return tuple(c for c in found if c.kind in ("row", "key"))


def _rewrite(
    invocation: Invocation, current: Version, scan: Scan, layout: Layout, run_id: str
) -> StagedOutput:
    schema = TableSchema.from_json(dict(current.schema))
    workspace = invocation.workspace
    output = Output(
        port=current.port,
        table=current.table,
        location=workspace.tables.location(current.table),
        transform=Transform("ingest"),
        promises=tuple(Promise(f.name, type=f, doc=f.doc) for f in schema),
        checks=_counted(invocation, current),
        layout=layout,
        previous=schema,
    )
    plan = BuildPlan(
        product=current.product,
        run_id=run_id,
        root=str(workspace.root),
        inputs=(Input(current.table, scan, current.number, current.snapshot_id),),
        outputs=(output,),
        limits=limits_for(workspace, current.product, invocation.options.jobs),
        storage=access(workspace),
    )
    outcome = invocation.engine("local").build(plan, Control(cancelled=lambda: invocation.cancelled))
    staged = outcome.outputs[0]
    if sum(f.rows for f in staged.files) != scan.rows:
        workspace.tables.delete_files([f.path for f in staged.files])
        raise StorageError(f"the rewrite of {current.table} would change its rows; nothing was published")
    return staged


def _publish(
    invocation: Invocation,
    current: Version,
    staged: StagedOutput,
    layout: Layout,
    *,
    lease: Lease,
    run_id: str,
) -> None:
    state, tables = invocation.workspace.state, invocation.workspace.tables
    old = [f.path for f in state.files(current)]
    tables.sync([f.path for f in staged.files])
    change = tables.stage(
        TableChange(
            table=current.table,
            kind="rewrite",
            base=current.metadata_location,
            schema=staged.schema,
            files=staged.files,
            removed=tuple(old),
            layout=layout,
            properties={"raymesh.run-id": run_id},
        )
    )
    now = datetime.now(UTC)
    run = Run(
        run_id, invocation.id, current.product, "local", now, reason="compaction", actor=actor(), host=host()
    )
    version = replace(
        current,
        number=current.number + 1,
        kind="maintain",
        of_version=current.of_version if current.kind == "maintain" else current.number,
        run_id=run_id,
        snapshot_id=change.snapshot_id,
        metadata_location=change.metadata_location,
        bytes=sum(f.bytes for f in staged.files),
        published_at=now,
    )
    states = staged.measurements.files
    records = [evidence.file_record(f, states.get(f.path)) for f in staged.files]
    with evidence.recorded(state, run), state.write(lease) as tx:
        tables.commit([change], tx)
        state.replace_files(tx, version, records)
        state.finish_run(
            replace(run, status="published", finished_at=now, rows=version.rows, bytes=version.bytes),
            within=tx,
        )
        audit.published(invocation.workspace.storage, version, tx, of_version=version.of_version)
    audit.witness(invocation.workspace.storage)
