"""Quarantine tables change together with their product: same run, same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from raymesh.mesh.quarantine import quarantine_port
from raymesh.quality.state import file_state_to_json
from raymesh.spec.types import TableSchema
from raymesh.spi.state import FileRecord, Run, Version
from raymesh.spi.tables import TableChange

if TYPE_CHECKING:
    from raymesh.actions.build import Judged
    from raymesh.actions.evidence import Target
    from raymesh.actions.planning import Decision
    from raymesh.mesh.plan import DataFile, Scan
    from raymesh.spi.engine import StagedOutput
    from raymesh.spi.tables import StagedChange


@dataclass(frozen=True, slots=True)
class Aside:
    """What becomes of one quarantine table. `staged` are its new rows, none when it is to be emptied; they
    join the rows of `kept`, or take the place of all there are. `current` is its version until now."""

    judged: Judged
    table: str
    staged: StagedOutput | None
    kept: Scan | None
    current: Version | None

    @property
    def files(self) -> tuple[DataFile, ...]:
        return self.staged.files if self.staged else ()

    @property
    def rows(self) -> int:
        """The rows of the table afterwards."""
        return sum(f.rows for f in self.files) + (self.kept.rows if self.kept else 0)

    @property
    def schema(self) -> TableSchema:
        if self.staged is not None:
            return self.staged.schema
        return TableSchema.from_json(dict(self.current.schema)) if self.current else TableSchema(())


def asides(judged: Sequence[Judged], decision: Decision) -> list[Aside]:
    """The quarantine tables that a publish changes: those that get rows, and those that lose theirs.

    A build of the whole table says anew what is set aside; one that appends adds to it.
    """
    found = []
    for j in judged:
        current = decision.current.get(quarantine_port(j.output.port))
        place, staged = j.output.quarantine, j.staged.quarantine
        anew = j.output.kept is None or (place is not None and place.again is not None)
        if staged is not None and staged.files and place is not None:
            found.append(Aside(j, place.table, staged, None if anew else place.kept, current))
        elif anew and current is not None and current.rows:
            found.append(Aside(j, current.table, None, None, current))
    return found


def change(aside: Aside, decision: Decision, run: Run) -> TableChange:
    """The change of the table, with the same marks as the product's own."""
    return TableChange(
        table=aside.table,
        kind="replace" if aside.kept is None else "append",
        base=decision.heads.get(aside.table),
        schema=aside.schema,
        files=aside.files,
        properties={
            "raymesh.run-id": run.run_id,
            "raymesh.version": str(aside.current.number + 1 if aside.current else 1),
            "raymesh.contract-version": decision.contracts[aside.judged.output.port].version,
        },
    )


def version(aside: Aside, staged: StagedChange, decision: Decision, run: Run) -> Version:
    """The version of the quarantine. It carries the product's contract, so that its columns stay classified."""
    port = aside.judged.output.port
    contract = decision.contracts[port]
    return Version(
        product=decision.product,
        port=quarantine_port(port),
        number=aside.current.number + 1 if aside.current else 1,
        kind="publish",
        table=aside.table,
        run_id=run.run_id,
        snapshot_id=staged.snapshot_id,
        metadata_location=staged.metadata_location,
        schema=aside.schema.to_json(),
        contract=contract.document,
        contract_version=contract.version,
        rows=aside.rows,
        bytes=sum(f.bytes for f in aside.files) + (aside.kept.bytes if aside.kept else 0),
        fingerprint=run.fingerprint,
        published_at=run.finished_at or datetime.now(UTC),
    )


def record(
    target: Target, changed: Sequence[Aside], staged: Sequence[StagedChange], decision: Decision, run: Run
) -> list[Version]:
    """Write the versions of the quarantine tables inside the publishing transaction; these versions."""
    versions = []
    for aside, change_ in zip(changed, staged, strict=True):
        made = version(aside, change_, decision, run)
        if aside.kept is not None:
            target.state.record_version(target.tx, made, added=_records(aside), removed=())
        else:
            target.state.replace_files(target.tx, made, _records(aside))
        versions.append(made)
    return versions


def staged_paths(outputs: Sequence[StagedOutput]) -> list[str]:
    """Every data file that a build has staged."""
    return [f.path for o in outputs for s in (o, o.quarantine) if s for f in s.files]


def too_many(judged: Sequence[Judged]) -> str:
    """Why rows were not set aside but block, or the empty string."""
    for j in judged:
        if j.staged.over_limit and j.output.quarantine is not None:
            rows, limit = sum(f.rows for f in j.staged.files), j.output.quarantine.limit
            return (
                f"{j.staged.over_limit:,} of {rows:,} rows of {j.output.table} would go to quarantine, "
                f"more than the limit of {100 * limit:g} percent (`quarantineLimit`)"
            )
    return ""


def _records(aside: Aside) -> list[FileRecord]:
    states = aside.staged.measurements.files if aside.staged else {}
    return [
        FileRecord(f.path, f.rows, f.bytes, file_state_to_json(states[f.path]) if f.path in states else {})
        for f in aside.files
    ]
