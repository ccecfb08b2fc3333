"""What a check that publishes nothing has found: a verdict with what it is about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raymesh.quality.model import CheckResult, Status, Verdict
from raymesh.quality.score import below_minimum

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from raymesh.quality.model import Check

_OF_COLUMNS = ("row", "key", "reference")
_CERTAIN = ("mustBeLessThan", "mustBeLessOrEqualTo")


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The verdict on one table.

    `table` is `domain.product` or the name of the contract's schema object, `data` says in words where the
    rows are. `extra` are columns of the data that the contract does not name, with their types. `sampled` is the
    number of rows looked at when there are more, `minimum` the quality score that is demanded.
    """

    table: str
    contract_id: str
    contract_version: str
    verdict: Verdict
    rows: int
    data: str
    at: datetime
    extra: tuple[tuple[str, str], ...] = ()
    sampled: int | None = None
    minimum: float | None = None

    @property
    def shortfall(self) -> str | None:
        """Why the score is not enough, None when it is."""
        return below_minimum(self.verdict.score, self.minimum)

    @property
    def passed(self) -> bool:
        """Whether every blocking promise passed."""
        return not self.verdict.blocked and self.shortfall is None

    @property
    def coverage(self) -> tuple[int, int]:
        """How many promises were decided, and how many there are."""
        decided = sum(r.status in ("pass", "fail", "warn") for r in self.verdict.results)
        return decided, len(self.verdict.results)


def without_columns(verdict: Verdict, absent: Collection[str]) -> Verdict:
    """Promises about columns that are not there are broken, not merely unanswered."""
    changed = tuple(_absent(r, absent) for r in verdict.results)
    return verdict if changed == verdict.results else Verdict(changed, None)


def _absent(result: CheckResult, absent: Collection[str]) -> CheckResult:
    missing = next((c for c in result.check.columns if c in absent), None)
    if missing is None or result.status != "error" or result.check.kind not in _OF_COLUMNS:
        return result
    return replace(result, status=_broken(result.check), message=f"{missing}: it is missing")


def on_sample(verdict: Verdict, rows: int) -> Verdict:
    """What the first `rows` rows of more tell about all of them; each result says so.

    A row seen to break a rule breaks it in the whole table too. What needs every row (keys, numbers of rows,
    SQL, lower limits) is not executed unless it is broken for certain.
    """
    return Verdict(tuple(_sampled(r, rows) for r in verdict.results), None)


def _sampled(result: CheckResult, rows: int) -> CheckResult:
    check = result.check
    note = f"in a sample of {rows:,} rows"
    if check.kind in ("type", "text", "sla") or result.status in ("skip", "error", "not_executed"):
        return replace(result, message=f"{result.message} ({note})")
    certain = result.status != "pass" and _upper_limit(check)
    by_row = check.kind == "row" or (check.kind == "reference" and _elsewhere(check))
    if certain and (by_row or check.kind == "key"):
        return replace(result, message=f"{result.message} ({note})")
    if by_row and (check.unit == "percent" or _upper_limit(check)):
        return replace(result, message=f"{result.message} ({note})")
    reason = f"only all rows can decide it; looked at {note.removeprefix('in ')}: {result.message}"
    return replace(result, status="not_executed", message=reason, sample=())


def _upper_limit(check: Check) -> bool:
    """Whether more rows can only make it worse."""
    limit = check.threshold
    none = limit.operator == "mustBe" and limit.value == 0 and not isinstance(limit.value, bool)
    return check.unit == "rows" and (none or limit.operator in _CERTAIN)


def _elsewhere(check: Check) -> bool:
    return check.target is not None and bool(check.target[0])


def _broken(check: Check) -> Status:
    return "fail" if check.blocking else "warn"
