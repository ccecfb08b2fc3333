"""Joins apart: both sides placed by what they join by, or one side given whole to every task."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from raymesh.engines.ray import syntax
from raymesh.engines.ray.drafts import Placed, join_tree, joined
from raymesh.engines.ray.relations import Block, Column, Derived, aliases, joins
from raymesh.engines.ray.sharing import applicable, passed, placed_in, side_keys, whole_allowed
from raymesh.engines.ray.syntax import references

if TYPE_CHECKING:
    from raymesh.engines.ray.drafts import Around
    from raymesh.engines.ray.placing import Placer
    from raymesh.engines.ray.relations import Join, Key, Source


def join_placed(placer: Placer, join: Join, key: Key | None, around: Around) -> Placed | None:
    left_terms, right_terms = passed(join, around.terms)
    left, right = around.under(left_terms), around.under(right_terms)
    right = replace(right, once=around.once or join.kind in ("SEMI", "ANTI"))
    left_whole, right_whole = whole_allowed(join.kind)
    found: list[Placed] = []

    def offer(first: Placed | None, second: Placed | None) -> None:
        if first is not None and second is not None:
            found.append(both(join, first, second))

    if key is None:
        if right_whole and (second := placer.whole(join.right, right)) is not None:
            offer(placer.source(join.left, None, left), second)
        if left_whole and (first := placer.whole(join.left, left)) is not None:
            offer(first, placer.source(join.right, None, right))
    else:
        lefts, rights = side_keys(placer.facts, join, key, around.terms)
        if lefts is not None and rights is not None:
            offer(placer.source(join.left, lefts, left), placer.source(join.right, rights, right))
        if lefts is not None and right_whole and _all_in(key, join.left):
            offer(placer.source(join.left, lefts, left), placer.whole(join.right, right))
        if rights is not None and left_whole and _all_in(key, join.right):
            offer(placer.whole(join.left, left), placer.source(join.right, rights, right))
        if join is not around.block.source and (apart := _cut(placer, join, key, around)) is not None:
            found.append(apart)
    return min(found, key=lambda p: p.cost, default=None)


def _cut(placer: Placer, join: Join, key: Key, around: Around) -> Placed | None:
    """A joined part as a stage of its own, exchanged by `key`: for when the rest joins by something else."""
    inside = aliases(join)
    if not all(len(m) == 1 and m[0][0] in inside for m in key):
        return None
    seen = {ref for e in around.block.expressions() for ref in references(e)}
    below = {id(j) for j in joins(join)}
    for other in joins(around.block.source):
        if id(other) not in below:
            seen |= {ref for term in other.on for ref in references(term)}
    refs = sorted({r for r in seen if r[0] in inside} | {m[0] for m in key})
    alias = placer.made.fresh()
    columns = tuple(Column(f"c{i}", placer.types[ref]) for i, ref in enumerate(refs))
    chosen = tuple({**syntax.column(*r), "alias": c.name} for r, c in zip(refs, columns, strict=True))
    terms = tuple(applicable(around.terms, inside))
    block = Block(join, tuple(c.name for c in columns), chosen, columns, terms)
    placer.learn(Derived(alias, block))
    names = {ref: (alias, c.name) for ref, c in zip(refs, columns, strict=True)}
    draft = placer.draft(block)
    placed = placer.exchange(alias, draft, tuple(names[m[0]][1] for m in key), columns)
    return replace(placed, moved=names)


def both(join: Join, left: Placed, right: Placed) -> Placed:
    """A join of two placed sides."""
    return Placed(
        join_tree(join, left, right),
        (*left.reads, *right.reads),
        left.cost + right.cost,
        joined(join.kind, left.size, right.size),
        {**left.moved, **right.moved},
    )


def _all_in(key: Key, source: Source) -> bool:
    here = aliases(source)
    return all(placed_in(m, here) for m in key)
