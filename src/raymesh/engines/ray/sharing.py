"""What is known about the rows of joined tables: which columns are equal, and where a condition may be applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from raymesh.engines.ray.drafts import moved
from raymesh.engines.ray.relations import (
    Aliases,
    Base,
    Block,
    Derived,
    Join,
    Key,
    Member,
    Ref,
    Source,
    aliases,
    family,
    joins,
    leaves,
    member_of,
)
from raymesh.engines.ray.syntax import Tree, column, nameless, references, walk

_EQUAL = ("COMPARE_EQUAL", "COMPARE_NOT_DISTINCT_FROM")
_KEEPS_LEFT = ("INNER", "LEFT", "SEMI", "ANTI")
_KEEPS_RIGHT = ("INNER", "RIGHT")
_FILTERS_LEFT = ("INNER", "RIGHT", "SEMI")
_FILTERS_RIGHT = ("INNER", "LEFT", "SEMI", "ANTI")


@dataclass(frozen=True, slots=True)
class Facts:
    """Types of the columns of every alias."""

    types: Mapping[Ref, str]

    def family(self, member: Member) -> str:
        """The family of a member's type; empty when rows cannot be placed by it."""
        kinds = {family(self.types.get(ref, "")) for ref in member}
        return kinds.pop() if len(kinds) == 1 else ""

    def pairs(self, terms: Iterable[Tree]) -> list[tuple[Member, Member]]:
        """Members that `terms` say are equal, in types whose equal values hash alike."""
        found = []
        for term in terms:
            if term["class"] != "COMPARISON" or term["type"] not in _EQUAL:
                continue
            left, right = member_of(term["left"]), member_of(term["right"])
            if left and right and self.family(left) and self.family(left) == self.family(right):
                found.append((left, right))
        return found

    def equal(self, member: Member, source: Source, terms: Sequence[Tree]) -> set[Member]:
        """Members that have the same value as `member` in every row that inner joins and `terms` let through."""
        pairs = self.pairs(terms)
        for join in joins(source):
            if join.kind == "INNER":
                pairs += self.pairs(join.on)
        found, before = {member}, 0
        while len(found) != before:
            before = len(found)
            for left, right in pairs:
                if left in found or right in found:
                    found |= {left, right}
        return found

    def within(self, member: Member, members: Iterable[Member], block: Block) -> bool:
        """Whether `member` is one of `members`, or equal to one in every row of the block."""
        return bool(self.equal(member, block.source, block.where) & set(members))


def placed_in(member: Member, within: set[str]) -> bool:
    return all(alias in within for alias, _ in member)


def partner(facts: Facts, join: Join, member: Member, terms: Sequence[Tree]) -> Member | None:
    """What `member`, of one side of the join, must be equal to on the other side for rows to meet."""
    left, right = aliases(join.left), aliases(join.right)
    here, there = (left, right) if placed_in(member, left) else (right, left)
    near = join.left if here is left else join.right
    if not placed_in(member, here):
        return None
    same = facts.equal(member, near, terms)
    met = facts.pairs(join.on) + (facts.pairs(terms) if join.kind == "INNER" else [])
    for first, second in met:
        for mine, other in ((first, second), (second, first)):
            if mine in same and placed_in(mine, here) and placed_in(other, there) and len(other) == 1:
                return other
    return None


def side_keys(facts: Facts, join: Join, key: Key, terms: Sequence[Tree]) -> tuple[Key | None, Key | None]:
    """The key as the left and as the right side have it; None where a side does not have all of it.

    None for both when rows of the join's result cannot be placed by the key at all.
    """
    left, right = aliases(join.left), aliases(join.right)
    if join.kind == "FULL":
        met = facts.pairs(join.on)
        halves = [((m[0],), (m[1],)) for m in key if len(m) == 2]
        if len(halves) != len(key) or not all(h in met or h[::-1] in met for h in halves):
            return None, None
        lefts = [a if placed_in(a, left) else b for a, b in halves]
        rights = [b if placed_in(a, left) else a for a, b in halves]
        return tuple(lefts), tuple(rights)
    allowed = {"INNER": left | right, "RIGHT": right}.get(join.kind, left)
    if not all(placed_in(m, allowed) for m in key):
        return None, None
    sides = []
    for side in (left, right):
        mine = [m if placed_in(m, side) else partner(facts, join, m, terms) for m in key]
        sides.append(None if any(m is None for m in mine) else tuple(m for m in mine if m is not None))
    return sides[0], sides[1]


def whole_allowed(kind: str) -> tuple[bool, bool]:
    """Whether (left, right) may be given whole to every task while the other side is dealt out."""
    return kind in ("INNER", "RIGHT"), kind in ("INNER", "LEFT", "SEMI", "ANTI")


