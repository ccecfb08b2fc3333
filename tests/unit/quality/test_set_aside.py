"""Which checks set rows aside, which decide about their return, and what a verdict says of both."""

from __future__ import annotations

from dataclasses import replace

from raymesh.quality.judge import judge
from raymesh.quality.model import Check, Failure, FileState, Measurements, Threshold
from raymesh.quality.quarantine import broken, demanding, only, with_set_aside
from raymesh.spec.expression import Column, IsNull

ASIDE = Check(
    "a",
    "row",
    "required",
    violates=IsNull(Column(("c",))),
    on_violation="quarantine",
    description="c is there",
)
STRICT = replace(ASIDE, id="s", on_violation="fail")
SOFT = replace(ASIDE, id="w", on_violation="warn", blocking=False)
KEY = Check("k", "key", "unique", columns=("c",))


def measured(**files: tuple[int, dict[str, int]]) -> Measurements:
    return Measurements({name: FileState(rows, counts) for name, (rows, counts) in files.items()})


def test_only_broken_checks_of_new_rows_set_aside() -> None:
    found = measured(old=(5, {"a": 1, "s": 1}), new=(5, {"a": 0, "s": 2}))
    assert broken([ASIDE, STRICT], found, ["new"]) == ()
    assert broken([ASIDE, STRICT], found, ["old"]) == (ASIDE,)


def test_a_check_that_tolerates_some_rows_sets_none_aside() -> None:
    few = replace(ASIDE, threshold=Threshold("mustBeLessThan", 3))
    assert broken([few], measured(new=(5, {"a": 2})), ["new"]) == ()
    assert broken([few], measured(new=(5, {"a": 3})), ["new"]) == (few,)


def test_a_warning_that_asks_for_it_sets_aside_too() -> None:
    warning = replace(ASIDE, blocking=False)
    assert broken([warning], measured(new=(5, {"a": 1})), ["new"]) == (warning,)


def test_what_could_not_be_measured_sets_nothing_aside() -> None:
    found = replace(measured(new=(5, {})), failures={"a": Failure("no such column")})
    assert broken([ASIDE], found, ["new"]) == ()


def test_rows_come_back_only_when_nothing_that_blocks_is_broken() -> None:
    unsupported = replace(STRICT, unsupported="no")
    warning = replace(ASIDE, id="q", blocking=False)
    assert demanding([ASIDE, STRICT, SOFT, KEY, unsupported, warning]) == (ASIDE, STRICT, warning)


def test_a_passing_check_says_how_many_rows_it_set_aside() -> None:
    verdict = judge([ASIDE, STRICT], measured(good=(5, {"a": 0, "s": 0})))
    bad = replace(measured(bad=(2, {"a": 2})), samples={"a": ({"id": 1},)})
    said = with_set_aside(verdict, bad)
    assert [r.status for r in said.results] == ["warn", "pass"]
    assert (said.results[0].value, said.results[0].message) == (2, "c is there: 2 rows set aside")
    assert said.results[0].sample == ({"id": 1},)
    assert said.blocked == ()
    assert said.score == verdict.score
    one = with_set_aside(verdict, measured(bad=(1, {"a": 1})))
    assert one.results[0].message == "c is there: 1 row set aside"


def test_a_check_that_is_still_broken_stays_so() -> None:
    verdict = judge([ASIDE], measured(kept=(5, {"a": 1}), good=(5, {"a": 0})))
    assert with_set_aside(verdict, measured(bad=(2, {"a": 2}))).blocked == verdict.results


def test_nothing_set_aside_changes_nothing() -> None:
    verdict = judge([ASIDE], measured(good=(5, {"a": 0})))
    assert with_set_aside(verdict, None) == verdict
    assert with_set_aside(verdict, Measurements()) == verdict


def test_counts_of_other_checks_are_left_out() -> None:
    found = replace(measured(bad=(2, {"a": 2, "s": 1})), samples={"a": ({},), "s": ({},)})
    left = only(found, [ASIDE])
    assert (left.files["bad"].violations, left.files["bad"].rows, set(left.samples)) == ({"a": 2}, 2, {"a"})
