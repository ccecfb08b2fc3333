"""Agreements for other programs, and rights that nobody uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from raymesh.actions.access import AGREEMENT, listing
from raymesh.actions.access_rules import domain_document
from raymesh.actions.read import split_name
from raymesh.governance import oaas as standard
from raymesh.governance.agreements import Agreement, AgreementEvent, budget, unused_columns
from raymesh.spec.documents import DEFAULT_PORT
from raymesh.spi.audit import AuditFilter

if TYPE_CHECKING:
    from raymesh.actions.workspace import Storage

_MOST_RECORDS = 100_000


def oaas(
    storage: Storage, agreement: Agreement, events: Sequence[AgreementEvent], now: datetime
) -> dict[str, Any]:
    """An agreement as an OAAS document, with the ids the product's own documents use."""
    return standard.oaas(agreement, events, _provider(storage, agreement.product), now)


def _provider(storage: Storage, table: str) -> standard.Provider:
    product, port = split_name(table)
    team = domain_document(storage, product.partition(".")[0]).owner.team
    version = storage.state.current([product]).get((product, port))
    contract = dict(version.contract) if version else {}
    said, number = contract.get("id"), contract.get("version")
    return standard.Provider(
        team=team,
        product=product,
        port=product.partition(".")[2] if port == DEFAULT_PORT else port,
        contract=None if said is None else str(said),
        contract_version=None if number is None else str(number),
    )


@dataclass(frozen=True, slots=True)
class Unused:
    """A grant of which something was not used since `since`: nothing read at all (`last_read` None), or not the
    columns named."""

    agreement: Agreement
    last_read: datetime | None
    reads: int
    columns: tuple[str, ...]


def unused(storage: Storage, now: datetime, days: int) -> list[Unused]:
    """Grants that hold and could be narrower, judged by the reads in the audit log of the last `days`."""
    since = now - timedelta(days=days)
    held = [_judged(storage, agreement, since) for agreement in listing(storage) if agreement.holds(now)]
    return [one for one in held if one is not None]


def _judged(storage: Storage, agreement: Agreement, since: datetime) -> Unused | None:
    granted = agreement.granted
    if granted is None:
        return None
    wanted = AuditFilter(product=agreement.product, kind="read", since=since)
    name = AGREEMENT + agreement.id
    reads = [
        e
        for e in storage.state.audit.records(wanted, limit=_MOST_RECORDS)
        if name in _grants(e.said["detail"])
    ]
    columns = {c for e in reads for c in e.said["detail"].get("columns") or ()}
    used = storage.state.agreements.usage(budget(granted, agreement.id))
    last = max((e.at for e in reads), default=None)
    if last is None and used.last_at is not None and used.last_at >= since:
        return None  # reads are counted that did not say what they read
    missing = unused_columns(granted, _columns(storage, agreement.product), columns)
    return Unused(agreement, last, len(reads), missing) if missing or not reads else None


def _grants(detail: Any) -> Any:
    return detail.get("grants") or () if isinstance(detail, dict) else ()


def _columns(storage: Storage, table: str) -> tuple[str, ...]:
    from raymesh.spec.types import TableSchema

    product, port = split_name(table)
    version = storage.state.current([product]).get((product, port))
    return tuple(TableSchema.from_json(dict(version.schema)).names) if version else ()
