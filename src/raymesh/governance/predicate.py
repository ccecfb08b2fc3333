"""Predicates of policies fitted to one product and one reader: what an engine can evaluate without an error.

A predicate that does not fit (a column that is not there, values of two kinds, an attribute the reader does not
have) is false as a whole, whatever stands around the part that does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal as Number
from math import isfinite
from typing import Any, Protocol

from raymesh.spec import expression as e
from raymesh.spec.types import Decimal, Field, Primitive, Struct, TableSchema, Type

NO_ROWS = e.Constant(False)
ALL_ROWS = e.Constant(True)


class UnfitError(Exception):
    """Why a predicate does not fit; `column` is the name that is missing, if that is why, `attribute` likewise."""

    def __init__(self, message: str, *, column: str = "", attribute: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        self.attribute = attribute


class Columns(Protocol):
    """Columns by folded name."""

    def get(self, name: str, /) -> Field | None: ...


def bound(predicate: e.Expression, columns: Columns, attributes: Mapping[str, Any]) -> e.Expression:
    """`predicate` with columns as they are called, literals of their types and the reader's own values.

    `columns` are by `folded` name. False as a whole when it does not fit.
    """
    try:
        return simplified(_Binder(columns, attributes).expression(predicate))
    except UnfitError:
        return NO_ROWS


def check(predicate: e.Expression, schema: TableSchema) -> None:
    """Raises UnfitError when `predicate` can never fit rows of `schema`, whoever reads."""
    _Binder(by_name(schema), None).expression(predicate)


def by_name(fields: Iterable[Field]) -> dict[str, Field]:
    """Columns by `folded` name."""
    return {folded(f.name): f for f in fields}


def folded(name: str) -> str:
    """A column's name as names are compared."""
    return name.casefold()


def attributes_in(predicate: e.Expression) -> Iterator[str]:
    """Names of the reader's attributes that a predicate looks at."""
    match predicate:
        case e.And(terms) | e.Or(terms):
            for term in terms:
                yield from attributes_in(term)
        case e.Not(term):
            yield from attributes_in(term)
        case e.Compare(_, left, right):
            yield from (o.name for o in (left, right) if isinstance(o, e.Attribute))
        case e.In(of, _) | e.IsNull(of):
            yield from (o.name for o in (of,) if isinstance(o, e.Attribute))


def columns_in(predicate: e.Expression) -> Iterator[tuple[str, ...]]:
    """Paths of the columns that a predicate looks at."""
    match predicate:
        case e.And(terms) | e.Or(terms):
            for term in terms:
                yield from columns_in(term)
        case e.Not(term):
            yield from columns_in(term)
        case e.Compare(_, left, right):
            yield from (o.path for o in (left, right) if isinstance(o, e.Column))
        case e.In(of, _) | e.IsNull(of):
            yield from (o.path for o in (of,) if isinstance(o, e.Column))


_KINDS = {
    "boolean": "boolean",
    "int": "number",
    "long": "number",
    "float": "number",
    "double": "number",
    "string": "text",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
}
_ORDERED = ("number", "text", "date", "time", "timestamp", "timestamptz")
_UNKNOWN = object()
"""The value of an attribute nobody has asked for yet: it fits everything."""


class _Binder:
    """`attributes` None: those of nobody in particular, taken to fit."""

    def __init__(self, columns: Columns, attributes: Mapping[str, Any] | None) -> None:
        self.columns = columns
        self.attributes = attributes

    def expression(self, node: e.Expression) -> e.Expression:
        match node:
            case e.And(terms) | e.Or(terms):
                return type(node)(tuple(self.expression(t) for t in terms))
            case e.Not(term):
                return e.Not(self.expression(term))
            case e.Constant():
                return node
            case e.IsNull(e.Column() as column):
                return e.IsNull(self._column(column)[0])
            case e.In(of, values):
                return self._in(of, values)
            case e.Compare():
                return self._compare(node)
        raise UnfitError("a condition of a policy has comparisons, in, between, is null, and, or, not")

    def _in(self, of: e.Operand, values: tuple[Any, ...]) -> e.Expression:
        if isinstance(of, e.Column):
            column, field = self._column(of)
            return e.In(column, tuple(literal(v, field) for v in values))
        terms = (self._compare(e.Compare("=", of, e.Value(v))) for v in values)
        return e.Or(tuple(terms))

    def _compare(self, node: e.Compare) -> e.Expression:
        left, right = node.left, node.right
        if isinstance(left, e.Column) and isinstance(right, e.Column):
            return self._columns(node.operator, left, right)
        if isinstance(left, e.Column):
            return self._with(node.operator, left, self._known(right))
        if isinstance(right, e.Column):
            return self._with(_FLIPPED[node.operator], right, self._known(left))
        return _constants(node.operator, self._known(left), self._known(right))

    def _columns(self, operator: Any, left: e.Column, right: e.Column) -> e.Expression:
        (a, first), (b, second) = self._column(left), self._column(right)
        if _kind(first) != _kind(second):
            raise UnfitError(
                f"`{first.name}` ({first.type}) and `{second.name}` ({second.type}) do not compare"
            )
        _ordered(operator, first)
        return e.Compare(operator, a, b)

    def _with(self, operator: Any, left: e.Column, value: Any) -> e.Expression:
        column, field = self._column(left)
        kind = _kind(field)
        if value is _UNKNOWN:
            if operator not in ("=", "<>"):
                _ordered(operator, field)
            return e.IsNull(column)  # any expression that fits; nobody evaluates it
        if isinstance(value, list | tuple | set | frozenset):
            if operator != "=":
                raise UnfitError(f"a list can be compared with `{field.name}` by = and in only")
            items = sorted({literal(v, field) for v in value}, key=repr)
            return e.In(column, tuple(items)) if items else NO_ROWS
        _ordered(operator, field, kind)
        return e.Compare(operator, column, e.Value(literal(value, field)))

    def _known(self, operand: e.Operand) -> Any:
        if isinstance(operand, e.Value):
            return operand.value
        if not isinstance(operand, e.Attribute):
            raise UnfitError("only columns, values and principal.NAME can be compared")
        if self.attributes is None:
            return _UNKNOWN
        value = self.attributes.get(operand.name)
        if value is None:
            raise UnfitError(f"no attribute {operand.name}", attribute=operand.name)
        return value

    def _column(self, column: e.Column) -> tuple[e.Column, Field]:
        """The column or member by its own spelling, with what it is."""
        known: Columns = self.columns
        path: list[str] = []
        field: Field | None = None
        for name in column.path or ("",):
            field = known.get(folded(name))
            if field is None:
                raise UnfitError(
                    f"there is no column `{'.'.join(column.path)}`", column=".".join(column.path)
                )
            path.append(field.name)
            known = by_name(field.type.fields) if isinstance(field.type, Struct) else {}
        assert field is not None  # noqa: S101  # a path has at least one part
        return e.Column(tuple(path)), field


