"""How two profiles of a product differ, column by column, in numbers that have a meaning and in words.

The population stability index compares in which tenths of the earlier rows the later ones lie (of columns without
an order: which of the common values they have): below 0.1 nothing has moved, above 0.25 the rows are other rows.
Both sides are samples, so an index is told only where both have at least a hundred rows.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from raymesh.quality.profile import in_order
from raymesh.quality.state import ORDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raymesh.quality.profile import ColumnProfile, Profile
    from raymesh.quality.sketch import Sketch, TableSketch

Level = Literal["none", "some", "strong"]
SOME, STRONG = 0.1, 0.25
_ENOUGH = 100
_BINS = 10
_LITTLE = 0.5
_NULLS = (0.01, 0.1)
_ROWS = (0.2, 1.0)
_COUNTS = (0.25, 1.0)


@dataclass(frozen=True, slots=True)
class Shift:
    """What changed in one column, or in the table when `column` is empty. `measure` is rows, nulls, distinct,
    values, added or removed; `amount` is the index, or the change in share or ratio; `words` say it."""

    column: str
    measure: str
    level: Level
    amount: float | None
    words: str


def drift(before: Profile, after: Profile, sketches: tuple[TableSketch, TableSketch]) -> tuple[Shift, ...]:
    """What is different in `after`; columns that cannot be compared are left out."""
    found = [s for s in (_rows(before, after),) if s]
    names = {c.name for c in before.columns}
    found += [
        Shift(c.name, "added", "some", None, "the column is new")
        for c in after.columns
        if c.name not in names
    ]
    for old in before.columns:
        new = after.column(old.name)
        if new is None:
            found.append(Shift(old.name, "removed", "strong", None, "the column is gone"))
            continue
        found += [s for s in (_nulls(old, new), _distinct(old, new)) if s]
        if old.hidden or new.hidden or old.kind != new.kind or _is_key(old, new):
            continue
        pair = tuple(s.columns.get(old.name) for s in sketches)
        if (shift := _values(old, pair[0], pair[1])) is not None:
            found.append(shift)
    return tuple(found)


def _is_key(old: ColumnProfile, new: ColumnProfile) -> bool:
    """Keys move as the rows do: new rows have new ones."""
    return all(c.counted and c.distinct == c.rows - c.nulls for c in (old, new))


def _rows(before: Profile, after: Profile) -> Shift | None:
    change = _ratio(before.rows, after.rows)
    level = _level(abs(change), _ROWS)
    words = f"{before.rows:,} rows became {after.rows:,}"
    return Shift("", "rows", level, change, words) if level != "none" else None


def _nulls(old: ColumnProfile, new: ColumnProfile) -> Shift | None:
    change = new.null_share - old.null_share
    level = _level(abs(change), _NULLS)
    words = f"NULLs went from {old.null_share:.1%} to {new.null_share:.1%} of the rows"
    return Shift(old.name, "nulls", level, change, words) if level != "none" else None


def _distinct(old: ColumnProfile, new: ColumnProfile) -> Shift | None:
    """The number of values, in columns where it does not simply follow the rows."""
    if old.distinct is None or new.distinct is None:
        return None
    if all(c.distinct and c.distinct >= _LITTLE * (c.rows - c.nulls) for c in (old, new)):
        return None
    change = _ratio(old.distinct, new.distinct)
    level = _level(abs(change), _COUNTS)
    words = f"about {old.distinct:,} distinct values became {new.distinct:,}"
    return Shift(old.name, "distinct", level, change, words) if level != "none" else None


def _values(column: ColumnProfile, old: Sketch | None, new: Sketch | None) -> Shift | None:
    if old is None or new is None or old.sample is None or new.sample is None:
        return None
    first, second = ([v for _, v in s.sample.items if v is not None] for s in (old, new) if s.sample)
    if min(len(first), len(second)) < _ENOUGH:
        return None
    shares = _shares(column.kind, first, second)
    if shares is None:
        return None
    index = stability(*shares)
    level = _level(index, (SOME, STRONG))
    words = f"its values are distributed {'otherwise' if level == 'strong' else 'somewhat otherwise'} (index {index:.2f})"
    return Shift(column.name, "values", level, index, words) if level != "none" else None


def stability(first: Sequence[float], second: Sequence[float]) -> float:
    """The population stability index of two lists of shares of the same classes, none of them 0."""
    return sum((b - a) * math.log(b / a) for a, b in zip(first, second, strict=True))


def _shares(kind: str, first: list[Any], second: list[Any]) -> tuple[list[float], list[float]] | None:
    """Shares of both in classes of the first: tenths of an order, or its common values and all others."""
    if kind in ("string", "boolean"):
        common = [v for v, n in Counter(first).most_common(_BINS) if n >= 0.02 * len(first)]
        if not common:
            return None  # hardly any value comes twice: there is nothing to compare
        place = {v: n for n, v in enumerate(common)}
        classes = [[place.get(v, len(common)) for v in side] for side in (first, second)]
        return _counted(classes[0], len(common) + 1), _counted(classes[1], len(common) + 1)
    read = ORDER[kind]
    ordered = [read(v) for v in in_order(kind, first)]
    if not ordered:
        return None
    edges = sorted({ordered[int(len(ordered) * n / _BINS)] for n in range(1, _BINS)})
    classes = [[bisect_right(edges, read(v)) for v in in_order(kind, side)] for side in (first, second)]
    return _counted(classes[0], len(edges) + 1), _counted(classes[1], len(edges) + 1)


def _counted(classes: list[int], of: int) -> list[float]:
    """Shares of the classes; half a row more in each, so that none is empty."""
    found = Counter(classes)
    return [(found[n] + 0.5) / (len(classes) + 0.5 * of) for n in range(of)]


def _ratio(before: int, after: int) -> float:
    """By which part of itself a number grew, or shrank the other way round: symmetric, 0 for no change."""
    low, high = sorted((before, after))
    if low == high:
        return 0.0
    grown = (high - low) / low if low else math.inf
    return grown if after > before else -grown


def _level(amount: float, limits: tuple[float, float]) -> Level:
    if amount < limits[0]:
        return "none"
    return "strong" if amount >= limits[1] else "some"


def shift_json(shift: Shift) -> dict[str, Any]:
    """A shift as the JSON document shows it."""
    finite = shift.amount is not None and math.isfinite(shift.amount)
    return {
        "column": shift.column,
        "measure": shift.measure,
        "level": shift.level,
        "amount": shift.amount if finite else None,
        "words": shift.words,
    }
