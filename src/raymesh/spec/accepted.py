"""Sets of values a promise accepts, as intervals, and which of two is the larger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from raymesh.spec.change import Direction

Value = Fraction | str
"""Numbers exactly as they are written, or ISO texts of one shape, which have the order of what they mean."""


@dataclass(frozen=True, slots=True)
class Span:
    """Values from `low` to `high`; None is no end, an open end does not belong to it."""

    low: Any = None
    high: Any = None
    low_open: bool = False
    high_open: bool = False

    @property
    def empty(self) -> bool:
        if self.low is None or self.high is None:
            return False
        return bool(self.low > self.high or (self.low == self.high and (self.low_open or self.high_open)))

    def within(self, other: Span) -> bool:
        """Whether every value of this one is one of the other."""
        return self.empty or (
            _inside(self.low, other.low, (self.low_open, other.low_open), 1)
            and _inside(self.high, other.high, (self.high_open, other.high_open), -1)
        )

    def whole(self) -> Span:
        """The same whole numbers with closed ends."""
        low = (
            None
            if self.low is None
            else Fraction(math.floor(self.low) + 1 if self.low_open else math.ceil(self.low))
        )
        high = (
            None
            if self.high is None
            else Fraction(math.ceil(self.high) - 1 if self.high_open else math.floor(self.high))
        )
        return Span(low, high)

    def above(self, low: Fraction) -> Span:
        """The values that are at least `low`."""
        inside = self.low is not None and self.low >= low
        return self if inside else Span(low, self.high, low_open=False, high_open=self.high_open)


def whole_numbers(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The whole numbers from 0 in these sets (given in order), without gaps between neighbours."""
    joined: list[Span] = []
    for span in (s.whole().above(Fraction(0)) for s in spans):
        last = joined[-1] if joined else None
        if last is not None and last.high is not None and span.low is not None and span.low <= last.high + 1:
            joined[-1] = Span(last.low, span.high)
        elif not span.empty:
            joined.append(span)
    return tuple(joined)


def _inside(end: Any, other: Any, opened: tuple[bool, bool], sign: int) -> bool:
    if other is None:
        return True
    if end is None:
        return False
    if end == other:
        return opened[0] or not opened[1]
    return bool(end > other) is (sign > 0)


def relation(old: Sequence[Span], new: Sequence[Span]) -> Direction | None:
    """How the accepted set changed; None when it is the same."""
    smaller, larger = _subset(new, old), _subset(old, new)
    if smaller and larger:
        return None
    return "tightens" if smaller else "loosens" if larger else "both"


def _subset(inner: Sequence[Span], outer: Sequence[Span]) -> bool:
    return all(any(a.within(b) for b in outer) for a in inner if not a.empty)


def number(value: Any) -> Fraction | None:
    """A number of a document exactly as written (0.1 is a tenth), true as 1; None for anything else."""
    if isinstance(value, bool | int):
        return Fraction(value)
    return Fraction(repr(value)) if isinstance(value, float) and math.isfinite(value) else None


def accepted(operator: str, operand: Any) -> tuple[Span, ...] | None:
    """The numbers an operator of the standard lets pass, None when its operand is no number.

    Both ends of `mustBeBetween` pass, both ends of `mustNotBeBetween` do not.
    """
    limits = [number(v) for v in (operand if isinstance(operand, list | tuple) else (operand,))]
    pair = operator in ("mustBeBetween", "mustNotBeBetween")
    if None in limits or len(limits) != (2 if pair else 1):
        return None
    low, high = limits[0], limits[-1]
    sets: dict[str, tuple[Span, ...]] = {
        "mustBe": (Span(low, low),),
        "mustNotBe": (Span(high=low, high_open=True), Span(low=low, low_open=True)),
        "mustBeGreaterThan": (Span(low=low, low_open=True),),
        "mustBeGreaterOrEqualTo": (Span(low=low),),
        "mustBeLessThan": (Span(high=low, high_open=True),),
        "mustBeLessOrEqualTo": (Span(high=low),),
        "mustBeBetween": (Span(low, high),),
        "mustNotBeBetween": (Span(high=low, high_open=True), Span(low=high, low_open=True)),
    }
    return sets.get(operator)
