"""Agreements in Bitol's words: an OAAS access agreement (RFC 0056, v0.9.0), to hand to others.

OAAS knows requested, approved and rejected. Expiry is told by its timestamps; a revoked grant ends at the moment
it was revoked. What OAAS has no word for stands in custom properties of the vendor `raymesh`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from raymesh.governance.agreements import Agreement, AgreementEvent

API_VERSION = "v0.9.0"
VENDOR = "raymesh"
_STATUS = {"denied": "rejected", "withdrawn": "rejected", "requested": "requested"}


@dataclass(frozen=True, slots=True)
class Provider:
    """Who provides: the ids by which the documents of the product name team, product, port and contract."""

    team: str
    product: str
    port: str
    contract: str | None = None
    contract_version: str | None = None


def oaas(
    agreement: Agreement, events: Sequence[AgreementEvent], provider: Provider, now: datetime
) -> dict[str, Any]:
    """The agreement as an OAAS document, keys in the standard's order."""
    status = agreement.status(now)
    terms = agreement.granted.terms if agreement.granted else agreement.terms
    document: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "AccessAgreement",
        "id": agreement.id,
        "name": f"{agreement.requester} reads {agreement.product}",
        "version": f"1.{sum(e.kind == 'grant' for e in events[1:])}.0",
        "status": _STATUS.get(status, "approved"),
        **_timestamps(agreement),
        "description": {
            "purpose": f"{terms.purpose}: {terms.justification}",
            **({"limitations": f"rows where {terms.rows}"} if terms.rows else {}),
        },
        "provider": _provider(provider),
        "consumer": _consumer(agreement),
        "customProperties": _custom(agreement, now),
    }
    return document


def _timestamps(agreement: Agreement) -> dict[str, str]:
    g = agreement.granted
    if g is None:
        return {}
    return {
        "startTimestamp": _moment(g.not_before),
        "endTimestamp": _moment(agreement.ended_at or g.expires_at),
    }


def _moment(at: datetime) -> str:
    """RFC 3339 in UTC."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _provider(provider: Provider) -> dict[str, str]:
    said = {
        "teamId": provider.team,
        "dataProductId": provider.product,
        "outputPortId": provider.port,
        "dataContractId": provider.contract,
        "dataContractVersion": provider.contract_version,
    }
    return {k: v for k, v in said.items() if v is not None}


def _consumer(agreement: Agreement) -> dict[str, str]:
    terms = agreement.terms
    team = terms.team or (terms.groups[0] if terms.groups else None)
    return {**({"teamId": team} if team else {}), "userId": agreement.requester}


def _custom(agreement: Agreement, now: datetime) -> list[dict[str, Any]]:
    g = agreement.granted
    terms = g.terms if g else agreement.terms
    said: dict[str, Any] = {
        "status": agreement.status(now),
        "purpose": terms.purpose,
        "principals": list(terms.principals),
        "groups": list(terms.groups),
        "approvedColumns": list(terms.columns) if terms.columns is not None and g else None,
        "requestedColumns": list(terms.columns) if terms.columns is not None and not g else None,
        "rowScope": terms.rows,
        "maxRows": terms.max_rows,
        "maxQueries": terms.max_queries,
        "withoutMasks": True if terms.clear else None,
        "approvers": list(g.approvers) if g else None,
        "majorVersion": g.major if g else None,
        "approvedTags": sorted(g.tags) if g else None,
        "revokedTimestamp": _moment(agreement.ended_at) if agreement.ended_at else None,
    }
    return [
        {"property": name, "value": value, "vendor": VENDOR}
        for name, value in said.items()
        if value not in (None, [])
    ]
