"""Which rules concern a reader and a product: policies filed once per bundle, matched without looking at rows.

Rules that hide are matched generously and rules that show are matched strictly: an attribute the reader does not
have, or a purpose not named, counts as matching for a restriction and as not matching for a grant; a column is
hidden when one of its tags is meant, and shown by a grant for tags only when all of its tags are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from raymesh.governance.model import GLOBAL, Asked, Bundle, Policy, Principal, Target
from raymesh.governance.predicate import folded
from raymesh.spec.classifications import normal

CLEAR_LIMIT = timedelta(hours=24)
"""How long a grant of `read_clear` may hold at most."""


class UnsoundError(Exception):
    """A rule that must hide something cannot be understood: nothing is shown."""


@lru_cache(maxsize=10_000)
def above(tag: str) -> tuple[str, ...]:
    """The tag and all it lies below: `a.b.c`, `a.b`, `a`."""
    parts = normal(tag).split(".")
    return tuple(".".join(parts[:n]) for n in range(len(parts), 0, -1))


def plain_tag(tag: str) -> str:
    """The tag as tags are compared."""
    return above(tag)[0]


@dataclass(frozen=True, slots=True)
class TagFacts:
    """What follows from a column's tags: the `words` in normal form, whether all are `known`, which are
    `sensitive`, every tag `meant` by them (`pii` by `pii.direct`), the tag tokens are keyed by (empty: none)."""

    words: frozenset[str]
    known: bool
    sensitive: frozenset[str]
    meant: frozenset[str]
    token_tag: str


@dataclass(slots=True)
class Shelf:
    """Policies about the same products, by the groups they are limited to."""

    anybody: list[Policy] = field(default_factory=list)
    by_group: dict[str, list[Policy]] = field(default_factory=dict)

    def add(self, policy: Policy) -> None:
        if not policy.who.groups:
            self.anybody.append(policy)
        for group in policy.who.groups:
            self.by_group.setdefault(group, []).append(policy)

    def of(self, groups: frozenset[str]) -> Iterator[Policy]:
        """Those that may be about members of `groups`, each once."""
        yield from self.anybody
        if len(groups) == 1:
            yield from self.by_group.get(next(iter(groups)), ())
            return
        found = {id(p): p for g in groups for p in self.by_group.get(g, ())}
        yield from found.values()


@dataclass(slots=True)
class Index:
    """The policies of one bundle by what they concern."""

    bundle: Bundle
    everywhere: Shelf = field(default_factory=Shelf)
    by_domain: dict[str, Shelf] = field(default_factory=dict)
    by_product: dict[str, Shelf] = field(default_factory=dict)
    unsound: frozenset[str] = frozenset()
    stems: frozenset[str] = frozenset()
    facts: dict[frozenset[str], TagFacts] = field(default_factory=dict)

    def in_domain(self, domain: str, groups: frozenset[str]) -> Iterator[Policy]:
        """Policies about every product of a domain that may be about members of `groups`."""
        yield from self.everywhere.of(groups)
        if domain in self.by_domain:
            yield from self.by_domain[domain].of(groups)

    def tags(self, tags: frozenset[str]) -> TagFacts:
        found = self.facts.get(tags)
        if found is None:
            if len(self.facts) > 50_000:
                self.facts.clear()
            found = self.facts[tags] = self._tag_facts(tags)
        return found

    def _tag_facts(self, tags: frozenset[str]) -> TagFacts:
        words = {plain_tag(t) for t in tags}
        meant = frozenset(stem for word in words for stem in above(word))
        sensitive = frozenset(w for w in words if not self.bundle.sensitive.isdisjoint(above(w)))
        return TagFacts(
            words=frozenset(words),
            known=words <= self.bundle.taxonomy,
            sensitive=sensitive,
            meant=meant,
            token_tag=min(sensitive, default=min(words, default="")),
        )


_INDEXES: OrderedDict[int, Index] = OrderedDict()
_KEPT = 8


def index_of(bundle: Bundle) -> Index:
    """The bundle's index, made once. Raises UnsoundError when the bundle cannot be filed."""
    found = _INDEXES.get(id(bundle))
    if found is not None:  # the index keeps its bundle alive, so that nothing else has its id
        return found
    found = _filed(bundle)
    _INDEXES[id(bundle)] = found
    while len(_INDEXES) > _KEPT:
        _INDEXES.popitem(last=False)
    return found


def _filed(bundle: Bundle) -> Index:
    index = Index(bundle)
    names = [p.name for p in bundle.policies]
    twice = {n for n in names if names.count(n) > 1} if len(set(names)) != len(names) else set()
    index.stems = frozenset(stem for tag in bundle.taxonomy for stem in above(tag))
    index.unsound = frozenset(p.name for p in bundle.policies if _unsound(p, index.stems) or p.name in twice)
    for policy in bundle.policies:
        _file(index, policy)
    return index


def _file(index: Index, policy: Policy) -> None:
    """Under every key by which a target can be the policy's; what both conditions say is looked up once."""
    domains, products = policy.what.domains, policy.what.products
    if policy.origin != GLOBAL:
        domains = domains & {policy.origin} if domains else frozenset((policy.origin,))
    if not domains and not products and policy.origin == GLOBAL:
        index.everywhere.add(policy)
        return
    if not products:
        for domain in domains:
            index.by_domain.setdefault(domain, Shelf()).add(policy)
        return
    limited = bool(domains) or policy.origin != GLOBAL
    whole = {p.removesuffix(".*") for p in products if p.endswith(".*")}
    for domain in whole:
        if not limited or domain in domains:
            index.by_domain.setdefault(domain, Shelf()).add(policy)
    for product in products:
        domain = product.partition(".")[0]
        if not product.endswith(".*") and domain not in whole and (not limited or domain in domains):
            index.by_product.setdefault(product, Shelf()).add(policy)


