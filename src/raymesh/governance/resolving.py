"""From rules to what they say about one reader and one table: grants with their columns, masks, row predicates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from raymesh.governance.masking import Shown, masks_for
from raymesh.governance.matching import CLEAR_LIMIT, Asking, Shape, UnsoundError
from raymesh.governance.model import GLOBAL, LOCAL_ISSUER, Deny, Grant, Policy, Target
from raymesh.governance.predicate import ALL_ROWS, NO_ROWS, bound, columns_in, folded
from raymesh.spec.classifications import normal
from raymesh.spec.expression import Column, Compare, Expression, Value
from raymesh.spec.mask import Absent, Raw
from raymesh.spec.types import Field, Primitive

CONSENT = "consent"
PRODUCER = "producer"


class RefusedError(Exception):
    """A denial, raised where it is found."""

    def __init__(self, code: str, reason: str, rules: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.denial = Deny(code, reason, rules)


@dataclass(frozen=True, slots=True)
class Source:
    """One grant as it holds for a reader and a table: rows, columns by number, until when. `outdated`: its rows
    follow from a consent that may have been withdrawn since."""

    name: str
    scope: Expression
    columns: frozenset[int]
    until: datetime | None = None
    rows_left: int | None = None
    outdated: bool = False


@dataclass(slots=True)
class Resolution:
    """What the rules say. `columns` are how each column is shown if a grant covers it, `covering` the numbers of
    the sources that do; `predicates` must all be true of a row; `boundaries` are moments at which a rule begins
    or ends to hold; `outdated` says that a grant was left out because of who consented once."""

    sources: list[Source]
    columns: list[Shown]
    covering: list[frozenset[int]]
    predicates: list[Expression] = field(default_factory=list)
    row_rules: list[str] = field(default_factory=list)
    boundaries: list[datetime | None] = field(default_factory=list)
    outdated: bool = False

    def shows(self, column: int) -> bool:
        """Whether a column is there at all."""
        return bool(self.covering[column]) and not isinstance(self.columns[column].mask, Absent)


def resolve(asking: Asking, target: Target, grants: Iterable[Grant]) -> Resolution:
    """What the policies and agreements say. Raises RefusedError for a denial, UnsoundError for rules that make no sense."""
    rules = _rules(asking, target)
    if rules.unsound:
        raise UnsoundError(f"these policies cannot be relied on: {', '.join(rules.unsound)}")
    shape = Shape.of(target, asking.index)
    lifted = _lifted(rules.exceptions, shape)
    refuse_denied(rules.denials, shape, lifted)
    fit = _Fit(_Columns(target, shape), asking.principal.attributes)
    given = list(_sources(asking, target, rules, grants, _Place(shape, fit)))
    sources = [s for s in given if not s.outdated]
    found = Resolution(
        sources, columns_shown(asking, target, rules, shape, lifted), _covering(sources, shape)
    )
    found.boundaries = [*rules.boundaries, *(e.expires_at for e in rules.exceptions)]
    found.outdated = len(sources) < len(given)
    for rule in rules.restrictions:
        if not lifted.get(rule.name, frozenset()).issuperset(shape.hit(rule)):
            if _outdated(target, rule.rows):
                raise RefusedError(CONSENT, outdated(target), (rule.name,))
            found.predicates.append(fit.rows(rule.rows))
            found.row_rules.append(rule.name)
    _add_consent(asking, target, found, fit.columns)
    return found


def sees(asking: Asking, target: Target, grants: Iterable[Grant]) -> bool:
    """Whether `resolve` would show any column; quick where rules do not tell columns apart.

    Raises RefusedError for a denial, UnsoundError for rules that make no sense.
    """
    rules = _rules(asking, target)
    if not rules.open:
        rules.open.append(_shows_all(asking, rules))
    if rules.open[0] and asking.principal.kind != "service":
        if len({folded(c.name) for c in target.columns}) != len(target.columns):
            raise UnsoundError("two columns have the same name")
        purpose, index = asking.asked.purpose, asking.index
        return any(
            c.classified is True
            and (facts := index.tags(c.tags)).known
            and (purpose is not None or not facts.sensitive)
            for c in target.columns
        )
    found = resolve(asking, target, grants)
    return any(found.shows(n) for n in range(len(target.columns)))


def _shows_all(asking: Asking, rules: _Rules) -> bool:
    """Whether some grant is for everything, and nothing denies or takes columns away."""
    if rules.unsound or rules.denials or any(isinstance(m.mask, Absent) for m in rules.masks):
        return False
    return any(
        rule.origin == GLOBAL and not rule.what.tags and not rule.what.columns and _counts(asking, rule)
        for rule in rules.grants
    )


@dataclass(slots=True)
class _Rules:
    """The rules that concern reader and table and hold now, by what they do. `open` remembers, once asked,
    whether they show every column that can be shown at all."""

    grants: list[Policy] = field(default_factory=list)
    delegations: list[Policy] = field(default_factory=list)
    restrictions: list[Policy] = field(default_factory=list)
    masks: list[Policy] = field(default_factory=list)
    denials: list[Policy] = field(default_factory=list)
    exceptions: list[Policy] = field(default_factory=list)
    boundaries: list[datetime | None] = field(default_factory=list)
    unsound: list[str] = field(default_factory=list)
    open: list[bool] = field(default_factory=list)

    def copy(self) -> _Rules:
        return _Rules(*(list(getattr(self, f.name)) for f in fields(self) if f.name != "open"))

    def add(self, asking: Asking, rules: Iterable[Policy]) -> None:
        """Sort those of `rules` that are about the reader and hold."""
        for rule in rules:
            shows = rule.effect in ("grant", "delegate")
            if asking.concerns(rule, generous=not shows):
                if asking.holds(rule):
                    self._keep(asking, rule, shows=shows)
                elif not shows and rule.not_before is not None and rule.not_before > asking.now:
                    self.boundaries.append(rule.not_before)

    def _keep(self, asking: Asking, rule: Policy, *, shows: bool) -> None:
        if rule.name in asking.index.unsound:
            if not shows:
                self.unsound.append(rule.name)
            return
        if rule.effect == "grant":
            if not rule.exception_to or asking.valid_exception(rule):
                self.grants.append(rule)
        elif rule.effect == "delegate":
            if rule.origin == GLOBAL:
                self.delegations.append(rule)
        else:
            kept = {"restrict": self.restrictions, "mask": self.masks, "deny": self.denials}[rule.effect]
            kept.append(rule)
        if rule.exception_to and asking.concerns(rule, generous=False) and asking.valid_exception(rule):
            self.exceptions.append(rule)


def _rules(asking: Asking, target: Target) -> _Rules:
    allowed = target.purposes
    if allowed is not None and asking.asked.purpose not in allowed:
        raise RefusedError("purpose", f"{target.table} may not be read for that purpose, or not without one")
    common = asking.by_domain.get(target.domain)
    if common is None:
        common = asking.by_domain[target.domain] = _Rules()
        common.add(asking, asking.index.in_domain(target.domain, asking.principal.groups))
    own = asking.index.by_product.get(target.product)
    if own is None:
        return common
    both: _Rules = common.copy()
    both.add(asking, own.of(asking.principal.groups))
    return both


def _lifted(exceptions: Iterable[Policy], shape: Shape) -> dict[str, frozenset[int]]:
    """Columns that exceptions take out of the rules they name."""
    found: dict[str, frozenset[int]] = {}
    for rule in exceptions:
        columns = shape.covered(rule)
        for name in rule.exception_to:
            found[name] = found.get(name, frozenset()) | columns
    return found


def refuse_denied(denials: Iterable[Policy], shape: Shape, lifted: dict[str, frozenset[int]]) -> None:
    """Raises RefusedError when a denial means any column that no exception takes out of it."""
    rules = tuple(d.name for d in denials if not lifted.get(d.name, frozenset()).issuperset(shape.hit(d)))
    if rules:
        raise RefusedError("denied", "a policy forbids it", rules)


@dataclass(frozen=True, slots=True)
class _Columns:
    """A target's columns by folded name, made only when a predicate looks at them."""

    target: Target
    shape: Shape

    def get(self, name: str) -> Field | None:
        number = self.shape.by_name.get(name)
        if number is None:
            return None
        column = self.target.columns[number]
        return Field(column.name, column.type, column.id)


