"""Two numbers for a whole table: how complete it is, and how many of its rows break a promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raymesh.quality.state import total

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from raymesh.quality.model import CheckResult, FileState


@dataclass(frozen=True, slots=True)
class Measured:
    """`completeness` is the share of values that are not NULL over the columns whose NULLs were counted,
    `error_rate` the share of rows that break a promise: those of the promise broken most often, and those set
    aside. None when nothing was counted."""

    completeness: float | None
    error_rate: float | None
    nulls: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        return {
            "completeness": self.completeness,
            "error_rate": self.error_rate,
            "nulls": dict(self.nulls),
        }


_ABOUT_ROWS = ("type", "row", "key", "reference")
_JUDGED = ("pass", "fail", "warn")


def measured(files: Iterable[FileState], results: Iterable[CheckResult], set_aside: int) -> Measured:
    """What the states of all files of a version, and the verdict on it, say; `set_aside` rows are not in them."""
    state = total(files)
    nulls = {
        name: int(profile["nulls"])
        for name, profile in state.columns.items()
        if isinstance(profile.get("nulls"), int)
    }
    values = state.rows * len(nulls)
    judged = [r for r in results if r.check.kind in _ABOUT_ROWS and r.status in _JUDGED]
    broken = [_broken(r, state) for r in judged]
    rows = state.rows + set_aside
    return Measured(
        completeness=1 - sum(nulls.values()) / values if values else None,
        error_rate=min(1.0, (max(broken, default=0) + set_aside) / rows) if judged and rows else None,
        nulls=nulls,
    )


def _broken(result: CheckResult, state: FileState) -> float:
    """How many rows break a promise."""
    if result.check.id in state.violations:
        return state.violations[result.check.id]
    if not isinstance(result.value, int | float) or isinstance(result.value, bool):
        return 0
    return result.value * state.rows / 100 if result.check.unit == "percent" else result.value
