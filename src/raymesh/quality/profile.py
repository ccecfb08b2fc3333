"""A profile for people and programs: what the sketch of a version says about each column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from raymesh.quality.sketch import WHOLE
from raymesh.quality.state import ORDER

if TYPE_CHECKING:
    from raymesh.quality.sketch import Chosen, Sketch, TableSketch

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_ORDERED = ("int", "float", "decimal", "date", "time", "timestamp")
_MOST = 5
_AT_LEAST = 0.01
_SEEN = 5
"""A value is told when it is at least one in a hundred and was seen at least five times: no single row is."""


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column. What is not known is None, and so is everything but counts when the column is `hidden`.

    `distinct` is exact when `counted` says so, otherwise right to about 6 percent. `quantiles` and `top` are
    estimates from `sampled` rows; shares are 0-1, NULLs counted as rows.
    """

    name: str
    kind: str
    rows: int
    nulls: int
    distinct: int | None = None
    counted: bool = False
    least: Any = None
    greatest: Any = None
    mean: float | None = None
    deviation: float | None = None
    quantiles: Mapping[float, Any] = field(default_factory=dict)
    top: tuple[tuple[Any, float], ...] = ()
    sampled: int = 0
    hidden: bool = False

    @property
    def null_share(self) -> float:
        return self.nulls / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known about the values of one version. `files` of `of_files` had a sketch; with fewer nothing is told
    of any column."""

    rows: int
    columns: tuple[ColumnProfile, ...]
    files: int = 0
    of_files: int = 0

    def column(self, name: str) -> ColumnProfile | None:
        return next((c for c in self.columns if c.name == name), None)


def described(
    table: TableSketch, limits: Mapping[str, Mapping[str, Any]], hidden: Collection[str] = ()
) -> tuple[ColumnProfile, ...]:
    """The columns of a sketch; `limits` are their least and greatest values, `hidden` more columns to hide."""
    return tuple(
        _column(name, sketch, table.rows, limits.get(name, {}), hide=sketch.hidden or name in hidden)
        for name, sketch in table.columns.items()
    )


def _column(name: str, c: Sketch, rows: int, limits: Mapping[str, Any], *, hide: bool) -> ColumnProfile:
    distinct, counted = _distinct(c, rows)
    if hide:
        return ColumnProfile(name, c.kind, rows, c.nulls, distinct, counted, hidden=True)
    values = [v for _, v in c.sample.items] if c.sample else []
    return ColumnProfile(
        name,
        c.kind,
        rows,
        c.nulls,
        distinct,
        counted,
        least=limits.get("min"),
        greatest=limits.get("max"),
        mean=c.moments.mean if c.moments else None,
        deviation=c.moments.deviation if c.moments else None,
        quantiles=_quantiles(c.kind, values),
        top=_top(values, complete=c.sample is not None and c.sample.limit == WHOLE),
        sampled=len(values),
    )


def _distinct(c: Sketch, rows: int) -> tuple[int | None, bool]:
    """How many values there are, and whether that is exact."""
    there = rows - c.nulls
    if c.unique:
        return there, True
    if c.distinct is None:
        return None, False
    return min(_estimate(c.distinct), there), c.distinct.limit == WHOLE


def _estimate(chosen: Chosen) -> int:
    return len(chosen.items) if chosen.limit == WHOLE else round(len(chosen.items) * WHOLE / chosen.limit)


def in_order(kind: str, values: list[Any]) -> list[Any]:
    """Values that have an order, in it; NULL, NaN and infinities are left out."""
    read = ORDER.get(kind, str)
    return sorted((v for v in values if v is not None and not _odd(kind, v)), key=read)


def _odd(kind: str, value: Any) -> bool:
    return kind == "float" and isinstance(value, str)


def _quantiles(kind: str, values: list[Any]) -> dict[float, Any]:
    found = in_order(kind, values) if kind in _ORDERED else []
    return {q: _at(found, q) for q in QUANTILES} if found else {}


def _at(ordered: list[Any], q: float) -> Any:
    """The value that a share `q` of them does not exceed."""
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def _top(values: list[Any], *, complete: bool) -> tuple[tuple[Any, float], ...]:
    least = 2 if complete else _SEEN
    counted = Counter(v for v in values if v is not None)
    common = [(v, n) for v, n in counted.items() if n >= least and n >= _AT_LEAST * len(values)]
    common.sort(key=lambda vn: (-vn[1], str(vn[0])))
    return tuple((v, n / len(values)) for v, n in common[:_MOST])


def number(kind: str, value: Any) -> float | None:
    """A value of an ordered kind as a number, None where there is none."""
    if kind in ("int", "float"):
        return float(value) if isinstance(value, int | float) else None
    return float(Decimal(value)) if kind == "decimal" else None


def profile_json(profile: Profile) -> dict[str, Any]:
    """The profile as the JSON document shows it."""
    return {
        "rows": profile.rows,
        "files": profile.files,
        "of_files": profile.of_files,
        "columns": [_column_json(c) for c in profile.columns],
    }


def _column_json(c: ColumnProfile) -> dict[str, Any]:
    return {
        "name": c.name,
        "kind": c.kind,
        "nulls": c.nulls,
        "distinct": c.distinct,
        "distinct_exact": c.counted,
        "min": c.least,
        "max": c.greatest,
        "mean": c.mean,
        "stddev": c.deviation,
        "quantiles": {f"{q:g}": v for q, v in c.quantiles.items()},
        "top": [{"value": v, "share": share} for v, share in c.top],
        "sampled": c.sampled,
        "hidden": c.hidden,
    }