@dataclass(slots=True)
class _Fit:
    """Fits predicates to one table and one reader, each once."""

    columns: _Columns
    attributes: Mapping[str, Any]
    memo: dict[int, Expression] = field(default_factory=dict)

    def rows(self, predicate: Expression | None) -> Expression:
        if predicate is None:
            return NO_ROWS
        found = self.memo.get(id(predicate))
        if found is None:
            found = self.memo[id(predicate)] = bound(predicate, self.columns, self.attributes)
        return found


@dataclass(frozen=True, slots=True)
class _Place:
    shape: Shape
    fit: _Fit


def _sources(
    asking: Asking, target: Target, rules: _Rules, grants: Iterable[Grant], place: _Place
) -> Iterator[Source]:
    if is_producer(asking, target):
        yield Source(PRODUCER, ALL_ROWS, place.shape.all)
    for rule in rules.grants:
        found = _of_policy(asking, rule, rules.delegations, place.shape)
        if found is not None:
            scope = ALL_ROWS if rule.rows is None else place.fit.rows(rule.rows)
            yield Source(rule.name, scope, *found, outdated=_outdated(target, rule.rows))
    for grant in grants:
        columns = of_agreement(asking, target, grant, place.shape)
        if columns:
            scope = ALL_ROWS if grant.rows is None else place.fit.rows(grant.rows)
            old = _outdated(target, grant.rows)
            yield Source(f"agreement:{grant.id}", scope, columns, grant.expires_at, grant.rows_left, old)


