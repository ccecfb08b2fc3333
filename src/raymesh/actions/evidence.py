"""What a build leaves behind: versions, check results, lineage, pins, resources, outbox events."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from raymesh.actions.events import ProductReport
from raymesh.errors import CancelledError, CommitUnknownError, MeshError, StorageError, TransformError
from raymesh.quality.state import file_state_to_json
from raymesh.spi.state import CheckRecord, FileRecord, LineageEdge, Run, Version

if TYPE_CHECKING:
    from raymesh.actions.build import Judged
    from raymesh.actions.planning import Decision
    from raymesh.mesh.plan import DataFile
    from raymesh.quality.model import FileState, Verdict
    from raymesh.spi.engine import BuildOutcome
    from raymesh.spi.state import StateStore, Transaction
    from raymesh.spi.tables import StagedChange


def error_record(error: BaseException) -> dict[str, Any]:
    """An error as evidence: code, message, way out, places, and the user's own traceback."""
    if not isinstance(error, MeshError):
        return {
            "code": "internal",
            "message": f"{type(error).__name__}: {error}",
            "trace": traceback.format_exc(),
        }
    record: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
    record["spans"] = [str(s) for s in error.spans]
    if isinstance(error, TransformError) and error.traceback_text:
        record["trace"] = error.traceback_text
    return record


def ended_badly(run: Run, error: BaseException) -> Run:
    """The run as an error ended it: `interrupted` when it was told to stop, otherwise `failed`."""
    stopped = isinstance(error, CancelledError | KeyboardInterrupt)
    return replace(
        run,
        status="interrupted" if stopped else "failed",
        finished_at=datetime.now(UTC),
        reason=error.message if isinstance(error, MeshError) else f"{type(error).__name__}: {error}",
        error=error_record(error),
    )


@contextmanager
def recorded(state: StateStore, run: Run) -> Iterator[None]:
    """A run that is open while the block lasts and closed with the reason when it raises.

    The block itself closes it when it publishes. When the outcome of a commit is unknown, or the database is out
    of reach, the run stays open: the next builder settles it.
    """
    state.start_run(run)
    try:
        yield
    except CommitUnknownError:
        raise
    except BaseException as error:
        with suppress(StorageError):
            state.finish_run(ended_badly(run, error))
        raise


def check_records(verdict: Verdict) -> list[CheckRecord]:
    """Every result of a verdict as evidence."""
    return [
        CheckRecord(
            check_id=r.check.id,
            kind=r.check.kind,
            status=r.status,
            value=r.value,
            unit=r.check.unit,
            dimension=r.check.dimension,
            severity=r.check.severity,
            blocking=r.check.blocking,
            detail={
                "rule": r.check.rule,
                "columns": list(r.check.columns),
                "operator": r.check.threshold.operator,
                "threshold": r.check.threshold.value,
                "message": r.message,
                "place": str(r.check.span) if r.check.span else None,
                "sample": [dict(s) for s in r.sample],
            },
        )
        for r in verdict.results
    ]


def with_choice(outcome: BuildOutcome, decision: Decision) -> BuildOutcome:
    """The outcome with the reason for its engine among the choices that were made for the user."""
    if not decision.engine_reason:
        return outcome
    choices = {"engine": f"{decision.engine}: {decision.engine_reason}", **outcome.resources.choices}
    return replace(outcome, resources=replace(outcome.resources, choices=choices))


def finished(run: Run, status: Any, reason: str, judged: Sequence[Judged], outcome: BuildOutcome) -> Run:
    """The run as it ended: rows and bytes over all outputs, score of the default port, counts of results."""
    counts: dict[str, int] = {}
    for j in judged:
        for name, n in j.verdict.counts.items():
            counts[name] = counts.get(name, 0) + n
    return replace(
        run,
        status=status,
        reason=reason,
        finished_at=datetime.now(UTC),
        rows=sum(_rows(j) for j in judged),
        bytes=sum(f.bytes for j in judged for f in j.staged.files),
        quality_score=judged[0].verdict.score,
        resources=asdict(outcome.resources)
        | {"rows_quarantined": rows_set_aside(judged) if status == "published" else 0},
        checks=counts,
    )


def _rows(judged: Judged) -> int:
    kept = judged.output.kept.rows if judged.output.kept else 0
    return kept + sum(f.rows for f in judged.staged.files)


