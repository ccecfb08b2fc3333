"""Facts that the state store tells, as rows in the order of the columns of governance.facts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from raymesh.actions.targets import effective_tags
from raymesh.governance.inheritance import NOTHING
from raymesh.mesh.quarantine import guarded_port
from raymesh.spec.documents import DEFAULT_PORT
from raymesh.spi.audit import AuditFilter

if TYPE_CHECKING:
    from raymesh.actions.workspace import Storage
    from raymesh.spi.state import CheckRecord, Run, Version

Row: TypeAlias = tuple[Any, ...]
MOST = 100_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that is about to be published, with its results: facts say of it what they would say then."""

    version: Version
    checks: Sequence[CheckRecord]


class EvidenceFacts:
    """Rows of evidence at one moment; what several tables need is read once. What was measured in rows is there
    for products and ports that are `shown`, and NULL for others."""

    def __init__(
        self,
        storage: Storage,
        now: datetime,
        candidates: Sequence[Candidate] = (),
        *,
        shown: Callable[[str, str], bool] = lambda _product, _port: True,
    ) -> None:
        self.storage = storage
        self.now = now
        self.shown = shown
        self.candidates = {(c.version.product, c.version.port): c for c in candidates}
        self._versions: list[tuple[Version, bool]] | None = None
        self._results: list[tuple[Version, CheckRecord]] | None = None

    def rows_of(self, table: str) -> Iterator[Row]:
        """The rows of one table made from evidence; none when no such evidence is kept yet."""
        maker = _BY_TABLE.get(table)
        return maker(self) if maker else iter(())

    def versions(self) -> list[tuple[Version, bool]]:
        """Readable versions of ports, quarantines left out, and whether each is served; candidates are."""
        if self._versions is None:
            found = [
                (v, served and (v.product, v.port) not in self.candidates)
                for v, served in self.storage.state.evidence.versions()
                if guarded_port(v.port) is None
            ]
            self._versions = [*found, *((c.version, True) for c in self.candidates.values())]
        return self._versions

    def served(self) -> list[Version]:
        return [v for v, served in self.versions() if served]

    def results(self) -> list[tuple[Version, CheckRecord]]:
        """The check results of served versions, those of candidates among them."""
        if self._results is None:
            stored = {
                (v.run_id, v.port): v for v in self.served() if (v.product, v.port) not in self.candidates
            }
            found = self.storage.state.evidence.checks({run for run, _ in stored})
            self._results = [(stored[run, port], c) for run, port, c in found if (run, port) in stored]
            self._results += self._told()
        return self._results

    def _told(self) -> list[tuple[Version, CheckRecord]]:
        return [(c.version, check) for c in self.candidates.values() for check in c.checks]

    def with_candidates(self, candidates: Sequence[Candidate], *, alone: bool = False) -> EvidenceFacts:
        """The evidence as it stands now, with versions that are about to be published. `alone` leaves everything
        but them out of versions and check results, and reads neither."""
        other = EvidenceFacts(self.storage, self.now, candidates, shown=self.shown)
        if alone:
            other._versions = [(c.version, True) for c in candidates]
            other._results = other._told()
        return other


def _versions(facts: EvidenceFacts) -> Iterator[Row]:
    for v, served in facts.versions():
        said = v.governance
        standards: Mapping[str, Any] = said.get("standards") or {}
        broken = standards.get("violations")
        seen = facts.shown(v.product, v.port)
        yield (
            v.product,
            v.port,
            v.number,
            served,
            v.kind,
            v.run_id,
            v.contract_version,
            v.rows if seen else None,
            v.bytes if seen else None,
            v.quality_score if seen else None,
            said.get("completeness") if seen else None,
            said.get("error_rate") if seen else None,
            v.published_at,
            (facts.now - v.published_at).total_seconds(),
            standards.get("version"),
            said.get("policies"),
            standards.get("outcome") if seen else None,
            sorted({str(b.get("rule")) for b in broken}) if broken and seen else [],
        )


def _check_results(facts: EvidenceFacts) -> Iterator[Row]:
    for version, check in facts.results():
        if facts.shown(version.product, version.port):
            yield _result(version, check)


