"""From measurements to a verdict: every check gets exactly one result.

Numbers are compared exactly. A check nobody measured is an error, never a pass; a table without rows
violates nothing, and zero of zero rows are 0 percent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from raymesh.quality.model import Check, CheckResult, FileState, Measurements, Status, Verdict
from raymesh.quality.score import score_of
from raymesh.quality.state import total
from raymesh.quality.threshold import UncomparableError, holds, plain, words

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_MEASURED = "was not measured"
HIDDEN = "***"


def judge(checks: Sequence[Check], measurements: Measurements) -> Verdict:
    """The verdict on one output: a result for each check, in their order, and the score."""
    case = _Case(measurements, total(measurements.files.values()))
    found = [case.result(check) for check in checks]
    return Verdict(tuple(r for r, _ in found), score_of(found, case.state.rows))


@dataclass(frozen=True, slots=True)
class _Case:
    measured: Measurements
    state: FileState

    def result(self, check: Check) -> tuple[CheckResult, int | None]:
        """The result with the number of rows counted, if the check counts rows."""
        if check.kind == "text":
            return CheckResult(check, "skip", message=check.description), None
        if check.unsupported is not None:
            return CheckResult(check, "not_executed", message=check.unsupported), None
        if (failure := self.measured.failures.get(check.id)) is not None:
            return CheckResult(check, "error", message=failure.reason), None
        if check.kind == "type":
            return self._type(check), None
        value = self._value(check)
        if value is None:
            return CheckResult(check, "error", message=f"{check.id} {NOT_MEASURED}"), None
        hides = isinstance(value, str) and bool(check.arguments.get("hides"))
        result = self._hidden(check, value) if hides else self._judged(check, value)
        return result, value if _counts_rows(check, value) else None

    def _type(self, check: Check) -> CheckResult:
        problem = self.measured.types.get(check.id)
        if problem is None:
            problem = next((p for c in check.columns if (p := self.measured.types.get(c))), None)
        found = self.measured.values.get(check.id)
        if problem is not None:
            return CheckResult(check, _broken(check), found, f"{check.columns[0]}: {problem}")
        if found is None:
            return CheckResult(check, "error", message=f"{check.id} {NOT_MEASURED}")
        return CheckResult(check, "pass", found, f"{check.description}: found {found}")

    def _value(self, check: Check) -> Any:
        """What was measured; None when nothing was."""
        if check.kind == "row":
            return self.state.violations.get(check.id, self.measured.values.get(check.id))
        if check.kind == "count" and self.measured.files:
            return self.state.rows
        return self.measured.values.get(check.id)

    def _hidden(self, check: Check, value: str) -> CheckResult:
        """The answer of an SQL rule is a text of the table, and the table has values that must not be shown."""
        if not isinstance(check.threshold.value, str):
            return CheckResult(check, "error", HIDDEN, "the query returned a text, not a number or a truth")
        found = self._judged(check, value)
        message = f"{check.description}: found {HIDDEN}, {words(check.threshold)}"
        return replace(found, value=HIDDEN, message=message)

    def _judged(self, check: Check, value: Any) -> CheckResult:
        counted = _counts_rows(check, value)
        compared = _percent(value, self.state.rows) if counted and check.unit == "percent" else value
        try:
            good = holds(check.threshold, compared)
        except UncomparableError as problem:
            return CheckResult(check, "error", plain(compared), str(problem))
        message = f"{check.description}: {self._found(check, value, compared)}, {words(check.threshold)}"
        if check.unit == "percent":
            message += " percent"
        sample = () if good else self.measured.samples.get(check.id, ())
        return CheckResult(check, "pass" if good else _broken(check), plain(compared), message, sample)

    def _found(self, check: Check, value: Any, compared: Any) -> str:
        if not _counts_rows(check, value):
            return (
                f"found {value:,}"
                if isinstance(value, int) and not isinstance(value, bool)
                else f"found {value}"
            )
        text = f"{value:,} of {self.state.rows:,} rows"
        return f"{text} ({float(compared):.4g} percent)" if check.unit == "percent" else text


def _counts_rows(check: Check, value: Any) -> bool:
    return check.kind in ("row", "key", "reference") and isinstance(value, int)


def _percent(count: int, rows: int) -> Fraction:
    return Fraction(100 * count, rows) if rows else Fraction(0)


def _broken(check: Check) -> Status:
    """A promise that does not block is a warning when broken."""
    return "fail" if check.blocking else "warn"
