"""A closed language of row predicates: data, never SQL text.

Checks and policies are expressions of these nodes. An engine compiles them with bound or quoted
literals; tests evaluate them row by row in Python. Nothing outside this module can be expressed,
so nothing outside it can be injected.

Logic is three-valued as in SQL: a comparison with NULL is unknown, and an unknown predicate
neither selects nor violates.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Column:
    """A column, or a struct member by its path."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A constant: None, bool, int, float, Decimal, str, bytes, date, time, datetime."""

    value: Any


@dataclass(frozen=True, slots=True)
class Length:
    """Characters (code points) of a string, items of a list or map."""

    of: Operand


@dataclass(frozen=True, slots=True)
class Remainder:
    """`of` modulo `divisor`, exact; may only be compared with 0 by `=` or `<>`.

    For a divisor with a fractional part a binary floating-point number counts as a multiple when it is the
    number nearest to one, so 0.3 is a multiple of 0.1.
    """

    of: Operand
    divisor: Operand


@dataclass(frozen=True, slots=True)
class DistinctLength:
    """Different items of a list; all NULL items together count as one."""

    of: Operand


@dataclass(frozen=True, slots=True)
class MapKeys:
    """The keys of a map, as a list."""

    of: Operand


@dataclass(frozen=True, slots=True)
class MapValues:
    """The values of a map, as a list in the order of its keys."""

    of: Operand


@dataclass(frozen=True, slots=True)
class Norm:
    """The Euclidean length of a list of numbers, as a double; NULL items do not count."""

    of: Operand


@dataclass(frozen=True, slots=True)
class Present:
    """How many of the operands are not NULL."""

    of: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something known about whoever reads (`principal.region`), in policies only.

    A decision replaces it by the reader's own value; no engine ever sees one.
    """

    name: str


Operand: TypeAlias = (
    Column | Value | Attribute | Length | Remainder | DistinctLength | MapKeys | MapValues | Norm | Present
)


@dataclass(frozen=True, slots=True)
class Compare:
    """Numbers compare by value whatever their types: an int64 never loses digits against a double.

    A constant that is a float or has a fractional part is read in the column's own type (0.1 is the
    double or the float nearest to it). NaN equals NaN and is greater than every other number; -0.0 equals 0.0.
    Strings compare by code point, dates and times as instants; a timestamp without zone against a
    constant with one compares with the constant's own wall clock. Values of different kinds
    cannot be compared: that is an error, never false.
    """

    operator: Literal["=", "<>", "<", "<=", ">", ">="]
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class IsNull:
    of: Operand


@dataclass(frozen=True, slots=True)
class IsNaN:
    """Unknown for NULL, false for every type that has no NaN."""

    of: Operand


@dataclass(frozen=True, slots=True)
class In:
    """`of` equals one of `values`; values hold no NULL."""

    of: Operand
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Matches:
    """The RE2 pattern is found in the string; anchors in the pattern decide about the rest."""

    of: Operand
    pattern: str


@dataclass(frozen=True, slots=True)
class AnyItem:
    """Some item of a list satisfies `condition`, in which `Column(("$item",…))` stands for the item."""

    of: Operand
    condition: Expression


@dataclass(frozen=True, slots=True)
class And:
    terms: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    terms: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    term: Expression


@dataclass(frozen=True, slots=True)
class Constant:
    value: bool


Expression: TypeAlias = Compare | IsNull | IsNaN | In | Matches | AnyItem | And | Or | Not | Constant


def columns_of(part: object) -> frozenset[str]:
    """The columns (or the structs) that an expression names; items of lists are none."""
    if isinstance(part, Column):
        return frozenset(part.path[:1]) - {"$item"}
    if isinstance(part, tuple):
        return frozenset(name for item in part for name in columns_of(item))
    if not is_dataclass(part):
        return frozenset()
    return frozenset(name for f in fields(part) for name in columns_of(getattr(part, f.name)))
