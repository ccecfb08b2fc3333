"""The eight operators of the standard, applied exactly."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from raymesh.quality.model import Threshold

_WORDS = {
    "mustBe": "must be",
    "mustNotBe": "must not be",
    "mustBeGreaterThan": "must be greater than",
    "mustBeGreaterOrEqualTo": "must be at least",
    "mustBeLessThan": "must be less than",
    "mustBeLessOrEqualTo": "must be at most",
    "mustBeBetween": "must be between",
    "mustNotBeBetween": "must not be between",
}


class UncomparableError(ValueError):
    """Measured value and operand have no order or equality; the message says both."""


def holds(threshold: Threshold, value: Any) -> bool:
    """Whether `value` keeps the promise. Limits of `between` belong to it.

    Integers, decimals and fractions compare without rounding; a float in the document means the decimal
    it is written as, except against a measured float. True equals 1. Raises UncomparableError.
    """
    test = _TESTS.get(threshold.operator)
    if test is None:
        raise UncomparableError(f"{threshold.operator} is no operator")
    return test(value, threshold.value)


def words(threshold: Threshold) -> str:
    """The promise for people: `must be between 1 and 5`."""
    name = _WORDS.get(threshold.operator, threshold.operator)
    if threshold.operator.endswith("Between") and isinstance(threshold.value, list | tuple):
        return f"{name} " + " and ".join(str(v) for v in threshold.value)
    return f"{name} {threshold.value}"


def plain(value: Any) -> Any:
    """A measured value as JSON: whole numbers stay whole, fractions become floats, decimals and NaN text."""
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    if isinstance(value, Decimal) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    return value


def _pair(operand: Any) -> tuple[Any, Any]:
    if isinstance(operand, list | tuple) and len(operand) == 2:
        return operand[0], operand[1]
    raise UncomparableError(f"{operand!r} is no pair of limits")


def _equal(value: Any, operand: Any) -> bool:
    if isinstance(value, str) and isinstance(operand, str):
        return value == operand
    return _order(value, operand) == 0


def _order(value: Any, operand: Any) -> int:
    """-1, 0 or 1."""
    measured_float = isinstance(value, float)
    left = _exact(value, as_written=False)
    right = _exact(operand, as_written=not measured_float)
    if left is None or right is None:
        raise UncomparableError(f"{value!r} cannot be compared with {operand!r}")
    return (left > right) - (left < right)


def _exact(value: Any, *, as_written: bool) -> Fraction | float | None:
    """The number as a fraction, ±inf as a float, None for NaN and for what is no number."""
    if isinstance(value, bool | int | Fraction):
        return Fraction(value)
    if isinstance(value, Decimal):
        return Fraction(value) if value.is_finite() else _exact(float(value), as_written=False)
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if math.isinf(value):
            return value
        return Fraction(repr(value)) if as_written else Fraction(value)
    return None


def _between(value: Any, operand: Any) -> bool:
    low, high = _pair(operand)
    return _order(value, low) >= 0 and _order(value, high) <= 0


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "mustBe": _equal,
    "mustNotBe": lambda value, operand: not _equal(value, operand),
    "mustBeBetween": _between,
    "mustNotBeBetween": lambda value, operand: not _between(value, operand),
    "mustBeGreaterThan": lambda value, operand: _order(value, operand) > 0,
    "mustBeGreaterOrEqualTo": lambda value, operand: _order(value, operand) >= 0,
    "mustBeLessThan": lambda value, operand: _order(value, operand) < 0,
    "mustBeLessOrEqualTo": lambda value, operand: _order(value, operand) <= 0,
}
