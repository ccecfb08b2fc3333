"""A GROUP BY in two steps: each share of the rows aggregates what it has, then the states are combined.

Only where the combined answer is the same to the last bit: counts, sums and averages of whole numbers and
decimals, minima, maxima, and truths. Sums of floating point numbers depend on the order of their rows and are
never cut in pieces; their rows meet in one task per group.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raymesh.engines.ray import syntax
from raymesh.engines.ray.functions import AGGREGATES
from raymesh.engines.ray.relations import Aliases, Block, Column, Derived, family

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from raymesh.engines.ray.syntax import Tree

_WIDE_STATE = 'STRUCT(count UBIGINT, "value" HUGEINT)'
_NARROW_STATE = 'STRUCT(count UBIGINT, "value" BIGINT)'
_NARROW = ("SMALLINT", *(f"DECIMAL({p},{s})" for p in range(1, 5) for s in range(p + 1)))
_SAME_AGAIN = ("min", "max", "bool_and", "bool_or")


class _Indivisible(Exception):  # noqa: N818 - an answer, not an error
    """An aggregate that cannot be combined from parts."""


@dataclass(slots=True)
class _Split:
    """The two steps in the making: what the first one computes, by name."""

    block: Block
    alias: str
    types: Callable[[Block, Sequence[Tree]], tuple[str, ...]]
    partial: bool
    columns: list[Column] = field(default_factory=list)
    chosen: list[Tree] = field(default_factory=list)
    original: list[Tree] = field(default_factory=list)

    def lower(self, expression: Tree, type_: str = "", state: Tree | None = None) -> Tree:
        """The column of the first step that holds the value of `expression` (as `state`)."""
        for column, known in zip(self.columns, self.original, strict=True):
            if syntax.same(known, expression):
                return syntax.column(self.alias, column.name)
        ref = syntax.reference(expression)
        taken = {c.name.casefold() for c in self.columns}
        name = ref[1] if ref and ref[1].casefold() not in taken else f"{self.alias}_{len(self.columns)}"
        kind = type_ or self.types(self.block, [expression])[0]
        self.columns.append(Column(name, kind))
        self.chosen.append({**syntax.shallow(state or expression), "alias": name})
        self.original.append(expression)
        return syntax.column(self.alias, name)

    def upper(self, expression: Tree) -> Tree:
        """The expression of the second step."""
        return {**syntax.mapped(expression, self.changed), "alias": expression.get("alias", "")}

    def changed(self, part: Tree) -> Tree | None:
        if any(syntax.same(part, key) for key in self.block.keys):
            return self.lower(syntax.nameless(part))
        if part["class"] == "FUNCTION" and part["function_name"].casefold() in AGGREGATES and self.partial:
            return self.combined(syntax.nameless(part))
        if part["class"] == "COLUMN_REF":
            if self.partial:
                raise _Indivisible
            path = part["column_names"]
            made = self.lower(syntax.column(*path[:2]))
            return {**made, "column_names": [*made["column_names"], *path[2:]]}
        return None

    def combined(self, aggregate: Tree) -> Tree:
        """What combines the states of one aggregate."""
        name = aggregate["function_name"].casefold()
        kinds = self.types(self.block, [a["expression"] for a in aggregate["arguments"]])
        if aggregate["distinct"] or len(kinds) > 1:
            raise _Indivisible
        if name in ("count", "count_star"):
            total = syntax.call("sum", self.lower(aggregate))
            counted = syntax.cast(total, "BIGINT")
            none = syntax.cast(syntax.number(0), "BIGINT")
            return syntax.coalesced(counted, none) if self.block.of_nothing else counted
        exact = family(kinds[0]) == "exact" and not kinds[0].startswith("U")
        if name == "sum" and exact:
            (kind,) = self.types(self.block, [aggregate])
            return syntax.cast(syntax.call("sum", self.lower(aggregate, kind)), kind)
        if name in _SAME_AGAIN:
            return syntax.call(name, self.lower(aggregate))
        if name in ("avg", "mean") and exact and kinds[0] != "TINYINT":
            state = _NARROW_STATE if kinds[0] in _NARROW else _WIDE_STATE
            kept = self.lower(aggregate, state, {**aggregate, "export_state": True})
            signature = syntax.call("list_value", syntax.text(kinds[0]))
            known = syntax.call("to_aggregate_state", kept, syntax.text("avg"), signature)
            return syntax.call("finalize", syntax.call("combine_aggr", known))
        raise _Indivisible


def in_two_steps(
    block: Block, made: Aliases, types: Callable[[Block, Sequence[Tree]], tuple[str, ...]], *, partial: bool
) -> Block | None:
    """The block as a second step over a first one, which computes states (`partial`) or only passes the rows on
    with the columns needed. None when its aggregates cannot be combined."""
    split = _Split(block, made.fresh(), types, partial)
    try:
        keys = tuple(split.lower(key) for key in block.keys)
        chosen = tuple(split.upper(e) for e in block.chosen)
        having, qualify = (None if e is None else split.upper(e) for e in (block.having, block.qualify))
    except _Indivisible:
        return None
    if not split.columns:  # count(*) over raw rows needs a column to count
        split.lower(syntax.number(1), "INTEGER")
    before = tuple(a for a in block.asides if any(_mentions(t, a.alias) for t in block.where))
    lower = Block(
        block.source,
        tuple(c.name for c in split.columns),
        tuple(split.chosen),
        tuple(split.columns),
        block.where,
        block.keys if partial else (),
        partial,
        asides=before,
        partial=partial,
    )
    after = tuple(a for a in block.asides if a not in before)
    return Block(
        Derived(split.alias, lower),
        block.names,
        chosen,
        block.columns,
        (),
        keys,
        True,
        having,
        qualify,
        block.distinct,
        after,
        shared=block.shared,
        sets=block.sets,
    )


def _mentions(expression: Tree, alias: str) -> bool:
    return json.dumps(alias) in json.dumps(expression)
