"""Records what people decide about the tags of columns: confirmations, and tags taken away by two of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from raymesh.actions.classify import ColumnProposal, Proposals, mesh_taxonomy
from raymesh.actions.read import pin
from raymesh.errors import GovernanceError, NotFoundError, UsageError
from raymesh.spec.classifications import Taxonomy, normal
from raymesh.spi.classifications import Act

if TYPE_CHECKING:
    from raymesh.actions.workspace import Storage


def confirm(
    storage: Storage,
    proposals: Proposals,
    actor: str,
    *,
    columns: Iterable[str] | None = None,
    tags: Mapping[str, Sequence[str]] | None = None,
    reason: str = "",
    now: datetime | None = None,
) -> list[Act]:
    """Record that `actor` confirms what is proposed for the columns (all unclassified ones, and those with missing
    tags, when none are named), or `tags` for columns named there. Raises UsageError for unknown tags."""
    given = {name.casefold(): list(t) for name, t in (tags or {}).items()}
    _must_be_registered([t for ts in given.values() for t in ts], mesh_taxonomy(storage))
    wanted = _wanted(proposals, columns, given)
    moment = now or datetime.now(UTC)
    acts = []
    for column in wanted:
        chosen = given.get(column.column.casefold(), list(column.missing))
        acts.append(
            Act(
                0,
                proposals.product,
                proposals.port,
                column.field,
                column.column,
                "confirm",
                tuple(normal(t) for t in chosen),
                proposals.version,
                actor,
                reason,
                moment,
            )
        )
    return _recorded(storage, acts)


def _wanted(
    proposals: Proposals, columns: Iterable[str] | None, given: Mapping[str, Sequence[str]]
) -> list[ColumnProposal]:
    if columns is not None:
        return [proposals.column(name) for name in columns]
    if given:
        return [proposals.column(name) for name in given]
    return [c for c in proposals.columns if not c.now.classified or c.missing]


def _must_be_registered(tags: Iterable[str], known: Taxonomy) -> None:
    for tag in tags:
        if not known.knows(tag):
            raise UsageError(f"there is no tag `{tag}`", hint=known.hint(tag))


def ask_lowering(
    storage: Storage,
    proposals: Proposals,
    column: str,
    actor: str,
    *,
    reason: str,
    tags: Sequence[str] = (),
    now: datetime | None = None,
) -> Act:
    """Record that `actor` wants tags taken from a column (all it has when none are named); somebody else decides.

    Raises UsageError without a reason, or for a tag the column does not have.
    """
    if not reason.strip():
        raise UsageError(
            "taking a tag away takes a reason", hint="--reason says why the column no longer deserves it"
        )
    found = proposals.column(column)
    wanted = tuple(normal(t) for t in tags) or tuple(sorted(found.now.tags))
    if missing := [t for t in wanted if t not in found.now.tags]:
        shown = ", ".join(sorted(found.now.tags)) or "none"
        raise UsageError(f"`{found.column}` has no tag {missing[0]}", hint=f"its tags: {shown}")
    if not wanted:
        raise UsageError(f"`{found.column}` has no tags to take away")
    act = Act(
        0,
        proposals.product,
        proposals.port,
        found.field,
        found.column,
        "propose",
        wanted,
        proposals.version,
        actor,
        reason,
        now or datetime.now(UTC),
    )
    return _recorded(storage, [act])[0]


def answer_lowering(
    storage: Storage,
    proposals: Proposals,
    number: int,
    actor: str,
    *,
    agree: bool,
    reason: str = "",
    now: datetime | None = None,
) -> Act:
    """Record that `actor` agrees or does not agree to an open proposal.

    Raises NotFoundError when there is none of that number, GovernanceError when `actor` made it, or when the
    product has a new version since: then nobody has looked at what would be uncovered.
    """
    asked = next((a for a in proposals.open if a.id == number), None)
    if asked is None:
        shown = ", ".join(str(a.id) for a in proposals.open) or "none"
        raise NotFoundError(f"{proposals.product} has no open proposal {number}", hint=f"open: {shown}")
    if agree and asked.version != proposals.version:
        raise GovernanceError(
            f"proposal {number} was about version {asked.version}, and version {proposals.version} is served now",
            hint="refuse it and propose again, so that somebody looks at what is there",
        )
    moment = now or datetime.now(UTC)
    act = Act(
        0,
        asked.product,
        asked.port,
        asked.field,
        asked.column,
        "lower" if agree else "refuse",
        asked.tags,
        asked.version,
        actor,
        reason,
        moment,
        asked.id,
    )
    return _recorded(storage, [act])[0]


_OUTCOMES = {"confirm": "confirmed", "propose": "proposed", "lower": "lowered", "refuse": "refused"}


def _recorded(storage: Storage, acts: Sequence[Act]) -> list[Act]:
    """Write acts and their audit records in one transaction."""
    from raymesh.actions import audit
    from raymesh.governance.audit import AuditRecord

    if not acts:
        return []
    with storage.state.write() as tx:
        done = [storage.state.classifications.act(act, within=tx) for act in acts]
        records = [
            AuditRecord(
                "classification" if act.kind == "confirm" else "declassification",
                act.at,
                act.actor,
                act.product if act.port == "default" else f"{act.product}__{act.port}",
                _OUTCOMES[act.kind],
                {
                    "column": act.column,
                    "field": act.field,
                    "tags": list(act.tags),
                    "version": act.version,
                    "reason": act.reason,
                    "act": act.id,
                    "of": act.of,
                },
            )
            for act in done
        ]
        audit.record(storage, records, within=tx)
    audit.witness(storage)
    return done


def who_acts(storage: Storage, product: str, name: str | None, now: datetime | None = None) -> str:
    """By whose word a column of `product` is classified: in a governed mesh somebody who decides for the owning
    domain, elsewhere `name`, or who runs this process. Raises NotFoundError, AccessDeniedError."""
    from raymesh.actions.access_rules import rules_of
    from raymesh.actions.bundle import bundle_in_force
    from raymesh.actions.identity import principal_of
    from raymesh.actions.ids import actor
    from raymesh.errors import AccessDeniedError

    moment = now or datetime.now(UTC)
    if bundle_in_force(storage, moment) is None:
        return name or actor()
    principal = principal_of(storage, name, now=moment)
    who = rules_of(storage, product).approvers
    pin(storage, product)
    if principal.id not in who.principals and who.groups.isdisjoint(principal.groups):
        shown = ", ".join(sorted({*who.principals, *(f"group {g}" for g in who.groups)})) or "nobody"
        raise AccessDeniedError(f"{principal.id} does not classify {product}", hint=f"who does: {shown}")
    return principal.id
