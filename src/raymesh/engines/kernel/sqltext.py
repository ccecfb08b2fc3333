"""The one place where values and names become SQL text."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from raymesh.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def quote(name: str) -> str:
    """A name as one quoted identifier, whatever it contains."""
    return '"' + _clean(name).replace('"', '""') + '"'


def qualified(name: str) -> str:
    """`domain.table` as two quoted identifiers; a name without a dot as one."""
    return ".".join(quote(part) for part in name.split(".", 1))


def text(value: str) -> str:
    """A string as a literal."""
    return "'" + _clean(value).replace("'", "''") + "'"


def texts(values: Iterable[str]) -> str:
    """Strings as a list literal."""
    return "[" + ", ".join(text(v) for v in values) + "]"


def literal(value: Any) -> str:
    """A constant as SQL that has exactly the value's type; raises UsageError for other kinds of value."""
    if value is None:
        return "NULL"
    for kind, write in _WRITERS.items():  # bool before int, datetime before date
        if isinstance(value, kind):
            return write(value)
    raise UsageError(f"a value of type {type(value).__name__} has no SQL literal")


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise UsageError(f"{value} has no exact decimal form")
    shown = f"{value:f}"
    digits = len(shown.replace("-", "").replace(".", "").lstrip("0")) or 1
    scale = len(shown.partition(".")[2])
    if max(digits, scale) > 38:
        raise UsageError(f"{shown} has more than 38 digits")
    return f"CAST('{shown}' AS DECIMAL({max(digits, scale)}, {scale}))"


def _datetime(value: datetime) -> str:
    if value.tzinfo is None:
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
    return f"TIMESTAMPTZ '{value.astimezone(UTC).isoformat(sep=' ')}'"


_WRITERS: dict[type, Callable[[Any], str]] = {
    bool: lambda v: "true" if v else "false",
    int: str,
    float: lambda v: f"CAST('{v!r}' AS DOUBLE)",
    Decimal: _decimal,
    str: text,
    UUID: lambda v: text(str(v)),
    bytes: lambda v: "CAST('" + "".join(f"\\x{byte:02X}" for byte in v) + "' AS BLOB)",
    datetime: _datetime,
    date: lambda v: f"DATE '{v.isoformat()}'",
    time: lambda v: f"TIME '{v.isoformat()}'",
}


def _clean(value: str) -> str:
    if "\0" in value:
        raise UsageError("a name or text with a null character cannot be used in SQL")
    return value
