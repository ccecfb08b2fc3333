"""Formats of strings as RE2 patterns, and date patterns of the standard (JDK letters) read and written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_DATE = r"[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|[12][0-9]))"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"


def _ipv6() -> str:
    """All legal ways to leave out zeros once, with or without an IPv4 tail."""
    group = "[0-9A-Fa-f]{1,4}"
    tail = rf"(?:{group}:{group}|{_IPV4})"
    forms = [
        rf"(?:{group}:){{6}}{tail}",
        rf"::(?:{group}:){{5}}{tail}",
        rf"(?:{group})?::(?:{group}:){{4}}{tail}",
    ]
    for left, right in ((1, 3), (2, 2), (3, 1)):
        forms.append(rf"(?:(?:{group}:){{0,{left}}}{group})?::(?:{group}:){{{right}}}{tail}")
    forms.append(rf"(?:(?:{group}:){{0,4}}{group})?::{tail}")
    forms.append(rf"(?:(?:{group}:){{0,5}}{group})?::{group}")
    forms.append(rf"(?:(?:{group}:){{0,6}}{group})?::")
    return "(?:" + "|".join(forms) + ")"


STRING_FORMATS: dict[str, str] = {
    "email": rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_HOST}\.{_LABEL}$",
    "uuid": r"^[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$",
    "uri": r"^[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+$",
    "hostname": rf"^{_HOST}$",
    "ipv4": rf"^{_IPV4}$",
    "ipv6": rf"^{_ipv6()}$",
    "byte": r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    "date": rf"^{_DATE}$",
    "time": rf"^{_TIME}{_ZONE}$",
    "date-time": rf"^{_DATE}[Tt ]{_TIME}{_ZONE}$",
}
"""What each `format` of a string means. Lengths of hostnames are not limited to 253."""

STRING_FORMATS["datetime"] = STRING_FORMATS["timestamp"] = STRING_FORMATS["date-time"]
ADVISORY_FORMATS = {"password": "how to show it", "binary": "any bytes"}


_LETTERS: dict[str, tuple[str, str, int]] = {
    # JDK letters: (what they are, digits allowed, how significant: larger first in a sortable text)
    "yyyy": ("year", r"[0-9]{4}", 6),
    "uuuu": ("year", r"[0-9]{4}", 6),
    "MM": ("month", r"(?:0[1-9]|1[0-2])", 5),
    "dd": ("day", r"(?:0[1-9]|[12][0-9]|3[01])", 4),
    "HH": ("hour", r"(?:[01][0-9]|2[0-3])", 3),
    "mm": ("minute", r"[0-5][0-9]", 2),
    "ss": ("second", r"[0-5][0-9]", 1),
    "SSS": ("fraction", r"[0-9]{3}", 0),
    "SSSSSS": ("fraction", r"[0-9]{6}", 0),
}
_OFFSETS = {"XXX": r"(?:Z|[+-][0-9]{2}:[0-9]{2})", "xxx": r"[+-][0-9]{2}:[0-9]{2}", "Z": r"[+-][0-9]{4}"}
_PIECES = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']")


@dataclass(frozen=True, slots=True)
class DatePattern:
    """A date pattern, understood.

    `regex` is an anchored RE2 pattern of texts written so; `sortable` says whether such texts sort as the
    times they denote; `kind` is what they denote.
    """

    regex: str
    sortable: bool
    parts: tuple[str, ...]

    def parse(self, text: str) -> dict[str, str] | None:
        """The parts of `text` by name, None when it is not written so."""
        found = re.fullmatch(self._capturing(), text)
        return {k: v for k, v in found.groupdict().items() if v is not None} if found else None

    def _capturing(self) -> str:
        return self.regex[1:-1]


def date_pattern(pattern: str) -> DatePattern | None:
    """The JDK pattern, or None when it uses letters whose meaning depends on locale or calendar."""
    texts: list[str] = []
    parts: list[str] = []
    ranks: list[int] = []
    at = 0
    for piece in _PIECES.finditer(pattern):
        if piece.start() != at:
            return None
        at = piece.end()
        text = piece[0]
        if piece[1] is not None:
            texts.append(re.escape(piece[1].replace("''", "'") or "'"))
        elif text in _LETTERS:
            name, digits, rank = _LETTERS[text]
            if name in parts:
                return None
            texts.append(f"(?P<{name}>{digits})")
            parts.append(name)
            ranks.append(rank)
        elif text in _OFFSETS:
            texts.append(f"(?P<offset>{_OFFSETS[text]})")
            parts.append("offset")
        elif text.isalpha():
            return None
        else:
            texts.append(re.escape(text))
    if at != len(pattern) or not parts:
        return None
    sortable = ranks == sorted(ranks, reverse=True) and "offset" not in parts and (ranks[0] in (6, 3))
    return DatePattern("^" + "".join(texts) + "$", sortable, tuple(parts))


def moment(text: str, pattern: str | None) -> date | time | datetime | None:
    """What a bound or constant of the contract denotes: a date, a time of day, or a datetime.

    Read by `pattern` when there is one, otherwise (or when it does not fit) as ISO 8601; None when it
    is neither.
    """
    understood = date_pattern(pattern) if pattern else None
    parts = understood.parse(text) if understood else None
    return _assemble(parts) if parts else _iso(text)


def _assemble(parts: dict[str, str]) -> date | time | datetime | None:
    number = {k: int(v) for k, v in parts.items() if k not in ("offset", "fraction")}
    micros = int(parts.get("fraction", "0").ljust(6, "0"))
    zone = _offset(parts["offset"]) if "offset" in parts else None
    clock = (number.get("hour", 0), number.get("minute", 0), number.get("second", 0), micros)
    try:
        if "year" not in number:
            return time(*clock, tzinfo=zone)
        day = date(number["year"], number.get("month", 1), number.get("day", 1))
        return datetime.combine(day, time(*clock, tzinfo=zone)) if "hour" in number else day
    except ValueError:
        return None


def _offset(text: str) -> timezone:
    if text == "Z":
        return timezone(timedelta(0))
    digits = text[1:].replace(":", "")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-size if text[0] == "-" else size)


def _iso(text: str) -> date | time | datetime | None:
    for kind in (date, datetime, time):
        try:
            return kind.fromisoformat(text)
        except ValueError:
            continue
    return None
