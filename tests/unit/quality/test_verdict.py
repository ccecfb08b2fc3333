"""Judging: thresholds, statuses, score, and that nothing passes by being absent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raymesh.quality.judge import judge
from raymesh.quality.model import Check, Failure, FileState, Measurements, Threshold
from raymesh.quality.quarantine import quarantining, violating
from raymesh.quality.score import below_minimum
from raymesh.quality.threshold import UncomparableError, holds
from raymesh.spec.expression import Column, IsNull, Or

ROW = Check(
    "c.required", "row", "required", columns=("c",), violates=IsNull(Column(("c",))), dimension="completeness"
)


def measured(violations: int, rows: int, check: Check = ROW) -> Measurements:
    return Measurements({"f": FileState(rows, {check.id: violations})})


def status(check: Check, measurements: Measurements) -> str:
    return judge([check], measurements).results[0].status


@pytest.mark.parametrize(
    ("operator", "operand", "good", "bad"),
    [
        ("mustBe", 3, [3], [2, 4]),
        ("mustNotBe", 3, [2], [3]),
        ("mustBeGreaterThan", 3, [4], [3]),
        ("mustBeGreaterOrEqualTo", 3, [3], [2]),
        ("mustBeLessThan", 3, [2], [3]),
        ("mustBeLessOrEqualTo", 3, [3], [4]),
        ("mustBeBetween", (1, 3), [1, 2, 3], [0, 4]),
        ("mustNotBeBetween", (1, 3), [0, 4], [1, 3]),
    ],
)
def test_the_eight_operators_with_inclusive_limits(
    operator: str, operand: Any, good: list[int], bad: list[int]
) -> None:
    assert all(holds(Threshold(operator, operand), v) for v in good)
    assert not any(holds(Threshold(operator, operand), v) for v in bad)


@pytest.mark.parametrize(
    ("value", "operand", "wanted"),
    [
        (2**53 + 1, 2**53, False),
        (Decimal("0.3"), 0.3, True),
        (0.1 + 0.2, 0.3, False),
        (0.3, 0.3, True),
        (Fraction(1, 3), 0.3333333333333333, False),
        (True, True, True),
        (True, 1, True),
        ("a", "a", True),
    ],
)
def test_values_compare_exactly(value: Any, operand: Any, wanted: bool) -> None:
    assert holds(Threshold("mustBe", operand), value) is wanted


@pytest.mark.parametrize(
    ("value", "operand"), [(0, "zero"), ("a", 1), (float("nan"), 0), (0, None), (1, [1, 2])]
)
def test_what_cannot_be_compared_is_an_error_of_the_check(value: Any, operand: Any) -> None:
    with pytest.raises(UncomparableError):
        holds(Threshold("mustBe", operand), value)
    check = Check("q", "sql", "sql", threshold=Threshold("mustBe", operand))
    assert status(check, Measurements(values={"q": value})) == "error"


def test_percent_is_exact_and_of_no_rows_zero() -> None:
    third = replace(ROW, unit="percent", threshold=Threshold("mustBeLessOrEqualTo", 33))
    assert status(third, measured(1, 3)) == "fail"
    assert status(third, measured(33, 100)) == "pass"
    assert judge([third], measured(0, 0)).results[0].value == 0
    assert status(replace(third, threshold=Threshold("mustBeGreaterThan", 0)), measured(0, 0)) == "fail"


def test_a_broken_promise_that_does_not_block_is_a_warning() -> None:
    assert status(ROW, measured(1, 2)) == "fail"
    assert status(replace(ROW, blocking=False), measured(1, 2)) == "warn"


def test_messages_say_what_was_found_and_what_was_promised() -> None:
    check = replace(ROW, description="c is never NULL")
    assert (
        judge([check], measured(3, 41_002)).results[0].message
        == "c is never NULL: 3 of 41,002 rows, must be 0"
    )
    percent = replace(check, unit="percent", threshold=Threshold("mustBeLessThan", 5))
    assert "(25 percent), must be less than 5 percent" in judge([percent], measured(1, 4)).results[0].message


def test_a_failure_is_an_error_with_its_reason_even_beside_a_count() -> None:
    taken = replace(measured(0, 1), failures={ROW.id: Failure("the disk is gone")})
    result = judge([ROW], taken).results[0]
    assert (result.status, result.message) == ("error", "the disk is gone")


def test_a_file_that_does_not_know_makes_the_whole_unknown() -> None:
    taken = Measurements({"a": FileState(1, {ROW.id: 0}), "b": FileState(1, {})})
    assert status(ROW, taken) == "error"


@pytest.mark.parametrize("kind", ["type", "row", "key", "count", "sql", "reference", "custom", "sla", "text"])
def test_without_measurements_nothing_passes(kind: Any) -> None:
    check = Check("x", kind, "x", columns=("c",))
    found = status(check, Measurements())
    assert found == ("skip" if kind == "text" else "error")


def test_types_need_a_found_type_and_no_problem() -> None:
    check = Check("c.logicalType", "type", "logicalType", columns=("c",))
    assert status(check, Measurements(values={check.id: "long"})) == "pass"
    for key in (check.id, "c"):
        assert (
            status(check, Measurements(values={check.id: "long"}, types={key: "it is long, not string"}))
            == "fail"
        )


@given(st.lists(st.sampled_from(["row", "key", "type", "text", "sla", "sql"]), max_size=8), st.booleans())
def test_every_check_has_exactly_one_result_in_order(kinds: list[Any], refused: bool) -> None:
    checks = [
        Check(f"c{n}", k, k, columns=("c",), unsupported="no" if refused else None)
        for n, k in enumerate(kinds)
    ]
    verdict = judge(checks, Measurements())
    assert [r.check.id for r in verdict.results] == [c.id for c in checks]
    assert sum(verdict.counts.values()) == len(checks)
    assert not any(r.status == "pass" for r in verdict.results)


class TestScore:
    def key(self, **more: Any) -> Check:
        return replace(Check("k", "key", "unique", columns=("c",), dimension="uniqueness"), **more)

    def score(
        self, *checks: Check, rows: int = 10, values: dict[str, Any], violations: dict[str, int]
    ) -> float | None:
        return judge(checks, Measurements({"f": FileState(rows, violations)}, values)).score

    def test_rows_cost_their_share_and_dimensions_count_alike(self) -> None:
        found = self.score(ROW, self.key(), values={"k": 0}, violations={ROW.id: 1})
        assert found == pytest.approx((0.9 + 1) / 2)

    def test_severity_weighs_within_a_dimension(self) -> None:
        soft = replace(ROW, id="soft", severity="info", blocking=False)
        found = self.score(ROW, soft, values={}, violations={ROW.id: 0, "soft": 10})
        assert found == pytest.approx(4 / 5)

    def test_checks_without_counts_are_one_or_zero(self) -> None:
        sql = Check("s", "sql", "sql", dimension="accuracy")
        assert self.score(sql, values={"s": 0}, violations={}) == 1
        assert self.score(sql, values={"s": 1}, violations={}) == 0

    def test_a_lower_limit_on_violations_is_one_or_zero(self) -> None:
        many = replace(ROW, threshold=Threshold("mustBeGreaterThan", 5))
        assert self.score(many, values={}, violations={ROW.id: 9}) == 1

    def test_nothing_judged_has_no_score_and_reaches_no_minimum(self) -> None:
        assert judge([ROW], Measurements()).score is None
        assert below_minimum(None, 0.9)
        assert below_minimum(0.89, 0.9)
        assert below_minimum(0.9, 0.9) is None
        assert below_minimum(None, None) is None


def test_quarantine_takes_rows_of_the_checks_that_ask_for_it() -> None:
    asked = replace(ROW, on_violation="quarantine")
    refused = replace(asked, unsupported="no")
    assert quarantining([ROW, asked, refused]) == (asked,)
    assert violating([ROW, asked]) == Or((asked.violates,))  # type: ignore[arg-type]
    assert violating([ROW]) is None