def _result(version: Version, check: CheckRecord) -> Row:
    number = (
        check.value if isinstance(check.value, int | float) and not isinstance(check.value, bool) else None
    )
    return (
        version.product,
        version.port,
        version.number,
        version.run_id,
        check.check_id,
        check.kind,
        check.status,
        number,
        check.unit,
        check.dimension,
        check.severity,
        check.blocking,
        check.detail.get("rule"),
        list(check.detail.get("columns") or ()),
        check.detail.get("message"),
    )


def _classifications(facts: EvidenceFacts) -> Iterator[Row]:
    versions = facts.served()
    tags = effective_tags(facts.storage, versions)
    for v in versions:
        known = tags[v.product, v.port, v.number]
        for field in v.schema.get("fields") or ():
            found = known.get(field["id"], NOTHING)
            yield (
                v.product,
                v.port,
                field["name"],
                field["id"],
                sorted(found.tags),
                sorted(found.inherited),
                found.classified,
            )


def _lineage(facts: EvidenceFacts) -> Iterator[Row]:
    runs = {v.run_id for v in facts.served()}
    for product, edge in facts.storage.state.evidence.lineage(runs):
        yield (product, edge.column, edge.source, edge.source_column, edge.kind)


def _runs(facts: EvidenceFacts) -> Iterator[Row]:
    for run in facts.storage.state.evidence.runs(MOST):
        yield _run(run, seen=facts.shown(run.product, DEFAULT_PORT))


def _run(run: Run, *, seen: bool) -> Row:
    taken = (run.finished_at - run.started_at).total_seconds() if run.finished_at else None
    return (
        run.run_id,
        run.product,
        run.status,
        run.engine,
        run.reason if seen else None,
        run.started_at,
        run.finished_at,
        taken,
        run.rows if seen else None,
        run.resources.get("rows_quarantined") if seen else None,
        run.bytes if seen else None,
        run.quality_score if seen else None,
        run.resources.get("cpu_seconds"),
        run.actor,
        run.host,
    )


def _reads(facts: EvidenceFacts) -> Iterator[Row]:
    for entry in facts.storage.state.audit.records(AuditFilter(kind="read"), limit=MOST):
        detail = json.loads(entry.text).get("detail") or {}
        rows = detail.get("rows")
        yield (
            entry.at,
            entry.principal,
            entry.product,
            entry.outcome,
            detail.get("purpose"),
            rows if isinstance(rows, int) else None,
        )


def _audit(facts: EvidenceFacts) -> Iterator[Row]:
    log = facts.storage.state.audit
    newest = max(log.checkpoints(), key=lambda c: c.size, default=None)
    yield (log.head().size, newest.size if newest else None, newest.at if newest else None)


def _agreements(facts: EvidenceFacts) -> Iterator[Row]:
    from raymesh.actions.read import split_name

    for events in facts.storage.state.agreements.about():
        first, last = events[0], events[-1]
        body: dict[str, Any] = {}
        for event in events:
            body |= dict(event.body)
        usage = facts.storage.state.agreements.usage(first.agreement)
        product, port = split_name(first.product)
        expires = body.get("expires_at")
        yield (
            first.agreement,
            product,
            port,
            _status(last.kind, expires, facts.now),
            body.get("purpose"),
            _texts(body.get("principals")),
            _texts(body.get("groups")),
            first.actor,
            first.at,
            datetime.fromisoformat(expires) if isinstance(expires, str) else None,
            usage.queries,
            usage.last_at,
        )


def _texts(value: Any) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list | tuple) else []


_STATUS = {
    "request": "requested",
    "approval": "requested",
    "denial": "denied",
    "grant": "active",
    "renewal": "active",
    "revocation": "revoked",
    "withdrawal": "withdrawn",
    "expiry": "expired",
}


def _status(kind: str, expires: Any, now: datetime) -> str:
    status = _STATUS.get(kind, kind)
    if status == "active" and isinstance(expires, str) and datetime.fromisoformat(expires) <= now:
        return "expired"
    return status


_BY_TABLE: dict[str, Callable[[EvidenceFacts], Iterator[Row]]] = {
    "versions": _versions,
    "check_results": _check_results,
    "classifications": _classifications,
    "column_lineage": _lineage,
    "runs": _runs,
    "agreements": _agreements,
    "reads": _reads,
    "audit": _audit,
}
