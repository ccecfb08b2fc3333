"""What a reader sees of a value: a closed set of masks, ordered by what can still be learnt from it.

    raw  <  { partial, truncate, bucket, token, constant }  <  null  <  absent

The masks in the middle keep different things (a token keeps equality, a partial mask keeps characters), so
none may stand in for another: two of different kinds join to null. `join` is associative, commutative and
idempotent, so the order of policies never matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any, Literal, TypeAlias

from raymesh.spec.types import Decimal, Primitive, Type

TimeUnit = Literal["day", "month", "quarter", "year"]
UNITS: tuple[TimeUnit, ...] = ("day", "month", "quarter", "year")
HIDDEN = "***"
"""What stands for the hidden characters of a partial mask, however many they are."""


@dataclass(frozen=True, slots=True)
class Raw:
    """The value itself."""


@dataclass(frozen=True, slots=True)
class Partial:
    """Some first and last characters of a string around `HIDDEN`; nothing of a string no longer than both."""

    first: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class Truncate:
    """The first moment of the day, month, quarter or year a date or timestamp lies in."""

    unit: TimeUnit


@dataclass(frozen=True, slots=True)
class Bucket:
    """The largest multiple of `width` that is not above the number."""

    width: Fraction


@dataclass(frozen=True, slots=True)
class Token:
    """A keyed pseudonym of the value, 128 bits as 32 hexadecimal digits.

    The key is derived from the mesh's secret and `context`, which names tag, purpose and domain: tokens of
    different contexts cannot be compared. Equal values of one context have equal tokens.
    """

    context: str


@dataclass(frozen=True, slots=True)
class Literally:
    """One constant in place of every value; NULL stays NULL."""

    value: Any


@dataclass(frozen=True, slots=True)
class Null:
    """NULL in place of every value."""


@dataclass(frozen=True, slots=True)
class Absent:
    """The column is not there."""


Mask: TypeAlias = Raw | Partial | Truncate | Bucket | Token | Literally | Null | Absent


def join(a: Mask, b: Mask) -> Mask:
    """The least mask that shows no more than either of the two."""
    if a == b or isinstance(b, Raw):
        return a
    if isinstance(a, Raw):
        return b
    if Absent() in (a, b):
        return Absent()
    return _coarser(a, b) or Null()


def _coarser(a: Mask, b: Mask) -> Mask | None:
    """What two masks of one kind have in common; None for different kinds."""
    match a, b:
        case Partial(), Partial():
            return Partial(min(a.first, b.first), min(a.last, b.last))
        case Truncate(), Truncate():
            return Truncate(max(a.unit, b.unit, key=UNITS.index))
        case Bucket(), Bucket():
            return Bucket(_common(a.width, b.width))
    return None


def _common(a: Fraction, b: Fraction) -> Fraction:
    """The smallest width that both widths divide."""
    scale = lcm(a.denominator, b.denominator)
    return Fraction(lcm(int(a * scale), int(b * scale)), scale)


_NUMBERS = ("int", "long", "float", "double")
_TIMES = ("date", "timestamp", "timestamptz")


def fitting(mask: Mask, kind: Type) -> Mask:
    """`mask` as it applies to a column of type `kind`: null where it cannot be applied."""
    name = kind.name if isinstance(kind, Primitive) else ""
    fits = True
    match mask:
        case Partial():
            fits = name == "string"
        case Truncate():
            fits = name in _TIMES
        case Bucket():
            fits = name in _NUMBERS or isinstance(kind, Decimal)
        case Token():
            fits = bool(name) or isinstance(kind, Decimal)
        case Literally(value):
            fits = _holds(kind, value)
    return mask if fits else Null()


def _holds(kind: Type, value: Any) -> bool:
    name = kind.name if isinstance(kind, Primitive) else ""
    if isinstance(value, bool):
        return name == "boolean"
    if isinstance(value, int):
        low, high = (-(2**31), 2**31) if name == "int" else (-(2**63), 2**63)
        return name in ("int", "long") and low <= value < high
    return isinstance(value, str) and name == "string"


def masked_type(kind: Type, mask: Mask) -> Type:
    """The type of what is shown: tokens are strings, everything else keeps its type."""
    return Primitive("string") if isinstance(mask, Token) else kind
