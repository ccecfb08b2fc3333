"""What changed about the limits of a value: `logicalTypeOptions`, compared by what they accept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from raymesh.spec.accepted import Span, number, relation
from raymesh.spec.change import (
    BY_DIRECTION,
    Change,
    Direction,
    Grade,
    Place,
    Raw,
    arrow,
    kind_of,
    mapping,
    same,
)
from raymesh.spec.physical import parse_physical
from raymesh.spec.types import Primitive

_RANGES = (
    ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
)
_WORDS = {
    "minimum": "values",
    "minLength": "lengths",
    "minItems": "numbers of items",
    "minProperties": "numbers of members",
}
TYPING = frozenset({"format", "timezone", "elementType"})
"""Options that can decide about the stored type."""
_OF_RANGE = frozenset(key for keys in _RANGES for key in keys)
_LOW = ("min", "exclusiveMin")
_WIDTHS = {
    **{f"i{n}": (-(2 ** (n - 1)), 2 ** (n - 1) - 1) for n in (8, 16, 32, 64, 128)},
    **{f"u{n}": (0, 2**n - 1) for n in (8, 16, 32, 64, 128)},
    "f32": (-(2**128), 2**128),
    "f64": (-(2**1024), 2**1024),
}
_MEANING = (
    "dimensions",
    "elementType",
    "embeddingModel",
    "embeddingModelVersion",
    "defaultTimezone",
    "timezone",
)
"""Options that make values mean something else."""
_STANDS_FOR = {"elementType": "float32", "defaultTimezone": "Etc/UTC", "distanceMetric": None}
_FLAGS = ("uniqueItems", "normalized")
_TEMPORAL = (Primitive("date"), Primitive("time"), Primitive("timestamp"), Primitive("timestamptz"))
_DIGITS = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class _Finding:
    direction: Direction | None
    grade: Grade
    reason: str


def option_changes(old: Raw, new: Raw, place: Place, *, typed: bool = False) -> Iterator[Change]:
    """Changes of `logicalTypeOptions`: each pair of limits together, every other option alone.

    `typed` says that the options which decide about the stored type have been looked at.
    """
    before, after = (mapping(x.get("logicalTypeOptions")) for x in (old, new))
    at = place.key("logicalTypeOptions")
    for keys in _RANGES:
        yield from _range(before, after, keys, at)
    for key in sorted((before.keys() | after.keys()) - _OF_RANGE - (TYPING if typed else frozenset())):
        values = before.get(key), after.get(key)
        if same(*(v if v != _STANDS_FOR.get(key) else None for v in values)):
            continue
        found = _option(key, *values, place.column)
        if key == "format" and _is_notation(old, new):
            found = _Finding(None, "patch", f"{place.column} is noted otherwise and stored alike")
        yield at.key(key).change(
            kind_of(*values),
            "logicalTypeOptions",
            found.grade,
            found.reason,
            direction=found.direction,
            old=values[0],
            new=values[1],
            detail=f"{key} {arrow(*values)}",
        )


def _range(old: Raw, new: Raw, keys: tuple[str, ...], at: Place) -> Iterator[Change]:
    before, after = ({k: x[k] for k in keys if x.get(k) is not None} for x in (old, new))
    if before == after:
        return
    spans = _span(before), _span(after)
    direction: Direction | None = "undetermined"
    if spans[0] is not None and spans[1] is not None and _comparable((before, after)):
        direction = relation([spans[0]], [spans[1]])
    changed = [k for k in keys if before.get(k) != after.get(k)]
    where = at.key(changed[0])
    kind = (
        "add" if not before else "remove" if not after or any(k not in after for k in changed) else "change"
    )
    words = _WORDS[keys[0]]
    reason = {
        None: f"the limits of {at.column} are written otherwise",
        "tightens": f"{words} of {at.column} keep narrower limits",
        "loosens": f"{words} of {at.column} may lie outside the old limits",
        "both": f"{words} of {at.column} may lie outside the old limits",
        "undetermined": f"whether {words} of {at.column} keep the old limits cannot be told",
    }[direction]
    detail = ", ".join(f"{k} {arrow(before.get(k), after.get(k))}" for k in changed)
    grade = BY_DIRECTION[direction] if direction else "patch"
    more: dict[str, Any] = {
        "direction": direction,
        "old": before or None,
        "new": after or None,
        "detail": detail,
    }
    yield where.change(kind, "logicalTypeOptions", grade, reason, **more)  # type: ignore[arg-type]


def _span(limits: Raw) -> Span | None:
    """The values between the limits; None when they cannot be ordered."""
    lows: list[tuple[Any, bool]] = []
    highs: list[tuple[Any, bool]] = []
    for key, value in limits.items():
        if isinstance(value, bool):
            return None  # until 3.0 `exclusiveMinimum: true` was a remark about `minimum`
        ends = lows if key.startswith(_LOW) else highs
        exact = value if isinstance(value, str) else number(value)
        if exact is None:
            return None
        ends.append((exact, key.startswith("exclusive")))
    low = max(lows, default=(None, False))
    high = min(highs, key=lambda end: (end[0], not end[1]), default=(None, False))
    return Span(low[0], high[0], low[1], high[1])


def _comparable(both: tuple[Raw, Raw]) -> bool:
    """Numbers among numbers, or texts of one shape: ISO dates have the order of what they mean."""
    values = [v for limits in both for v in limits.values()]
    texts = [v for v in values if isinstance(v, str)]
    shapes = {_DIGITS.sub("0", t) for t in texts}
    return not texts or (len(texts) == len(values) and len(shapes) == 1 and shapes.pop().startswith("00"))


def _option(key: str, old: Any, new: Any, column: str) -> _Finding:
    kind = kind_of(old, new)
    if key == "distanceMetric":
        return _Finding("undetermined", "minor", f"{column} is best compared by another distance")
    if key in _MEANING:
        reason = f"values of {column} mean something else than before"
        return _Finding("both", "major", reason)
    direction: Direction
    if kind != "change":
        direction = "tightens" if kind == "add" else "loosens"
    elif key == "format" and old in _WIDTHS and new in _WIDTHS:
        return _width(old, new, column)
    else:
        direction = _replaced(key, old, new)
    reason = {
        "tightens": f"values of {column} keep a stricter {key}",
        "loosens": f"values of {column} may break the old {key}",
        "both": f"values of {column} may break the old {key}",
        "undetermined": f"whether values of {column} keep the old {key} cannot be told",
    }[direction]
    return _Finding(direction, BY_DIRECTION[direction], reason)


def _replaced(key: str, old: Any, new: Any) -> Direction:
    if key == "multipleOf":
        before, after = number(old), number(new)
        if before and after:
            tighter, looser = after % before == 0, before % after == 0
            return "tightens" if tighter else "loosens" if looser else "both"
    if key == "required" and isinstance(old, list | tuple) and isinstance(new, list | tuple):
        return "tightens" if set(old) < set(new) else "loosens" if set(new) < set(old) else "both"
    if key in _FLAGS:
        return "tightens" if new else "loosens"
    return "both" if key == "format" else "undetermined"


def _width(old: str, new: str, column: str) -> _Finding:
    (low, high), (new_low, new_high) = _WIDTHS[old], _WIDTHS[new]
    if new_low <= low and high <= new_high and old[0] == new[0]:
        return _Finding("loosens", "minor", f"{column} has more room and holds every old value")
    narrower = low <= new_low and new_high <= high and old[0] == new[0]
    reason = f"{column} has another width"
    return _Finding("tightens", "minor", reason) if narrower else _Finding("both", "major", reason)


def _is_notation(old: Raw, new: Raw) -> bool:
    """Whether `format` says only how a value is written that is stored as a date or time."""
    for entry in (old, new):
        physical = parse_physical(str(entry.get("physicalType") or ""))
        stored = physical.type if physical else None
        if stored not in _TEMPORAL and not (stored is None and entry.get("logicalType") == "date"):
            return False
    return True
