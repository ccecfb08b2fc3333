"""What a view shows, worked out one row at a time: slow, plain, and written without the code it judges."""

from __future__ import annotations

import hashlib
import hmac
import math
import struct
from datetime import UTC, date, datetime, time
from decimal import Decimal as Number
from fractions import Fraction
from typing import Any

from oracle import MeaninglessError, truth
from raymesh.mesh.plan import View, ViewColumn
from raymesh.spec import mask as m
from raymesh.spec.types import Decimal, Primitive, TableSchema, Type

Row = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def shown(rows: list[Row], schema: TableSchema, view: View, secret: str = "") -> list[Row]:
    """The rows a reader gets, in order."""
    types = {f.name: f.type for f in schema}
    columns = [c for c in view.columns if not isinstance(c.mask, m.Absent)]
    return [
        {c.name: _cell(c, row, schema, types[c.name], secret) for c in columns}
        for row in rows
        if _holds(view.rows, row, schema)
    ]


def _holds(condition: Any, row: Row, schema: TableSchema) -> bool:
    try:
        return truth(condition, row, schema) is True
    except MeaninglessError:
        return False


def _cell(column: ViewColumn, row: Row, schema: TableSchema, kind: Type, secret: str) -> Any:
    value = row[column.name]
    if value is None or not _holds(column.visible, row, schema):
        return None
    return masked(value, column.mask, kind, secret)


def masked(value: Any, mask: m.Mask, kind: Type, secret: str) -> Any:
    """One value, which is not NULL, under a mask."""
    match mask:
        case m.Raw():
            return value
        case m.Partial(first, last) if kind == Primitive("string"):
            if len(value) <= first + last:
                return "***"
            return value[:first] + "***" + (value[-last:] if last else "")
        case m.Truncate(unit) if str(kind) in ("date", "timestamp", "timestamptz"):
            return _truncated(value, unit)
        case m.Bucket(width) if str(kind) in ("int", "long", "float", "double") or isinstance(kind, Decimal):
            return _bucket(value, kind, width)
        case m.Token(context) if isinstance(kind, Primitive | Decimal):
            return token(text_of(value, kind), context, secret)
        case m.Literally(constant) if _fits(constant, kind):
            return constant
    return None


def _truncated(value: Any, unit: str) -> Any:
    day = (
        value if not isinstance(value, datetime) else value.replace(hour=0, minute=0, second=0, microsecond=0)
    )
    if unit == "day":
        return day
    months = {"month": day.month, "quarter": 3 * ((day.month - 1) // 3) + 1, "year": 1}
    return day.replace(month=months[unit], day=1)


def _bucket(value: Any, kind: Type, width: Fraction) -> Any:
    if str(kind) in ("int", "long"):
        step, least = width.numerator, -(2**31) if str(kind) == "int" else -(2**63)
        found = value // step * step
        return found if found >= least else None
    if isinstance(kind, Decimal):
        step = Fraction((width * 10**kind.scale).numerator, 10**kind.scale)
        units = math.floor(Fraction(value) / step) * step * 10**kind.scale
        return Number(int(units)).scaleb(-kind.scale) if abs(units) < 10**kind.precision else None
    return _real_bucket(value, width, single=str(kind) == "float")


def _real_bucket(value: float, width: Fraction, *, single: bool) -> float | None:
    """The greatest floating-point number that is next to a multiple and not above the value."""
    if not math.isfinite(value) or abs(value) >= (2**53 - 2 * width.numerator) // width.denominator:
        return None
    n = math.floor(Fraction(value) / width) + 1
    while _nearest(n * width, single=single) > value:
        n -= 1
    return _nearest(n * width, single=single)


def _nearest(number: Fraction, *, single: bool) -> float:
    double = number.numerator / number.denominator  # Python rounds this quotient once
    return float(struct.unpack("f", struct.pack("f", double))[0]) if single else double


def text_of(value: Any, kind: Type) -> str:
    """The text that stands for a value in its token."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value + 0.0)
        case bytes():
            return value.hex().upper()
        case datetime():
            return str(_microseconds(value))
        case time():
            return str(((value.hour * 60 + value.minute) * 60 + value.second) * 10**6 + value.microsecond)
        case date():
            return value.isoformat()
        case Number():
            assert isinstance(kind, Decimal)
            return f"{value:.{kind.scale}f}"
    return str(value)


def _microseconds(value: datetime) -> int:
    since = (value if value.tzinfo else value.replace(tzinfo=UTC)) - EPOCH
    return (since.days * 86400 + since.seconds) * 10**6 + since.microseconds


def token(text: str, context: str, secret: str) -> str:
    """HMAC-SHA256 under HKDF-SHA256 of the secret, as the RFCs say it, cut to 128 bits."""
    extracted = hmac.new(b"raymesh tokens 1", secret.encode(), hashlib.sha256).digest()
    key = hmac.new(extracted, context.encode() + b"\x01", hashlib.sha256).hexdigest()
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


def _fits(constant: Any, kind: Type) -> bool:
    if isinstance(constant, bool):
        return kind == Primitive("boolean")
    if isinstance(constant, int):
        bits = {"int": 31, "long": 63}.get(str(kind), -1)
        return bits > 0 and -(2**bits) <= constant < 2**bits
    return isinstance(constant, str) and kind == Primitive("string")