def is_producer(asking: Asking, target: Target) -> bool:
    """Whether the reader is the service that builds the table."""
    who = asking.principal
    return who.kind == "service" and who.issuer == LOCAL_ISSUER and who.subject == f"raymesh:{target.product}"


def _of_policy(
    asking: Asking, rule: Policy, delegations: list[Policy], shape: Shape
) -> tuple[frozenset[int], datetime | None] | None:
    """The columns a granting policy covers and until when; None when it does not count."""
    if not _counts(asking, rule):
        return None
    clear = rule.action == "read_clear"
    covered = shape.covered(rule)
    if rule.origin == GLOBAL:
        return covered, rule.expires_at
    delegated: frozenset[int] = frozenset()
    ends = [rule.expires_at]
    for delegation in delegations:
        if not clear or delegation.action == "read_clear":
            delegated |= covered - _withheld(delegation, shape)
            ends.append(delegation.expires_at)
    return delegated, min((e for e in ends if e is not None), default=None)


def _counts(asking: Asking, rule: Policy) -> bool:
    """Whether a granting policy is about what is asked: clear data only where it says so, and soundly."""
    if rule.action == "read_clear":
        return asking.valid_clear(rule)
    return asking.asked.action == "read"


def _withheld(delegation: Policy, shape: Shape) -> frozenset[int]:
    """Columns a domain may not grant: those with one of the delegation's tags or names."""
    what = delegation.what
    tagged = (n for t in what.tags for n in shape.by_tag.get(normal(t), ()))
    named = (shape.by_name[f] for c in what.columns if (f := folded(c)) in shape.by_name)
    return frozenset((*tagged, *named))