def passed(join: Join, terms: Sequence[Tree]) -> tuple[list[Tree], list[Tree]]:
    """The terms that rows of the left and of the right side may be filtered by before they are joined."""
    left = [*terms] if join.kind in _KEEPS_LEFT else []
    right = [*terms] if join.kind in _KEEPS_RIGHT else []
    return (
        left + (list(join.on) if join.kind in _FILTERS_LEFT else []),
        right + (list(join.on) if join.kind in _FILTERS_RIGHT else []),
    )


def applicable(terms: Iterable[Tree], within: set[str]) -> list[Tree]:
    """The terms that look at tables of `within` only, and at no subquery."""
    found = []
    for term in terms:
        looked = {alias for alias, _ in references(term)}
        if looked and looked <= within and not any(p["class"] == "SUBQUERY" for p in walk(term)):
            found.append(term)
    return found


def kept(source: Source) -> set[str]:
    """Tables whose rows a condition may be applied to before the join: they are not filled up with NULL after it."""
    if not isinstance(source, Join):
        return {source.alias}
    left = kept(source.left) if source.kind in _KEEPS_LEFT else set()
    return left | (kept(source.right) if source.kind in _KEEPS_RIGHT else set())


def sunk(block: Block, made: Aliases) -> Block:
    """The block with conditions on one joined input applied where that input is read."""
    if not isinstance(block.source, Join):
        return block
    mine = {alias: applicable(block.where, {alias}) for alias in kept(block.source)}

    def inside(source: Source) -> Source:
        if isinstance(source, Join):
            return replace(source, left=inside(source.left), right=inside(source.right))
        terms = mine.get(source.alias)
        return _filtered(source, terms, made) if terms and isinstance(source, Base) else source

    below = {leaf.alias for leaf in leaves(block.source) if isinstance(leaf, Base)}
    taken = [id(t) for alias, terms in mine.items() if alias in below for t in terms]
    return replace(
        block, source=inside(block.source), where=tuple(t for t in block.where if id(t) not in taken)
    )


def _filtered(base: Base, terms: Sequence[Tree], made: Aliases) -> Derived:
    inner = Base(made.fresh(), base.input, base.columns)
    here = {(base.alias, c.name): (inner.alias, c.name) for c in base.columns}
    chosen = tuple({**column(inner.alias, c.name), "alias": c.name} for c in base.columns)
    where = tuple(moved(t, here) for t in terms)
    names = tuple(c.name for c in base.columns)
    return Derived(base.alias, Block(inner, names, chosen, base.columns, where))


def candidate_keys(facts: Facts, block: Block) -> list[Key]:
    """Keys by which the rows of a block's tables might be placed, the most promising first."""
    found: list[Key] = []

    def offer(members: Iterable[Member | None]) -> None:
        usable = tuple(dict.fromkeys(m for m in members if m is not None and facts.family(m)))
        for key in (usable, *((m,) for m in usable[:_MOST])):
            if key and key not in found:
                found.append(key)

    offer(member_of(k) for k in block.common)
    for window in block.windows():
        offer(member_of(p) for p in window["partitions"])
    for join in joins(block.source):
        offer(_joined_by(facts, join, block))
    if block.distinct:
        offer(member_of(nameless(c)) for c in block.chosen)
    for leaf in leaves(block.source):
        if isinstance(leaf, Derived) and isinstance(leaf.query, Block) and not leaf.query.shared:
            for inner in candidate_keys(facts, leaf.query):
                offer(_seen(leaf, member) for member in inner)
    return found[:_MOST_KEYS]


def _joined_by(facts: Facts, join: Join, block: Block) -> list[Member | None]:
    """What a join's result could be placed by, of what it joins by."""
    left = aliases(join.left)
    pairs = facts.pairs([*join.on, *(block.where if join.kind == "INNER" else ())])
    ordered = [(a, b) if placed_in(a, left) else (b, a) for a, b in pairs]
    crossing = [(a, b) for a, b in ordered if placed_in(a, left) != placed_in(b, left)]
    if join.kind == "FULL":
        return [(a[0], b[0]) if len(a) == len(b) == 1 else None for a, b in crossing]
    return [b if join.kind == "RIGHT" else a for a, b in crossing]


def _seen(derived: Derived, member: Member) -> Member | None:
    """A member of the query inside as a column of the derived table."""
    query = derived.query
    named = zip(query.names, query.chosen, strict=True) if isinstance(query, Block) else ()
    for name, chosen in named:
        if member_of(nameless(chosen)) == member:
            return ((derived.alias, name),)
    return None


_MOST = 6
_MOST_KEYS = 40
