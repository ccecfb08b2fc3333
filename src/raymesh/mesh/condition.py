"""A condition written by a person, such as `amount > 10 and country in ('DE', 'AT')`, as an expression.

The text is parsed and then rebuilt from the closed language of `spec.expression`; whatever that language
lacks (functions, sub-queries, casts) is refused with its place. The text itself never reaches an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from raymesh.errors import NotFoundError, UsageError
from raymesh.mesh.reading import did_you_mean
from raymesh.spec import expression as e
from raymesh.spec.types import Field, Primitive, Struct, TableSchema

_COMPARE: dict[type[exp.Expr], Any] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}


def parse_condition(text: str, schema: TableSchema) -> e.Expression:
    """The condition as data, its columns checked against `schema`.

    Comparisons, `in`, `is [not] null`, `between`, `and`, `or`, `not`, parentheses; literals take the type of
    the column they are compared with. Raises UsageError for anything else, NotFoundError for unknown columns.
    """
    try:
        tree = sqlglot.parse_one(f"SELECT 1 WHERE {text}", dialect="duckdb")
    except SqlglotError as error:
        raise UsageError(f"the condition cannot be read: {text}", hint=_HINT) from error
    where = tree.args.get("where")
    if (
        not isinstance(tree, exp.Select)
        or where is None
        or set(_present(tree)) - {"expressions", "where", "kind"}
    ):
        raise UsageError(f"this is more than a condition: {text}", hint=_HINT)
    return _Builder(schema, text).condition(where.this)


_HINT = "comparisons with constants, in (…), is null, between, and, or, not"


def _present(tree: exp.Expr) -> list[str]:
    return [k for k, v in tree.args.items() if v]


class _Builder:
    def __init__(self, schema: TableSchema, text: str) -> None:
        self.schema = schema
        self.text = text

    def condition(self, node: exp.Expr) -> e.Expression:
        rules: list[tuple[Any, Callable[[Any], e.Expression]]] = [
            (exp.Paren, lambda n: self.condition(n.this)),
            (exp.And, lambda n: e.And((self.condition(n.left), self.condition(n.right)))),
            (exp.Or, lambda n: e.Or((self.condition(n.left), self.condition(n.right)))),
            (exp.Not, lambda n: e.Not(self.condition(n.this))),
            (tuple(_COMPARE), self._compare),
            (exp.In, self._in),
            (exp.Between, self._between),
            (exp.Is, self._is),
            (exp.Boolean, lambda n: e.Constant(bool(n.this))),
        ]
        for kind, build in rules:
            if isinstance(node, kind):
                return build(node)
        raise self._refused(node)

    def _compare(self, node: Any) -> e.Expression:
        flipped = not isinstance(node.left, exp.Column) and isinstance(node.right, exp.Column)
        left, right = (node.right, node.left) if flipped else (node.left, node.right)
        column, field = self._column(left)
        operator = _COMPARE[type(node)]
        if flipped:
            operator = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(operator, operator)
        if isinstance(right, exp.Column):
            return e.Compare(operator, column, self._column(right)[0])
        return e.Compare(operator, column, e.Value(self._value(right, field)))

    def _in(self, node: exp.In) -> e.Expression:
        if node.args.get("query") or not node.expressions:
            raise self._refused(node)
        column, field = self._column(node.this)
        return e.In(column, tuple(self._value(v, field) for v in node.expressions))

    def _between(self, node: exp.Between) -> e.Expression:
        column, field = self._column(node.this)
        low, high = (e.Value(self._value(node.args[k], field)) for k in ("low", "high"))
        return e.And((e.Compare(">=", column, low), e.Compare("<=", column, high)))

    def _is(self, node: exp.Is) -> e.Expression:
        if not isinstance(node.expression, exp.Null):
            raise self._refused(node)
        return e.IsNull(self._column(node.this)[0])

    def _column(self, node: exp.Expr) -> tuple[e.Column, Field]:
        if not isinstance(node, exp.Column | exp.Dot):
            raise self._refused(node)
        path = [p.name for p in (node.parts if isinstance(node, exp.Column) else node.flatten())]
        return e.Column(tuple(path)), self._field(path)

    def _field(self, path: Sequence[str]) -> Field:
        fields: tuple[Field, ...] = self.schema.fields
        found: Field | None = None
        for name in path:
            found = next((f for f in fields if f.name == name), None)
            if found is None:
                known = [f.name for f in fields]
                raise NotFoundError(
                    f"there is no column {'.'.join(path)}",
                    hint=did_you_mean(name, known, otherwise=f"columns: {', '.join(known)}"),
                )
            fields = found.type.fields if isinstance(found.type, Struct) else ()
        assert found is not None  # noqa: S101  # a column has at least one part
        return found

    def _value(self, node: exp.Expr, field: Field) -> Any:
        if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal):
            return -self._number(node.this)
        if isinstance(node, exp.Boolean):
            return bool(node.this)
        if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal):
            return self._typed(node.this.name, field)
        if not isinstance(node, exp.Literal):
            raise self._refused(node)
        return self._typed(node.name, field) if node.is_string else self._number(node)

    def _number(self, node: exp.Literal) -> int | Decimal | float:
        if "e" in node.name.lower():
            return float(node.name)
        return int(node.name) if node.name.isdigit() else Decimal(node.name)

    def _typed(self, text: str, field: Field) -> Any:
        """A quoted literal as a value of the column's type."""
        try:
            match field.type:
                case Primitive("date"):
                    return date.fromisoformat(text)
                case Primitive("timestamp"):
                    return datetime.fromisoformat(text)
                case Primitive("timestamptz"):
                    moment = datetime.fromisoformat(text)
                    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        except ValueError as error:
            raise UsageError(
                f"'{text}' is no {field.type} for column {field.name}", hint="write it as in ISO 8601"
            ) from error
        return text

    def _refused(self, node: exp.Expr) -> UsageError:
        return UsageError(f"`{node.sql('duckdb')}` cannot be used in a condition", hint=_HINT)
