"""What changed about promises of time and service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from raymesh.spec.accepted import number
from raymesh.spec.change import (
    BY_DIRECTION,
    Change,
    Direction,
    Grade,
    Place,
    Raw,
    arrow,
    entries,
    same,
)

_SHORT = {
    "av": "availability", "th": "throughput", "er": "errorrate", "ga": "generalavailability", "es": "endofsupport",
    "el": "endoflife", "re": "retention", "fy": "frequency", "ly": "latency", "td": "timetodetect",
    "tn": "timetonotify", "tr": "timetorepair",
}  # fmt: skip
_MORE_IS_BETTER = ("availability", "throughput", "retention", "endofsupport", "endoflife")
_LESS_IS_BETTER = ("errorrate", "frequency", "latency", "freshness", "timetodetect", "timetonotify", "timetorepair", "generalavailability")  # fmt: skip
_ENDS = ("endofsupport", "endoflife")
"""Promises that end something: the first word about them is a notice."""
_SECONDS = {
    **dict.fromkeys(("s", "sec", "second"), 1),
    **dict.fromkeys(("m", "min", "minute"), 60),
    **dict.fromkeys(("h", "hr", "hour"), 3600),
    **dict.fromkeys(("d", "day"), 86400),
    **dict.fromkeys(("w", "wk", "week"), 604800),
    **dict.fromkeys(("mo", "month"), 2629746),
    **dict.fromkeys(("y", "yr", "year"), 31556952),
}
"""Units of durations in seconds; months and years as in the Gregorian average."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")
_WRITTEN = re.compile(r"([-+]?\d+(?:\.\d+)?)\s*(%|[A-Za-z]*)")
"""A number written as text, with its unit or without: `99.9`, `99.9%`, `4h`."""
_PROMISE = ("value", "valueExt", "unit")


def sla_changes(old: Raw, new: Raw) -> Iterator[Change]:
    """Changes of `slaProperties`, one per promise; matched by property and element."""
    before, after = (
        {_identity(s): (i, s) for i, s in enumerate(entries(x.get("slaProperties")))} for x in (old, new)
    )
    for key in (*after, *(k for k in before if k not in after)):
        i, was = before.get(key, (None, None))
        j, now = after.get(key, (None, None))
        said = now if now is not None else was or {}
        at = Place("slaProperties").entry("slaProperties", ("property", str(said.get("property"))), (i, j))
        if was is None:
            yield _new(said, key[0], at)
        elif now is None:
            yield _gone(said, key[0], at)
        else:
            yield from _changed(was, now, key[0], at)


def _identity(sla: Raw) -> tuple[str, str]:
    name = str(sla.get("property")).lower()
    return _SHORT.get(name, name), str(sla.get("element") or "")


def _new(sla: Raw, name: str, at: Place) -> Change:
    if name in _ENDS:
        reason = f"{sla.get('property')} has a date now; readers should plan for it"
        return at.change("add", "slaProperties", "minor", reason, direction="loosens", new=sla)
    reason = f"{sla.get('property')} is promised"
    return at.change("add", "slaProperties", "minor", reason, direction="tightens", new=sla)


def _gone(sla: Raw, name: str, at: Place) -> Change:
    if name in _ENDS:
        reason = f"{sla.get('property')} has no date any more"
        return at.change("remove", "slaProperties", "minor", reason, direction="tightens", old=sla)
    reason = f"{sla.get('property')} is no longer promised"
    return at.change("remove", "slaProperties", "major", reason, direction="loosens", old=sla)


def _changed(old: Raw, new: Raw, name: str, at: Place) -> Iterator[Change]:
    said, more = new.get("property"), {"old": old, "new": new}
    direction = _direction(old, new, name)
    if direction is not None:
        detail = arrow(*(" ".join(str(s[k]) for k in _PROMISE if s.get(k) is not None) for s in (old, new)))
        reason, grade = f"{said} {_SENTENCES[direction]}", _grade(direction)
        yield at.change("change", "slaProperties", grade, reason, direction=direction, detail=detail, **more)
    elif not all(same(old.get(k), new.get(k)) for k in old.keys() | new.keys()):
        yield at.change("change", "slaProperties", "patch", f"the words about {said} changed", **more)


_SENTENCES = {
    "tightens": "is a stronger promise",
    "loosens": "is a weaker promise",
    "both": "is another promise",
    "undetermined": "changed in a way that cannot be compared",
}


def _grade(direction: Direction) -> Grade:
    return "minor" if direction == "undetermined" else BY_DIRECTION[direction]


def _direction(old: Raw, new: Raw, name: str) -> Direction | None:
    if all(same(old.get(k), new.get(k)) for k in _PROMISE):
        return None
    better = 1 if name in _MORE_IS_BETTER else -1 if name in _LESS_IS_BETTER else 0
    before, after = _amount(old), _amount(new)
    if not better or before is None or after is None or before[1] != after[1]:
        return "undetermined"
    if not same(old.get("valueExt"), new.get("valueExt")):
        return "undetermined"
    if before == after:
        return None
    more = before[0] < after[0]
    return "tightens" if more is (better > 0) else "loosens"


def _amount(sla: Raw) -> tuple[Any, str] | None:
    """A duration in seconds, another number with its unit, or a date as text with the unit `date`."""
    value, unit = sla.get("value"), str(sla.get("unit") or "")
    if isinstance(value, str):
        if _DATE.fullmatch(value):
            return value, "date"
        written = _WRITTEN.fullmatch(value.strip())
        if written is None or (written[2] and unit):
            return None
        exact: Fraction | None = Fraction(written[1])
        unit = unit or written[2]
    else:
        exact = None if isinstance(value, bool) else number(value)
    if exact is None:
        return None
    unit = "percent" if unit == "%" else unit.lower()
    seconds = _SECONDS.get(unit) or _SECONDS.get(unit.removesuffix("s"))
    return (exact * seconds, "s") if seconds else (exact, unit)
