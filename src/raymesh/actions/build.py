"""Builds one product: lease, plan, engine, gate, one transaction.

The order of things is the order of the design's "life of a build"; each step is one function here or one call
to the part that does it. Whatever fails, the last good version keeps serving and staged files are removed.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from raymesh.actions import audit, evidence, set_aside
from raymesh.actions.events import Note, ProductReport, ProductStarted
from raymesh.actions.ids import actor, host, new_id
from raymesh.actions.planning import Decision, decide
from raymesh.errors import (
    CancelledError,
    CommitUnknownError,
    InternalError,
    MeshError,
    StorageError,
)
from raymesh.mesh.quarantine import with_quarantines
from raymesh.quality.completeness import unjudged
from raymesh.quality.judge import judge
from raymesh.quality.quarantine import with_set_aside
from raymesh.quality.score import below_minimum
from raymesh.spi.engine import BuildOutcome, Control, StagedOutput
from raymesh.spi.faults import at
from raymesh.spi.state import Run
from raymesh.spi.tables import StagedChange, TableChange

if TYPE_CHECKING:
    from raymesh.actions.gated import Gated
    from raymesh.actions.invocation import Invocation
    from raymesh.mesh.plan import BuildPlan, Output
    from raymesh.quality.model import Verdict
    from raymesh.spi.state import Lease, StateStore
    from raymesh.spi.tables import TableStore


@dataclass(frozen=True, slots=True)
class Judged:
    """One output with its verdict."""

    output: Output
    staged: StagedOutput
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Approved:
    """Outputs that may be published, with what standards said of each port's version."""

    judged: Sequence[Judged]
    metadata: Mapping[str, Mapping[str, Any]]

    def summary(self, port: str) -> dict[str, str]:
        """The standards in the properties of a snapshot, so that other readers of the table find them too."""
        said = self.metadata.get(port, {}).get("standards")
        if not said:
            return {}
        return {
            "raymesh.standards-version": str(said["version"] or ""),
            "raymesh.standards-outcome": str(said["outcome"]),
        }


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One run at work: what was decided, what is built, under which lease."""

    decision: Decision
    plan: BuildPlan
    run: Run
    lease: Lease
    invocation: Invocation

    @property
    def state(self) -> StateStore:
        return self.invocation.workspace.state

    @property
    def tables(self) -> TableStore:
        return self.invocation.workspace.tables


def build_product(product: str, invocation: Invocation) -> ProductReport:
    """Bring `product` up to date and report how that ended. Raises nothing that a product can cause.

    An unchanged product is recognised without a lease; a changed one is planned again under the lease,
    because another builder may have published in between.
    """
    began = time.perf_counter()
    try:
        report = _build(product, invocation)
    except CancelledError as stop:
        report = ProductReport(product, "interrupted", reason=stop.message)
    except MeshError as error:
        report = ProductReport(product, "failed", reason=error.message, error=error)
    except Exception as fault:  # noqa: BLE001  # a fault of ours in one product must not take the others down
        internal = InternalError(f"{type(fault).__name__}: {fault}", traceback.format_exc())
        report = ProductReport(product, "failed", reason=internal.message, error=internal)
    return replace(report, seconds=time.perf_counter() - began)


def _build(product: str, invocation: Invocation) -> ProductReport:
    invocation.check_cancelled()
    decision = decide(invocation, product, new_id())
    if decision.plan is None:
        return _unchanged(decision)
    with invocation.lease(product, decision.run_id) as lease:
        at("lease_claimed")
        settle(product, invocation)
        decision = decide(invocation, product, decision.run_id)
        if decision.plan is None:
            return _unchanged(decision)
        return attempt(decision, decision.plan, lease, invocation)


def attempt(decision: Decision, plan: BuildPlan, lease: Lease, invocation: Invocation) -> ProductReport:
    """Build `plan` under `lease`, judge it, and publish it or say why not; the run is recorded either way.

    Raises what the engine and the stores raise.
    """
    run = Run(
        run_id=decision.run_id,
        invocation=invocation.id,
        product=decision.product,
        engine=decision.engine,
        started_at=datetime.now(UTC),
        fingerprint=plan.fingerprint,
        reason=decision.reason,
        actor=actor(),
        host=host(),
    )
    return _attempt(_Attempt(decision, plan, run, lease, invocation))


def _unchanged(decision: Decision) -> ProductReport:
    served = decision.served
    return ProductReport(
        decision.product,
        "unchanged",
        rows=served.rows if served else None,
        bytes=served.bytes if served else None,
        quality_score=served.quality_score if served else None,
        snapshot_id=served.snapshot_id if served else None,
        version=served.number if served else None,
        reason=decision.reason,
    )


def _attempt(work: _Attempt) -> ProductReport:
    made = work.decision
    work.invocation.emit(ProductStarted(made.product, made.engine, made.reason, made.engine_reason))
    try:
        with evidence.recorded(work.state, work.run):
            return _judge_and_publish(work)
    except CommitUnknownError as unknown:
        return _settle_commit(work, unknown)


def _judge_and_publish(work: _Attempt) -> ProductReport:
    engine = work.invocation.engine(work.decision.engine)
    work.invocation.prepare()
    control = Control(progress=work.invocation.emit, cancelled=lambda: work.invocation.cancelled)
    outcome = evidence.with_choice(engine.build(work.plan, control), work.decision)
    for note in outcome.resources.notes:
        work.invocation.emit(Note(f"{work.decision.product}: {note}", "warning"))
    with _removed_unless_published(work, outcome) as staged:
        judged = tuple(
            Judged(output, made, _judged(output, made))
            for output, made in zip(work.plan.outputs, outcome.outputs, strict=True)
        )
        at("verdict_reached")
        reason = _blocking(judged, work.decision)
        if reason:
            return _block(work, judged, reason, outcome)
        gated = work.invocation.gate.judge(work.decision, judged, work.run)
        if gated.error is not None:
            return _refuse(work, judged, gated, outcome)
        report = _publish(work, Approved(judged, gated.metadata), outcome, staged)
    at("after_commit")
    audit.witness(work.invocation.workspace.storage)
    return report


def _judged(output: Output, made: StagedOutput, *, published: bool = True) -> Verdict:
    """The verdict on the rows to publish, which says what was set aside of the others."""
    verdict = judge(output.checks, made.measurements)
    aside = made.quarantine.measurements if made.quarantine else None
    return with_set_aside(verdict, aside, published=published)


@contextmanager
def _removed_unless_published(work: _Attempt, outcome: BuildOutcome) -> Iterator[list[StagedChange]]:
    """A list for staged changes; they and the build's data files are removed when the block raises.

    Not when the outcome of the commit is unknown: then they may be what is served.
    """
    staged: list[StagedChange] = []
    try:
        yield staged
    except CommitUnknownError:
        raise
    except BaseException:
        with suppress(StorageError):
            work.tables.discard(staged)
            work.tables.delete_files(set_aside.staged_paths(outcome.outputs))
        raise


def _blocking(judged: Sequence[Judged], decision: Decision) -> str:
    """Why nothing may be published, or the empty string."""
    failing = [r.check.id for j in judged for r in j.verdict.blocked]
    if too_many := set_aside.too_many(judged):
        return too_many
    if failing:
        shown = ", ".join(failing[:5]) + (f" and {len(failing) - 5} more" if len(failing) > 5 else "")
        return f"{len(failing)} blocking check{'s' if len(failing) > 1 else ''} did not pass: {shown}"
    for j in judged:
        document = decision.contracts[j.output.port].document
        if lost := unjudged(document, j.output.checks, j.verdict.results):
            shown = ", ".join(lost[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
            return (
                f"{len(lost)} promise{'s' if len(lost) > 1 else ''} of {j.output.table} not judged: {shown}"
            )
        if low := below_minimum(j.verdict.score, decision.minimum_quality):
            return low
    return ""


def _block(
    work: _Attempt,
    judged: Sequence[Judged],
    reason: str,
    outcome: BuildOutcome,
    standards: Sequence[str] = (),
) -> ProductReport:
    """End the run without a version; `standards` are those that keep it from being published."""
    work.tables.delete_files(set_aside.staged_paths(outcome.outputs))
    judged = [replace(j, verdict=_judged(j.output, j.staged, published=False)) for j in judged]
    finished = evidence.finished(work.run, "blocked", reason, judged, outcome)
    with work.state.write() as tx:
        for j in judged:
            work.state.record_checks(tx, work.run.run_id, j.output.port, evidence.check_records(j.verdict))
        work.state.finish_run(finished, within=tx)
        if standards:
            audit.refused(work.invocation.workspace.storage, work.run.product, work.run.run_id, standards, tx)
    if standards:
        audit.witness(work.invocation.workspace.storage)
    return evidence.report(finished, judged, failing=True)


def _refuse(work: _Attempt, judged: Sequence[Judged], gated: Gated, outcome: BuildOutcome) -> ProductReport:
    """As `_block`, for a standard: the checks passed, the organisation demands more."""
    assert gated.error is not None  # noqa: S101  # the caller looked
    failed = replace(work, run=replace(work.run, error=evidence.error_record(gated.error)))
    report = _block(failed, judged, gated.error.message, outcome, gated.failing)
    return replace(report, error=gated.error, failing=gated.failing)


def _publish(
    work: _Attempt, approved: Approved, outcome: BuildOutcome, staged: list[StagedChange]
) -> ProductReport:
    """Stage every output into `staged`, then swap tables and write evidence in one transaction."""
    judged = approved.judged
    _require_passed(judged)
    work.tables.sync(set_aside.staged_paths(outcome.outputs))
    at("files_synced")
    for j in judged:
        staged.append(work.tables.stage(_change(work, j, approved)))  # noqa: PERF401  # what is staged must be known at once
    asides = set_aside.asides(judged, work.decision)
    for a in asides:
        staged.append(work.tables.stage(set_aside.change(a, work.decision, work.run)))  # noqa: PERF401
    finished = evidence.finished(work.run, "published", work.decision.reason, judged, outcome)
    made = [evidence.version(j, s, work.decision, finished) for j, s in zip(judged, staged, strict=False)]
    versions = [replace(v, governance=approved.metadata.get(v.port, {})) for v in made]
    work.invocation.check_cancelled()
    with work.state.write(work.lease) as tx:
        at("before_commit")
        work.tables.commit(staged, tx)
        target = evidence.Target(work.state, tx)
        evidence.record(target, work.decision, judged, versions, finished)
        held = set_aside.record(target, asides, staged[len(judged) :], work.decision, finished)
        for version in (*versions, *held):
            inputs = {i.name: i.version for i in work.plan.inputs}
            audit.published(work.invocation.workspace.storage, version, tx, inputs=inputs)
    return evidence.report(finished, judged, version=versions[0])


def _require_passed(judged: Sequence[Judged]) -> None:
    """The last look before anything becomes visible, apart from the reasons that people are told."""
    bad = ("fail", "error", "not_executed")
    if not judged or any(
        not j.verdict.results or any(r.check.blocking and r.status in bad for r in j.verdict.results)
        for j in judged
    ):
        raise InternalError("a version that did not pass was about to be published; it was not")


def _change(work: _Attempt, judged: Judged, approved: Approved) -> TableChange:
    output, staged = judged.output, judged.staged
    current = work.decision.current.get(output.port)
    score = judged.verdict.score
    return TableChange(
        table=output.table,
        kind="append" if output.kept is not None else "replace",
        base=work.decision.heads.get(output.table),
        schema=staged.schema,
        files=staged.files,
        layout=output.layout,
        properties={
            "raymesh.run-id": work.run.run_id,
            "raymesh.version": str(current.number + 1 if current else 1),
            "raymesh.contract-version": work.decision.contracts[output.port].version,
            "raymesh.fingerprint": work.run.fingerprint,
            "raymesh.quality-score": "" if score is None else f"{score:.6f}",
            **approved.summary(output.port),
        },
    )


def _settle_commit(work: _Attempt, unknown: CommitUnknownError) -> ProductReport:
    """The answer to the commit was lost: look the run up instead of assuming either way.

    The look-up is a write transaction under the lease, so it waits for a commit still in flight. When it fails
    too, nothing is removed and the run stays open: the next builder settles it.
    """
    product = work.decision.product
    with work.state.write(work.lease) as tx:
        version = work.state.current([product], within=tx).get((product, work.plan.outputs[0].port))
    if version is not None and version.run_id == work.run.run_id:
        return evidence.report_of_version(version, work.decision.engine, work.decision.reason)
    tables = with_quarantines([o.table for o in work.plan.outputs])
    work.tables.delete_files([p for p, _ in _staged_by(work.run.run_id, tables, work.invocation)])
    work.state.finish_run(evidence.ended_badly(work.run, unknown))
    raise StorageError(
        f"the database was lost during the commit of {product}; it did not take effect", hint="run again"
    ) from unknown


def settle(product: str, invocation: Invocation) -> None:
    """Close the runs of `product` that died unfinished, and remove what they left in storage.

    Called under the product's lease, so no other builder of it is alive. A run that did publish has its
    evidence in the same transaction, so a run still marked running has published nothing.
    """
    state = invocation.workspace.state
    for run in state.runs(product=product, status="running"):
        ports = invocation.workspace.graph.product(product).ports
        tables = with_quarantines([port.table for port in ports])
        paths = [path for path, _ in _staged_by(run.run_id, tables, invocation)]
        invocation.workspace.tables.delete_files(paths)
        state.finish_run(
            replace(
                run,
                status="interrupted",
                finished_at=datetime.now(UTC),
                reason="the process that ran it died",
            )
        )


def _staged_by(run_id: str, tables: Sequence[str], invocation: Invocation) -> list[tuple[str, int]]:
    found = []
    for table in tables:
        live = invocation.workspace.tables.live_files(table)
        for path, size in invocation.workspace.tables.list_files(table):
            if run_id in path.rsplit("/", 1)[-1] and path not in live:
                found.append((path, size))
    return found
