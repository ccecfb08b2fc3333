"""ORDER BY … LIMIT in two steps: every share of the rows keeps its first ones, then the first of those are taken.

Only where the order leaves no choice, so that one database could not take other rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raymesh.engines.ray import syntax
from raymesh.engines.ray.expressions import Unproven
from raymesh.engines.ray.relations import Aliases, Block, Derived, Top, family

if TYPE_CHECKING:
    from raymesh.engines.ray.syntax import Tree

_MOST = 100_000
"""More rows than this from every task are no fewer rows worth speaking of."""


def limit_of(node: Tree) -> tuple[list[Tree], int, int]:
    """(orders, count, offset) of a SELECT with ORDER BY and LIMIT. Raises Unproven for every other form."""
    kept = [m for m in node["modifiers"] if m["type"] != "DISTINCT_MODIFIER"]
    if [m["type"] for m in kept] != ["ORDER_MODIFIER", "LIMIT_MODIFIER"]:
        raise Unproven("it takes a limited number of rows")
    order, limit = kept
    count, offset = _whole(limit["limit"]), 0 if limit["offset"] is None else _whole(limit["offset"])
    if count is None or offset is None or count + offset > _MOST:
        raise Unproven("it takes a number of rows that is computed, or very many")
    return order["orders"], count, offset


def unlimited(node: Tree) -> Tree:
    """The same SELECT with all its rows."""
    return {**node, "modifiers": [m for m in node["modifiers"] if m["type"] == "DISTINCT_MODIFIER"]}


def first_rows(block: Block, limit: tuple[list[Tree], int, int], made: Aliases) -> Block:
    """The first rows of `block`. Raises Unproven when the order leaves a choice, or is not one of its columns."""
    orders, count, offset = limit
    at = [_position(o["expression"], block) for o in orders]
    if not _decides(at, block):
        raise Unproven("it takes some of several rows that come first alike")
    told = tuple({**o, "expression": syntax.number(i + 1)} for o, i in zip(orders, at, strict=True))
    lower = _over(block, made, Top(told, count + offset), partial=True)
    return _over(lower, made, Top(told, count, offset), partial=False)


def _over(block: Block, made: Aliases, top: Top, *, partial: bool) -> Block:
    source = Derived(made.fresh(), block)
    chosen = tuple({**syntax.column(source.alias, c.name), "alias": c.name} for c in block.columns)
    return Block(source, block.names, chosen, block.columns, partial=partial, top=top)


def _whole(expression: Tree | None) -> int | None:
    if expression is None or expression["class"] != "CONSTANT":
        return None
    literal = expression.get("literal") or {}
    return int(literal["text"]) if literal.get("kind") == "INTEGER" else None


def _position(expression: Tree, block: Block) -> int:
    """Which column of the block is meant: by its number, or by a name that only it has."""
    number = _whole(expression)
    if number is not None and 1 <= number <= len(block.names):
        return number - 1
    path = expression.get("column_names", ())
    names = [n.casefold() for n in block.names]
    if expression["class"] == "COLUMN_REF" and len(path) == 1 and names.count(path[0].casefold()) == 1:
        return names.index(path[0].casefold())
    raise Unproven("it is ordered by something that is not one of its columns")


def _decides(at: list[int], block: Block) -> bool:
    """Whether rows that the order takes for equal are equal altogether, to the last bit."""
    if any(family(block.columns[i].type) in ("", "float") for i in at):
        return False
    if set(at) == set(range(len(block.columns))):
        return True
    ordered = [block.chosen[i] for i in at]
    grouped = block.aggregated and bool(block.keys) and not (block.distinct or block.sets)
    return grouped and all(any(syntax.same(k, e) for e in ordered) for k in block.keys)