def rows_set_aside(judged: Sequence[Judged]) -> int:
    """How many rows go to quarantine instead."""
    return sum(f.rows for j in judged if j.staged.quarantine for f in j.staged.quarantine.files)


def version(judged: Judged, staged: StagedChange | None, decision: Decision, run: Run) -> Version:
    """The version that a publish makes of one output; with nothing staged, without table metadata and snapshot."""
    output = judged.output
    current = decision.current.get(output.port)
    contract = decision.contracts[output.port]
    kept = output.kept.bytes if output.kept else 0
    return Version(
        product=decision.product,
        port=output.port,
        number=current.number + 1 if current else 1,
        kind="publish",
        table=output.table,
        run_id=run.run_id,
        snapshot_id=staged.snapshot_id if staged else 0,
        metadata_location=staged.metadata_location if staged else "",
        schema=judged.staged.schema.to_json(),
        contract=contract.document,
        contract_version=contract.version,
        rows=_rows(judged),
        bytes=kept + sum(f.bytes for f in judged.staged.files),
        fingerprint=run.fingerprint,
        published_at=run.finished_at or datetime.now(UTC),
        quality_score=judged.verdict.score,
        watermark=judged.staged.watermark,
    )


@dataclass(frozen=True, slots=True)
class Target:
    """Where evidence goes: the store and its open transaction."""

    state: StateStore
    tx: Transaction


def record(
    target: Target, decision: Decision, judged: Sequence[Judged], versions: Sequence[Version], run: Run
) -> None:
    """Write all evidence of a publish inside the publishing transaction."""
    state, tx = target.state, target.tx
    for j, v in zip(judged, versions, strict=True):
        files = file_records(j)
        if j.output.kept is not None:
            state.record_version(tx, v, added=files, removed=())
        else:
            state.replace_files(tx, v, files)
        state.record_checks(tx, run.run_id, j.output.port, check_records(j.verdict))
    state.record_lineage(tx, run.run_id, decision.product, _edges(decision))
    state.record_inputs(tx, run.run_id, decision.pins)
    state.finish_run(run, within=tx)
    for v in versions:
        state.enqueue(tx, "version-published", _told(v, run))


def file_records(judged: Judged) -> list[FileRecord]:
    """The new files of an output with the check state of each."""
    states = judged.staged.measurements.files
    return [file_record(f, states.get(f.path)) for f in judged.staged.files]


def file_record(file: DataFile, state: FileState | None) -> FileRecord:
    """A file as evidence, with what was measured of it."""
    if state is None:
        return FileRecord(file.path, file.rows, file.bytes)
    return FileRecord(file.path, file.rows, file.bytes, file_state_to_json(state), state.profile)


def _edges(decision: Decision) -> list[LineageEdge]:
    return [LineageEdge(e.column, e.source, e.source_column, e.kind, e.chooses) for e in decision.lineage]


def _told(v: Version, run: Run) -> Mapping[str, Any]:
    return {
        "product": v.product,
        "port": v.port,
        "version": v.number,
        "run_id": run.run_id,
        "rows": v.rows,
        "bytes": v.bytes,
        "contract_version": v.contract_version,
        "quality_score": v.quality_score,
        "published_at": v.published_at.isoformat(),
    }


def report(
    run: Run, judged: Sequence[Judged], *, version: Version | None = None, failing: bool = False
) -> ProductReport:
    """How a finished run looks to the caller."""
    blocked = tuple(r.check.id for j in judged for r in j.verdict.blocked)
    return ProductReport(
        product=run.product,
        status="blocked" if failing else "published",
        engine=run.engine,
        rows=version.rows if version else run.rows,
        bytes=version.bytes if version else run.bytes,
        quality_score=run.quality_score,
        checks=run.checks,
        snapshot_id=version.snapshot_id if version else None,
        version=version.number if version else None,
        reason=run.reason,
        run_id=run.run_id,
        failing=blocked if failing else (),
        quarantined=0 if failing else rows_set_aside(judged),
    )


def report_of_version(v: Version, engine: str, reason: str) -> ProductReport:
    """The report of a publish whose acknowledgement was lost but which did take effect."""
    return ProductReport(
        v.product,
        "published",
        engine=engine,
        rows=v.rows,
        bytes=v.bytes,
        quality_score=v.quality_score,
        snapshot_id=v.snapshot_id,
        version=v.number,
        reason=reason,
        run_id=v.run_id,
    )
