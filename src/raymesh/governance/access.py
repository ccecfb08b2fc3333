"""Who may ask for access and who decides: the acts on agreements, as pure functions.

Every act takes where an agreement stands, who acts and what that is judged by, and returns the events to add, or
says why not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from raymesh.errors import AccessDeniedError, GovernanceError, UsageError
from raymesh.governance.agreements import Agreement, AgreementEvent, EventKind, Terms, after, fold
from raymesh.governance.model import Principal, Who
from raymesh.mesh.reading import did_you_mean
from raymesh.spec.types import Field

AUTOMATIC = "raymesh:access"
"""Who decides when a domain's own rule does."""
CLEAR_SECONDS = 86_400
"""How long values without masks may be read at most (decisions refuse longer grants, see `matching`)."""
MAX_SECONDS = 366 * 86400
"""How long a grant holds at most when the domain says nothing."""


@dataclass(frozen=True, slots=True)
class AutoApproval:
    """Requests a domain does not want to look at: all that is given must fit, and no sensitive tag be asked for."""

    purposes: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    products: frozenset[str] = frozenset()
    max_seconds: int = MAX_SECONDS


@dataclass(frozen=True, slots=True)
class AccessRules:
    """How a domain decides: who may approve, for how many seconds at most, what needs no look."""

    approvers: Who
    max_seconds: int = MAX_SECONDS
    automatic: tuple[AutoApproval, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """What is asked about, as published now: the major version, each column's tags, the tags that are sensitive, and
    the columns as conditions see them."""

    product: str
    major: int
    columns: Mapping[str, frozenset[str]]
    sensitive: frozenset[str]
    fields: tuple[Field, ...] = ()

    def tags_of(self, columns: tuple[str, ...] | None) -> frozenset[str]:
        """The tags of the named columns, of all when none are named."""
        named = self.columns if columns is None else columns
        return frozenset(t for c in named for t in self.columns.get(c, frozenset()))

    def needs_two(self, terms: Terms) -> bool:
        """Whether two people have to approve: for sensitive tags, and for values without masks."""
        return terms.clear or any(_is_sensitive(t, self.sensitive) for t in self.tags_of(terms.columns))


@dataclass(frozen=True, slots=True)
class Case:
    """What an act is judged by: the product as published, the domain's rules, the moment."""

    subject: Subject
    rules: AccessRules
    now: datetime


def _is_sensitive(tag: str, sensitive: frozenset[str]) -> bool:
    return tag in sensitive or any(tag.startswith(f"{s}.") for s in sensitive)


def request(agreement: str, requester: Principal, terms: Terms, case: Case) -> list[AgreementEvent]:
    """The events of a new request: itself, and its grant when a rule of the domain approves it by itself.

    Raises UsageError for terms that cannot be granted, AccessDeniedError when they are for somebody else.
    """
    _check_terms(requester, terms, case)
    product = case.subject.product
    asked = AgreementEvent(agreement, 1, "request", case.now, requester.id, product, asdict(terms))
    return [asked, *_automatic(fold([asked]), requester, case)]


def renew(
    agreement: Agreement,
    requester: Principal,
    case: Case,
    *,
    seconds: int,
    reason: str,
    shorten: bool = False,
) -> list[AgreementEvent]:
    """The events of a request to prolong a grant on its own terms; an earlier end has to be meant (`shorten`).

    The grant that is made starts when it is approved, which is later than this, so it ends later than asked here.
    Raises as `request`, UsageError for a renewal that would end earlier, and GovernanceError when there is no grant
    to prolong.
    """
    if agreement.granted is None or agreement.outcome != "granted":
        raise GovernanceError(
            f"agreement {agreement.id} has no grant to renew",
            hint=f"raymesh access request {agreement.product} asks anew",
        )
    if agreement.waiting is not None:
        raise GovernanceError(
            f"a renewal of {agreement.id} waits for a decision already",
            hint=f"raymesh access show {agreement.id}",
        )
    terms = replace(agreement.granted.terms, seconds=seconds, justification=reason)
    _check_terms(requester, terms, case)
    if not shorten:
        _check_longer(agreement.id, agreement.granted.expires_at, case.now + timedelta(seconds=seconds))
    asked = _next(agreement, "renewal", requester.id, case.now, asdict(terms))
    waiting = after(agreement, asked)
    return [asked, *_automatic(waiting, requester, case)]


def _check_longer(agreement: str, ends: datetime, then: datetime) -> None:
    if then <= ends:
        raise UsageError(
            f"agreement {agreement} holds until {ends:%Y-%m-%d %H:%M:%S} already, and would end at"
            f" {then:%Y-%m-%d %H:%M:%S} then",
            hint="ask for longer; --shorten ends it earlier on purpose, raymesh access revoke at once",
        )


def _check_terms(requester: Principal, terms: Terms, case: Case) -> None:
    if requester.kind == "service":
        raise AccessDeniedError(f"{requester.id} is a service", hint="a person asks for access")
    if not terms.principals and not terms.groups:
        raise UsageError("nobody is named who would use the access")
    others = ({*terms.principals} - {requester.id}) | ({*terms.groups} - requester.groups)
    if others:
        raise AccessDeniedError(
            f"{requester.id} asks for {', '.join(sorted(others))}",
            hint="everybody asks for themselves, or for a group they are in",
        )
    if not terms.purpose or not terms.justification.strip():
        raise UsageError("a request says for which purpose, and why", hint="--purpose P --reason '…'")
    _check_limits(case.subject, terms, case.rules)
    if terms.purpose not in requester.purposes:
        raise AccessDeniedError(
            f"{requester.id} is not approved for the purpose {terms.purpose}",
            hint=f"approved: {', '.join(sorted(requester.purposes)) or 'none'}",
        )


def _check_limits(subject: Subject, terms: Terms, rules: AccessRules) -> None:
    longest = min(rules.max_seconds, MAX_SECONDS)
    if not 0 < terms.seconds <= longest:
        raise UsageError(
            f"{subject.product.partition('.')[0]} grants access for {longest // 86400} days at most",
            hint=f"--for {longest // 86400}d",
        )
    if missing := [c for c in terms.columns or () if c not in subject.columns]:
        raise UsageError(
            f"{subject.product} has no column {', '.join(missing)}",
            hint=did_you_mean(
                missing[0], subject.columns, otherwise=f"columns: {', '.join(subject.columns)}"
            ),
        )
    if terms.columns == ():
        raise UsageError("no column is named", hint="leave --columns out to ask for all")
    if terms.clear and (terms.columns is None or terms.seconds > CLEAR_SECONDS):
        raise UsageError(
            "values without masks are for named columns and a day at most", hint="--columns … --for 8h"
        )
    if any(b is not None and b < 1 for b in (terms.max_rows, terms.max_queries)):
        raise UsageError("a budget is at least 1")


def _automatic(agreement: Agreement, requester: Principal, case: Case) -> list[AgreementEvent]:
    terms = agreement.waiting
    if terms is None or case.subject.needs_two(terms):
        return []
    if not any(_fits(rule, requester, case.subject, terms) for rule in case.rules.automatic):
        return []
    approval, approved = _approval(agreement, AUTOMATIC, case, "the domain approves this by rule")
    return [approval, _grant(approved, case)]


def _approval(agreement: Agreement, actor: str, case: Case, reason: str) -> tuple[AgreementEvent, Agreement]:
    """An approval of what waits, and the agreement after it."""
    tags = sorted(case.subject.tags_of(_waiting(agreement).columns))
    body = {"reason": reason, "major": case.subject.major, "tags": tags}
    event = _next(agreement, "approval", actor, case.now, body)
    return event, after(agreement, event)


def _valid_approvals(agreement: Agreement, subject: Subject) -> tuple[str, ...]:
    """Who approved what is asked for as it is now."""
    tags = subject.tags_of(_waiting(agreement).columns)
    return tuple(a.actor for a in agreement.approvals if a.major == subject.major and tags <= a.tags)


def _fits(rule: AutoApproval, requester: Principal, subject: Subject, terms: Terms) -> bool:
    domain = subject.product.partition(".")[0]
    return (
        (not rule.purposes or terms.purpose in rule.purposes)
        and (not rule.groups or not rule.groups.isdisjoint(requester.groups))
        and (not rule.products or not rule.products.isdisjoint({subject.product, f"{domain}.*"}))
        and (not terms.groups or (bool(rule.groups) and rule.groups.issuperset(terms.groups)))
        and terms.seconds <= rule.max_seconds
    )


def approve(agreement: Agreement, approver: Principal, reason: str, case: Case) -> list[AgreementEvent]:
    """An approval, and the grant when it is the last one needed: two for sensitive tags, otherwise one.

    Raises AccessDeniedError for somebody who may not decide, GovernanceError when nothing waits.
    """
    terms = _waiting(agreement)
    _check_decider(agreement, approver, case.rules)
    if approver.id in (agreement.requester, agreement.waiting_for):
        raise AccessDeniedError(
            f"{approver.id} asked for this", hint="somebody else of the domain has to approve it"
        )
    if approver.id in terms.principals or not approver.groups.isdisjoint(terms.groups):
        raise AccessDeniedError(
            f"{approver.id} would use this access", hint="somebody else of the domain has to approve it"
        )
    if approver.id in _valid_approvals(agreement, case.subject):
        raise AccessDeniedError(
            f"{approver.id} has approved this already",
            hint="columns with sensitive tags need a second person",
        )
    approval, approved = _approval(agreement, approver.id, case, reason)
    needed = 2 if case.subject.needs_two(terms) else 1
    enough = len(set(_valid_approvals(approved, case.subject))) >= needed
    return [approval, _grant(approved, case)] if enough else [approval]


def deny(
    agreement: Agreement, approver: Principal, rules: AccessRules, reason: str, now: datetime
) -> list[AgreementEvent]:
    """A denial of what waits; a grant that holds stays."""
    _waiting(agreement)
    _check_decider(agreement, approver, rules)
    return [_next(agreement, "denial", approver.id, now, {"reason": reason})]


def revoke(
    agreement: Agreement, actor: Principal, rules: AccessRules, reason: str, now: datetime
) -> list[AgreementEvent]:
    """The end of a grant at once, by the domain or by whoever asked for it; a request is withdrawn."""
    if agreement.requester == actor.id and agreement.granted is None:
        _waiting(agreement)
        return [_next(agreement, "withdrawal", actor.id, now, {"reason": reason})]
    if agreement.granted is None or agreement.ended_at is not None:
        raise GovernanceError(
            f"agreement {agreement.id} has no grant to revoke", hint=f"raymesh access show {agreement.id}"
        )
    if actor.id != agreement.requester and actor.id not in agreement.granted.terms.principals:
        _check_decider(agreement, actor, rules)
    return [_next(agreement, "revocation", actor.id, now, {"reason": reason})]


def expire(agreement: Agreement, now: datetime) -> list[AgreementEvent]:
    """The note that a grant has ended by itself, once; nothing while it holds."""
    g = agreement.granted
    if g is None or agreement.ended_at is not None or agreement.expiry_noted or now < g.expires_at:
        return []
    return [_next(agreement, "expiry", AUTOMATIC, now, {"expired_at": g.expires_at.isoformat()})]


def _waiting(agreement: Agreement) -> Terms:
    if agreement.waiting is None:
        raise GovernanceError(
            f"nothing of agreement {agreement.id} waits for a decision",
            hint=f"raymesh access show {agreement.id}",
        )
    return agreement.waiting


def _check_decider(agreement: Agreement, decider: Principal, rules: AccessRules) -> None:
    if decider.kind == "service":
        raise AccessDeniedError(f"{decider.id} is a service", hint="a person decides about access")
    who = rules.approvers
    if decider.id not in who.principals and who.groups.isdisjoint(decider.groups):
        shown = ", ".join(sorted({*who.principals, *(f"group {g}" for g in who.groups)})) or "nobody"
        raise AccessDeniedError(
            f"{decider.id} does not decide about {agreement.product}", hint=f"who does: {shown}"
        )


def _grant(agreement: Agreement, case: Case) -> AgreementEvent:
    terms, now = _waiting(agreement), case.now
    approvers = _valid_approvals(agreement, case.subject)
    body = {
        **asdict(terms),
        "approvers": approvers,
        "not_before": now.isoformat(),
        "expires_at": (now + timedelta(seconds=terms.seconds)).isoformat(),
        "major": case.subject.major,
        "tags": sorted(case.subject.tags_of(terms.columns)),
    }
    return _next(agreement, "grant", approvers[-1], now, body)


def _next(
    agreement: Agreement, kind: EventKind, actor: str, now: datetime, body: Mapping[str, Any]
) -> AgreementEvent:
    return AgreementEvent(agreement.id, agreement.number + 1, kind, now, actor, agreement.product, body)
