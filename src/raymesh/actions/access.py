"""Access by agreement: requests, decisions, grants; what holds for a reader, and what reads use of it.

Every act is one transaction: the events of the agreement and their audit records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from raymesh.actions import audit
from raymesh.actions.access_rules import rules_of, subject_of
from raymesh.actions.clock import check_clock
from raymesh.actions.ids import new_id
from raymesh.actions.read import split_name
from raymesh.errors import AccessDeniedError, NotFoundError, UsageError
from raymesh.governance import access as rules
from raymesh.governance.access import Case
from raymesh.governance.agreements import Agreement, AgreementEvent, Terms, budget, fold, grant_of
from raymesh.governance.audit import AuditRecord
from raymesh.spec.documents import DEFAULT_PORT
from raymesh.spec.expression import Constant
from raymesh.spi.agreements import Usage

if TYPE_CHECKING:
    from raymesh.actions.workspace import Storage
    from raymesh.governance.access import Subject
    from raymesh.governance.model import Grant, Principal
    from raymesh.spec.expression import Expression
    from raymesh.spi.state import StateStore, Transaction

AGREEMENT = "agreement:"
"""How decisions name a grant that is an agreement."""


def request(storage: Storage, product: str, requester: Principal, terms: Terms, now: datetime) -> Agreement:
    """Ask for access to a product (or a port of it). What a rule of the domain approves is granted at once.

    Raises NotFoundError for a product that is not published or columns it does not have, UsageError for
    terms that cannot be granted, AccessDeniedError when they are not the requester's to ask for.
    """
    case = _case(storage, product, now)
    _check_condition(terms.rows, case.subject)
    identifier = f"ag-{new_id()[:12]}{new_id()[-6:]}"
    return _record(storage, rules.request(identifier, requester, terms, case))


def renew(
    storage: Storage,
    agreement: str,
    requester: Principal,
    *,
    seconds: int,
    reason: str,
    now: datetime,
    shorten: bool = False,
) -> Agreement:
    """Ask to prolong a grant on its terms, against the product as it is published now. Raises UsageError when it would
    end earlier than it does, unless that is meant (`shorten`)."""
    found = show(storage, agreement)
    case = _case(storage, found.product, now)
    events = rules.renew(found, requester, case, seconds=seconds, reason=reason, shorten=shorten)
    return _record(storage, events)


def approve(storage: Storage, agreement: str, approver: Principal, reason: str, now: datetime) -> Agreement:
    """Approve what waits; it is granted with the last approval needed, for the product as published now."""
    found = show(storage, agreement)
    return _record(storage, rules.approve(found, approver, reason, _case(storage, found.product, now)))


def _case(storage: Storage, product: str, now: datetime) -> Case:
    subject = subject_of(storage, product, now)
    return Case(subject, rules_of(storage, subject.product), now)


def deny(storage: Storage, agreement: str, approver: Principal, reason: str, now: datetime) -> Agreement:
    """Refuse what waits; a grant that holds stays."""
    found = show(storage, agreement)
    return _record(storage, rules.deny(found, approver, rules_of(storage, found.product), reason, now))


def revoke(storage: Storage, agreement: str, actor: Principal, reason: str, now: datetime) -> Agreement:
    """End a grant at once, or withdraw a request."""
    found = show(storage, agreement)
    return _record(storage, rules.revoke(found, actor, rules_of(storage, found.product), reason, now))


def show(storage: Storage, agreement: str) -> Agreement:
    """Where an agreement stands. Raises NotFoundError."""
    return fold(history(storage, agreement))


def history(storage: Storage, agreement: str) -> Sequence[AgreementEvent]:
    """All events of an agreement, in order. Raises NotFoundError."""
    events = storage.state.agreements.events(agreement)
    if not events:
        raise NotFoundError(
            f"there is no agreement {agreement}", hint="raymesh access list shows those there are"
        )
    return events


def listing(storage: Storage, product: str | None = None) -> list[Agreement]:
    """All agreements, or those on one product and its ports, the newest first."""
    found = [fold(events) for events in storage.state.agreements.about()]
    if product is None:
        return found
    return [a for a in found if product in (a.product, split_name(a.product)[0])]


def note_expiries(storage: Storage, now: datetime) -> list[Agreement]:
    """Record of every grant that has ended by itself that it has; those for which that was not recorded yet."""
    ended = [rules.expire(agreement, now) for agreement in listing(storage)]
    return [_record(storage, events) for events in ended if events]


def grants_for(
    state: StateStore, principal: Principal, product: str | None, now: datetime
) -> tuple[Grant, ...]:
    """The grants by agreement that concern a reader and a table (`domain.product` or `domain.product__port`; None:
    all tables), with what is left of their budgets.

    Raises AccessDeniedError when there are some and the clock here is behind the audit log: a clock that was set
    back would bring dead grants to life.
    """
    with state.read() as tx:
        table = None if product is None else _table(product)
        held = [fold(events) for events in state.agreements.about(table, within=tx)]
        found = [g for a in held if a.holds(now) if (g := _grant(state, a, tx)) and _concerns(g, principal)]
    if found:
        check_clock(state, now)
    return tuple(found)


def _grant(state: StateStore, agreement: Agreement, tx: Transaction) -> Grant | None:
    g = agreement.granted
    if g is None:
        return None
    used = Usage()
    if (g.terms.max_rows, g.terms.max_queries) != (None, None):
        used = state.agreements.usage(budget(g, agreement.id), within=tx)
    return grant_of(agreement, (used.rows, used.queries), _parsed(g.terms.rows))


def _concerns(grant: Grant, principal: Principal) -> bool:
    return principal.id in grant.principals or not grant.groups.isdisjoint(principal.groups)


def _parsed(condition: str | None) -> Expression | None:
    """The row condition of a grant; one that cannot be read shows nothing."""
    from raymesh.spec.condition import ConditionError, parse

    try:
        return None if condition is None else parse(condition)
    except ConditionError:
        return Constant(value=False)


def _check_condition(condition: str | None, subject: Subject) -> None:
    """A condition that does not fit the table is true of no row: whoever asks hears it before anybody decides."""
    from raymesh.governance.predicate import UnfitError, check
    from raymesh.mesh.reading import did_you_mean
    from raymesh.spec.condition import ConditionError, parse
    from raymesh.spec.types import TableSchema

    try:
        if condition is not None:
            check(parse(condition), TableSchema(subject.fields))
    except ConditionError as error:
        raise UsageError(f"--rows, character {error.position + 1}: {error.message}") from None
    except UnfitError as error:
        shown = f"columns: {', '.join(subject.columns)}"
        hint = did_you_mean(error.column, subject.columns, otherwise=shown) if error.column else None
        raise UsageError(f"--rows: {error.message}", hint=hint) from None


def counted(state: StateStore, grants: Iterable[str]) -> tuple[str, ...]:
    """Those of the grants a decision rests on whose rows are counted, by id."""
    found = (g.removeprefix(AGREEMENT) for g in grants if g.startswith(AGREEMENT))
    folded = ((name, fold(events).granted) for name in found if (events := state.agreements.events(name)))
    return tuple(name for name, g in folded if g is not None and g.terms.max_rows is not None)


def consume(
    state: StateStore,
    grants: Iterable[str],
    *,
    rows: int,
    queries: int = 1,
    now: datetime,
    within: Transaction | None = None,
) -> None:
    """Take rows and queries from the budgets of the grants a decision rests on (ids, or `agreement:<id>`; other
    names are policies and have none). Readers at once never get more than was granted.

    Raises AccessDeniedError, taking nothing of that grant, when a budget is used up or the grant has ended.
    """
    for name in grants:
        identifier = name.removeprefix(AGREEMENT)
        events = state.agreements.events(identifier, within=within) if identifier.startswith("ag-") else ()
        if not events:
            continue
        agreement = fold(events)
        g = agreement.granted
        if g is None or not agreement.holds(now):
            raise AccessDeniedError(
                f"agreement {identifier} does not hold any more", hint=f"raymesh access show {identifier}"
            )
        limits = g.terms.max_rows, g.terms.max_queries
        taken_from = budget(g, identifier)
        if not state.agreements.use(
            taken_from, rows=rows, queries=queries, at=now, limits=limits, within=within
        ):
            raise AccessDeniedError(
                f"the budget of agreement {identifier} does not reach for this",
                hint=f"raymesh access renew {identifier} asks for a new one",
            )


def _table(product: str) -> str:
    name, port = split_name(product)
    return name if port == DEFAULT_PORT else f"{name}__{port}"


def _record(storage: Storage, events: Sequence[AgreementEvent]) -> Agreement:
    """Add events with their audit records, all or none; where the agreement stands then."""
    with storage.state.write() as tx:
        for event in events:
            storage.state.agreements.add(event, within=tx)
        agreement = fold(storage.state.agreements.events(events[0].agreement, within=tx))
        audit.record(storage, [_told(e, agreement) for e in events], within=tx)
    audit.witness(storage)
    return agreement


def _told(event: AgreementEvent, agreement: Agreement) -> AuditRecord:
    """An event as a record. Free text may say anything about anybody, so it is kept apart. A grant of values
    without masks is a record of its own kind."""
    body = dict(event.body)
    private = {k: body.pop(k) for k in ("justification", "reason", "rows") if body.get(k)}
    return AuditRecord(
        kind="break-glass" if agreement.terms.clear else "grant",
        at=event.at,
        principal=event.actor,
        product=event.product,
        outcome=event.kind,
        detail={"agreement": event.agreement, "number": event.number, **body},
        private=private or None,
        about=event.actor if private else "",
    )


def usage(storage: Storage, agreement: Agreement) -> dict[str, Any]:
    """What reads used of the newest grant."""
    if agreement.granted is None:
        return {"rows": 0, "queries": 0, "last_at": None}
    return asdict(storage.state.agreements.usage(budget(agreement.granted, agreement.id)))


def export(storage: Storage, agreement: str, now: datetime) -> dict[str, Any]:
    """The agreement as a Bitol OAAS document."""
    from raymesh.actions.access_export import oaas

    return oaas(storage, show(storage, agreement), history(storage, agreement), now)
