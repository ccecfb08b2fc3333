"""From DuckDB's tree of a query to relations: names resolved as DuckDB would, stars and USING written out.

Closed: what is not known here is not guessed. A query that holds such a thing becomes `Opaque` (it runs in one
task) or, when its parts cannot be told apart, raises Unproven and the query around it does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import duckdb

from raymesh.engines.kernel import duck
from raymesh.engines.kernel.inputs import bind_empty
from raymesh.engines.kernel.sqltext import qualified
from raymesh.engines.ray import syntax
from raymesh.engines.ray.correlation import filtered, value
from raymesh.engines.ray.expressions import Names, Unproven, Visible, WholeOnly, check_volatile
from raymesh.engines.ray.limiting import first_rows, limit_of, unlimited
from raymesh.engines.ray.relations import Aliases, Base, Block, Column, Derived, Join, Opaque, Union
from raymesh.engines.ray.sharing import sunk
from raymesh.engines.ray.syntax import Tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raymesh.engines.ray.relations import Query, Source
    from raymesh.spec.types import TableSchema

_KINDS = {"INNER": "INNER", "LEFT": "LEFT", "RIGHT": "RIGHT", "FULL": "FULL", "SEMI": "SEMI", "ANTI": "ANTI"}
_SAFE_TABLES = frozenset(("range", "generate_series"))


@dataclass(slots=True, eq=False)
class Cte:
    """A WITH query: its tree, what was visible before it, and what became of it."""

    name: str
    entry: Tree
    before: Env
    uses: int = 0
    query: Query | None = None


Env = dict[str, Cte]


@dataclass(slots=True)
class Resolver:
    """Resolves one statement. `con` has an empty table for every input."""

    con: duckdb.DuckDBPyConnection
    schemas: Mapping[str, TableSchema]
    made: Aliases = field(default_factory=Aliases)
    inputs: dict[str, str] = field(default_factory=dict)

    @classmethod
    def over(cls, schemas: Mapping[str, TableSchema]) -> Resolver:
        con = locked()
        for name, schema in schemas.items():
            bind_empty(con, name, schema)
        return cls(con, schemas, inputs={n.casefold(): n for n in schemas})

    def statement(self, sql: str) -> Query:
        """The relations of a whole statement. Raises Unproven or WholeOnly with the reason in words."""
        try:
            node = syntax.parse(self.con, sql)
        except syntax.NotASelectError as problem:
            raise WholeOnly(str(problem)) from None
        check_volatile(node)
        names = [n.casefold() for n in self.con.sql(sql).columns]
        if len(set(names)) != len(names):
            raise WholeOnly("two of its columns have the same name")
        return self.query(node, {})

    # queries

    def query(self, node: Tree, env: Env) -> Query:
        """A query and all inside; Opaque when it is not understood but stands on its own."""
        env = self.with_ctes(node, env)
        try:
            if node["type"] == "SELECT_NODE":
                return self.select(node, env)
            if node["type"] == "SET_OPERATION_NODE":
                return self.set_operation(node, env)
            why = "it is recursive" if "RECURSIVE" in node["type"] else "it is no plain SELECT"
        except Unproven as reason:
            why = str(reason)
        return self.opaque(node, env, why)

    def with_ctes(self, node: Tree, env: Env) -> Env:
        env = dict(env)
        for pair in node["cte_map"]["map"]:
            name = pair["key"].casefold()
            if name in env or name in self.inputs:
                raise WholeOnly(f"the name {pair['key']!r} means two things in it")
            env[name] = Cte(pair["key"], pair["value"], dict(env), uses=_uses(node, name))
        return env

    def columns(self, node: Tree, env: Env) -> tuple[Column, ...]:
        """The columns of a query as a query around it sees them. Raises Unproven when it cannot stand alone."""
        inner = {**node, "cte_map": {"map": [{"key": c.name, "value": c.entry} for c in env.values()]}}
        try:
            relation = self.con.sql(f"SELECT * FROM ({syntax.render(self.con, inner)}) AS q")
        except duckdb.Error:
            raise Unproven("a subquery looks at rows around it") from None
        return tuple(Column(n, str(t)) for n, t in zip(relation.columns, relation.types, strict=True))

    def opaque(self, node: Tree, env: Env, why: str) -> Opaque:
        columns = self.columns(node, env)
        names = _tables(node)
        for name in reversed(env):  # later ones may name earlier ones
            if name in names:
                cte = env[name]
                names |= _tables(cte.entry["query_node"])
                if cte.uses > 1 and not _settled(self.of_cte(cte)):
                    raise WholeOnly(f"{why}, over {cte.name!r}, which is used twice and may differ each time")
        whole = {**node, "cte_map": {"map": [{"key": c.name, "value": c.entry} for c in env.values()]}}
        read = tuple(original for key, original in self.inputs.items() if key in names)
        return Opaque(whole, read, columns, why)

    def of_cte(self, cte: Cte) -> Query:
        if "RECURSIVE" in cte.entry["query_node"]["type"]:
            raise Unproven("it is recursive")
        if cte.query is None:
            cte.query = self.renamed(self.query(cte.entry["query_node"], cte.before), cte.entry["aliases"])
        return cte.query

    def renamed(self, query: Query, names: list[str]) -> Query:
        """A query with its first columns called otherwise: `AS q(a, b)`."""
        if not names:
            return query
        if not isinstance(query, Block) or query.shared:
            raise Unproven("its columns are renamed from outside")
        kept = query.columns[len(names) :]
        columns = tuple(Column(n, c.type) for n, c in zip(names, query.columns, strict=False)) + kept
        if len({c.name.casefold() for c in columns}) != len(columns):
            raise Unproven("two columns have the same name")
        return replace(query, columns=columns, names=tuple(c.name for c in columns))

    def set_operation(self, node: Tree, env: Env) -> Query:
        kind = node["setop_type"]
        if kind not in ("UNION", "EXCEPT", "INTERSECT") or _limited(node):
            raise Unproven("it takes a limited number of rows" if _limited(node) else "it joins rows by name")
        if any(m["type"] == "DISTINCT_MODIFIER" for m in node["modifiers"]):
            raise Unproven("it is made distinct as a whole")
        members = tuple(Derived(self.made.fresh(), self.query(child, env)) for child in node["children"])
        return Union(kind, node["setop_all"], members, self.columns(node, env))

    def select(self, node: Tree, env: Env) -> Block:
        if _limited(node):
            limit = limit_of(node)
            return first_rows(self.select(unlimited(node), env), limit, self.made)
        if node["sample"] is not None:
            raise Unproven("it takes a sample")
        if any(m.get("distinct_on_targets") for m in node["modifiers"]):
            raise Unproven("DISTINCT ON keeps one of several rows")
        columns = self.columns(node, env)
        names = Names(self, env)
        source = self.source(node["from_table"], env, names)
        chosen = names.chosen(node["select_list"])
        if len(chosen) != len(columns):
            raise Unproven("its columns cannot be counted")
        looked_up = bool(names.lookups)
        source, where = filtered(source, node["where_clause"], names)
        for found, on in names.lookups:
            source = Join(source, found, "LEFT", on)
        joined = len(names.lookups)
        names.strict = True
        keys, sets = names.keys(node, chosen)
        having, qualify = (names.optional(node[c]) for c in ("having", "qualify"))
        aggregated = bool(keys or node["group_sets"] or having) or names.aggregates
        if len(names.lookups) > joined or (aggregated and looked_up):
            raise Unproven("a subquery looks at groups around it")
        if node["aggregate_handling"] == "FORCE_AGGREGATES" and not aggregated:
            raise Unproven("GROUP BY ALL without anything to group by")
        block = Block(
            source,
            tuple(c.name for c in columns),
            tuple({**e, "alias": c.name} for e, c in zip(chosen, columns, strict=True)),
            columns,
            tuple(where),
            keys,
            aggregated,
            having,
            qualify,
            any(m["type"] == "DISTINCT_MODIFIER" for m in node["modifiers"]),
            tuple(names.asides),
            sets=sets,
        )
        return sunk(block, self.made)

    # FROM

    def source(self, item: Tree, env: Env, names: Names) -> Source:
        """What stands after FROM; what it makes visible is added to `names`."""
        if item.get("sample") is not None:
            raise Unproven("it takes a sample")
        match item["type"]:
            case "BASE_TABLE":
                return self.named(item, env, names)
            case "SUBQUERY":
                inner = self.query(item["subquery"]["node"], env)
                return self.derived(self.renamed(inner, item["column_name_alias"]), item["alias"], names)
            case "JOIN":
                return self.join(item, env, names)
            case "EMPTY":
                raise Unproven("it reads nothing")
            case "EXPRESSION_LIST":
                return self.constant(item, names)
            case "TABLE_FUNCTION" if item["function"].get("function_name") in _SAFE_TABLES:
                return self.constant(item, names)
        raise Unproven(f"it reads from a {item['type'].lower().replace('_', ' ')}")

    def constant(self, item: Tree, names: Names) -> Derived:
        """Rows written in the query."""
        node = syntax.select([syntax.star()], item)
        query = Opaque(node, (), self.columns(node, {}), "its rows stand in the query")
        return self.derived(query, item["alias"], names)

    def named(self, item: Tree, env: Env, names: Names) -> Source:
        if item["catalog_name"] or item["at_clause"]:
            raise Unproven("it names another catalog or time")
        schema, table = item["schema_name"].casefold(), item["table_name"].casefold()
        seen = item["alias"] or item["table_name"]
        if not schema and table in env:
            cte = env[table]
            query = self.of_cte(cte)
            if cte.uses > 1:
                simple = isinstance(query, Block) and _simple(query)
                query = self.again(cte) if simple else self.once(cte)
            return self.derived(self.renamed(query, item["column_name_alias"]), seen, names)
        original = self.inputs.get(f"{schema}.{table}" if schema else table)
        if original is None or item["column_name_alias"]:
            raise Unproven(f"it reads {item['table_name']!r} under other names")
        relation = self.con.table(qualified(original))
        columns = tuple(Column(n, str(t)) for n, t in zip(relation.columns, relation.types, strict=True))
        base = Base(self.made.fresh(), original, columns)
        names.see(Visible(seen, "" if item["alias"] else schema, base.alias, columns))
        return base

    def looked_up(self, expression: Tree, names: Names) -> Tree | None:
        """A scalar subquery as a column of groups that are joined (`correlation.value`); None when it is none."""
        return value(expression, names)

    def again(self, cte: Cte) -> Query:
        """The same simple query under aliases of its own: cheaper than keeping its rows."""
        return self.of_cte(replace_query(cte))

    def once(self, cte: Cte) -> Query:
        """A query that is used more than once and computed once."""
        query = self.of_cte(cte)
        if not query.shared:
            cte.query = query = replace(query, shared=True)
        return query

    def derived(self, query: Query, seen: str, names: Names) -> Derived:
        made = Derived(self.made.fresh(), query)
        names.see(Visible(seen, "", made.alias, query.columns))
        return made

    def join(self, item: Tree, env: Env, names: Names) -> Join:
        """A join of a kind whose rules are known, USING written out."""
        kind = _KINDS.get(item["join_type"])
        if kind is None or item["ref_type"] not in ("REGULAR", "CROSS") or item["nearest_count"] != 1:
            raise Unproven(f"it has a {item['ref_type'].lower()} {item['join_type'].lower()} join")
        if item["delim_flipped"] or item["duplicate_eliminated_columns"] or item["alias"]:
            raise Unproven("it has a join of an unknown form")
        left_names, right_names = Names(self, env), Names(self, env)
        left = self.source(item["left"], env, left_names)
        right = self.source(item["right"], env, right_names)
        using = names.join(left_names, right_names, kind, item["using_columns"])
        both = Names(self, env, visible=[*left_names.visible, *right_names.visible])
        both.merged = {**right_names.merged, **left_names.merged}
        both.clashing = left_names.merged.keys() & right_names.merged.keys()
        on = [both.resolved(term) for term in syntax.conjuncts(item["condition"])]
        if both.asides or both.lookups or both.aggregates:
            raise Unproven("a join's condition holds a subquery")
        return Join(left, right, kind, tuple(using + on))


def locked() -> duckdb.DuckDBPyConnection:
    """An empty database that reaches no file, to ask what a query means."""
    con = duckdb.connect(config={"threads": 1, "python_enable_replacements": False})
    duck.lock(con)
    return con


def replace_query(cte: Cte) -> Cte:
    return Cte(cte.name, cte.entry, cte.before, 1)


def _limited(node: Tree) -> bool:
    return any(m["type"] in ("LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER") for m in node["modifiers"])


def _tables(tree: object) -> set[str]:
    """All names that stand where a table can, `schema.table` or `table`, without regard to case."""
    if isinstance(tree, list):
        return set().union(*(_tables(t) for t in tree))
    if not isinstance(tree, dict):
        return set()
    found = set().union(*(_tables(v) for v in tree.values()))
    if tree.get("type") == "BASE_TABLE":
        schema = tree["schema_name"]
        found.add((f"{schema}." if schema else "").casefold() + tree["table_name"].casefold())
    return found


def _uses(node: Tree, name: str) -> int:
    """How often a name stands where a table can; other meanings of the name only make it more."""
    text = json.dumps({**node})
    return text.casefold().count(f'"table_name": {json.dumps(name)}'.casefold())


def _simple(block: Block) -> bool:
    return (
        isinstance(block.source, Base)
        and not (block.aggregated or block.distinct or block.asides or block.qualify or block.top)
        and not any(block.windows())
    )


def _settled(query: Query) -> bool:
    """Whether computing a query twice gives the same rows twice, as far as we can tell."""
    return isinstance(query, Block) and _simple(query)
