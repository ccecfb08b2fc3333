"""Agreements as people and programs see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from raymesh.cli.report import put, put_json, say

if TYPE_CHECKING:
    from datetime import datetime

    from raymesh.governance.agreements import Agreement, AgreementEvent


def tell(agreement: Agreement, now: datetime, output: str) -> None:
    """Say where an agreement stands now, and what to type next."""
    if output == "json":
        put_json("access/1", agreement_json(agreement, now))
        return
    status = agreement.status(now)
    until = (
        f" until {agreement.granted.expires_at:%Y-%m-%d %H:%M} UTC"
        if status == "granted" and agreement.granted
        else ""
    )
    waits = f", {len(agreement.approvals)} approved so far" if agreement.approvals else ""
    put(f"{agreement.id}: {status}{until}{waits}")
    say_next(agreement, now)


def say_next(agreement: Agreement, now: datetime) -> None:
    """Name the command that moves the agreement on, if there is one."""
    if agreement.waiting is not None:
        say(
            f"next, by {agreement.product.partition('.')[0]}: raymesh access approve {agreement.id} --reason '…' --as NAME"
        )
    elif agreement.holds(now) and agreement.granted:
        terms = agreement.granted.terms
        who = terms.principals[0] if terms.principals else "NAME"
        clear = " --clear" if terms.clear else ""
        say(f"next: raymesh read {agreement.product} --as {who} --purpose {terms.purpose}{clear}")


def who_of(agreement: Agreement) -> str:
    """For whom it is."""
    terms = agreement.terms
    return ", ".join([*terms.principals, *(f"group {g}" for g in terms.groups)])


def row(a: Agreement, now: datetime) -> tuple[object, ...]:
    """The agreement as a line of a table."""
    terms = a.granted.terms if a.granted else a.terms
    columns = "all" if terms.columns is None else ", ".join(terms.columns)
    until = f"{a.granted.expires_at:%Y-%m-%d}" if a.granted else ""
    return a.id, a.status(now), a.product, who_of(a), terms.purpose, columns, until


def described(a: Agreement, now: datetime, used: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """What there is to say of an agreement, name and value."""
    terms = a.granted.terms if a.granted else a.terms
    yield "agreement", a.id
    yield "status", a.status(now)
    yield "product", a.product
    yield "who", who_of(a)
    yield "purpose", terms.purpose
    yield "columns", "all" if terms.columns is None else ", ".join(terms.columns)
    if terms.rows:
        yield "rows", terms.rows
    if terms.clear:
        yield "masks", "none"
    if terms.max_rows is not None:
        yield "rows read", f"{used['rows']:,} of {terms.max_rows:,}"
    if terms.max_queries is not None:
        yield "queries", f"{used['queries']:,} of {terms.max_queries:,}"
    if a.granted:
        yield "until", f"{a.granted.expires_at:%Y-%m-%d %H:%M} UTC"
        yield "approved by", ", ".join(a.granted.approvers)


def event_row(event: AgreementEvent) -> tuple[object, ...]:
    """An event as a line of a table."""
    reason = event.body.get("reason") or event.body.get("justification") or ""
    return f"{event.at:%Y-%m-%d %H:%M:%S}", event.kind, event.actor, reason


def event_json(event: AgreementEvent) -> dict[str, Any]:
    """An event as the JSON documents show it."""
    reason = event.body.get("reason") or event.body.get("justification")
    return {
        "number": event.number,
        "kind": event.kind,
        "at": event.at.isoformat(),
        "actor": event.actor,
        "reason": reason,
    }


def agreement_json(a: Agreement, now: datetime) -> dict[str, Any]:
    """An agreement as the JSON documents show it; see `documents.AGREEMENT`."""
    terms = a.granted.terms if a.granted else a.terms
    g = a.granted
    return {
        "agreement": a.id,
        "status": a.status(now),
        "product": a.product,
        "requester": a.requester,
        "requested_at": a.requested_at.isoformat(),
        "principals": list(terms.principals),
        "groups": list(terms.groups),
        "purpose": terms.purpose,
        "columns": None if terms.columns is None else list(terms.columns),
        "rows": terms.rows,
        "max_rows": terms.max_rows,
        "max_queries": terms.max_queries,
        "clear": terms.clear,
        "approvals": [x.actor for x in a.approvals] if a.waiting else list(g.approvers) if g else [],
        "waiting": a.waiting is not None,
        "not_before": g.not_before.isoformat() if g else None,
        "expires_at": g.expires_at.isoformat() if g else None,
        "major_version": g.major if g else None,
        "tags": sorted(g.tags) if g else [],
    }
