"""GROUP BY with several sets of keys (ROLLUP, CUBE, GROUPING SETS) as one query for every sets that share a key."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from raymesh.engines.ray import syntax
from raymesh.engines.ray.drafts import moved
from raymesh.engines.ray.functions import AGGREGATES
from raymesh.engines.ray.relations import Block, Derived, Union, family, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raymesh.engines.ray.relations import Aliases
    from raymesh.engines.ray.syntax import Tree

Sets = tuple[tuple[int, ...], ...]


def by_sets(block: Block, made: Aliases) -> tuple[Union, Block] | None:
    """The rows of a block with `sets` as those of several blocks, each of sets that share a key, and what all of
    them read: the one derived table of `block`, made once.

    None when all its sets share a key, or when it looks at rows of several sets together.
    """
    whole = block.distinct or block.qualify is not None or block.asides or any(block.windows())
    source = block.source
    groups = list(_alike(block.sets))
    if whole or len(groups) < 2 or not isinstance(source, Derived) or not isinstance(source.query, Block):
        return None
    types = {c.name: c.type for c in source.columns}
    kinds = [types[key["column_names"][1]] for key in block.keys]
    if not all(family(kind) for kind in kinds):
        return None
    shared = replace(source.query, shared=True)
    members = [_member(block, group, kinds, Derived(made.fresh(), shared)) for group in groups]
    return Union("UNION", True, tuple(Derived(made.fresh(), m) for m in members), block.columns), shared


def _alike(sets: Sets) -> Iterator[Sets]:
    """The sets in groups that share a key, as few as it takes; those without any key last."""
    left = list(sets)
    while any(left):
        keys = [key for one in left for key in one]
        most = max(dict.fromkeys(keys), key=keys.count)
        yield tuple(one for one in left if most in one)
        left = [one for one in left if most not in one]
    for one in left:
        yield (one,)


def _member(block: Block, sets: Sets, kinds: list[str], source: Derived) -> Block:
    """The block with some of its sets only, over `source` in place of its own."""
    used = sorted({at for one in sets for at in one})
    names = {ref: (source.alias, ref[1]) for ref in wanted(block)}

    def here(expression: Tree) -> Tree:
        told = syntax.mapped(expression, lambda part: _rolled_up(part, block.keys, used, kinds))
        return {**moved(told, names), "alias": expression.get("alias", "")}

    return replace(
        block,
        source=source,
        chosen=tuple(here(e) for e in block.chosen),
        having=None if block.having is None else here(block.having),
        keys=tuple(moved(block.keys[at], names) for at in used),
        sets=tuple(tuple(used.index(at) for at in one) for one in sets) if len(sets) > 1 else (),
        shared=False,
    )


def _rolled_up(part: Tree, keys: tuple[Tree, ...], used: list[int], kinds: list[str]) -> Tree | None:
    """What stands for a part of an expression where only the keys `used` are grouped by: the others are NULL, and
    GROUPING says 1 for them."""
    if part["class"] == "FUNCTION" and part["function_name"].casefold() in AGGREGATES:
        return part
    at = _place(part, keys)
    if at is not None:
        return part if at in used else syntax.null(kinds[at])
    if part["type"] == "GROUPING_FUNCTION":
        return _grouping(part, keys, used)
    return None


def _grouping(part: Tree, keys: tuple[Tree, ...], used: list[int]) -> Tree:
    """GROUPING(a, b): the bits of the keys that are not grouped by, the last one the lowest."""
    total = syntax.number(0)
    for child in part["children"]:
        here = _place(child, keys) in used
        bit = {**part, "alias": "", "children": [child]} if here else syntax.number(1)
        doubled = syntax.call("*", total, syntax.number(2), operator=True)
        total = syntax.call("+", doubled, bit, operator=True)
    return syntax.cast(total, "BIGINT")


def _place(expression: Tree, keys: tuple[Tree, ...]) -> int | None:
    return next((at for at, key in enumerate(keys) if syntax.same(expression, key)), None)
