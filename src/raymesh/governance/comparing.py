"""What two versions of the policies mean for people: who gains or loses sight of what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from raymesh.governance.decide import decide
from raymesh.governance.model import Asked, Bundle, Decision, Principal, ReadPlan, Target
from raymesh.governance.predicate import NO_ROWS
from raymesh.mesh.plan import EVERY_ROW
from raymesh.spec.expression import And, Expression, Or
from raymesh.spec.mask import Absent, Mask, Token, join

Sense = Literal["gains", "loses", "differs"]
"""`differs`: neither shows more than the other, or nobody can tell."""

HIDDEN = Absent()


@dataclass(frozen=True, slots=True)
class Side:
    """One version of the policies with the tables it decides about and the people there are."""

    bundle: Bundle | None
    targets: Mapping[str, Target]
    people: tuple[Principal, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a reader sees of a column: in which rows, under which mask."""

    mask: Mask = field(default_factory=Absent)
    rows: Expression = NO_ROWS


@dataclass(frozen=True, slots=True)
class Difference:
    """One column of one table that a reader sees otherwise than before."""

    principal: str
    purpose: str | None
    table: str
    column: str
    sense: Sense
    before: Seen
    after: Seen


def differences(old: Side, new: Side, now: datetime) -> Iterator[Difference]:
    """Everything that changes for somebody, by reader, purpose, table and column.

    Readers are the people of both sides and, for every group that a policy names, somebody who is only in that
    group; each asks without a purpose and with every purpose of theirs.
    """
    for before, after in _readers(old, new):
        who = after or before
        assert who is not None  # noqa: S101  # one of the two is there
        for purpose in _purposes(before, after):
            for table in sorted({*old.targets, *new.targets}):
                one = _sight(before, old, table, purpose, now)
                other = _sight(after, new, table, purpose, now)
                for column in dict.fromkeys((*one, *other)):
                    was, is_ = one.get(column, Seen()), other.get(column, Seen())
                    if was != is_:
                        sense = _sense(was, is_)
                        yield Difference(who.id, purpose, table, column, sense, was, is_)


def _readers(old: Side, new: Side) -> list[tuple[Principal | None, Principal | None]]:
    before, after = ({p.id: p for p in side.people} for side in (old, new))
    people = [(before.get(i), after.get(i)) for i in sorted({*before, *after})]
    named = {
        g for side in (old, new) for p in (side.bundle.policies if side.bundle else ()) for g in p.who.groups
    }
    known = {g for p in (*old.people, *new.people) for g in p.groups}
    purposes = frozenset(
        x
        for side in (old, new)
        for p in (side.bundle.policies if side.bundle else ())
        for x in p.who.purposes
    )
    members: list[tuple[Principal | None, Principal | None]] = []
    for group in sorted(named | known):
        member = Principal("group", group, frozenset((group,)), purposes=purposes)
        members.append((member, member))
    return [*people, *members]


def _purposes(before: Principal | None, after: Principal | None) -> list[str | None]:
    found = {p for who in (before, after) if who is not None for p in who.purposes}
    return [None, *sorted(found)]


def _sight(
    who: Principal | None, side: Side, table: str, purpose: str | None, now: datetime
) -> dict[str, Seen]:
    target = side.targets.get(table)
    if who is None or target is None:
        return {}
    return seen(decide(who, target, Asked(purpose=purpose), side.bundle, (), now))


def seen(decision: Decision) -> dict[str, Seen]:
    """The columns of a decision; none for a denial."""
    if not isinstance(decision, ReadPlan):
        return {}
    view = decision.view
    return {
        c.name: Seen(c.mask, view.rows if c.visible == EVERY_ROW else _both(c.visible, view.rows))
        for c in view.columns
    }


def _both(a: Expression, b: Expression) -> Expression:
    return a if b == EVERY_ROW else And((a, b))


def _sense(was: Seen, now: Seen) -> Sense:
    mask = _order(was.mask, now.mask)
    rows = _rows(was.rows, now.rows)
    senses = {mask, rows} - {None}
    if len(senses) == 1:
        return senses.pop() or "differs"
    return "differs"


def _order(was: Mask, now: Mask) -> Sense | None:
    if was == now:
        return None
    if isinstance(was, Token) and isinstance(now, Token):
        return "differs"
    joined = join(was, now)
    return "loses" if joined == now else "gains" if joined == was else "differs"


def _rows(was: Expression, now: Expression) -> Sense | None:
    """Which of two conditions lets more through, as far as their form says so."""
    if was == now:
        return None
    if now == EVERY_ROW or was == NO_ROWS or set(_terms(now, And)) < set(_terms(was, And)):
        return "gains"
    if was == EVERY_ROW or now == NO_ROWS or set(_terms(was, And)) < set(_terms(now, And)):
        return "loses"
    fewer, more = set(_terms(was, Or)), set(_terms(now, Or))
    return "gains" if fewer < more else "loses" if more < fewer else "differs"


def _terms(node: Expression, kind: type[And] | type[Or]) -> Iterable[Expression]:
    return node.terms if isinstance(node, kind) else (node,)