_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}


def _kind(field: Field) -> str:
    kind = "number" if isinstance(field.type, Decimal) else _KINDS.get(_name(field.type), "")
    if not kind:
        raise UnfitError(f"`{field.name}` is {field.type}, which a condition cannot compare")
    return kind


def _name(kind: Type) -> str:
    return kind.name if isinstance(kind, Primitive) else ""


def _ordered(operator: str, field: Field, kind: str | None = None) -> None:
    if operator not in ("=", "<>") and (kind or _kind(field)) not in _ORDERED:
        raise UnfitError(f"`{field.name}` is {field.type}, which has no order: only = and <> compare it")


def literal(value: Any, field: Field) -> Any:
    """`value` as one of the column's type. Raises UnfitError."""
    kind = _kind(field)
    fits = {
        "boolean": isinstance(value, bool),
        "number": _is_number(value),
        "text": isinstance(value, str),
    }.get(kind)
    if fits is None:
        return _moment(value, field, kind)
    if not fits:
        raise UnfitError(f"`{field.name}` is {field.type}, which {value!r} is not")
    return value


_LARGEST = 10**37
"""Below what engines can hold as an exact number."""


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float | Number) and not isinstance(value, bool)
    return number and isfinite(value) and abs(value) < _LARGEST


def _moment(value: Any, field: Field, kind: str) -> Any:
    try:
        if kind == "date":
            if isinstance(value, date) and not isinstance(value, datetime):
                return value
            return date.fromisoformat(value)
        if kind == "time":
            return value if isinstance(value, time) else time.fromisoformat(value)
        found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        if kind == "timestamp":
            return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        raise UnfitError(
            f"`{field.name}` is {field.type}, which {value!r} is not: write it as in ISO 8601"
        ) from None


def _constants(operator: str, left: Any, right: Any) -> e.Expression:
    """A comparison without a column is decided here."""
    if left is _UNKNOWN or right is _UNKNOWN:
        return ALL_ROWS
    lists = (list, tuple, set, frozenset)
    if isinstance(left, lists) or isinstance(right, lists):
        if operator != "=" or (isinstance(left, lists) and isinstance(right, lists)):
            raise UnfitError("a list can be compared by = and in only")
        single, several = (right, left) if isinstance(left, lists) else (left, right)
        return e.Constant(any(_same_kind(single, item) and item == single for item in several))
    if not _same_kind(left, right):
        raise UnfitError(f"{left!r} and {right!r} do not compare")
    if isinstance(left, bool) and operator not in ("=", "<>"):
        raise UnfitError("true and false have no order")
    results = {
        "=": left == right,
        "<>": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }
    return e.Constant(bool(results[operator]))


def _same_kind(left: Any, right: Any) -> bool:
    numbers = (int, float, Number)
    if isinstance(left, bool) or isinstance(right, bool):
        return isinstance(left, bool) and isinstance(right, bool)
    if isinstance(left, numbers) and isinstance(right, numbers):
        return isfinite(left) and isfinite(right)
    return isinstance(left, str) and isinstance(right, str)


def simplified(node: e.Expression) -> e.Expression:
    """The same predicate without constants inside and without terms said twice."""
    match node:
        case e.And(terms):
            return all_of(simplified(t) for t in terms)
        case e.Or(terms):
            return any_of(simplified(t) for t in terms)
        case e.Not(term):
            inner = simplified(term)
            return e.Constant(not inner.value) if isinstance(inner, e.Constant) else e.Not(inner)
    return node


def all_of(terms: Iterable[e.Expression]) -> e.Expression:
    """True where every term is; false for rows where one is false or unknown."""
    kept: dict[e.Expression, None] = {}
    for term in terms:
        if term == NO_ROWS:
            return NO_ROWS
        if term != ALL_ROWS:
            kept.update(dict.fromkeys(term.terms if isinstance(term, e.And) else (term,)))
    found = tuple(kept)
    return e.And(found) if len(found) > 1 else found[0] if found else ALL_ROWS


def any_of(terms: Iterable[e.Expression]) -> e.Expression:
    """True where some term is; no terms are true nowhere."""
    kept: dict[e.Expression, None] = {}
    for term in terms:
        if term == ALL_ROWS:
            return ALL_ROWS
        if term != NO_ROWS:
            kept.update(dict.fromkeys(term.terms if isinstance(term, e.Or) else (term,)))
    found = tuple(kept)
    return e.Or(found) if len(found) > 1 else found[0] if found else NO_ROWS
