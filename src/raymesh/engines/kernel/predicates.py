"""Predicates as DuckDB SQL.

Types decide: the text is built against the schema of the rows, so that a comparison that has no meaning is
an error here and not a cast at run time. Nothing but quoted names and typed constants enters the text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel.comparisons import (
    FLIPPED,
    Operator,
    beyond_nanoseconds,
    constant_sql,
    describe,
    exact,
    mismatch,
    rational,
)
from raymesh.engines.kernel.operands import NUMERIC, Scope, Term, items_of, term
from raymesh.engines.kernel.sqltext import text
from raymesh.errors import UsageError
from raymesh.spec.expression import (
    And,
    AnyItem,
    Compare,
    Constant,
    Expression,
    In,
    IsNaN,
    IsNull,
    Matches,
    Not,
    Operand,
    Or,
    Remainder,
    Value,
)
from raymesh.spec.types import Decimal, Primitive, TableSchema, Type

if TYPE_CHECKING:
    from fractions import Fraction

_HUGE = 2**127


def predicate_sql(
    expression: Expression, schema: TableSchema, *, row: str = "", exact_null: bool = True
) -> str:
    """`expression` over rows of `schema` as SQL that is true, false or NULL.

    `row` prefixes columns (`"t."`). With `exact_null=False` the text may say false where it means
    unknown, which is simpler and enough for WHERE. Raises UsageError for names that do not exist
    and for comparisons between kinds.
    """
    return _write(expression, Scope.of(schema, row), loose=not exact_null)


def operand_sql(operand: Operand, schema: TableSchema, *, row: str = "") -> str:
    """A column or another operand as SQL; raises UsageError as `predicate_sql` does."""
    return term(operand, Scope.of(schema, row)).sql


def _write(e: Expression, scope: Scope, *, loose: bool) -> str:
    """`loose`: unknown and false may be confused, because nothing above negates them."""
    match e:
        case And(terms):
            return _join(terms, scope, "AND", loose=loose)
        case Or(terms):
            return _join(terms, scope, "OR", loose=loose)
        case Not(inner):
            return f"(NOT {_write(inner, scope, loose=False)})"
        case AnyItem(of, condition):
            sql, items = items_of(of, scope)
            holds = _write(condition, scope.inside(items), loose=True)
            return f'(len(list_filter({sql}, lambda "${scope.depth}": {holds})) > 0)'
        case Constant(value):
            return "TRUE" if value else "FALSE"
    return _simple(e, scope, loose=loose)


def _join(terms: tuple[Expression, ...], scope: Scope, word: str, *, loose: bool) -> str:
    neutral, decisive = ("TRUE", "FALSE") if word == "AND" else ("FALSE", "TRUE")
    texts = [_write(t, scope, loose=loose) for t in terms]
    if decisive in texts:
        return decisive
    texts = [t for t in texts if t != neutral]
    if len(texts) <= 1:
        return texts[0] if texts else neutral
    return "(" + f" {word} ".join(texts) + ")"


def _simple(e: Expression, scope: Scope, *, loose: bool) -> str:
    match e:
        case Compare(operator, left, right):
            return _compare(operator, left, right, scope, loose)
        case IsNull(Value(value)):
            return "TRUE" if value is None else "FALSE"
        case IsNull(of):
            return f"({term(of, scope).sql} IS NULL)"
        case IsNaN(of):
            return _is_nan(term(of, scope), loose)
        case In(of, values):
            return _in(term(of, scope), values, loose)
        case Matches(of, pattern):
            return _matches(term(of, scope), pattern)
    raise UsageError(f"{type(e).__name__} is not a predicate")


def _always(value: bool, of: Term, loose: bool) -> str:
    """A constant truth about a term that stays unknown for NULL."""
    if value:
        return f"({of.sql} IS NOT NULL)" if loose else f"({of.sql} IS NOT NULL OR NULL)"
    return "FALSE" if loose else f"({of.sql} IS NULL AND NULL)"


def _compare(operator: Operator, left: Operand, right: Operand, scope: Scope, loose: bool) -> str:
    match left, right:
        case Value(a), Value(b):
            return _fold(operator, a, b)
        case Value(), _:
            return _compare(FLIPPED[operator], right, left, scope, loose)
        case Remainder(of, Value(divisor)), Value(0) if operator in ("=", "<>"):
            multiple = _is_multiple(term(of, scope), divisor)
            return multiple if operator == "=" else f"(NOT {multiple})"
        case _, Value(None):
            return "CAST(NULL AS BOOLEAN)"
        case _, Value(value):
            return _against(operator, term(left, scope), value, loose)
    return _columns(operator, term(left, scope), term(right, scope))


def _fold(operator: Operator, a: Any, b: Any) -> str:
    if a is None or b is None:
        return "CAST(NULL AS BOOLEAN)"
    if isinstance(a, bool) != isinstance(b, bool):
        raise UsageError(f"{a!r} cannot be compared with {b!r}")
    try:
        less, equal = a < b, a == b
    except TypeError:
        raise UsageError(f"{a!r} cannot be compared with {b!r}") from None
    answers = {
        "=": equal,
        "<>": not equal,
        "<": less,
        "<=": less or equal,
        ">": not less and not equal,
        ">=": not less,
    }
    return "TRUE" if answers[operator] else "FALSE"


def _against(operator: Operator, of: Term, value: Any, loose: bool) -> str:
    outcome = exact(operator, of.type, value)
    if isinstance(outcome, bool):
        return _always(outcome, of, loose)
    return f"({_comparable(of, outcome[1])} {outcome[0]} {constant_sql(of.type, outcome[1])})"


def _comparable(of: Term, value: Any) -> str:
    if of.type == Primitive("float"):
        return f"CAST({of.sql} AS DOUBLE)"
    return f"CAST({of.sql} AS {str(of.type).upper()})" if beyond_nanoseconds(value) else of.sql


def _columns(operator: Operator, left: Term, right: Term) -> str:
    if _kind(left.type) != _kind(right.type):
        raise UsageError(f"a {describe(left.type)} cannot be compared with a {describe(right.type)}")
    whole, real = ("int", "long"), ("float", "double")
    if str(left.type) in whole and str(right.type) in real:
        return _whole_against_real(operator, left, right)
    if str(left.type) in real and str(right.type) in whole:
        return _whole_against_real(FLIPPED[operator], right, left)
    if isinstance(left.type, Decimal) != isinstance(right.type, Decimal) and (
        str(left.type) in real or str(right.type) in real
    ):
        raise UsageError(
            "a decimal cannot be compared exactly with a floating-point column; cast one of them"
        )
    return f"({left.sql} {operator} {right.sql})"


def _kind(type_: Type) -> str:
    """Columns compare within one kind."""
    if isinstance(type_, Decimal) or str(type_) in NUMERIC:
        return "number"
    return "datetime" if str(type_) in ("date", "timestamp") else str(type_)


def _whole_against_real(operator: Operator, whole: Term, real: Term) -> str:
    """An integer against a double without turning the integer into a double."""
    i, f = whole.sql, f"CAST({real.sql} AS DOUBLE)"
    inside = f"{f} >= -9223372036854775808.0::DOUBLE AND {f} < 9223372036854775808.0::DOUBLE"
    truncated = f"CAST(trunc({f}) AS BIGINT)"
    rest = f"(0.0::DOUBLE {operator} {f} - trunc({f}))"
    return (
        f"(CASE WHEN {i} IS NULL OR {f} IS NULL THEN NULL WHEN NOT ({inside}) THEN 0.0::DOUBLE {operator} {f} "
        f"WHEN {i} <> {truncated} THEN {i} {operator} {truncated} ELSE {rest} END)"
    )


def _is_nan(of: Term, loose: bool) -> str:
    if str(of.type) in ("float", "double"):
        return f"isnan({of.sql})"
    return _always(False, of, loose)


def _in(of: Term, values: tuple[Any, ...], loose: bool) -> str:
    texts: dict[str, list[str]] = {}
    for value in values:
        if value is None:
            raise UsageError("a list of values holds no NULL")
        outcome = exact("=", of.type, value)
        if not isinstance(outcome, bool):
            texts.setdefault(_comparable(of, outcome[1]), []).append(constant_sql(of.type, outcome[1]))
    if not texts:
        return _always(False, of, loose)
    found = [f"({sql} IN ({', '.join(dict.fromkeys(constants))}))" for sql, constants in texts.items()]
    return found[0] if len(found) == 1 else f"({' OR '.join(found)})"


def _matches(of: Term, pattern: str) -> str:
    if of.type != Primitive("string"):
        raise UsageError(f"a {describe(of.type)} has no pattern")
    return f"regexp_matches({of.sql}, {text(pattern)})"


def _is_multiple(of: Term, divisor: Any) -> str:
    """Whether a number is a whole multiple of `divisor`, without rounding."""
    step = rational(divisor) if isinstance(divisor, int | float) or hasattr(divisor, "is_finite") else None
    if step is None or step <= 0 or isinstance(divisor, bool):
        raise UsageError(f"{divisor!r} is no divisor")
    if isinstance(of.type, Decimal):
        return _decimal_multiple(of.sql, of.type, step)
    if str(of.type) in ("int", "long"):
        return _whole_multiple(of.sql, step)
    if str(of.type) in ("float", "double"):
        return _real_multiple(of, step)
    raise mismatch(of.type, divisor)


def _whole_multiple(sql: str, step: Fraction) -> str:
    a, b = step.numerator, step.denominator
    if a >= _HUGE or b >= 2**63:
        raise UsageError(f"{step} is too fine or too large a divisor")
    if b == 1 and a < 2**31:
        return f"({sql} % {a} = 0)"
    return f"((CAST({sql} AS HUGEINT) * CAST('{b}' AS HUGEINT)) % CAST('{a}' AS HUGEINT) = 0)"


def _decimal_multiple(sql: str, type_: Decimal, step: Fraction) -> str:
    scale = type_.scale
    while (step * 10**scale).denominator != 1 and scale < 38:
        scale += 1
    units = step * 10**scale
    if units.denominator != 1 or type_.precision - type_.scale + scale > 38 or units >= 10**38:
        raise UsageError(f"{step} is too fine or too large a divisor for {type_}")
    wide = f"DECIMAL(38, {scale})"
    return f"(CAST({sql} AS {wide}) % {constant_sql(Decimal(38, scale), step)} = 0)"


def _real_multiple(of: Term, step: Fraction) -> str:
    """The number is the one nearest to n · step for some whole n."""
    a, b = float(step.numerator), float(step.denominator)
    if step.numerator >= 2**53 or step.denominator > 10**22:
        raise UsageError(f"{step} is too fine or too large a divisor for floating-point numbers")
    x = f"CAST({of.sql} AS DOUBLE)"
    if step.denominator == 1:
        return f"({x} % {a!r}::DOUBLE = 0)"
    n = f"round({x} * {b!r}::DOUBLE / {a!r}::DOUBLE)"
    candidate = f"{n} * {a!r}::DOUBLE / {b!r}::DOUBLE"
    if of.type == Primitive("float"):
        candidate = f"CAST(CAST({candidate} AS FLOAT) AS DOUBLE)"
    dense = f"abs({x}) >= {float(2**53 * step)!r}::DOUBLE"
    return f"(CASE WHEN NOT isfinite({x}) THEN {x} IS NULL AND NULL WHEN {dense} THEN TRUE ELSE {candidate} = {x} END)"
