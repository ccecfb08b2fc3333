"""Smallest and largest values of a file's columns, from its footer.

A wrong bound makes a reader skip rows, so a bound is given only when every row group vouches for it. Footers may
cut long text; a bound of text is cut to sixteen characters anyway (and then rounded up), far below that.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyiceberg.utils.decimal import unscaled_to_decimal

from raymesh.spec.types import Decimal, Primitive

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyarrow.parquet import ColumnChunkMetaData, FileMetaData

    from raymesh.adapters.iceberg.parquet import Leaf
    from raymesh.spec.types import Type

KEPT_CHARACTERS = 16
_MAY_BE_CUT = 64  # bytes from which a writer may have cut text in the footer (DuckDB cuts at 256)
_HIGHEST, _SURROGATES = 0x10FFFF, range(0xD800, 0xE000)
_PACKING = {
    "boolean": "<?",
    "int": "<i",
    "date": "<i",
    "long": "<q",
    "time": "<q",
    "timestamp": "<q",
    "timestamptz": "<q",
    "float": "<f",
    "double": "<d",
}


@dataclass(frozen=True, slots=True)
class Measure:
    """One column of one file: bytes on disk, values with NULLs, NULLs, and extremes as stored.

    Inside lists and maps only the bytes mean something; `nulls` is None where they are not known.
    `low` and `high` are None when the file has no values or does not say (`bounded` False).
    """

    type: Type
    bytes: int
    values: int
    nulls: int | None
    low: Any = None
    high: Any = None
    bounded: bool = False


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a file has no single value of a column."""

    reason: str


def measure(footer: FileMetaData, order: Sequence[Leaf]) -> Iterator[Measure]:
    """One Measure per column of the file, in the order of its columns."""
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    for position, leaf in enumerate(order):
        chunks = [g.column(position) for g in groups]
        size = sum(c.total_compressed_size for c in chunks)
        values = sum(c.num_values for c in chunks)
        yield (
            Measure(leaf.type, size, values, None)
            if leaf.repeated
            else _whole(leaf.type, chunks, size, values)
        )


def _whole(type_: Type, chunks: Sequence[ColumnChunkMetaData], size: int, values: int) -> Measure:
    parts = [c.statistics for c in chunks]
    if not all(s is not None and s.has_null_count for s in parts):
        return Measure(type_, size, values, None)
    nulls = sum(s.null_count for s in parts)
    filled = [s for s, c in zip(parts, chunks, strict=True) if s.null_count < c.num_values]
    if not all(s.has_min_max for s in filled):
        return Measure(type_, size, values, nulls)
    lows = [_stored(type_, s.min_raw) for s in filled]
    highs = [_stored(type_, s.max_raw) for s in filled]
    if any(isinstance(v, float) and math.isnan(v) for v in (*lows, *highs)):
        return Measure(type_, size, values, nulls)
    return Measure(
        type_, size, values, nulls, min(lows, default=None), max(highs, default=None), bounded=True
    )


def _stored(type_: Type, raw: Any) -> Any:
    """The value as Iceberg stores it: numbers for times, the unscaled number for decimals, bytes for text."""
    if isinstance(type_, Decimal) and isinstance(raw, bytes):
        return int.from_bytes(raw, "big", signed=True)
    return raw


def lower_bound(m: Measure) -> bytes | None:
    """A value no larger than any in the file, as the specification writes single values."""
    if m.low is None:
        return None
    match m.type:
        case Primitive("string"):
            return _text(m.low)[:KEPT_CHARACTERS].encode()
        case Primitive("binary"):
            return bytes(m.low[:KEPT_CHARACTERS])
        case Primitive("float" | "double"):
            return _packed(m.type, -0.0 if m.low == 0 else m.low)
    return _packed(m.type, m.low)


def upper_bound(m: Measure) -> bytes | None:
    """A value no smaller than any in the file; None when there is none of limited length."""
    if m.high is None:
        return None
    match m.type:
        case Primitive("string"):
            return _text_above(m.high)
        case Primitive("binary"):
            return _bytes_above(m.high)
        case Primitive("float" | "double"):
            return _packed(m.type, 0.0 if m.high == 0 else m.high)
    return _packed(m.type, m.high)


def only_value(m: Measure, said: str | None) -> Any:
    """The single value of the column as Iceberg stores it in partitions, None for NULL, or Unfit.

    `said` is the value's text as the writer gave it, when it did.
    """
    if m.nulls == m.values:
        return None
    if m.nulls:
        return Unfit("it has NULLs and values")
    if m.type == Primitive("string"):
        return _only_text(m, said)
    if not m.bounded or (isinstance(m.low, bytes) and len(m.low) >= _MAY_BE_CUT):
        return Unfit("its footer does not say")
    if m.low != m.high:
        return Unfit(f"it has {_shown(m.low)} and {_shown(m.high)}")
    return unscaled_to_decimal(m.low, m.type.scale) if isinstance(m.type, Decimal) else m.low


def _only_text(m: Measure, said: str | None) -> str | Unfit:
    """Long text is cut in footers, and its largest value rounded up: then its writer has to be believed."""
    if m.bounded and len(m.low) < _MAY_BE_CUT:
        text = _text(m.low)
        if m.low != m.high:
            return Unfit(f"it has {text!r} and {_shown(m.high)}")
        return text if said in {None, text} else Unfit(f"it has {text!r}, its writer said {said!r}")
    if said is None:
        return Unfit("the text is too long for its footer")
    raw = said.encode()
    is_it = len(raw) >= _MAY_BE_CUT and (not m.bounded or m.low <= raw <= m.high)
    return said if is_it else Unfit(f"its footer contradicts its writer, who said {said!r}")


def _packed(type_: Type, value: Any) -> bytes:
    if isinstance(type_, Decimal):
        bits = value.bit_length() if value >= 0 else (value + 1).bit_length()
        return int(value).to_bytes(bits // 8 + 1, "big", signed=True)
    return struct.pack(_PACKING[str(type_)], value)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "ignore")  # a footer may cut in the middle of a character


def _text_above(raw: bytes) -> bytes | None:
    text = _text(raw)
    if len(text) <= KEPT_CHARACTERS and len(raw) < _MAY_BE_CUT:
        return raw
    kept = text[:KEPT_CHARACTERS]
    while kept:
        following = ord(kept[-1]) + 1
        following = _SURROGATES.stop if following in _SURROGATES else following
        if following <= _HIGHEST:
            return (kept[:-1] + chr(following)).encode()
        kept = kept[:-1]
    return None


def _bytes_above(raw: bytes) -> bytes | None:
    if len(raw) <= KEPT_CHARACTERS:
        return bytes(raw)
    kept = raw[:KEPT_CHARACTERS].rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else None


def _shown(value: Any) -> str:
    return repr(_text(value)) if isinstance(value, bytes) else str(value)
