"""What standards say about a version before it is published: kept, warned about, or not to be published."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from raymesh.actions import evidence
from raymesh.actions.fact_evidence import Candidate
from raymesh.actions.facts import Facts, open_queries
from raymesh.actions.gated import Gated, would_be
from raymesh.actions.standards import Outcome, evaluate, found_standards
from raymesh.errors import GovernanceError

if TYPE_CHECKING:
    from raymesh.actions.build import Judged
    from raymesh.actions.planning import Decision
    from raymesh.actions.workspace import Workspace
    from raymesh.governance.standards import StandardSet
    from raymesh.spi.engine import TableQueries
    from raymesh.spi.state import Run


class StandardsGate:
    """Judges the versions that one command is about to publish. Facts about everything else are gathered once."""

    def __init__(
        self, workspace: Workspace, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._workspace = workspace
        self._clock = clock
        self._lock = threading.Lock()
        self._engine: TableQueries | None = None
        self._standards: StandardSet | None = None
        self._facts: Facts | None = None
        self._policies: str | None = None
        self._by_documents: Outcome | None = None

    def documents(self, product: str) -> GovernanceError | None:
        """Why the documents of a product keep it from being published, whatever is built; None when they do not."""
        if not self._found().rules:
            return None
        return _refusal(product, self._about_documents(product), self._clock())[0]

    def _about_documents(self, product: str) -> Outcome:
        """What rules about documents say of a product; they are evaluated once for all."""
        with self._lock:
            if self._by_documents is None:
                assert self._standards is not None  # noqa: S101  # found before
                self._by_documents = evaluate(
                    self._standards, self._gathered(), ("documents",), engine=self._engine
                )
        found = self._by_documents
        return Outcome(tuple(b for b in found.broken if b.violation.product == product), found.failed)

    def _gathered(self) -> Facts:
        if self._facts is None:
            space = self._workspace
            self._facts = Facts(space.documents, space.graph, space.storage, self._clock())
        return self._facts

    def judge(self, decision: Decision, judged: Sequence[Judged], run: Run) -> Gated:
        """What the standards say of the outputs of a run; `measured` evidence is recorded in any case."""
        now = self._clock()
        versions = [replace(would_be(j, decision, run), published_at=now) for j in judged]
        standards = self._found()
        if not standards.rules:
            return Gated({v.port: dict(v.governance) for v in versions})
        candidates = [
            Candidate(v, evidence.check_records(j.verdict)) for v, j in zip(versions, judged, strict=True)
        ]
        by_documents = self._about_documents(decision.product)
        by_evidence = self._evaluated(standards, decision.product, candidates)
        outcome = Outcome(
            (*by_documents.broken, *by_evidence.broken), (*by_documents.failed, *by_evidence.failed)
        )
        said = _said(standards, outcome)
        metadata = {v.port: {**v.governance, "policies": self._policies, "standards": said} for v in versions}
        return Gated(metadata, *_refusal(decision.product, outcome, now))

    def _found(self) -> StandardSet:
        with self._lock:
            if self._standards is None:
                documents = self._workspace.documents
                has_any = documents.governance is not None
                if has_any:
                    self._engine = open_queries()
                self._standards = found_standards(documents, self._engine)
                newest = self._workspace.state.bundles.newest() if has_any else None
                self._policies = newest.digest if newest else None
            return self._standards

    def _evaluated(self, standards: StandardSet, product: str, candidates: Sequence[Candidate]) -> Outcome:
        """Built-in rules look at one version at a time, people's own may compare it with all others."""
        with self._lock:
            self._gathered()
            brought = replace(standards, rules=tuple(r for r in standards.rules if r.built_in))
            own = replace(standards, rules=tuple(r for r in standards.rules if not r.built_in))
            found = [self._asked(brought, candidates, product, alone=True)]
            if any(r.applies == "evidence" for r in own.rules):
                found.append(self._asked(own, candidates, product, alone=False))
        return Outcome(tuple(b for o in found for b in o.broken), tuple(f for o in found for f in o.failed))

    def _asked(
        self, rules: StandardSet, candidates: Sequence[Candidate], product: str, *, alone: bool
    ) -> Outcome:
        facts = self._gathered().about(candidates, alone=alone)
        return evaluate(rules, facts, ("evidence",), engine=self._engine, only=product)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()


def _said(standards: StandardSet, outcome: Outcome) -> dict[str, Any]:
    """What is kept with the version: which standards judged it, and what they found."""
    return {
        "version": standards.version,
        "digest": standards.digest,
        "outcome": "warned" if outcome.broken else "kept",
        "violations": [
            {
                "rule": b.rule.id,
                "severity": b.severity,
                "message": b.violation.message,
                "port": b.violation.port,
                "column": b.violation.column,
                "excepted_until": b.exemption.expires_at.isoformat() if b.exemption else None,
            }
            for b in outcome.broken
        ],
    }


def _refusal(product: str, outcome: Outcome, now: datetime) -> tuple[GovernanceError | None, tuple[str, ...]]:
    """Why standards keep the product from being published, and which. A rule that cannot be evaluated and is not
    a draft blocks too: nobody can tell whether it is kept."""
    blocking = [b for b in outcome.broken if b.blocks]
    sentences = [f"{b.rule.id}: {b.violation.message}" for b in blocking]
    names = [b.rule.id for b in blocking]
    for rule, error in outcome.failed:
        if rule.severity_at(now) == "error":
            sentences.append(f"{rule.id} cannot be evaluated: {error.message}")
            names.append(rule.id)
    if not sentences:
        return None, ()
    more = f"; and {len(sentences) - 3} more" if len(sentences) > 3 else ""
    places = tuple(b.rule.span for b in blocking if b.rule.span)
    error = GovernanceError(
        f"{product} does not keep {'a standard' if len(sentences) == 1 else 'standards'}: "
        + "; ".join(sentences[:3])
        + more,
        hint="the last good version keeps serving; raymesh governance report shows rules and exceptions",
        spans=tuple(dict.fromkeys(places)),
    )
    return error, tuple(f"standard.{name}" for name in dict.fromkeys(names))
