"""What checks say of rows, worked out one row at a time: slow, plain, and written without the code it judges.

Rows are dicts; structs are dicts, maps are dicts, lists are lists. `None` as the truth of a
condition means unknown.
"""

from __future__ import annotations

import math
import re
import struct
from collections import Counter
from datetime import date, datetime, time
from decimal import Decimal as Number
from fractions import Fraction
from typing import Any

from raymesh.quality.model import Check
from raymesh.spec import expression as x
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct, TableSchema, Type


class MeaninglessError(Exception):
    """The condition compares what cannot be compared, or names what is not there."""


# ---------------------------------------------------------------- conditions


def truth(e: x.Expression, row: dict[str, Any], schema: TableSchema) -> bool | None:
    """Whether the condition holds for the row."""
    return _truth(e, {f.name: (row.get(f.name), f.type) for f in schema})


def _truth(e: x.Expression, names: dict[str, tuple[Any, Type]]) -> bool | None:
    match e:
        case x.Constant(value):
            return value
        case x.And(terms):
            found = [_truth(t, names) for t in terms]
            return False if False in found else None if None in found else True
        case x.Or(terms):
            found = [_truth(t, names) for t in terms]
            return True if True in found else None if None in found else False
        case x.Not(term):
            inner = _truth(term, names)
            return None if inner is None else not inner
        case x.IsNull(of):
            return _operand(of, names)[0] is None
        case x.IsNaN(of):
            value, _ = _operand(of, names)
            return None if value is None else isinstance(value, float) and math.isnan(value)
        case x.In(of, values):
            found = [_truth(x.Compare("=", of, x.Value(v)), names) for v in values]
            if _operand(of, names)[0] is None:
                return None
            return True in found
        case x.Matches(of, pattern):
            value, kind = _operand(of, names)
            if kind != Primitive("string"):
                raise MeaninglessError
            return None if value is None else re.search(_python(pattern), value, re.ASCII) is not None
        case x.AnyItem(of, condition):
            items, kind = _operand(of, names)
            if not isinstance(kind, List):
                raise MeaninglessError
            found = [_truth(condition, {**names, "$item": (i, kind.element)}) for i in items or []]
            return None if items is None else True in found
        case x.Compare(operator, x.Remainder(of, x.Value(divisor)), x.Value(0)):
            value, kind = _operand(of, names)
            return None if value is None else _multiple(value, kind, divisor) == (operator == "=")
        case x.Compare(operator, x.Value() as constant, other) if not isinstance(other, x.Value):
            flipped = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(operator, operator)
            return _truth(x.Compare(flipped, other, constant), names)  # type: ignore[arg-type]
        case x.Compare(operator, left, x.Value(constant)):
            value, kind = _operand(left, names)
            order = _order(value, kind, constant)
            return None if order is None else _satisfies(operator, order)
        case x.Compare(operator, left, right):  # two lengths
            a, b = _operand(left, names)[0], _operand(right, names)[0]
            return None if a is None or b is None else _satisfies(operator, (a > b) - (a < b))
    raise AssertionError(e)


def _satisfies(operator: str, order: int) -> bool:
    return {
        "=": order == 0,
        "<>": order != 0,
        "<": order < 0,
        "<=": order <= 0,
        ">": order > 0,
        ">=": order >= 0,
    }[operator]


def _operand(o: x.Operand, names: dict[str, tuple[Any, Type]]) -> tuple[Any, Type]:
    match o:
        case x.Column((head, *rest)):
            if head not in names:
                raise MeaninglessError
            value, kind = names[head]
            for name in rest:
                if not isinstance(kind, Struct) or name not in [f.name for f in kind.fields]:
                    raise MeaninglessError
                kind = next(f.type for f in kind.fields if f.name == name)
                value = None if value is None else value[name]
            return value, kind
        case x.Length(of):
            value, kind = _operand(of, names)
            if kind not in (Primitive("string"), Primitive("binary")) and not isinstance(kind, List | Map):
                raise MeaninglessError
            return None if value is None else len(value), Primitive("long")
        case x.DistinctLength(of):
            value, _ = _operand(of, names)
            return None if value is None else len({_frozen(v) for v in value}), Primitive("long")
        case x.MapKeys(of):
            value, kind = _operand(of, names)
            return None if value is None else list(value), List(kind.key)
        case x.MapValues(of):
            value, kind = _operand(of, names)
            return None if value is None else list(value.values()), List(kind.value)
        case x.Norm(of):
            value, _ = _operand(of, names)
            squares = [float(v) ** 2 for v in value or [] if v is not None]
            return math.sqrt(sum(squares)) if squares else None, Primitive("double")
        case x.Present(of):
            return sum(_operand(one, names)[0] is not None for one in of), Primitive("long")
    raise AssertionError(o)


def _frozen(value: Any) -> Any:
    """Equal values become equal keys: NaN equals NaN, -0.0 equals 0.0."""
    match value:
        case float() if math.isnan(value):
            return "NaN"
        case list():
            return tuple(_frozen(v) for v in value)
        case dict():
            return tuple(sorted((k, _frozen(v)) for k, v in value.items()))
    return value


_NUMBERS = ("int", "long", "float", "double")


def _order(value: Any, kind: Type, constant: Any) -> int | None:
    """-1, 0, 1 for a stored value against a constant; None when either is NULL."""
    _require_comparable(kind, constant)
    if value is None or constant is None:
        return None
    if isinstance(kind, Decimal) or str(kind) in _NUMBERS:
        return _number_order(value, kind, constant)
    if str(kind) == "timestamp":
        constant = constant if isinstance(constant, datetime) else datetime.combine(constant, time())
        constant = constant.replace(tzinfo=None)
    if str(kind) == "date" and isinstance(constant, datetime):
        value = datetime.combine(value, time())
    return (value > constant) - (value < constant)


