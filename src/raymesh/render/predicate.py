"""Row predicates and masks in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from raymesh.spec import expression as e
from raymesh.spec.mask_words import mask_text

if TYPE_CHECKING:
    from raymesh.mesh.plan import ViewColumn


def predicate_text(predicate: e.Expression) -> str:
    """The condition as a policy would write it; `every row`, `no row` for constants."""
    if isinstance(predicate, e.Constant):
        return "every row" if predicate.value else "no row"
    return _text(predicate)


def column_text(column: ViewColumn) -> str:
    """How a column is shown, and in which rows when not in all."""
    mask = mask_text(column.mask)
    if column.visible == e.Constant(True):
        return mask
    return f"{mask} where {predicate_text(column.visible)}"


def _text(node: e.Expression) -> str:
    match node:
        case e.And(terms):
            return " and ".join(_inner(t, e.Or) for t in terms)
        case e.Or(terms):
            return " or ".join(_inner(t, e.And) for t in terms)
        case e.Not(term):
            return _negated(term)
        case e.Constant(value):
            return "true" if value else "false"
    return _test(node)


def _negated(term: e.Expression) -> str:
    match term:
        case e.IsNull(of):
            return f"{_operand(of)} is not null"
        case e.In(of, values):
            return f"{_operand(of)} not in ({', '.join(_value(v) for v in values)})"
    return f"not ({_text(term)})"


def _test(node: e.Expression) -> str:
    match node:
        case e.IsNull(of):
            return f"{_operand(of)} is null"
        case e.In(of, values):
            return f"{_operand(of)} in ({', '.join(_value(v) for v in values)})"
        case e.Compare(operator, left, right):
            return f"{_operand(left)} {operator} {_operand(right)}"
    return "…"


def _inner(node: e.Expression, other: type) -> str:
    return f"({_text(node)})" if isinstance(node, other) else _text(node)


def _operand(operand: e.Operand) -> str:
    match operand:
        case e.Column(path):
            return ".".join(_name(n, first=n is path[0]) for n in path)
        case e.Attribute(name):
            return f"principal.{name}"
        case e.Value(value):
            return _value(value)
    return "…"


_PLAIN = re.compile(r"[^\W\d]\w*")
_WORDS = frozenset(("and", "or", "not", "in", "is", "null", "between", "true", "false"))


def _name(name: str, *, first: bool) -> str:
    """As a condition would write it, in quotes where it could be read as something else."""
    taken = name.lower() in _WORDS or (first and name.lower() == "principal")
    return name if _PLAIN.fullmatch(name) and not taken else '"' + name.replace('"', '""') + '"'


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value) if not hasattr(value, "isoformat") else f"'{value.isoformat()}'"
