"""The decision: whether somebody may read a table, and if so which rows and what of each column.

    allowed   a grant that holds concerns reader and table, and no denial does
    rows      where some grant's condition is true, and every restriction's and the consent column are
    a cell    shown in rows where a grant that covers its column is true
    a column  shown under the join of all masks that mean it

Pure and total: whatever goes wrong on the way, the answer is no. Adding a rule that restricts, masks or denies,
or a tag, never shows more (tests/unit/governance proves it by trying).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from raymesh.governance.matching import Asking, index_of
from raymesh.governance.model import (
    Asked,
    Bundle,
    ColumnReason,
    Decision,
    Deny,
    Grant,
    Policy,
    Principal,
    ReadPlan,
    Target,
)
from raymesh.governance.predicate import all_of, any_of, folded
from raymesh.governance.resolving import CONSENT, RefusedError, Resolution, outdated, resolve, sees
from raymesh.mesh.plan import EVERY_ROW, View, ViewColumn
from raymesh.spec.expression import Expression
from raymesh.spec.mask import Absent

_UNDECIDABLE = Deny("undecidable", "the policies in force do not allow a decision")


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision for those who write the rules: every column of the table, hidden ones too, with what
    determined it. Never for the reader, who must not learn what is hidden."""

    decision: Decision
    columns: tuple[ColumnReason, ...] = ()


def decide(  # noqa: PLR0917  # all that a decision depends on, and nothing else
    principal: Principal,
    target: Target,
    asked: Asked,
    bundle: Bundle | None,
    grants: Iterable[Grant],
    now: datetime,
) -> Decision:
    """What `principal` may see of `target` at `now`; Deny for every doubt.

    A column that is asked for and one that does not exist are refused in the same words.
    """
    try:
        asking = _asking(principal, asked, bundle, now)
        return _decision(asking, target, resolve(asking, target, grants))
    except RefusedError as refusal:
        return refusal.denial
    except Exception:  # noqa: BLE001  # the decision is total: what cannot be decided is refused
        return _UNDECIDABLE


def explain(  # noqa: PLR0917  # all that a decision depends on, and nothing else
    principal: Principal,
    target: Target,
    asked: Asked,
    bundle: Bundle | None,
    grants: Iterable[Grant],
    now: datetime,
) -> Explanation:
    """The decision with its reasons."""
    try:
        agreed = tuple(grants)
    except Exception:  # noqa: BLE001  # total, as decide is
        return Explanation(_UNDECIDABLE)
    decision = decide(principal, target, asked, bundle, agreed, now)
    try:
        found = resolve(_asking(principal, asked, bundle, now), target, agreed)
        return Explanation(decision, tuple(_reason(target, found, n) for n in range(len(target.columns))))
    except Exception:  # noqa: BLE001  # what cannot be resolved has no reasons beyond the denial's own
        return Explanation(decision)


def visible(  # noqa: PLR0917  # all that a decision depends on, and nothing else
    principal: Principal,
    targets: Iterable[Target],
    bundle: Bundle | None,
    grants: Iterable[Grant],
    now: datetime,
    asked: Asked | None = None,
) -> tuple[Target, ...]:
    """Those of `targets` of which `decide` would show something, in their order; quick for many."""
    try:
        asking = _asking(principal, asked or Asked(), bundle, now)
        agreed: dict[tuple[str, str], list[Grant]] = {}
        for grant in grants:
            agreed.setdefault((grant.product, grant.port), []).append(grant)
    except Exception:  # noqa: BLE001  # total, as decide is; a RefusedError is one of them
        return ()
    return tuple(t for t in targets if _sees(asking, t, agreed))


def not_in_force(
    principal: Principal, target: Target, asked: Asked, bundle: Bundle, now: datetime
) -> tuple[Policy, ...]:
    """Policies about reader and table that do not hold at `now`: over, or not begun. For those who write rules."""
    try:
        asking = _asking(principal, asked, bundle, now)
    except RefusedError:
        return ()
    about = [*asking.index.in_domain(target.domain, principal.groups)]
    if target.product in asking.index.by_product:
        about += asking.index.by_product[target.product].of(principal.groups)
    return tuple(p for p in about if not asking.holds(p) and asking.concerns(p, generous=False))


def _sees(asking: Asking, target: Target, agreed: Mapping[tuple[str, str], Sequence[Grant]]) -> bool:
    try:
        return sees(asking, target, agreed.get((target.product, target.port), ()))
    except Exception:  # noqa: BLE001  # total, as decide is; a denial is one of them
        return False


