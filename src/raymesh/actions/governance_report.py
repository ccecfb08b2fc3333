"""The governance report: every rule, what it is about, who breaks it, since when, and which articles it serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from raymesh.actions.fact_documents import owner_of
from raymesh.actions.facts import Facts, open_queries
from raymesh.actions.governed import known
from raymesh.actions.standards import Broken, Outcome, evaluate, found_standards, place_of
from raymesh.governance.model import GLOBAL
from raymesh.spec.documents import DEFAULT_PORT

if TYPE_CHECKING:
    from raymesh.actions.governed import Claim, Known
    from raymesh.actions.workspace import Workspace
    from raymesh.governance.standards import Rule, StandardSet

APPLIES = ("documents", "evidence", "continuous")

EVIDENCE = {
    "minimum-completeness": "NULLs counted in the data files of the served version",
    "maximum-error-rate": "check results of the run that made the served version, rows set aside included",
    "minimum-quality": "the quality score of the served version",
    "freshness": "when the served version was published",
    "encryption-required": "a statement in mesh.yaml and the addresses there; raymesh does not look at disks",
    "access-logging": "the audit log; reads past raymesh are not in it",
    "pii-protection": "tags in contracts and policies in documents; whether tags are right is for people",
    "columns-classified": "tags in contracts, confirmations and lineage of the served versions",
    "gdpr-purpose": "what contracts say",
    "gdpr-records": "what product.yaml and domain.yaml say",
    "gdpr-retention": "what contracts say",
    "retention-promised": "what contracts say",
    "retention-kept": "ages of versions that can be read; copies outside the mesh are not seen",
    "audit-trail": "the audit log and its signed checkpoints",
}
"""What the answer of each built-in rule rests on."""
NOTICE = (
    "The report says which rules have violations and what that rests on. It does not say that a law is kept: an "
    "article beside a rule is the reason why the rule is there."
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation with its owner, since when it has been noticed, and where it is to be mended."""

    broken: Broken
    owner: str
    since: datetime
    place: str | None

    @property
    def product(self) -> str | None:
        return self.broken.violation.product


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One rule with its findings; `failed` is why it could not be evaluated."""

    rule: Rule
    stage: str
    findings: tuple[Finding, ...]
    failed: str | None = None

    @property
    def state(self) -> str:
        """kept, broken, excepted, or unknown when it could not be evaluated."""
        if self.failed is not None:
            return "unknown"
        if not self.findings:
            return "kept"
        return "excepted" if all(f.broken.exemption for f in self.findings) else "broken"


@dataclass(frozen=True, slots=True)
class Report:
    """The rules of a mesh at one moment, for all domains or one."""

    mesh: str
    at: datetime
    domain: str | None
    version: str | None
    digest: str
    policies: str | None
    products: int
    rules: tuple[RuleReport, ...]
    titles: Mapping[str, str]

    @property
    def articles(self) -> list[tuple[str, str, list[RuleReport]]]:
        """Articles with title and the rules that serve them."""
        found: dict[str, list[RuleReport]] = {}
        for rule in self.rules:
            for article in rule.rule.requirements:
                found.setdefault(article, []).append(rule)
        return [(a, self.titles.get(a, ""), found[a]) for a in sorted(found)]


def report(
    workspace: Workspace,
    *,
    domain: str | None = None,
    claim: Claim | None = None,
    now: datetime | None = None,
) -> Report:
    """Evaluate every rule of the mesh; what is broken is noted, so that the next report knows since when.

    Numbers measured in rows are told to those who may see the rows, as `claim` says who asks. Raises NotFoundError for an unknown domain.
    """
    if domain is not None and domain not in workspace.graph.domains:
        from raymesh.errors import NotFoundError
        from raymesh.mesh.reading import did_you_mean

        hint = did_you_mean(domain, workspace.graph.domains, otherwise="raymesh ls shows the domains")
        raise NotFoundError(f"there is no domain `{domain}`", hint=hint)
    facts = Facts(workspace.documents, workspace.graph, workspace.storage, now)
    engine = open_queries()
    try:
        standards = found_standards(workspace.documents, engine)
        outcome = evaluate(standards, facts, APPLIES, engine=engine)  # type: ignore[arg-type]  # the three words
    finally:
        engine.close()
    since = workspace.state.evidence.since([_key(b) for b in outcome.broken], facts.now)
    outcome = _told(outcome, known(workspace.storage, workspace.state.current().values(), claim))
    newest = workspace.state.bundles.newest()
    products = [p for p in workspace.graph.products.values() if domain in (None, p.domain)]
    return Report(
        mesh=workspace.spec.name,
        at=facts.now,
        domain=domain,
        version=standards.version,
        digest=standards.digest,
        policies=newest.digest if newest else None,
        products=len(products),
        rules=tuple(_reports(workspace, standards, outcome, (since, facts.now, domain))),
        titles=standards.titles,
    )


def _told(outcome: Outcome, known_: Known) -> Outcome:
    """The outcome without numbers that the reader may not know."""

    def told(b: Broken) -> Broken:
        place = (b.violation.product or "", b.violation.port or DEFAULT_PORT)
        if known_.everything or b.rule.applies == "documents" or place in known_.columns:
            return b
        return replace(b, violation=replace(b.violation, message=b.rule.title, evidence=None))

    return replace(outcome, broken=tuple(told(b) for b in outcome.broken))


def _key(broken: Broken) -> tuple[str, str, str, str]:
    said = broken.violation
    return (broken.rule.id, said.product or "", said.port or "", said.column or "")


_When = tuple[Mapping[tuple[str, str, str, str], datetime], datetime, str | None]


def _reports(
    workspace: Workspace, standards: StandardSet, outcome: Outcome, when: _When
) -> Iterator[RuleReport]:
    since, now, domain = when
    failed = {rule.id: error.message for rule, error in outcome.failed}
    for rule in standards.rules:
        if domain is not None and rule.origin not in (GLOBAL, domain):
            continue
        found = [b for b in outcome.broken if b.rule.id == rule.id and _concerns(b, domain)]
        findings = tuple(_finding(workspace, b, since[_key(b)]) for b in found)
        yield RuleReport(rule, rule.stage(now), findings, failed.get(rule.id))


def _concerns(broken: Broken, domain: str | None) -> bool:
    product = broken.violation.product
    return domain is None or product is None or product.startswith(f"{domain}.")


def _finding(workspace: Workspace, broken: Broken, since: datetime) -> Finding:
    product = workspace.graph.products.get(broken.violation.product or "")
    owner = owner_of(workspace.graph, product) if product else "the mesh"
    return Finding(
        broken, owner, since, str(place_of(broken.violation, workspace.graph, workspace.documents))
    )


def report_json(found: Report) -> dict[str, Any]:
    """The report as the JSON document shows it."""
    return {
        "mesh": found.mesh,
        "at": found.at.isoformat(),
        "domain": found.domain,
        "standards_version": found.version,
        "standards_digest": found.digest,
        "policies_digest": found.policies,
        "products": found.products,
        "notice": NOTICE,
        "rules": [_rule_json(r) for r in found.rules],
        "articles": [
            {"article": a, "title": title, "rules": [{"rule": r.rule.id, "state": r.state} for r in rules]}
            for a, title, rules in found.articles
        ],
    }


def _rule_json(found: RuleReport) -> dict[str, Any]:
    rule = found.rule
    return {
        "rule": rule.id,
        "title": rule.title,
        "origin": rule.origin,
        "applies": rule.applies,
        "severity": rule.severity,
        "lifecycle": found.stage,
        "grace_until": rule.lifecycle.until.isoformat() if rule.lifecycle.until else None,
        "scope": rule.scope.model_dump(mode="json"),
        "requirements": list(rule.requirements),
        "rests_on": EVIDENCE.get(rule.name) if rule.built_in else None,
        "state": found.state,
        "failed": found.failed,
        "violations": [_finding_json(f) for f in found.findings],
    }


def _finding_json(f: Finding) -> dict[str, Any]:
    said, exemption = f.broken.violation, f.broken.exemption
    return {
        "product": said.product,
        "port": said.port,
        "column": said.column,
        "message": said.message,
        "evidence": said.evidence,
        "severity": f.broken.severity,
        "owner": f.owner,
        "since": f.since.isoformat(),
        "place": f.place,
        "exception": {
            "reason": exemption.reason,
            "approved_by": list(exemption.approved_by),
            "expires": exemption.expires_at.isoformat(),
        }
        if exemption
        else None,
    }


def totals(rules: Sequence[RuleReport]) -> dict[str, int]:
    """How many rules are in each state."""
    return {s: sum(r.state == s for r in rules) for s in ("kept", "broken", "excepted", "unknown")}
