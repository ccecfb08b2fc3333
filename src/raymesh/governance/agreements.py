"""Agreements: what was asked for and granted, as the sum of events that are only ever added.

A request waits until enough approvals follow it, then a grant is given; a renewal is a request on an agreement
that is there already. `access` says which events may follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from raymesh.errors import UsageError
from raymesh.governance.model import Grant

EventKind = Literal["request", "renewal", "approval", "denial", "grant", "revocation", "withdrawal", "expiry"]
Status = Literal["requested", "granted", "denied", "withdrawn", "revoked", "expired"]


@dataclass(frozen=True, slots=True)
class AgreementEvent:
    """Event `number` (from 1) of an agreement, which `actor` caused. `product` is the table's name
    (`domain.product`, or `domain.product__port`); `body` is what the event says, as JSON."""

    agreement: str
    number: int
    kind: EventKind
    at: datetime
    actor: str
    product: str
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked for: by whom it may be used, for which purpose, columns (None: all), rows (a condition),
    for how many seconds, with which budgets (None: no limit). `clear` asks for values without masks."""

    purpose: str
    justification: str
    seconds: int
    principals: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    rows: str | None = None
    max_rows: int | None = None
    max_queries: int | None = None
    team: str | None = None
    clear: bool = False

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Terms:
        """The terms an event's body holds."""
        columns = body.get("columns")
        return cls(
            purpose=body["purpose"],
            justification=body["justification"],
            seconds=body["seconds"],
            principals=tuple(body["principals"]),
            groups=tuple(body["groups"]),
            columns=None if columns is None else tuple(columns),
            rows=body["rows"],
            max_rows=body["max_rows"],
            max_queries=body["max_queries"],
            team=body["team"],
            clear=body.get("clear") is True,
        )


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's yes to what waits, as it was then: it says nothing about a later major version or more tags."""

    actor: str
    major: int
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant as given: by the event `number`, bound to a major version and to the tags its columns had."""

    number: int
    approvers: tuple[str, ...]
    not_before: datetime
    expires_at: datetime
    major: int
    tags: frozenset[str]
    terms: Terms


@dataclass(frozen=True, slots=True)
class Agreement:
    """Where an agreement stands after its events. `waiting` are the terms still to be decided, with `approvals`
    so far; `granted` is the newest grant, which holds until `ended_at` or its own end."""

    id: str
    product: str
    requester: str
    requested_at: datetime
    terms: Terms
    number: int
    waiting: Terms | None = None
    waiting_for: str = ""
    approvals: tuple[Approval, ...] = ()
    granted: Granted | None = None
    outcome: Status | None = None
    ended_at: datetime | None = None
    expiry_noted: bool = False

    def status(self, now: datetime) -> Status:
        """Where it stands at `now`; a grant that holds counts more than a renewal that waits."""
        if self.holds(now):
            return "granted"
        if self.waiting is not None:
            return "requested"
        if self.outcome == "granted":
            return "expired"
        return self.outcome or "requested"

    def holds(self, now: datetime) -> bool:
        """Whether its grant may be used at `now`."""
        g = self.granted
        return g is not None and self.ended_at is None and g.not_before <= now < g.expires_at


def fold(events: Sequence[AgreementEvent]) -> Agreement:
    """Where the events of one agreement lead to. Raises UsageError when there are none."""
    if not events or events[0].kind != "request":
        raise UsageError("an agreement begins with a request")
    first = events[0]
    terms = Terms.of(first.body)
    agreement = Agreement(
        first.agreement,
        first.product,
        first.actor,
        first.at,
        terms,
        1,
        waiting=terms,
        waiting_for=first.actor,
    )
    for event in events[1:]:
        agreement = after(agreement, event)
    return agreement


def after(agreement: Agreement, event: AgreementEvent) -> Agreement:
    """Where one more event leads to. Raises UsageError for a second request."""
    agreement = replace(agreement, number=event.number)
    closed = replace(agreement, waiting=None, waiting_for="", approvals=())
    match event.kind:
        case "renewal":
            return replace(agreement, waiting=Terms.of(event.body), waiting_for=event.actor, approvals=())
        case "approval":
            given = Approval(event.actor, event.body["major"], frozenset(event.body["tags"]))
            return replace(agreement, approvals=(*agreement.approvals, given))
        case "grant":
            return replace(
                closed, granted=_granted(event), outcome="granted", ended_at=None, expiry_noted=False
            )
        case "denial" | "withdrawal":
            ended: Status = "denied" if event.kind == "denial" else "withdrawn"
            return replace(closed, outcome=agreement.outcome or ended)
        case "revocation":
            return replace(closed, outcome="revoked", ended_at=event.at)
        case "expiry":
            return replace(agreement, expiry_noted=True)
    raise UsageError(f"an agreement cannot have a second {event.kind}")


def _granted(event: AgreementEvent) -> Granted:
    body = event.body
    return Granted(
        number=event.number,
        approvers=tuple(body["approvers"]),
        not_before=datetime.fromisoformat(body["not_before"]),
        expires_at=datetime.fromisoformat(body["expires_at"]),
        major=body["major"],
        tags=frozenset(body["tags"]),
        terms=Terms.of(body),
    )


def budget(granted: Granted, agreement: str) -> str:
    """The name under which the use of a grant is counted: every grant has its own."""
    return f"{agreement}/{granted.number}"


def grant_of(agreement: Agreement, used: tuple[int, int], rows: Any) -> Grant | None:
    """What `decide` needs of an agreement: its grant with what is left of its budgets after `used` rows and
    queries, and its parsed row condition; None without a grant that was not ended."""
    g = agreement.granted
    if g is None or agreement.ended_at is not None:
        return None
    product, _, port = agreement.product.partition("__")
    terms = g.terms
    return Grant(
        id=agreement.id,
        product=product,
        port=port or "default",
        major=g.major,
        principals=frozenset(terms.principals),
        groups=frozenset(terms.groups),
        purpose=terms.purpose,
        tags=g.tags,
        not_before=g.not_before,
        expires_at=g.expires_at,
        columns=None if terms.columns is None else frozenset(terms.columns),
        rows=rows,
        action="read_clear" if terms.clear else "read",
        rows_left=None if terms.max_rows is None else max(terms.max_rows - used[0], 0),
        queries_left=None if terms.max_queries is None else max(terms.max_queries - used[1], 0),
    )


def unused_columns(granted: Granted, known: Iterable[str], read: Iterable[str]) -> tuple[str, ...]:
    """Columns that a grant covers and nobody has read."""
    seen = frozenset(read)
    return tuple(c for c in (granted.terms.columns or tuple(known)) if c not in seen)