def _require_comparable(kind: Type, constant: Any) -> None:
    if constant is None:
        return
    wanted: dict[str, Any] = {
        "boolean": bool,
        "string": str,
        "binary": bytes,
        "date": date,
        "time": time,
        "timestamp": date,
        "timestamptz": datetime,
    }
    if isinstance(kind, Decimal) or str(kind) in _NUMBERS:
        fine = isinstance(constant, int | float | Number) and not isinstance(constant, bool)
    else:
        fine = str(kind) in wanted and isinstance(constant, wanted[str(kind)])
    if not fine:
        raise MeaninglessError


def _number_order(value: Any, kind: Type, constant: Any) -> int:
    if str(kind) in ("float", "double") and (
        isinstance(constant, float) or Fraction(constant).denominator != 1
    ):
        constant = float(constant)
        if str(kind) == "float" and math.isfinite(constant):
            constant = struct.unpack("f", struct.pack("f", constant))[0]
        a, b = _placed(value), _placed(constant)
    else:
        written = (
            Fraction(repr(constant)) if isinstance(constant, float) and math.isfinite(constant) else constant
        )
        a, b = _placed(value), _placed(written)
    return (a > b) - (a < b)


def _placed(value: Any) -> tuple[int, Fraction]:
    """A number on one line: -inf, the finite ones, +inf, NaN."""
    if isinstance(value, float) and math.isnan(value):
        return 2, Fraction(0)
    if isinstance(value, float) and math.isinf(value):
        return (1 if value > 0 else -1), Fraction(0)
    return 0, Fraction(value)


def _multiple(value: Any, kind: Type, divisor: Any) -> bool:
    step = Fraction(repr(divisor))
    if isinstance(value, float):
        if not math.isfinite(value):
            return False
        if step.denominator == 1:
            return (Fraction(value) / step).denominator == 1
        near = round(Fraction(value) / step)
        return any(_as_stored(n * step, kind) == value for n in (near - 1, near, near + 1))
    return (Fraction(value) / step).denominator == 1


def _as_stored(number: Fraction, kind: Type) -> float:
    double = float(number)
    return struct.unpack("f", struct.pack("f", double))[0] if str(kind) == "float" else double


def _python(pattern: str) -> str:
    """An RE2 pattern for Python: `$` is the very end, code points are written differently."""
    pattern = re.sub(r"\\x\{([0-9a-fA-F]+)\}", lambda m: f"\\U{int(m[1], 16):08x}", pattern)
    out, in_class, at = [], False, 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            out.append(pattern[at : at + 2])
            at += 2
            continue
        in_class = char == "[" or (in_class and char != "]")
        out.append(r"\Z" if char == "$" and not in_class else char)
        at += 1
    return "".join(out)


# ---------------------------------------------------------------- checks


def measured(
    check: Check, rows: list[dict[str, Any]], schema: TableSchema, targets: dict[str, Any] | None = None
) -> int:
    """The number a check comes down to: violating rows, rows in excess, rows without partner, rows."""
    match check.kind:
        case "row":
            assert check.violates is not None
            found = [truth(check.violates, row, schema) for row in rows]
            _truth(check.violates, {f.name: (None, f.type) for f in schema})  # meaningless even without rows
            return found.count(True)
        case "key":
            paths = [k.path for k in check.keys] or [(c,) for c in check.columns]
            keys = [tuple(_at(row, p) for p in paths) for row in rows]
            counted = Counter(tuple(map(_frozen, k)) for k in keys if None not in k)
            return sum(n - 1 for n in counted.values())
        case "count":
            return len(rows)
        case "reference":
            assert check.target is not None
            table, columns = check.target
            others = rows if not table else (targets or {})[table]
            known = {tuple(_frozen(other[c]) for c in columns) for other in others}
            paths = [k.path for k in check.keys]
            mine = [tuple(_frozen(_at(row, p)) for p in paths) for row in rows]
            return sum(None not in k and k not in known for k in mine)
    raise AssertionError(check.kind)


def status(
    check: Check, rows: list[dict[str, Any]], schema: TableSchema, targets: dict[str, Any] | None = None
) -> str:
    """The status a row, key, count or reference check must end with."""
    if check.unsupported is not None:
        return "not_executed"
    try:
        number: Any = measured(check, rows, schema, targets)
    except MeaninglessError:
        return "error"
    if check.unit == "percent":
        number = Fraction(number * 100, len(rows)) if rows else Fraction(0)
    good = _kept(check.threshold.operator, number, check.threshold.value)
    return "pass" if good else "fail" if check.blocking else "warn"


def _kept(operator: str, number: Any, operand: Any) -> bool:
    limits = [Fraction(str(v)) for v in (operand if isinstance(operand, list | tuple) else [operand])]
    first, last = limits[0], limits[-1]
    return {
        "mustBe": number == first,
        "mustNotBe": number != first,
        "mustBeGreaterThan": number > first,
        "mustBeGreaterOrEqualTo": number >= first,
        "mustBeLessThan": number < first,
        "mustBeLessOrEqualTo": number <= first,
        "mustBeBetween": first <= number <= last,
        "mustNotBeBetween": not first <= number <= last,
    }[operator]


def _at(row: dict[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = row
    for name in path:
        value = None if value is None else value[name]
    return value


__all__ = ["Field", "MeaninglessError", "measured", "status", "truth"]
