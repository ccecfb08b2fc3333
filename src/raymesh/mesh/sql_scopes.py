"""The walk behind `sql_lineage`: what every scope of a qualified query makes of its sources."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope
from sqlglot.schema import MappingSchema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Origin = tuple[str, str]
"""A table and one of its columns; the column `*` stands for all of them."""

EVERY = "*"


@dataclass(frozen=True, slots=True)
class SqlColumn:
    """One output column, lower case: what its values are computed from, and what a subquery inside it is
    filtered or ordered by. `exact` is False when `direct` is only known to contain the truth."""

    name: str
    direct: frozenset[Origin]
    indirect: frozenset[Origin] = frozenset()
    exact: bool = True


@dataclass(slots=True)
class Result:
    """What one scope hands to the scope around it: its columns by name, the columns that decide its rows, and
    the tables of unknown columns that a `*` passes on."""

    columns: dict[str, SqlColumn] = field(default_factory=dict)
    rows: frozenset[Origin] = frozenset()
    wildcards: frozenset[str] = frozenset()

    def column(self, name: str) -> SqlColumn:
        """A column by name. One that only a wildcard can have given stands for itself in that table, one that
        a function makes for everything the function is given."""
        if name in self.columns or EVERY in self.columns:
            return self.columns.get(name) or self.columns[EVERY]
        guess = frozenset((table, name) for table in self.wildcards)
        return SqlColumn(name, guess, exact=len(guess) <= 1)

    def everything(self) -> frozenset[Origin]:
        found = frozenset((t, EVERY) for t in self.wildcards)
        return found.union(*(c.direct for c in self.columns.values()))


class Walk:
    """The results of all scopes of one query, by identity of the scope's expression."""

    def __init__(self, schemas: Mapping[str, Sequence[str]]) -> None:
        self.spelling = {table: {c.lower(): c for c in columns} for table, columns in schemas.items()}
        self.results: dict[int, Result] = {}
        self.recursion: dict[int, Result] = {}

    def result(self, tree: exp.Query) -> Result:
        """What the query as a whole returns; `tree` is changed. Raises sqlglot's OptimizeError."""
        qualified = qualify(
            tree,
            dialect="duckdb",
            schema=self._schema(),
            quote_identifiers=False,
            identify=False,
            validate_qualify_columns=False,
        )
        scopes = traverse_scope(qualified)
        recursive = any(w.args.get("recursive") for w in qualified.find_all(exp.With))
        self._pass(scopes)
        while recursive and self._pass(scopes):
            pass
        return self.results[id(scopes[-1].expression)]

    def _below(self, scope: Scope) -> Result:
        """What a scope hands on; a recursive CTE, seen from inside, hands on what is known of it so far."""
        key = id(scope.expression)
        return self.recursion.get(key) or self.results.get(key) or Result()

    def _schema(self) -> MappingSchema:
        nested: dict[str, Any] = {}
        for table, columns in self.spelling.items():
            space, _, name = table.partition(".")
            if columns:
                nested.setdefault(space, {})[name] = dict.fromkeys(columns, "varchar")
        return MappingSchema(nested, dialect="duckdb", normalize=False)

    def _pass(self, scopes: list[Scope]) -> bool:
        """Compute every scope, children first; True when anything grew since the last pass."""
        grew = False
        for scope in scopes:
            key = id(scope.expression)
            result = self._scope(scope)
            grew = grew or result != self.results.get(key)
            self.results[key] = result
        return grew

    def _scope(self, scope: Scope) -> Result:
        node = scope.expression
        if isinstance(node, exp.SetOperation):
            return self._set_operation(scope, node)
        if isinstance(node, exp.Select):
            return self._select(scope, node)
        return self._table_expression(scope, node)

    # scopes

    def _set_operation(self, scope: Scope, node: exp.SetOperation) -> Result:
        first, second = scope.set_operation_scopes
        result = self._combine(node, self.results[id(first.expression)], self.results[id(second.expression)])
        around = node.parent.parent if isinstance(node.parent, exp.CTE) else None
        if around is not None and around.args.get("recursive"):
            self.recursion[id(first.expression)] = result
        return result

    @staticmethod
    def _combine(node: exp.SetOperation, left: Result, right: Result) -> Result:
        rows = left.rows | right.rows
        if isinstance(node, exp.Except):
            return Result(left.columns, rows | right.everything(), left.wildcards)
        wildcards = left.wildcards | right.wildcards
        if node.args.get("by_name") or wildcards:
            names = dict.fromkeys((*left.columns, *right.columns))
            pairs = [(name, left.column(name), right.column(name)) for name in names]
        else:
            both = zip(left.columns.values(), right.columns.values(), strict=False)
            pairs = [(first.name, first, second) for first, second in both]
        return Result({n: _merge(n, a, b) for n, a, b in pairs}, rows, wildcards)

    def _select(self, scope: Scope, node: exp.Select) -> Result:
        result = Result()
        stars: set[str] = set()
        for projection in node.selects:
            if projection.is_star:
                stars |= self._star(scope, projection, result)
                continue
            name = projection.alias_or_name.lower()
            column = self._expression(scope, projection, name)
            result.columns[name] = (
                _merge(name, result.columns[name], column) if name in result.columns else column
            )
        result.wildcards = frozenset(stars)
        result.rows = self._rows(scope, node, result)
        return result

    def _star(self, scope: Scope, projection: exp.Expr, result: Result) -> set[str]:
        """What a `*` that could not be expanded passes on: known columns, and tables of unknown columns."""
        column = projection.unalias()
        if not isinstance(column, exp.Star | exp.Column):
            raise OptimizeError("a struct decides the columns")
        only = column.table.lower() if isinstance(column, exp.Column) else ""
        sources = self._selected(scope)
        if only and only not in dict(sources):
            raise OptimizeError("a struct decides the columns")
        wildcards: set[str] = set()
        for alias, source in sources:
            if only and alias != only:
                continue
            if isinstance(source, Scope):
                below = self._below(source)
                result.columns.update({n: c for n, c in below.columns.items() if n not in result.columns})
                wildcards |= below.wildcards
            elif _is_table(source):
                table = _table_name(source)
                wildcards |= {table} if not self.spelling.get(table) else set()
                for name, spelled in self.spelling.get(table, {}).items():
                    result.columns.setdefault(name, SqlColumn(name, frozenset({(table, spelled)})))
            else:
                inside = self._expression(scope, source.this, EVERY)
                result.columns[EVERY] = SqlColumn(EVERY, inside.direct, inside.indirect, exact=False)
        return wildcards

    def _table_expression(self, scope: Scope, node: exp.Expr) -> Result:
        """UNNEST, VALUES, LATERAL: every column may come from everything inside."""
        names = [c.name.lower() for c in (node.args.get("alias") or exp.TableAlias()).columns]
        if isinstance(node, exp.Lateral) and id(node.this.unnest()) in self.results:
            inside = self.results[id(node.this.unnest())]
            renamed = dict(zip(names, inside.columns.values(), strict=False))
            return Result(inside.columns | renamed, inside.rows, inside.wildcards)
        inner = self._expression(scope, node, EVERY)
        columns = {n: SqlColumn(n, inner.direct, inner.indirect, inner.exact) for n in names}
        return Result(columns | {EVERY: inner})

    # rows

    def _rows(self, scope: Scope, node: exp.Select, result: Result) -> frozenset[Origin]:
        found: set[Origin] = set()
        for _, source in self._selected(scope):
            if isinstance(source, Scope):
                found |= self._below(source).rows
        for clause in self._clauses(node):
            column = self._expression(scope, clause, "", result)
            found |= column.direct | column.indirect
        if _groups_by_all(node):
            for projection in node.selects:
                if not projection.find(exp.AggFunc):
                    found |= result.column(projection.alias_or_name.lower()).direct
        return frozenset(found)

    def _clauses(self, node: exp.Select) -> Iterator[exp.Expr]:
        for name in ("where", "group", "having", "qualify", "order", "limit", "offset"):
            clause = node.args.get(name)
            if clause is not None:
                yield clause
        distinct = node.args.get("distinct")
        if distinct is not None and distinct.args.get("on") is not None:
            yield distinct.args["on"]
        for part in (node.args.get("from_"), *(node.args.get("joins") or [])):
            if part is not None:
                yield from self._join_conditions(part)

    def _join_conditions(self, part: exp.Expr) -> Iterator[exp.Expr]:
        for join in part.walk(prune=lambda n: id(n) in self.results):
            if isinstance(join, exp.Join):
                yield from filter(None, (join.args.get("on"), *(join.args.get("using") or [])))

    # expressions

    def _expression(
        self, scope: Scope, node: exp.Expr, name: str, outputs: Result | None = None
    ) -> SqlColumn:
        """All columns under `node`; `outputs` are the projections a clause may refer to by their alias."""
        direct: set[Origin] = set()
        indirect: set[Origin] = set()
        exact = True
        stop = self.results.keys()
        for part in node.walk(prune=lambda n: id(n) in stop and n is not node):
            if part is not node and id(part) in stop:
                inner = self.results[id(part)]
                indirect |= inner.rows
                if not isinstance(part.parent, exp.Exists):
                    direct |= inner.everything()
            elif isinstance(part, exp.PositionalColumn):
                raise OptimizeError("a position chooses the column")
            elif isinstance(part, exp.TableColumn):
                direct |= self._unqualified(scope, part.name.lower(), part, outputs).direct
            elif isinstance(part, exp.Column) and not isinstance(part.this, exp.Star):
                column = self._column(scope, part, outputs)
                direct |= column.direct
                indirect |= column.indirect
                exact = exact and column.exact
            elif isinstance(part, exp.Var) and outputs is not None and isinstance(part.parent, exp.Ordered):
                direct |= outputs.everything()  # ORDER BY ALL
            elif isinstance(part, exp.Window):
                direct |= self._named_window(scope, part)
        return SqlColumn(name, frozenset(direct), frozenset(indirect - direct), exact)

    def _column(self, scope: Scope, column: exp.Column, outputs: Result | None) -> SqlColumn:
        name, alias = column.name.lower(), column.table.lower()
        if not alias:
            return self._unqualified(scope, name, column, outputs)
        around: Scope | None = scope
        while around is not None and alias not in around.sources:
            around = around.parent
        if around is None:
            return self._anything(scope, name)
        return self._from_source(scope, around.sources[alias], name)

    def _from_source(self, scope: Scope, source: exp.Expr | Scope, name: str) -> SqlColumn:
        if isinstance(source, Scope):
            return self._below(source).column(name)
        if not _is_table(source):
            return self._expression(scope, source.this, name)
        table = _table_name(source)
        spelled = self.spelling.get(table, {}).get(name, name)
        return SqlColumn(name, frozenset({(table, spelled)}))

    def _unqualified(self, scope: Scope, name: str, column: exp.Expr, outputs: Result | None) -> SqlColumn:
        """An alias of the same SELECT, a parameter of a lambda, a whole row, or a column of unknown origin."""
        if _is_parameter(column, name):
            return SqlColumn(name, frozenset())
        if outputs is not None and name in outputs.columns:
            return outputs.columns[name]
        if name in scope.sources:
            return self._whole_row(scope, scope.sources[name], name)
        return self._anything(scope, name)

    def _whole_row(self, scope: Scope, source: exp.Expr | Scope, name: str) -> SqlColumn:
        if isinstance(source, Scope):
            return SqlColumn(name, self._below(source).everything())
        if not _is_table(source):
            return self._expression(scope, source.this, name)
        table = _table_name(source)
        columns = self.spelling.get(table, {}).values() or (EVERY,)
        return SqlColumn(name, frozenset((table, c) for c in columns))

    def _anything(self, scope: Scope, name: str) -> SqlColumn:
        """A column nobody can place: it may come from every source of unknown columns, or from all."""
        unknown: set[str] = set()
        known: set[Origin] = set()
        for _, source in self._selected(scope):
            known |= self._whole_row(scope, source, name).direct
            if isinstance(source, Scope):
                unknown |= self._below(source).wildcards
            elif _is_table(source) and not self.spelling.get(_table_name(source)):
                unknown.add(_table_name(source))
        guess = frozenset((table, name) for table in unknown)
        return SqlColumn(name, guess or frozenset(known), exact=len(unknown) == 1)

    def _named_window(self, scope: Scope, window: exp.Window) -> frozenset[Origin]:
        select = scope.expression
        alias = window.args.get("alias")
        if alias is None or not isinstance(select, exp.Select) or window.parent is select:
            return frozenset()
        for definition in select.args.get("windows") or []:
            if definition.name.lower() == alias.name.lower():
                return self._expression(scope, definition, "").direct
        return frozenset()

    @staticmethod
    def _selected(scope: Scope) -> list[tuple[str, exp.Table | Scope]]:
        return [(alias.lower(), source) for alias, (_, source) in scope.selected_sources.items()]


def _groups_by_all(node: exp.Select) -> bool:
    group = node.args.get("group")
    return group is not None and bool(group.args.get("all"))


def _is_parameter(column: exp.Expr, name: str) -> bool:
    around = column.parent
    while around is not None and not isinstance(around, exp.Query):
        if isinstance(around, exp.Lambda) and name in {e.name.lower() for e in around.expressions}:
            return True
        if isinstance(around, exp.Comprehension) and around.expression.name.lower() == name:
            return True
        around = around.parent
    return False


def _merge(name: str, first: SqlColumn, second: SqlColumn) -> SqlColumn:
    return SqlColumn(
        name, first.direct | second.direct, first.indirect | second.indirect, first.exact and second.exact
    )


def _is_table(source: exp.Expr) -> bool:
    """Whether a source is a named table and not a table function."""
    return isinstance(source.this, exp.Identifier)


def _table_name(table: exp.Expr) -> str:
    return ".".join(p.name.lower() for p in table.parts) if isinstance(table, exp.Table) else ""
