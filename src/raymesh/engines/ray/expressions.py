"""The names one SELECT can see, and its expressions with every name resolved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raymesh.engines.ray import syntax
from raymesh.engines.ray.functions import AGGREGATES, FRAMES, RANKS, SCALARS, VOLATILE, WINDOWS
from raymesh.engines.ray.relations import Derived

if TYPE_CHECKING:
    from raymesh.engines.ray.names import Env, Resolver
    from raymesh.engines.ray.relations import Column
    from raymesh.engines.ray.syntax import Tree


class Unproven(Exception):  # noqa: N818 - an answer, not an error
    """Why a query cannot be taken apart; said of the innermost query that can stand on its own."""


class WholeOnly(Exception):  # noqa: N818 - an answer, not an error
    """Why the whole statement has to run in one task."""


@dataclass(frozen=True, slots=True)
class Visible:
    """A table a SELECT can name: as `name` (or `schema.name`), with `columns`, under our `alias`."""

    name: str
    schema: str
    alias: str
    columns: tuple[Column, ...]

    def find(self, name: str) -> str | None:
        """The column as it is spelled."""
        return next((c.name for c in self.columns if c.name.casefold() == name.casefold()), None)


@dataclass(slots=True)
class Names:
    """What can be seen at one place. Resolving collects the subqueries met: `asides` that look at nothing outside
    and `lookups` that are joined by what they look at; and whether aggregates were met."""

    resolver: Resolver
    env: Env
    visible: list[Visible] = field(default_factory=list)
    merged: dict[str, Tree] = field(default_factory=dict)
    clashing: set[str] = field(default_factory=set)
    called: dict[str, Tree] = field(default_factory=dict)
    stars: list[tuple[str, Tree]] = field(default_factory=list)
    asides: list[Derived] = field(default_factory=list)
    lookups: list[tuple[Derived, tuple[Tree, ...]]] = field(default_factory=list)
    aggregates: bool = False
    strict: bool = False
    """Whether a name that is a column and an alias at once is refused: where DuckDB's choice depends on the place."""

    def see(self, table: Visible) -> None:
        self.visible.append(table)
        self.stars += [(c.name, syntax.column(table.alias, c.name)) for c in table.columns]

    def join(self, left: Names, right: Names, kind: str, using: list[str]) -> list[Tree]:
        """See what a join shows; returns the conditions that USING stands for."""
        conditions = []
        shown = dict(left.merged)
        stars = list(left.stars)
        for name in using:
            key = name.casefold()
            mine, other = left.resolved(_unqualified(name)), right.resolved(_unqualified(name))
            conditions.append(syntax.equality(mine, other))
            shown[key] = {"RIGHT": other, "FULL": syntax.coalesced(mine, other)}.get(kind, mine)
            stars = [(n, shown[key] if n.casefold() == key else e) for n, e in stars]
        used = {n.casefold() for n in using}
        self.visible += left.visible
        if kind not in ("SEMI", "ANTI"):
            self.visible += right.visible
            self.clashing |= left.merged.keys() & right.merged.keys() - used
            shown = {**right.merged, **shown}
            stars += [(n, e) for n, e in right.stars if n.casefold() not in used]
        self.merged, self.stars = shown, stars
        return conditions

    # the select list and what may refer to it

    def chosen(self, items: list[Tree]) -> list[Tree]:
        """The columns of a SELECT, stars written out."""
        found: list[Tree] = []
        for item in items:
            if item["class"] == "STAR":
                found += self.starred(item)
                continue
            made = self.resolved(item)
            if item.get("alias"):
                self.called.setdefault(item["alias"].casefold(), made)
            found.append(made)
        return found

    def starred(self, item: Tree) -> list[Tree]:
        if any(
            item.get(f) for f in ("replace_list", "columns", "expr", "qualified_exclude_list", "rename_list")
        ):
            raise Unproven("a star computes columns")
        left_out = {n.casefold() for n in item["exclude_list"]}
        pairs = self.stars
        if item["relation_name"]:
            table = self._table(item["relation_name"])
            if table is None:
                raise Unproven("a star of an unknown table")
            pairs = [(c.name, syntax.column(table.alias, c.name)) for c in table.columns]
        return [e for n, e in pairs if n.casefold() not in left_out]

    def keys(self, node: Tree, chosen: list[Tree]) -> tuple[tuple[Tree, ...], tuple[tuple[int, ...], ...]]:
        """What a SELECT groups by, and the sets of it when there are several (as `Block.sets`)."""
        sets, said = node["group_sets"], node["group_expressions"]
        if node["aggregate_handling"] == "FORCE_AGGREGATES":
            plain = [e for e in chosen if not any(_is_aggregate(p) for p in syntax.walk(e))]
            if any(p["class"] in ("WINDOW", "SUBQUERY") for e in plain for p in syntax.walk(e)):
                raise Unproven("GROUP BY ALL over windows or subqueries")
            return tuple(syntax.nameless(e) for e in plain), ()
        found: list[Tree] = []
        places: list[int] = []
        for expression in said:
            made = syntax.nameless(self._key(expression, chosen))
            at = next((i for i, other in enumerate(found) if syntax.same(made, other)), len(found))
            found += [made] if at == len(found) else []
            places.append(at)
        told = tuple(tuple(dict.fromkeys(places[at] for at in one)) for one in sets)
        plain_sets = len(told) < 2 and all(len(one) == len(found) for one in told)
        return tuple(found), () if plain_sets else told

    def _key(self, expression: Tree, chosen: list[Tree]) -> Tree:
        if expression["class"] == "CONSTANT":
            literal = expression["literal"]
            if literal["kind"] == "INTEGER" and 1 <= int(literal["text"]) <= len(chosen):
                return chosen[int(literal["text"]) - 1]
            raise Unproven("it groups by a constant")
        return self.resolved(expression)

    def optional(self, expression: Tree | None) -> Tree | None:
        return None if expression is None else self.resolved(expression)

    # expressions

    def resolved(self, expression: Tree) -> Tree:
        """A copy with every column as (alias, column), aliases of the SELECT replaced by what they stand for."""
        kind = expression["class"]
        if kind == "COLUMN_REF":
            return {**self._column(expression["column_names"]), "alias": expression["alias"]}
        if kind == "SUBQUERY":
            return self._subquery(expression)
        self._known(expression)
        copied = syntax.shallow(expression)
        for held, key in syntax.parts(copied):
            held[key] = self.resolved(held[key])  # type: ignore[index]
        return copied

    def _known(self, expression: Tree) -> None:
        kind = expression["class"]
        if kind == "FUNCTION":
            self._function(expression)
        elif kind == "WINDOW":
            if expression["function_name"] not in WINDOWS | RANKS | FRAMES or expression["arg_orders"]:
                raise Unproven(
                    f"the window function {expression['function_name']} is not known to work apart"
                )
        elif kind not in ("CONSTANT", "CAST", "BETWEEN", "COMPARISON", "CONJUNCTION", "OPERATOR", "CASE"):
            raise Unproven(f"it holds a {kind.lower()} expression")

    def _function(self, expression: Tree) -> None:
        name = expression["function_name"].casefold()
        if expression["schema"] or expression["catalog"] or expression["export_state"]:
            raise Unproven(f"{name} is called in an unknown way")
        if name in AGGREGATES:
            self.aggregates = True
            if expression["order_bys"]["orders"]:
                raise Unproven(f"{name} depends on the order of rows")
        elif name not in SCALARS or expression["filter"] or expression["distinct"]:
            raise Unproven(f"{name} is not known to work apart")

    def sees(self, path: list[str]) -> bool:
        """Whether a name is a column of the tables that are visible."""
        return bool(self._qualified(path) or self._plain(path))

    def type_of(self, ref: tuple[str, str] | None) -> str | None:
        """The type of a column by (alias, column)."""
        return next((c.type for t in self.visible for c in t.columns if (t.alias, c.name) == ref), None)

    def _subquery(self, expression: Tree) -> Tree:
        """A subquery that looks at nothing outside becomes a table that every task gets whole."""
        kind, node = expression["subquery_type"], expression["subquery"]["node"]
        found = self.resolver.looked_up(expression, self) if kind == "SCALAR" else None
        if found is not None:
            return found
        if kind == "EXISTS":  # a count is one row, however many there are
            some = syntax.comparison("GREATERTHAN", syntax.call("count_star"), syntax.number(0))
            node = syntax.select([some], syntax.subquery(node, self.resolver.made.fresh()))
            expression = {**expression, "subquery_type": "SCALAR"}
        query = self.resolver.query(node, self.env)
        made = Derived(self.resolver.made.fresh(), query, expression["subquery_type"] == "SCALAR")
        self.asides.append(made)
        chosen = [syntax.column(made.alias, c.name) for c in query.columns]
        inner = syntax.select(chosen, syntax.table(made.alias))
        child = expression["child"]
        return {
            **expression,
            "child": None if child is None else self.resolved(child),
            "subquery": {"node": inner, "named_param_map": []},
        }

    def _column(self, path: list[str]) -> Tree:
        readings = [*self._qualified(path), *self._plain(path)]
        called = self.called.get(path[0].casefold())
        doubt = self.strict and len(path) == 1 and called is not None and len(readings) == 1
        if len(readings) > 1 or (doubt and called is not None and not syntax.same(called, readings[0])):
            raise Unproven(f"the name {'.'.join(path)!r} could mean two things")
        if readings:
            return readings[0]
        if called is None or len(path) > 1:
            raise Unproven(f"the name {'.'.join(path)!r} is not of its tables")
        return syntax.shallow(syntax.nameless(called))

    def _qualified(self, path: list[str]) -> list[Tree]:
        found = []
        for table in self.visible:
            for start in (1, 2):
                named = [table.name] if start == 1 else [table.schema, table.name]
                if len(path) <= start or not all(named):
                    continue
                if [p.casefold() for p in path[:start]] != [n.casefold() for n in named]:
                    continue
                spelled = table.find(path[start])
                if spelled is not None:
                    found.append(syntax.column(table.alias, spelled, *path[start + 1 :]))
        return found

    def _plain(self, path: list[str]) -> list[Tree]:
        key = path[0].casefold()
        if key in self.clashing:
            raise Unproven(f"the name {path[0]!r} could mean two things")
        if key in self.merged:
            if len(path) > 1:
                raise Unproven("it looks into a joined column")
            return [syntax.shallow(self.merged[key])]
        spelled = [(t.alias, t.find(path[0])) for t in self.visible]
        return [syntax.column(alias, name, *path[1:]) for alias, name in spelled if name is not None]

    def _table(self, name: str) -> Visible | None:
        found = [t for t in self.visible if t.name.casefold() == name.casefold()]
        return found[0] if len(found) == 1 else None


def _unqualified(name: str) -> Tree:
    return {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "column_names": [name]}


def _is_aggregate(expression: Tree) -> bool:
    return expression["class"] == "FUNCTION" and expression["function_name"].casefold() in AGGREGATES


def check_volatile(tree: Any) -> None:
    """Raise WholeOnly when a function is called anywhere whose value differs from call to call or time to time."""
    if isinstance(tree, list):
        for item in tree:
            check_volatile(item)
    elif isinstance(tree, dict):
        name = tree.get("function_name", "")
        if name and name.casefold() in VOLATILE:
            raise WholeOnly(f"{name}() has another value every time it is called")
        if tree.get("class") == "COLUMN_REF" and tree["column_names"][-1].casefold() in VOLATILE:
            raise WholeOnly(f"{tree['column_names'][-1]} may be the time of the call")
        for item in tree.values():
            check_volatile(item)