def _asking(principal: Principal, asked: Asked, bundle: Bundle | None, now: datetime) -> Asking:
    """Raises RefusedError for what no policy could allow."""
    if bundle is None or not bundle.policies:
        raise RefusedError("no-policy", "there are no policies, so nothing may be read")
    if now.tzinfo is None:
        raise RefusedError("clock", "the time of the decision has no zone")
    if principal.expires_at is not None and principal.expires_at <= now:
        raise RefusedError("identity-expired", "the login has expired")
    if not isinstance(principal.groups, frozenset) or not isinstance(principal.purposes, frozenset):
        raise RefusedError("identity", "the reader's groups and purposes are not known")
    if asked.action not in ("read", "read_clear"):
        raise RefusedError("unknown-action", "there is no such action")
    _check_purpose(principal, asked, bundle)
    return Asking(principal, asked, now, index_of(bundle))


def _check_purpose(principal: Principal, asked: Asked, bundle: Bundle) -> None:
    purpose = asked.purpose
    if purpose is None:
        return
    if bundle.purposes and purpose not in bundle.purposes:
        raise RefusedError("purpose", f"there is no purpose {purpose}; {_approved(principal)}")
    if purpose not in principal.purposes:
        raise RefusedError("purpose", f"{principal.id} is not approved for {purpose}; {_approved(principal)}")


def _approved(principal: Principal) -> str:
    """The reader's own purposes, which are no secret to the reader."""
    return f"approved: {', '.join(sorted(principal.purposes)) or 'none'}"


def _decision(asking: Asking, target: Target, found: Resolution) -> Decision:
    shown = {n for n in range(len(target.columns)) if found.shows(n)}
    if not shown and found.outdated:
        return Deny(CONSENT, outdated(target))
    if not shown:
        return Deny("no-grant", _NOTHING.format(target.table))
    wanted = _wanted(asking.asked, target, shown)
    if isinstance(wanted, Deny):
        return wanted
    used = [s for s in found.sources if not s.columns.isdisjoint(shown)]
    view, columns = _view(found, wanted, target, {s.scope for s in used})
    return ReadPlan(
        target=target,
        view=view,
        purpose=asking.asked.purpose,
        bundle=asking.index.bundle.digest,
        valid_until=_until(asking, [*(s.until for s in used), *found.boundaries]),
        grants=tuple(sorted({s.name for s in used})),
        row_rules=tuple(sorted(set(found.row_rules))),
        columns=columns,
        conflicts=tuple(target.columns[n].name for n in wanted if found.columns[n].conflict),
        rows_left=min((s.rows_left for s in used if s.rows_left is not None), default=None),
    )


_NOTHING = "nothing of {} may be read; raymesh access request asks for it"


def _wanted(asked: Asked, target: Target, shown: set[int]) -> list[int] | Deny:
    if asked.columns is None:
        return sorted(shown)
    known = {folded(target.columns[n].name): n for n in shown}
    missing = [c for c in asked.columns if folded(c) not in known]
    if missing or not asked.columns:
        names = ", ".join(missing) or "no column"
        return Deny("column", f"{target.table} has no column {names} that may be read")
    return list(dict.fromkeys(known[folded(c)] for c in asked.columns))


def _view(
    found: Resolution, wanted: list[int], target: Target, scopes: set[Expression]
) -> tuple[View, tuple[ColumnReason, ...]]:
    rows = all_of((any_of(_ordered(scopes)), *_ordered(set(found.predicates))))
    memo: dict[frozenset[int], Expression] = {}
    for covering in {found.covering[n] for n in wanted}:
        own = {found.sources[s].scope for s in covering}
        memo[covering] = EVERY_ROW if own >= scopes else any_of(_ordered(own))
    names = {covering: _names(found, covering) for covering in memo}
    called = [target.columns[n].name for n in wanted]
    masks = [found.columns[n].mask for n in wanted]
    visible_in = [memo[found.covering[n]] for n in wanted]
    because = [found.columns[n].rules or names[found.covering[n]] for n in wanted]
    view = View(rows, tuple(map(ViewColumn, called, masks, visible_in)))
    return view, tuple(map(ColumnReason, called, masks, because))


def _names(found: Resolution, covering: Iterable[int]) -> tuple[str, ...]:
    return tuple(sorted({found.sources[s].name for s in covering}))


def _ordered(scopes: Iterable[Expression]) -> list[Expression]:
    """In one order, whatever the order of the policies."""
    found = list(scopes)
    return sorted(found, key=repr) if len(found) > 1 else found


def _reason(target: Target, found: Resolution, n: int) -> ColumnReason:
    name, shown, covering = target.columns[n].name, found.columns[n], found.covering[n]
    if not covering and not isinstance(shown.mask, Absent):
        return ColumnReason(name, Absent(), ("no grant",))
    return ColumnReason(name, shown.mask, shown.rules or _names(found, covering))


def _until(asking: Asking, ends: Iterable[datetime | None]) -> datetime:
    """The first moment at which the answer may be another."""
    latest = asking.now + timedelta(seconds=max(0, asking.index.bundle.ttl))
    return min((latest, *(e for e in (*ends, asking.principal.expires_at) if e is not None)))
