"""Decides what of a query runs apart: by files, by the hash of a key, or whole, at the least cost.

Sound by construction; every rule is one of these:

- Any share of the rows of a table may be filtered and projected apart.
- A join may run apart when both sides are placed by columns it says are equal, or when the side whose rows are
  not kept unmatched is given whole to every task.
- Grouping, DISTINCT and windows may run apart when rows are placed by (some of) what they group by; grouping by
  several sets of keys, by (some of) what is in all of them.
- What a semi or anti join looks into may be made distinct in any share.
- The first rows in an order that leaves no choice are the first of the first rows of every share.
- Set operations may run apart when all members are placed by the same columns; UNION ALL always.
Whatever cannot be placed as it stands becomes a stage of its own, whose rows are exchanged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import duckdb

from raymesh.engines.kernel.sqltext import quote
from raymesh.engines.ray import syntax
from raymesh.engines.ray.choosing import block_draft, opaque_draft, stage
from raymesh.engines.ray.drafts import (
    Around,
    Draft,
    Placed,
    Reading,
    Size,
    Terms,
    block_tree,
    moved,
    plain_tree,
    pruned,
    width,
)
from raymesh.engines.ray.joining import both, join_placed
from raymesh.engines.ray.preaggregate import in_two_steps
from raymesh.engines.ray.relations import (
    Aliases,
    Base,
    Block,
    Column,
    Derived,
    Join,
    Key,
    Opaque,
    Query,
    Ref,
    Source,
    Union,
    family,
    leaves,
    member_of,
    wanted,
)
from raymesh.engines.ray.sharing import (
    Facts,
    applicable,
    passed,
)
from raymesh.engines.ray.syntax import Tree
from raymesh.engines.ray.uniting import union_draft, union_placed

_EXCHANGED = 3.0  # written, moved and read, against read once
_AGGREGATED = 0.3
_FILTERED = 0.6


@dataclass(slots=True)
class Placer:
    """Places the queries of one statement. `con` knows a table for every alias, with its columns' types."""

    con: duckdb.DuckDBPyConnection
    made: Aliases
    terms: Terms
    types: dict[Ref, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    drafts: dict[int, tuple[Query, Draft]] = field(default_factory=dict)
    steps: dict[int, tuple[Block, list[Block]]] = field(default_factory=dict)
    singles: dict[int, tuple[Block, Block]] = field(default_factory=dict)
    fewer: dict[tuple[int, frozenset[str]], tuple[Derived, Derived]] = field(default_factory=dict)

    @property
    def facts(self) -> Facts:
        return Facts(self.types)

    def learn(self, source: Source, asides: Sequence[Derived] = ()) -> None:
        """Make the tables of a source known to `con`, so that types can be asked."""
        for leaf in (*leaves(source), *asides):
            if leaf.alias in self.known:
                continue
            if isinstance(leaf, Derived) and isinstance(leaf.query, Block):
                self.learn(leaf.query.source)
            self.known.add(leaf.alias)
            columns = ", ".join(f"{quote(c.name)} {c.type}" for c in leaf.columns)
            self.con.execute(f'CREATE TEMP TABLE "{leaf.alias}" ({columns})')
            self.types |= {(leaf.alias, c.name): c.type for c in leaf.columns}

    def types_of(self, block: Block, expressions: Sequence[Tree]) -> tuple[str, ...]:
        """The types of expressions over the tables of a block."""
        keys = [json.dumps(syntax.nameless(e)) for e in expressions]  # aliases mean one table everywhere
        asked = {k: e for k, e in zip(keys, expressions, strict=True) if k not in self.asked}
        if asked:
            chosen = [syntax.nameless(e) for e in asked.values()]
            node = syntax.select(chosen, plain_tree(block.source))
            types = self.con.sql(syntax.render(self.con, node)).types
            self.asked |= {k: str(t) for k, t in zip(asked, types, strict=True)}
        return tuple(self.asked[k] for k in keys)

    # stages

    def draft(self, query: Query) -> Draft:
        """The cheapest stage that makes the rows of a query."""
        if id(query) in self.drafts:
            return self.drafts[id(query)][1]
        if isinstance(query, Opaque):
            made = opaque_draft(self, query)
        else:
            made = union_draft(self, query) if isinstance(query, Union) else block_draft(self, query)
        self.drafts[id(query)] = query, made  # the query is kept, so that nobody else gets its id
        return made

    def pruned(self, derived: Derived, names: set[str]) -> Derived:
        """The derived table with fewer columns, the same one each time."""
        at = id(derived), frozenset(names)
        if at not in self.fewer:
            self.fewer[at] = derived, pruned(derived, names)
        return self.fewer[at][1]

    def forms(self, block: Block) -> list[Block]:
        """A block as it stands, and in two steps: combining states, and grouping rows that only passed through."""
        self.learn(block.source, block.asides)
        if not block.aggregated or block.partial:
            return [block]
        if id(block) not in self.steps:
            two = (
                in_two_steps(block, self.made, self.types_of, partial=partial) for partial in (True, False)
            )
            self.steps[id(block)] = block, [block, *(other for other in two if other is not None)]
            for form in self.steps[id(block)][1]:
                self.learn(form.source)
        return self.steps[id(block)][1]

    # blocks

    def block(self, block: Block, key: Key | None) -> Placed | None:
        """A block with the rows of its tables placed by `key`, or dealt out in any way without one."""
        self.learn(block.source, block.asides)
        if not (self._apart(block, key) and all(self.small(a) for a in block.asides)):
            return None
        around = Around(block, frozenset(wanted(block)), block.where)
        placed = self.source(block.source, key, around)
        return None if placed is None else self._with_asides(block, placed)

    def _apart(self, block: Block, key: Key | None) -> bool:
        """Whether the block gives its rows when computed apart of rows placed by `key`."""
        grouped = [[member_of(p) for p in w["partitions"]] for w in block.windows()]
        if block.aggregated and not block.partial:
            grouped.append([member_of(k) for k in block.common])
        if block.distinct and not block.partial:
            grouped.append([member_of(syntax.nameless(c)) for c in block.chosen])
        if block.sets:  # the other keys are NULL in some of its rows, whatever they were before
            common = [member_of(k) for k in block.common]
            grouped = [[g for g in by if g in common] for by in grouped]
            if any(member_of(k) in (key or ()) for k in block.keys if member_of(k) not in common):
                return False
        if block.top is not None and not block.partial:
            return False
        if not grouped:
            return True
        if key is None:
            return False
        return all(self.facts.within(m, [g for g in by if g], block) for by in grouped for m in key)

    def _with_asides(self, block: Block, placed: Placed) -> Placed:
        reads, cost = list(placed.reads), placed.cost
        for aside in block.asides:
            draft, size = self.draft(aside.query), self._aside(aside)
            reads.append(Reading(aside.alias, "whole", aside.columns, size, draft=draft))
            cost += draft.cost + size.bytes * 2
        fewer = block.aggregated or (block.distinct and block.partial)
        share = (_FILTERED if block.where else 1.0) * (_AGGREGATED if fewer else 1.0)
        rows = 1 if block.aggregated and not block.keys else placed.size.rows * share
        if block.top is not None:
            rows = min(rows, float(block.top.count * (self.terms.parallel if block.partial else 1)))
        size = Size(rows, width(block.columns))
        return Placed(block_tree(block, placed), tuple(reads), cost, size)

    def _aside(self, aside: Derived) -> Size:
        size = self.draft(aside.query).size
        return Size(1, size.width) if aside.single else size

    def small(self, aside: Derived) -> bool:
        """Whether the answer of a subquery may be given whole to every task."""
        return aside.single or self._aside(aside).bytes <= self.terms.whole_bytes

    def whole_block(self, block: Block) -> Placed:
        self.learn(block.source, block.asides)
        around = Around(block, frozenset(wanted(block)), block.where)
        return self._with_asides(block, self.all_of(block.source, around))

    def query(self, query: Query, names: tuple[str, ...] | None) -> Placed | None:
        """A query placed by its own columns `names`, inside the stage that reads it."""
        if query.shared or isinstance(query, Opaque):
            return None
        if isinstance(query, Union):
            return union_placed(self, query, names)
        if names is None:
            return self.block(query, None)
        found = [self._by_names(form, names) for form in self.forms(query)]
        return min((p for p in found if p is not None), key=lambda p: p.cost, default=None)

    def _by_names(self, block: Block, names: tuple[str, ...]) -> Placed | None:
        chosen = dict(zip(block.names, block.chosen, strict=True))
        members = [member_of(syntax.nameless(chosen[n])) for n in names]
        key = tuple(m for m in members if m is not None)
        return self.block(block, key) if len(key) == len(names) else None

    # what stands after FROM

    def source(self, source: Source, key: Key | None, around: Around) -> Placed | None:
        """Tables placed by `key`; None when they cannot be."""
        if isinstance(source, Join):
            return join_placed(self, source, key, around)
        if key is not None and any(m[0][0] != source.alias or len(m) != 1 for m in key):
            return None
        names = None if key is None else tuple(m[0][1] for m in key)
        if isinstance(source, Base):
            return (
                self._files(source, around) if names is None else self._exchanged_base(source, names, around)
            )
        return self._derived(source, names, around)

    def _files(self, base: Base, around: Around) -> Placed:
        columns, size = self._needed(base, around)
        read = Reading(base.alias, "files", columns, size, input=base.input)
        return Placed(syntax.table(base.alias), (read,), size.bytes / self.terms.parallel, size)

    def _needed(self, leaf: Base | Derived, around: Around) -> tuple[tuple[Column, ...], Size]:
        """The columns of a table that the block around looks at, and how much they are."""
        names = {name for alias, name in around.needs if alias == leaf.alias}
        columns = tuple(c for c in leaf.columns if c.name in names) or leaf.columns[:1]
        rows = self.terms.sizes.get(leaf.input, (0, 0))[0] if isinstance(leaf, Base) else 0
        return columns, Size(rows, width(columns))

    def _exchanged_base(self, base: Base, names: tuple[str, ...], around: Around) -> Placed:
        """The columns needed of the rows that pass, read by files and dealt out by the hash of `names`."""
        columns, _ = self._needed(base, around)
        inner = Base(self.made.fresh(), base.input, base.columns)
        here = {(base.alias, c.name): (inner.alias, c.name) for c in base.columns}
        terms = [moved(t, here) for t in applicable(around.terms, {base.alias})]
        kept = tuple(Column(n, next(c.type for c in base.columns if c.name == n)) for n in names)
        columns = tuple(dict.fromkeys((*columns, *kept)))
        chosen = tuple({**syntax.column(inner.alias, c.name), "alias": c.name} for c in columns)
        block = Block(inner, tuple(c.name for c in columns), chosen, columns, tuple(terms))
        block = _once(block) if around.once else block
        around = Around(block, frozenset(wanted(block)), block.where)
        self.learn(inner)
        draft = stage(block, self._with_asides(block, self._files(inner, around)), None)
        return self.exchange(base.alias, draft, names, columns)

    def exchange(
        self, alias: str, draft: Draft, names: tuple[str, ...], columns: tuple[Column, ...]
    ) -> Placed:
        size = Size(draft.size.rows, width(columns))
        read = Reading(alias, "exchange", columns, size, draft=draft, key=names)
        return Placed(
            syntax.table(alias), (read,), draft.cost + size.bytes * _EXCHANGED / self.terms.parallel, size
        )

    def _derived(self, derived: Derived, names: tuple[str, ...] | None, around: Around) -> Placed | None:
        needed = {name for alias, name in around.needs if alias == derived.alias} | set(names or ())
        made = self.pruned(derived, needed)
        found: list[Placed] = []
        inside = self.query(made.query, names)
        if inside is not None:
            found.append(inside.changed(syntax.subquery(inside.tree, derived.alias)))
        columns = tuple(c for c in made.columns if c.name in needed) or made.columns[:1]
        if names is not None:
            if all(family(c.type) for c in columns if c.name in names):
                draft = self.draft(self.once(made.query) if around.once else made.query)
                found.append(self.exchange(derived.alias, draft, names, columns))
        else:
            draft = self.draft(made.query)
            size = Size(draft.size.rows, width(columns))
            read = Reading(derived.alias, "files", columns, size, draft=draft)
            found.append(
                Placed(
                    syntax.table(derived.alias), (read,), draft.cost + size.bytes / self.terms.parallel, size
                )
            )
        return min(found, key=lambda p: p.cost, default=None)

    def once(self, query: Query) -> Query:
        """The query with equal rows of every share once, the same one each time."""
        if not isinstance(query, Block):
            return query
        if id(query) not in self.singles:
            self.singles[id(query)] = query, _once(query)
        return self.singles[id(query)][1]

    def whole(self, source: Source, around: Around) -> Placed | None:
        """Tables that every task gets whole; None when one of them is too large for that."""
        placed = self.all_of(source, around)
        return placed if all(r.size.bytes <= self.terms.whole_bytes for r in placed.reads) else None

    def all_of(self, source: Source, around: Around) -> Placed:
        """Tables read whole, however large."""
        if isinstance(source, Join):
            left_terms, right_terms = passed(source, around.terms)
            first = self.all_of(source.left, around.under(left_terms))
            return both(source, first, self.all_of(source.right, around.under(right_terms)))
        columns, size = self._needed(source, around)
        if isinstance(source, Base):
            read = Reading(source.alias, "whole", columns, size, input=source.input)
            return Placed(syntax.table(source.alias), (read,), size.bytes, size)
        query = self.pruned(source, {c.name for c in columns}).query
        if isinstance(query, Block) and _is_share(query):
            inside = self.whole_block(query)
            return inside.changed(syntax.subquery(inside.tree, source.alias))
        draft = self.draft(query)
        size = Size(draft.size.rows, width(columns))
        read = Reading(source.alias, "whole", columns, size, draft=draft)
        return Placed(syntax.table(source.alias), (read,), draft.cost + size.bytes * 2, size)


def _once(block: Block) -> Block:
    """The block with equal rows of every share once; as it is where equal values are not the same."""
    whole = block.aggregated or block.distinct or block.shared or block.top is not None
    if whole or any(family(c.type) in ("", "float") for c in block.columns):
        return block
    return replace(block, distinct=True, partial=True)


def _is_share(block: Block) -> bool:
    """Whether a block only filters and projects one input, which costs less to repeat than to keep."""
    plain = not (block.aggregated or block.distinct or block.asides or block.shared or any(block.windows()))
    plain = plain and block.top is None
    return plain and isinstance(block.source, Base)
