"""What the footers of Parquet files say about their columns: NULLs, smallest and largest value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel.sqltext import texts
from raymesh.quality.state import ORDER
from raymesh.spec.types import Decimal, Primitive

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from raymesh.engines.kernel.rows import Table
    from raymesh.spec.types import Field

_LONGEST = 64
_KINDS = {
    "boolean": "boolean",
    "int": "int",
    "long": "int",
    "float": "float",
    "double": "float",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamp",
    "string": "string",
}
_PLAIN_DATE = re.compile(r"\d{4}-\d\d-\d\d( .*)?")


def profiles(
    table: Table, files: Sequence[str], hidden: Collection[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Per file and plain column a profile, without reading rows; columns in `hidden` get no limits.

    A limit that the footer does not hold exactly is left out.
    """
    fields = {f.name: f for f in table.schema if kind_of(f)}
    if not files or not fields:
        return {}
    sql = (
        "SELECT file_name, path_in_schema, sum(num_values), sum(stats_null_count), "
        "count(*) FILTER (WHERE stats_null_count IS NULL), list(stats_min_value), list(stats_max_value), "
        "coalesce(bool_and(min_is_exact), FALSE), coalesce(bool_and(max_is_exact), FALSE), "
        "count(*) FILTER (WHERE stats_null_count < num_values AND (stats_min_value IS NULL OR stats_max_value IS NULL)) "
        f"FROM parquet_metadata({texts(files)}) GROUP BY ALL"
    )
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for file, name, *numbers in table.all(sql):
        if name in fields and not numbers[2]:
            found.setdefault(file, {})[name] = _profile(fields[name], numbers, limits=name not in hidden)
    return found


def kind_of(field: Field) -> str | None:
    """How values of a plain column are ordered and told; None for structs, lists, maps and bytes."""
    if isinstance(field.type, Decimal):
        return "decimal"
    return _KINDS.get(field.type.name) if isinstance(field.type, Primitive) else None


def _profile(field: Field, numbers: Sequence[Any], *, limits: bool) -> dict[str, Any]:
    values, nulls, _, low, high, low_exact, high_exact, unknown = numbers
    kind = kind_of(field) or ""
    profile: dict[str, Any] = {"id": field.id, "type": kind, "nulls": int(nulls)}
    if not limits:
        return profile
    if nulls == values:
        return {**profile, "min": None, "max": None}
    for name, texts_, exact, choose in (("min", low, low_exact, min), ("max", high, high_exact, max)):
        read = [_read(t, kind) for t in texts_ if t is not None]
        if exact and not unknown and None not in read and read:
            profile[name] = choose(read, key=_ordered(kind))
    return profile


def _ordered(kind: str) -> Any:
    return ORDER[kind]


def _read(text: str, kind: str) -> Any:
    """The value of a limit as JSON, None when it is not one we can order."""
    if kind == "int":
        return int(text) if re.fullmatch(r"-?\d+", text) else None
    if kind == "float":
        return _float(text)
    if kind == "boolean":
        return {"true": True, "false": False}.get(text.lower())
    if kind in ("date", "timestamp"):
        return text if _PLAIN_DATE.fullmatch(text) else None
    return text if len(text) <= _LONGEST else None


def _float(text: str) -> float | str | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) != float("inf") else text
