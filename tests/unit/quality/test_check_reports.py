"""What a sample and missing columns do to verdicts, and when a report has passed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from raymesh.quality.model import Check, CheckResult, Threshold, Verdict
from raymesh.quality.report import CheckReport, on_sample, without_columns


def result(
    kind: str, status: str, operator: str = "mustBe", value: object = 0, **more: object
) -> CheckResult:
    check = Check("x", kind, kind, columns=("c",), threshold=Threshold(operator, value), **more)
    return CheckResult(check, status, 1, "found")


def sampled(given: CheckResult) -> str:
    (found,) = on_sample(Verdict((given,), 0.5), 10).results
    assert "sample of 10 rows" in found.message
    return found.status


@pytest.mark.parametrize(
    ("given", "then"),
    [
        (result("row", "pass"), "pass"),
        (result("row", "fail"), "fail"),
        (result("row", "fail", "mustBeLessThan", 5), "fail"),
        (result("row", "pass", "mustBeGreaterThan", 5), "not_executed"),
        (result("row", "fail", "mustBeGreaterThan", 5), "not_executed"),
        (result("row", "fail", "mustBe", 3), "not_executed"),
        (result("row", "fail", "mustBeBetween", (1, 2)), "not_executed"),
        (result("row", "pass", "mustBeLessThan", 5, unit="percent"), "pass"),
        (result("key", "pass"), "not_executed"),
        (result("key", "fail"), "fail"),
        (result("key", "fail", "mustBeLessThan", 5, unit="percent"), "not_executed"),
        (result("count", "pass", "mustBeGreaterThan", 0), "not_executed"),
        (result("sql", "fail"), "not_executed"),
        (result("custom", "pass"), "not_executed"),
        (result("reference", "pass", target=("customers", ("id",))), "pass"),
        (result("reference", "fail", target=("", ("id",))), "not_executed"),
        (result("type", "fail"), "fail"),
        (result("text", "skip"), "skip"),
        (result("row", "error"), "error"),
    ],
)  # fmt: skip
def test_a_sample_decides_only_what_more_rows_cannot_change(given, then):
    assert sampled(given) == then


def test_a_check_on_a_missing_column_is_broken_but_sql_is_left_without_verdict():
    verdict = Verdict(
        (result("row", "error"), result("sql", "error"), result("key", "error", blocking=False)), 1.0
    )
    found = without_columns(verdict, {"c"})
    assert [r.status for r in found.results] == ["fail", "error", "warn"]
    assert found.score is None
    assert without_columns(verdict, {"other"}) is verdict


def report(*results: CheckResult, score: float | None = 1.0, minimum: float | None = None) -> CheckReport:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    return CheckReport("orders", "o", "1", Verdict(results, score), 1, "data", at, minimum=minimum)


@pytest.mark.parametrize("status", ["fail", "error", "not_executed"])
def test_only_a_pass_of_every_blocking_promise_passes(status):
    assert report(result("row", "pass")).passed
    assert not report(result("row", "pass"), result("row", status)).passed
    assert report(result("row", "pass"), result("row", status, blocking=False)).passed


def test_a_score_below_the_minimum_does_not_pass():
    assert report(result("row", "pass"), score=0.9, minimum=0.9).passed
    assert not report(result("row", "pass"), score=0.89, minimum=0.9).passed
    assert not report(result("row", "pass"), score=None, minimum=0.9).passed
