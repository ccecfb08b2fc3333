"""Subqueries that look at rows around them, as joins: EXISTS and IN as semi joins, NOT EXISTS and NOT IN as anti
joins, a value computed of the rows that share a key as a left join with groups.

Only where that is the same for every row, NULL included. What is not understood stays a subquery: one that stands
alone is given to every task, any other keeps the query around it in one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raymesh.engines.ray import syntax
from raymesh.engines.ray.expressions import Names, Unproven, Visible
from raymesh.engines.ray.functions import AGGREGATES
from raymesh.engines.ray.relations import Derived, Join, family

if TYPE_CHECKING:
    from raymesh.engines.ray.relations import Source
    from raymesh.engines.ray.syntax import Tree

_COUNTS = ("count", "count_star")
_NOTHING_OF_NOTHING = ("sum", "min", "max", "avg", "mean", "bool_and", "bool_or", "median")
"""Aggregates whose value of no rows is 0, and NULL."""
_OF_OTHERS = ("WINDOW", "SUBQUERY")
"""Expressions whose value other rows decide."""
_EQUAL = ("COMPARE_EQUAL", "COMPARE_NOT_DISTINCT_FROM")


def filtered(source: Source, where: Tree | None, names: Names) -> tuple[Source, list[Tree]]:
    """The source joined with what EXISTS and IN conditions look into, and the other conditions, resolved."""
    kept = []
    for term in syntax.conjuncts(where):
        met = _membership(term, names)
        if met is None:
            kept.append(names.resolved(term))
        else:
            source = Join(source, *met)
    return source, kept


def _membership(term: Tree, names: Names) -> tuple[Derived, str, tuple[Tree, ...]] | None:
    """What a condition `[NOT] EXISTS (…)` or `column [NOT] IN (…)` joins: with what, how, on what."""
    negated = term["type"] == "OPERATOR_NOT"
    asked = term["children"][0] if negated else term
    kind = "ANTI" if negated else "SEMI"
    if asked["class"] != "SUBQUERY":
        return None
    if asked["subquery_type"] == "EXISTS":
        inner = _inner(asked, names)
        if inner is None or not inner.crossing or not _is_plain(inner.node):
            return None
        if any(e["class"] not in ("STAR", "CONSTANT", "COLUMN_REF") for e in inner.node["select_list"]):
            return None
        found = inner.derived([])
        return found, kind, inner.conditions(found)
    if (asked["subquery_type"], asked["comparison_type"]) == ("ANY", "COMPARE_EQUAL"):
        return _contained(asked, kind, names)
    return None


def _contained(asked: Tree, kind: str, names: Names) -> tuple[Derived, str, tuple[Tree, ...]] | None:
    """As _membership, for IN. NULL on either side keeps a row out of NOT IN, unless nothing is compared."""
    if asked["child"]["class"] != "COLUMN_REF":
        return None
    mine = names.resolved(asked["child"])
    inner = _inner(asked, names)
    if inner is not None and inner.crossing:
        (item, *more) = inner.node["select_list"]
        if more or not _is_plain(inner.node) or not inner.is_local(item) or _combines(item):
            return None
        found = inner.derived([item])
        on = inner.conditions(found)
    elif kind == "SEMI":
        query = names.resolver.query(asked["subquery"]["node"], names.env)
        found, on = Derived(names.resolver.made.fresh(), query), ()
    else:  # without a key to join by, one database is faster with the whole answer
        return None
    theirs = found.columns[0]
    if not _alike(names.type_of(syntax.reference(mine)), theirs.type):
        return None
    same = syntax.equality(syntax.nameless(mine), syntax.column(found.alias, theirs.name))
    if kind == "ANTI":
        same = syntax.comparison("DISTINCT_FROM", same, syntax.false())
    return found, kind, (same, *on)


def value(expression: Tree, names: Names) -> Tree | None:
    """A scalar subquery over the rows that share a key with the row around, as an expression over a lookup that is
    added to `names`. None when it is no such subquery."""
    inner = _inner(expression, names)
    if inner is None or not inner.crossing or not _is_plain(inner.node) or inner.node["modifiers"]:
        return None
    (item, *more) = inner.node["select_list"]
    aggregates = list(_aggregates(item))
    mine = [key for term in inner.crossing if (key := inner.key(term)) is not None]
    if more or not aggregates or len(mine) < len(inner.crossing):
        return None
    if any(p["class"] in _OF_OTHERS for p in syntax.walk(item)) or not all(map(inner.is_known, aggregates)):
        return None
    found = inner.derived([*aggregates, *(local for local, _ in mine)], groups=[local for local, _ in mine])
    kinds = [c.type for c in found.columns[len(aggregates) :]]
    outer = [names.type_of(syntax.reference(names.resolved(other))) for _, other in mine]
    if not all(_alike(a, b) for a, b in zip(kinds, outer, strict=True)):
        return None

    def read(part: Tree) -> Tree | None:
        at = next((i for i, a in enumerate(aggregates) if syntax.same(a, part)), None)
        if at is None:
            return None
        column = syntax.column(found.alias, found.columns[at].name)
        none = syntax.cast(syntax.number(0), "BIGINT")
        return syntax.coalesced(column, none) if _name(part) in _COUNTS else column

    (made,) = inner.resolved([syntax.mapped(item, read)], found)
    names.lookups.append((found, inner.conditions(found)))
    return {**made, "alias": expression["alias"]}


@dataclass(slots=True)
class _Inner:
    """A SELECT inside another: what it sees, and its conditions: `local` ones and those that look outside too."""

    node: Tree
    outer: Names
    seen: Names
    local: list[Tree] = field(default_factory=list)
    crossing: list[Tree] = field(default_factory=list)
    shown: list[Tree] = field(default_factory=list)

    def is_local(self, expression: Tree) -> bool:
        return all(self.seen.sees(path) for path in _paths(expression))

    def is_known(self, aggregate: Tree) -> bool:
        """Whether an aggregate is one of its own rows, whose value of no rows is known."""
        return _name(aggregate) in (*_COUNTS, *_NOTHING_OF_NOTHING) and self.is_local(aggregate)

    def key(self, term: Tree) -> tuple[Tree, Tree] | None:
        """(inner expression, outer column) that the term says are equal."""
        if term["type"] in _EQUAL:
            for mine, other in ((term["left"], term["right"]), (term["right"], term["left"])):
                if other["class"] == "COLUMN_REF" and not self.is_local(other) and self._stands(mine):
                    return mine, other
        return None

    def _stands(self, expression: Tree) -> bool:
        return bool(list(_paths(expression))) and self.is_local(expression) and not _combines(expression)

    def derived(self, items: list[Tree], groups: list[Tree] | None = None) -> Derived:
        """The rows of the inner SELECT without the conditions that look outside: `items`, then what those look at.

        With `groups` the items are computed per group of these, and the conditions look at nothing else.
        """
        resolver = self.outer.resolver
        alias = resolver.made.fresh()
        looked = (
            part for term in self.crossing for part in syntax.walk(term) if part["class"] == "COLUMN_REF"
        )
        self.shown = list(items)
        for part in looked if groups is None else ():
            if self.seen.sees(part["column_names"]) and not any(syntax.same(part, s) for s in self.shown):
                self.shown.append(part)
        shown = self.shown or [syntax.number(1)]
        chosen = [{**item, "alias": f"{alias}_{at}"} for at, item in enumerate(shown)]
        node = {**self.node, "select_list": chosen, "modifiers": []}
        node["where_clause"] = syntax.conjunction(self.local)
        if groups is not None:
            node |= {"group_expressions": groups, "group_sets": [list(range(len(groups)))]}
        return Derived(alias, resolver.query(node, self.outer.env))

    def conditions(self, found: Derived) -> tuple[Tree, ...]:
        """The conditions that look outside, over the derived table."""

        def read(part: Tree) -> Tree | None:
            at = next((i for i, item in enumerate(self.shown) if syntax.same(item, part)), None)
            return None if at is None else syntax.column(found.alias, found.columns[at].name)

        return self.resolved([syntax.mapped(term, read) for term in self.crossing], found)

    def resolved(self, expressions: list[Tree], found: Derived) -> tuple[Tree, ...]:
        """Expressions over the row around and the derived table. Raises Unproven when one holds a subquery."""
        names = Names(self.outer.resolver, self.outer.env)
        names.visible = [*self.outer.visible, Visible(found.alias, "", found.alias, found.columns)]
        names.merged, names.clashing = dict(self.outer.merged), set(self.outer.clashing)
        made = tuple(names.resolved(e) for e in expressions)
        if names.asides or names.lookups or names.aggregates:
            raise Unproven("a subquery looks at rows around it beside another subquery")
        return made


def _inner(expression: Tree, outer: Names) -> _Inner | None:
    """The SELECT of a subquery told apart from what is around it; None when it is not understood."""
    node = expression["subquery"]["node"]
    if node["type"] != "SELECT_NODE":
        return None
    try:
        env = outer.resolver.with_ctes(node, outer.env)
        seen = Names(outer.resolver, env)
        outer.resolver.source(node["from_table"], env, seen)
        made = _Inner(node, outer, seen)
        called = {e.get("alias", "").casefold() for e in node["select_list"]}
        for item in node["select_list"]:
            list(syntax.walk(item))
        for term in syntax.conjuncts(node["where_clause"]):
            if made.is_local(term):
                made.local.append(term)
            elif any(path[0].casefold() in called for path in _paths(term) if not seen.sees(path)):
                return None  # a column of its own, or of the row around
            else:
                made.crossing.append(term)
    except (Unproven, KeyError):  # it may still stand alone
        return None
    return made


def _is_plain(node: Tree) -> bool:
    """Whether a SELECT has a row for every row that its conditions let through, or several equal ones fewer."""
    grouped = node["group_expressions"] or node["group_sets"] or node["having"] or node["qualify"]
    modified = any(
        m["type"] not in ("ORDER_MODIFIER", "DISTINCT_MODIFIER") or m.get("distinct_on_targets")
        for m in node["modifiers"]
    )
    return not (grouped or modified or node["sample"]) and node["aggregate_handling"] == "STANDARD_HANDLING"


def _paths(expression: Tree) -> Iterator[list[str]]:
    yield from (p["column_names"] for p in syntax.walk(expression) if p["class"] == "COLUMN_REF")


def _name(part: Tree) -> str:
    return str(part.get("function_name", "")).casefold() if part["class"] == "FUNCTION" else ""


def _aggregates(expression: Tree) -> Iterator[Tree]:
    """The outermost aggregates."""
    if _name(expression) in AGGREGATES:
        yield expression
    else:
        for child in syntax.children(expression):
            yield from _aggregates(child)


def _combines(expression: Tree) -> bool:
    """Whether an expression looks at more than one row."""
    parts = list(syntax.walk(expression))
    return any(p["class"] in (*_OF_OTHERS, "STAR") or _name(p) in AGGREGATES for p in parts)


def _alike(first: str | None, second: str | None) -> bool:
    """Whether values of two types are equal exactly when they are the same value."""
    return (
        first is not None
        and second is not None
        and (first == second or family(first) == family(second) != "")
    )