def of_agreement(asking: Asking, target: Target, grant: Grant, shape: Shape) -> frozenset[int]:
    """The columns an agreement covers; none when it is not about this reader, table, purpose and moment."""
    who, asked = asking.principal, asking.asked
    holds = (
        (grant.product, grant.port, grant.major) == (target.product, target.port, target.major)
        and (who.id in grant.principals or not grant.groups.isdisjoint(who.groups))
        and asked.purpose == grant.purpose
        and grant.not_before <= asking.now < grant.expires_at
        and (grant.rows_left is None or grant.rows_left > 0)
        and (grant.queries_left is None or grant.queries_left > 0)
        and grant.action in ("read", "read_clear")
        and (asked.action == "read" or grant.action == "read_clear")
        and (grant.action == "read" or grant.expires_at - grant.not_before <= CLEAR_LIMIT)
    )
    if not holds:
        return frozenset()
    agreed = frozenset(normal(t) for t in grant.tags)
    named = None if grant.columns is None else {folded(c) for c in grant.columns}
    return frozenset(
        n
        for n, name in enumerate(shape.names)
        if (named is None or name in named) and shape.facts[n].sensitive <= agreed
    )


def _covering(sources: list[Source], shape: Shape) -> list[frozenset[int]]:
    """For each column the numbers of the sources that cover it; sources that cover all are looked at once."""
    count = len(shape.names)
    whole = frozenset(n for n, s in enumerate(sources) if len(s.columns) == count)
    extra: dict[int, set[int]] = {}
    for n, source in enumerate(sources):
        if n not in whole:
            for column in source.columns:
                extra.setdefault(column, set()).add(n)
    return [whole | extra[c] if c in extra else whole for c in range(count)]


def columns_shown(
    asking: Asking, target: Target, rules: _Rules, shape: Shape, lifted: dict[str, frozenset[int]]
) -> list[Shown]:
    """How each column is shown to whom some grant covers it for."""
    if is_producer(asking, target):
        return [Shown(Raw(), (PRODUCER,))] * len(target.columns)
    masks = masks_for(shape, rules.masks, lifted)
    clear, purpose = asking.asked.action == "read_clear", asking.asked.purpose
    found: list[Shown] = []
    alike: dict[tuple[int, int], Shown] = {}  # by identity: target and index live longer than this
    for n, (column, facts) in enumerate(zip(target.columns, shape.facts, strict=True)):
        key = (id(facts), id(column.type))
        if column.classified is True and key in alike and n not in masks.by_column:
            found.append(alike[key])
            continue
        if column.classified is not True:
            shown = _UNCLASSIFIED
        elif not facts.known:
            shown = _UNKNOWN_TAG
        elif purpose is None and facts.sensitive:
            shown = _NO_PURPOSE
        else:
            shown = masks.of(n, target, purpose)
        if clear and not isinstance(shown.mask, Absent):
            shown = _CLEAR
        found.append(shown)
        if column.classified is True and facts.token_tag and n not in masks.by_column:
            alike[key] = shown
    return found


_UNCLASSIFIED = Shown(Absent(), ("unclassified",))
_UNKNOWN_TAG = Shown(Absent(), ("unknown tag",))
_NO_PURPOSE = Shown(Absent(), ("no purpose",))
_CLEAR = Shown(Raw(), ())


def _outdated(target: Target, condition: Expression | None) -> bool:
    """Whether a condition looks at a column of consent in a version that is not the current one."""
    if target.current or condition is None:
        return False
    consents = {folded(c) for c in target.consent.values()}
    return any(folded(path[0]) in consents for path in columns_in(condition) if path)


def outdated(target: Target) -> str:
    """Why an old version is not shown by consent."""
    return f"version {target.version} of {target.table} does not say who still consents; read the current version"


def _add_consent(asking: Asking, target: Target, found: Resolution, known: _Columns) -> None:
    purpose = asking.asked.purpose
    if purpose is None or purpose not in target.consent:
        return
    if not target.current:
        raise RefusedError(CONSENT, outdated(target))
    column = known.get(folded(target.consent[purpose]))
    agreed = column is not None and column.type == Primitive("boolean")
    found.predicates.append(
        Compare("=", Column((column.name,)), Value(True)) if column is not None and agreed else NO_ROWS
    )
    found.row_rules.append(CONSENT)