def _unsound(policy: Policy, stems: frozenset[str]) -> bool:
    """Whether a rule cannot be relied on to hide what it was written for."""
    if policy.effect not in ("grant", "restrict", "mask", "deny", "delegate"):
        return True
    lacks = (policy.effect == "restrict" and policy.rows is None) or (
        policy.effect == "mask" and policy.mask is None
    )
    return lacks or any(normal(t) not in stems for t in policy.what.tags)


@dataclass(slots=True)
class Asking:
    """One reader with one intention at one moment; what was found out about rules is kept for more targets,
    `by_domain` for all the products of a domain."""

    principal: Principal
    asked: Asked
    now: datetime
    index: Index
    memo: dict[tuple[int, bool], bool] = field(default_factory=dict)
    by_domain: dict[str, Any] = field(default_factory=dict)

    def concerns(self, policy: Policy, *, generous: bool) -> bool:
        """Whether the rule is about this reader and purpose, whenever it holds."""
        key = (id(policy), generous)
        found = self.memo.get(key)
        if found is None:
            found = self.memo[key] = self._who(policy, generous)
        return found

    def _who(self, policy: Policy, generous: bool) -> bool:
        who, principal = policy.who, self.principal
        if who.groups and who.groups.isdisjoint(principal.groups):
            return False
        if who.principals and principal.id not in who.principals:
            return False
        if who.purposes and not self._for(who.purposes, generous):
            return False
        return all(self._has(name, wanted, generous) for name, wanted in who.attributes.items())

    def _for(self, purposes: frozenset[str], generous: bool) -> bool:
        return generous if self.asked.purpose is None else self.asked.purpose in purposes

    def _has(self, name: str, wanted: Iterable[Any], generous: bool) -> bool:
        value = self.principal.attributes.get(name)
        if value is None:
            return generous
        several = value if isinstance(value, list | tuple | set | frozenset) else (value,)
        return any(v == w and (generous or _same_kind(v, w)) for v in several for w in wanted)

    def holds(self, policy: Policy) -> bool:
        """Whether the rule holds now."""
        return (policy.not_before is None or policy.not_before <= self.now) and (
            policy.expires_at is None or self.now < policy.expires_at
        )

    def valid_exception(self, policy: Policy) -> bool:
        """Whether the rule may lift others for this reader: global, reasoned, ending, agreed by two others."""
        return (
            policy.origin == GLOBAL
            and bool(policy.reason.strip())
            and policy.expires_at is not None
            and len(set(policy.approved_by)) >= 2
            and self.principal.id not in policy.approved_by
            and policy.who.principals.isdisjoint(policy.approved_by)
            and policy.effect != "delegate"
        )

    def valid_clear(self, policy: Policy) -> bool:
        """Whether the rule may show clear data: for a purpose, with a reason, for a short time."""
        return (
            bool(policy.who.purposes)
            and bool(policy.reason.strip())
            and policy.not_before is not None
            and policy.expires_at is not None
            and policy.expires_at - policy.not_before <= CLEAR_LIMIT
        )


def _same_kind(left: Any, right: Any) -> bool:
    """Python says that 1 is True; a grant does not."""
    return isinstance(left, bool) is isinstance(right, bool)


@dataclass(frozen=True, slots=True)
class Shape:
    """A target's columns as rules see them."""

    names: tuple[str, ...]
    facts: tuple[TagFacts, ...]
    by_name: Mapping[str, int]
    by_tag: Mapping[str, list[int]]
    all: frozenset[int]

    @classmethod
    def of(cls, target: Target, index: Index) -> Shape:
        """Raises UnsoundError when two columns have one name."""
        names = tuple([folded(c.name) for c in target.columns])
        by_name = {name: n for n, name in enumerate(names)}
        if len(by_name) != len(names):
            raise UnsoundError("two columns have the same name")
        known = index.facts
        facts = tuple([known.get(c.tags) or index.tags(c.tags) for c in target.columns])
        alike: dict[int, list[int]] = {}
        for n, fact in enumerate(facts):
            alike.setdefault(id(fact), []).append(n)
        by_tag: dict[str, list[int]] = {}
        for numbers in alike.values():
            for tag in facts[numbers[0]].meant:
                by_tag.setdefault(tag, []).extend(numbers)
        return cls(names, facts, by_name, by_tag, frozenset(range(len(names))))

    def hit(self, policy: Policy) -> frozenset[int]:
        """Columns that a hiding rule means: all, or those with one of its tags and one of its names."""
        what = policy.what
        if not what.tags and not what.columns:
            return self.all
        tagged = frozenset(n for t in what.tags for n in self.by_tag.get(plain_tag(t), ()))
        named = frozenset(self.by_name[f] for c in what.columns if (f := folded(c)) in self.by_name)
        if what.tags and what.columns:
            return tagged & named
        return tagged or named

    def covered(self, policy: Policy) -> frozenset[int]:
        """Columns that a showing rule means: all, or those all of whose tags lie below its tags, and its names."""
        what, found = policy.what, self.all
        if what.columns:
            found = frozenset(self.by_name[f] for c in what.columns if (f := folded(c)) in self.by_name)
        if not what.tags:
            return found
        wanted = frozenset(plain_tag(t) for t in what.tags)
        return frozenset(n for n in found if self._below(n, wanted))

    def _below(self, column: int, wanted: frozenset[str]) -> bool:
        return all(not wanted.isdisjoint(above(word)) for word in self.facts[column].words)
