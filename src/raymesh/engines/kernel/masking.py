"""Masks as DuckDB SQL over raw values. Nothing here can fail because of a value: what has no answer is NULL.

Token masks end in Python (see `tokens`): SQL only brings the value into the text that is hashed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raymesh.engines.kernel.predicates import predicate_sql
from raymesh.engines.kernel.sqltext import literal, quote, text
from raymesh.errors import UsageError
from raymesh.mesh.plan import EVERY_ROW
from raymesh.spec.expression import (
    And,
    Column,
    Compare,
    Constant,
    Expression,
    In,
    IsNull,
    Not,
    Or,
    Value,
)
from raymesh.spec.mask import (
    HIDDEN,
    Bucket,
    Literally,
    Partial,
    Raw,
    Token,
    Truncate,
    fitting,
)
from raymesh.spec.types import Decimal, Primitive, TableSchema, Type
from raymesh.spi.scan_sql import type_text

if TYPE_CHECKING:
    from fractions import Fraction

    from raymesh.mesh.plan import View, ViewColumn

_LEAST = -(2**63)
_HALF = 2**62
_HUGE = 2**125
_EXACT = 2**53
"""Whole numbers up to here are exact as floating-point numbers."""


def rows_sql(rows: Expression, schema: TableSchema) -> str:
    """A row predicate as SQL that is true for the rows that may be seen.

    A predicate that cannot be answered (a column that is not there, values that do not compare) is false for
    every row.
    """
    try:
        written = predicate_sql(rows, schema, exact_null=False)
    except UsageError:
        return "FALSE"
    return written if _simple(rows) else f"TRY({written})"


def _simple(e: Expression) -> bool:
    """Whether no value can make the predicate fail: comparisons of columns with constants."""
    match e:
        case And(terms) | Or(terms):
            return all(_simple(t) for t in terms)
        case Not(term):
            return _simple(term)
        case Compare(_, left, right):
            return all(isinstance(o, Column | Value) for o in (left, right)) and (
                isinstance(left, Value) or isinstance(right, Value)
            )
        case In(of) | IsNull(of):
            return isinstance(of, Column | Value)
    return isinstance(e, Constant)


def visible_everywhere(column: ViewColumn, rows: Expression) -> bool:
    """Whether the column's values are shown in every row that is: its own condition follows from `rows`."""
    terms = rows.terms if isinstance(rows, And) else ()
    return column.visible in (EVERY_ROW, rows, *terms)


def shown_sql(column: ViewColumn, view: View, schema: TableSchema) -> str:
    """The value a reader gets, or the text its token is made of; NULL where the column is not visible."""
    kind = next(f.type for f in schema if f.name == column.name)
    masked = mask_sql(column, kind)
    if visible_everywhere(column, view.rows):
        return masked
    return f"CASE WHEN {rows_sql(column.visible, schema)} THEN {masked} END"


def mask_sql(column: ViewColumn, kind: Type) -> str:  # noqa: PLR0911 (one line per kind of mask)
    """The masked value of a column of type `kind`."""
    name = quote(column.name)
    match fitting(column.mask, kind):
        case Raw():
            return name
        case Partial(first, last):
            return _partial(name, first, last)
        case Truncate(unit):
            return f"TRY(CAST(date_trunc({text(unit)}, {name}) AS {type_text(kind)}))"
        case Bucket(width):
            return _bucket(name, kind, width)
        case Literally(value):
            return f"CASE WHEN {name} IS NOT NULL THEN CAST({literal(value)} AS {type_text(kind)}) END"
        case Token():
            return token_text_sql(name, kind)
    return f"CAST(NULL AS {'VARCHAR' if isinstance(column.mask, Token) else type_text(kind)})"


def _partial(name: str, first: int, last: int) -> str:
    if first + last <= 0:
        return f"CASE WHEN {name} IS NOT NULL THEN {text(HIDDEN)} END"
    parts = [f"left({name}, {first:d})"] if first else []
    parts += [text(HIDDEN)]
    parts += [f"substr({name}, -{last:d}, {last:d})"] if last else []  # faster than right()
    return (
        f"CASE WHEN length({name}) > {first + last:d} THEN {' || '.join(parts)} "
        f"WHEN {name} IS NOT NULL THEN {text(HIDDEN)} END"
    )


def token_text_sql(name: str, kind: Type) -> str:
    """A value as the text its token is made of: the same for equal values, however the type was widened.

    Times are microseconds, floating-point numbers the shortest text of the double, bytes hexadecimal digits.
    """
    match kind:
        case Primitive("string"):
            return name
        case Primitive("float" | "double"):
            return f"CAST(CAST({name} AS DOUBLE) + 0 AS VARCHAR)"
        case Primitive("time" | "timestamp" | "timestamptz"):
            return f"CAST(TRY(epoch_us({name})) AS VARCHAR)"
        case Primitive("binary"):
            return f"hex({name})"
    return f"CAST({name} AS VARCHAR)"


