"""Comparing a column with a constant, exactly.

DuckDB brings both sides to a common type first: an int64 loses digits against a double, decimals
of different scale overflow. So the constant is moved to the column's own type in Python, where
numbers are exact, and only then written down; where no value of the type can equal it, the
comparison turns into one that means the same (`x < 2.5` is `x <= 2` for integers).
"""

from __future__ import annotations

import math
import struct
from datetime import date, datetime, time
from decimal import Decimal as Number
from fractions import Fraction
from typing import Any, Literal, TypeAlias

from raymesh.engines.kernel.sqltext import literal
from raymesh.errors import UsageError
from raymesh.spec.types import Decimal, List, Map, Primitive, Struct, Type

Operator: TypeAlias = Literal["=", "<>", "<", "<=", ">", ">="]
Outcome: TypeAlias = tuple[Operator, Any] | bool
"""The same comparison against a constant of the column's type, or what it always says."""

FLIPPED: dict[Operator, Operator] = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

_TYPED = {"timestamp": "TIMESTAMP ", "timestamptz": "TIMESTAMPTZ ", "time": "TIME "}
_FIRST_YEAR, _LAST_YEAR = 1678, 2261
_RANGES = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}


def exact(operator: Operator, type_: Type, value: Any) -> Outcome:
    """`column operator value` for a column of `type_`; raises UsageError when the kinds do not compare."""
    match type_:
        case Primitive("int" | "long" as name) if _is_number(value):
            return _on_grid(operator, value, Fraction(1), _RANGES[name])
        case Decimal(precision, scale) if _is_number(value):
            step = Fraction(1, 10**scale)
            limit = 10**precision - 1
            return _on_grid(operator, value, step, (-limit, limit))
        case Primitive("double" | "float" as name) if _is_number(value):
            return _against_float(operator, value, single=name == "float")
        case Primitive(name) if name in _EXPECTED:
            return _same_kind(operator, name, value)
    raise mismatch(type_, value)


def mismatch(type_: Type, value: Any) -> UsageError:
    """The error for a comparison that has no meaning."""
    shown = repr(value) if len(repr(value)) <= 40 else repr(value)[:37] + "…"
    return UsageError(f"a {describe(type_)} cannot be compared with {shown}")


def describe(type_: Type) -> str:
    """A type in a person's words."""
    match type_:
        case Primitive(name):
            return name
        case Decimal():
            return str(type_)
        case Struct():
            return "struct"
        case List():
            return "list"
        case Map():
            return "map"


def constant_sql(type_: Type, value: Any) -> str:
    """`value`, already in the column's type, as SQL.

    Times are written without a type: outside data may hold nanoseconds, and takes the text for its own type.
    """
    if isinstance(type_, Decimal):
        return f"CAST('{_fraction_text(value, type_.scale)}' AS DECIMAL({type_.precision}, {type_.scale}))"
    written = literal(value)
    return written if beyond_nanoseconds(value) else written.removeprefix(_TYPED.get(str(type_), ""))


def beyond_nanoseconds(value: Any) -> bool:
    """Whether a time lies outside what nanoseconds in 64 bits can tell; a column of such must be read coarser to be
    compared with it, which changes no answer."""
    return isinstance(value, datetime) and not _FIRST_YEAR <= value.year <= _LAST_YEAR


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Number | Fraction) and not isinstance(value, bool)


def rational(value: Any) -> Fraction | None:
    """The number meant: a float is read as the shortest decimal that denotes it; None for NaN and ±inf."""
    if isinstance(value, float):
        return Fraction(repr(value)) if math.isfinite(value) else None
    if isinstance(value, Number) and not value.is_finite():
        return None
    return Fraction(value)


def _on_grid(operator: Operator, value: Any, step: Fraction, limits: tuple[int, int]) -> Outcome:
    number = rational(value)
    if number is None:
        return _beyond(operator, above=math.isnan(value) or value > 0)
    units = number / step
    below = math.floor(units)
    if below != units:
        if operator in ("=", "<>"):
            return operator == "<>"
        operator, units = ("<=", Fraction(below)) if operator in ("<", "<=") else (">=", Fraction(below + 1))
    if not limits[0] <= units <= limits[1]:
        return _beyond(operator, above=units > limits[1])
    result = units * step
    return operator, int(result) if step == 1 else result


def _beyond(operator: Operator, *, above: bool) -> bool:
    """The comparison with a constant above (or below) every value of the type."""
    if operator in ("=", "<>"):
        return operator == "<>"
    return operator in ("<", "<=") if above else operator in (">", ">=")


def _against_float(operator: Operator, value: Any, *, single: bool) -> Outcome:
    number = rational(value)
    if number is None:
        return operator, float(value)
    nearest = _nearest(number, single=single)
    if (
        isinstance(value, float)
        or number.denominator != 1
        or (math.isfinite(nearest) and Fraction(nearest) == number)
    ):
        return operator, nearest
    if operator in ("=", "<>"):
        return operator == "<>"
    if operator in ("<", "<="):
        return ("<=" if _less(nearest, number) else "<"), nearest
    return (">" if _less(nearest, number) else ">="), nearest


def _less(nearest: float, number: Fraction) -> bool:
    return nearest < 0 if math.isinf(nearest) else Fraction(nearest) < number


def _nearest(number: Fraction, *, single: bool) -> float:
    try:
        double = float(number)
        return float(struct.unpack("f", struct.pack("f", double))[0]) if single else double
    except OverflowError:
        return math.inf if number > 0 else -math.inf


_EXPECTED: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "string": (str,),
    "binary": (bytes,),
    "date": (date,),
    "time": (time,),
    "timestamp": (date,),
    "timestamptz": (datetime,),
}


def _same_kind(operator: Operator, name: str, value: Any) -> Outcome:
    if not isinstance(value, _EXPECTED[name]):
        raise mismatch(Primitive(name), value)  # type: ignore[arg-type]  # a key of _EXPECTED
    if name == "date" and isinstance(value, datetime):
        return _date_against(operator, value)
    if name == "timestamp":
        return operator, _at(value).replace(tzinfo=None)
    if name == "timestamptz" and _at(value).tzinfo is None:
        raise UsageError("an instant cannot be compared with a time that has no zone")
    if isinstance(value, time) and value.tzinfo is not None:
        raise UsageError("a time of day cannot be compared with a time that has a zone")
    return operator, value


def _at(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.combine(value, time())


def _date_against(operator: Operator, value: datetime) -> Outcome:
    if value.time() == time():
        return operator, value.date()
    if operator in ("=", "<>"):
        return operator == "<>"
    return ("<=" if operator in ("<", "<=") else ">"), value.date()


def _fraction_text(value: Fraction | int, scale: int) -> str:
    units = int(value * 10**scale)
    digits = str(abs(units)).rjust(scale + 1, "0")
    text = f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits
    return "-" + text if units < 0 else text
