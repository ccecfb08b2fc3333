"""Bounds and formats of dates, times and timestamps, stored as such or as text."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from raymesh.quality.fit import is_text
from raymesh.quality.formats import date_pattern, moment
from raymesh.quality.frame import advice, refused, row_check
from raymesh.spec.expression import Compare, Matches, Not, Value

if TYPE_CHECKING:
    from raymesh.quality.model import Check
    from raymesh.quality.part import Part

_BOUNDS: dict[str, tuple[Any, str]] = {
    "minimum": ("<", "not before"),
    "exclusiveMinimum": ("<=", "after"),
    "maximum": (">", "not after"),
    "exclusiveMaximum": (">=", "before"),
}


def temporal_check(part: Part, option: str, value: Any) -> Check:
    """The check for a bound or the format of a date, time or timestamp."""
    as_text = part.physical is not None and is_text(part.physical.type)
    if option == "format":
        return _format(part, option, str(value), as_text=as_text)
    try:
        limit = _text_limit(part, str(value)) if as_text else moment_of(part, value)
    except ValueError as problem:
        return refused(part, option, str(problem))
    operator, words = _BOUNDS[option]
    return row_check(
        part,
        option,
        Compare(operator, part.operand, Value(limit)),
        dimension="conformity",
        description=f"is {words} {value}",
    )


def _format(part: Part, option: str, value: str, *, as_text: bool) -> Check:
    understood = date_pattern(value)
    if not as_text:
        return advice(part, option, f"bounds are written as {value}; the column holds no text")
    if understood is None:
        return refused(part, option, f"the date pattern {value!r} depends on locale or calendar")
    return row_check(
        part,
        option,
        Not(Matches(part.operand, understood.regex)),
        dimension="conformity",
        description=f"is written as {value}",
    )


def moment_of(part: Part, value: Any) -> date | time | datetime:
    """What a text of the document means for the part; a time without a zone is one of its default zone.

    Raises ValueError for a text that is none.
    """
    options = part.item.logical_type_options or {}
    found = moment(str(value), options.get("format"))
    match part.item.logical_type, found:
        case "date", date() if not isinstance(found, datetime):
            return found
        case "time", time() if found.tzinfo is None:
            return found
        case "timestamp", datetime():
            return _zoned(found, _zone(options))
        case "timestamp", date():
            return _zoned(datetime.combine(found, time()), _zone(options))
    raise ValueError(f"{value!r} is no {part.item.logical_type}")


def _zone(options: dict[str, Any]) -> tzinfo:
    name = str(options.get("defaultTimezone", "UTC"))
    try:
        return UTC if name in ("UTC", "Etc/UTC") else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"there is no time zone {name!r}") from None


def _zoned(found: datetime, zone: tzinfo) -> datetime:
    """Always with the default zone: a column without zone holds that zone's wall clock."""
    return found.replace(tzinfo=zone) if found.tzinfo is None else found.astimezone(zone)


def _text_limit(part: Part, value: str) -> str:
    pattern = (part.item.logical_type_options or {}).get("format")
    understood = date_pattern(pattern or "yyyy-MM-dd")
    if understood is None or not understood.sortable:
        raise ValueError(
            f"texts written as {pattern!r} do not sort by time; store a {part.item.logical_type}"
        )
    if understood.parse(value) is None:
        raise ValueError(f"{value!r} is not written as {pattern or 'yyyy-MM-dd'}")
    return value