def _bucket(name: str, kind: Type, width: Fraction) -> str:
    if width <= 0:
        return f"CAST(NULL AS {type_text(kind)})"
    match kind:
        case Primitive("int" | "long" as whole):
            return _whole_bucket(name, whole, width.numerator)
        case Decimal():
            return _decimal_bucket(name, kind, (width * 10**kind.scale).numerator)
    return _real_bucket(name, kind, width)


def _whole_bucket(name: str, kind: str, width: int) -> str:
    """Of the multiples of the width those count that are whole numbers."""
    stored = "INTEGER" if kind == "int" else "BIGINT"
    if width >= _HUGE:
        return f"CASE WHEN {name} >= 0 THEN CAST(0 AS {stored}) END"
    huge, step = f"CAST({name} AS HUGEINT)", f"CAST('{width}' AS HUGEINT)"
    far = f"TRY_CAST({huge} - (({huge} % {step} + {step}) % {step}) AS {stored})"
    if width > _HALF:
        return far
    wide = f"CAST({name} AS BIGINT)"
    rest = f"({wide} % {width})"
    near = f"{wide} - {rest} - CASE WHEN {rest} < 0 THEN {width} ELSE 0 END"
    if kind == "int":
        return f"TRY_CAST({near} AS INTEGER)"
    return f"CASE WHEN {name} >= {_LEAST + width} THEN {near} ELSE {far} END"


def _decimal_bucket(name: str, kind: Decimal, units: int) -> str:
    """Of the multiples of the width those count that the type can hold; `units` is the least of them, in its
    last digit."""
    stored = type_text(kind)
    if units >= 10**kind.precision:
        return f"CASE WHEN {name} >= 0 THEN CAST(0 AS {stored}) END"
    digits = str(units).rjust(kind.scale + 1, "0")
    shown = f"{digits[: -kind.scale]}.{digits[-kind.scale :]}" if kind.scale else digits
    step = f"CAST({text(shown)} AS {stored})"
    rest = f"({name} % {step})"
    down = f"CASE WHEN {rest} < 0 THEN {step} ELSE CAST(0 AS {stored}) END"
    return f"TRY(CAST({name} - {rest} - {down} AS {stored}))"


def _real_bucket(name: str, kind: Type, width: Fraction) -> str:
    """A multiple stands for the floating-point number next to it. Beyond what is exact nothing is shown."""
    a, b = width.numerator, width.denominator
    limit = (_EXACT - 2 * a) // b
    if limit <= 0:
        return f"CAST(NULL AS {type_text(kind)})"
    up, down = f"{float(a)!r}::DOUBLE", f"{float(b)!r}::DOUBLE"
    x = f"CAST({name} AS DOUBLE)"
    n = f"floor({x} * {down} / {up})"

    def multiple(count: str) -> str:
        value = f"(({count}) * {up} / {down} + 0)"
        return f"CAST(CAST({value} AS FLOAT) AS DOUBLE)" if kind == Primitive("float") else value

    tried = [multiple(count) for count in (f"{n} + 1", n)]
    choices = " ".join(f"WHEN {value} <= {x} THEN {value}" for value in tried)
    inside = f"isfinite({x}) AND abs({x}) < {float(limit)!r}::DOUBLE"
    found = f"CASE WHEN NOT ({inside}) THEN NULL {choices} ELSE {multiple(f'{n} - 1')} END"
    return f"CAST({found} AS {type_text(kind)})"


def leak_proof(e: Expression, raw: frozenset[str], schema: TableSchema) -> bool:
    """Whether evaluating `e` before masks and row rules can tell a reader nothing: comparisons of `raw` columns
    with constants, tests for NULL, and `and`/`or` of these."""
    match e:
        case And(terms) | Or(terms):
            return all(leak_proof(t, raw, schema) for t in terms)
        case Not(IsNull() as test):
            return leak_proof(test, raw, schema)
        case Compare(_, left, right):
            sides = sorted((left, right), key=lambda o: isinstance(o, Value))
            return _is_raw(sides[0], raw) and isinstance(sides[1], Value)
        case In(of) | IsNull(of):
            return _is_raw(of, raw)
    return False


def _is_raw(operand: object, raw: frozenset[str]) -> bool:
    return isinstance(operand, Column) and len(operand.path) == 1 and operand.path[0] in raw
