"""Fitted predicates on single rows in Python: for tests of policies, never for reading data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from raymesh.spec import expression as e


def holds(predicate: e.Expression, row: Mapping[str, Any]) -> bool | None:
    """Whether a fitted predicate is true of a row; None for unknown. Columns that the row lacks are NULL."""
    match predicate:
        case e.Constant(value):
            return value
        case e.And(terms):
            return _conjunction(holds(t, row) for t in terms)
        case e.Or(terms):
            return _negation(_conjunction(_negation(holds(t, row)) for t in terms))
        case e.Not(term):
            return _negation(holds(term, row))
    return _tested(predicate, row)


def _tested(predicate: e.Expression, row: Mapping[str, Any]) -> bool | None:
    match predicate:
        case e.IsNull(of):
            return _value(of, row) is None
        case e.In(of, values):
            found = _value(of, row)
            return None if found is None else found in values
        case e.Compare(operator, left, right):
            return _compared(operator, _value(left, row), _value(right, row))
    raise TypeError(f"a policy has no {type(predicate).__name__}")


def _conjunction(truths: Iterable[bool | None]) -> bool | None:
    found = list(truths)
    return False if False in found else None if None in found else True


def _negation(truth: bool | None) -> bool | None:
    return None if truth is None else not truth


def _value(operand: e.Operand, row: Mapping[str, Any]) -> Any:
    if isinstance(operand, e.Value):
        return operand.value
    if not isinstance(operand, e.Column):
        raise TypeError(f"a fitted predicate has no {type(operand).__name__}")
    found: Any = row
    for name in operand.path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _compared(operator: str, left: Any, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    results = {
        "=": left == right,
        "<>": left != right,
        "<": operator == "<" and left < right,
        "<=": operator == "<=" and left <= right,
        ">": operator == ">" and left > right,
        ">=": operator == ">=" and left >= right,
    }
    return bool(results[operator])
