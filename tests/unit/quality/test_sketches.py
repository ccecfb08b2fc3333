"""Sketches of files merge in any order and grouping, and say of many files what they would say of one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raymesh.quality import sketch as sketches
from raymesh.quality.drift import drift
from raymesh.quality.profile import Profile, described
from raymesh.quality.sketch import (
    WHOLE,
    Chosen,
    Moments,
    Sketch,
    TableSketch,
    merge,
    table_from_json,
    table_to_json,
    total,
)

FLOATS = st.floats(-1e9, 1e9, allow_nan=False)


@st.composite
def tables(draw: st.DrawFn) -> TableSketch:
    """A table of one column with few hashes and rows, so that unions are cut."""
    limit = draw(st.sampled_from([WHOLE, 40, 90]))
    hashes = sorted(draw(st.sets(st.integers(0, min(limit, 120) - 1), max_size=8)))
    marks = sorted(draw(st.lists(st.integers(0, min(limit, 120) - 1), max_size=8)))
    numbers = draw(st.lists(st.integers(-50, 50), min_size=len(marks), max_size=len(marks)))
    moments = Moments.of(draw(st.integers(1, 9)), draw(FLOATS), abs(draw(FLOATS)))
    column = Sketch(
        1,
        draw(st.sampled_from(["int", "int", "string"])),
        draw(st.sampled_from(["a", "a", "b"])),
        draw(st.integers(0, 5)),
        Chosen(limit, tuple((h, None) for h in hashes)),
        moments,
        Chosen(limit, tuple(zip(marks, numbers, strict=True))),
        draw(st.booleans()),
        draw(st.booleans()),
    )
    return TableSketch(draw(st.integers(0, 9)), {"n": column})


def same(a: TableSketch, b: TableSketch) -> bool:
    return a.rows == b.rows and (not a.rows or a.columns == b.columns)


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    """Unions that are cut after a few items."""
    before = sketches.HASHES, sketches.SAMPLED
    sketches.HASHES, sketches.SAMPLED = 4, 6
    yield
    sketches.HASHES, sketches.SAMPLED = before


@pytest.mark.usefixtures("small")
@given(tables(), tables(), tables())
def test_grouping_does_not_matter(a: TableSketch, b: TableSketch, c: TableSketch) -> None:
    left, right = merge(merge(a, b), c), merge(a, merge(b, c))
    if len({(t.columns["n"].kind, t.columns["n"].by) for t in (a, b, c) if t.rows}) == 1:
        assert same(left, right)


@pytest.mark.usefixtures("small")
@given(tables(), tables())
def test_order_does_not_matter(a: TableSketch, b: TableSketch) -> None:
    assert same(merge(a, b), merge(b, a))


@given(tables())
def test_no_rows_change_nothing(a: TableSketch) -> None:
    assert same(merge(TableSketch(), a), a)


@given(tables())
def test_a_sketch_survives_json(a: TableSketch) -> None:
    assert table_from_json(json.loads(json.dumps(table_to_json(a)))) == a


@given(st.lists(st.lists(FLOATS, min_size=1, max_size=9), min_size=1, max_size=4))
def test_moments_of_parts_are_those_of_the_whole(parts: list[list[float]]) -> None:
    def of(values: list[float]) -> Moments:
        from fractions import Fraction

        exact = [Fraction(v) for v in values]
        return Moments(len(values), sum(exact, Fraction(0)), sum((v * v for v in exact), Fraction(0)))

    whole = of([v for part in parts for v in part])
    added = Moments()
    for part in parts:
        added = added + of(part)
    assert added == whole


def test_what_is_no_sketch_is_none() -> None:
    for value in ({}, {"packed": "x"}, {"packed": 3}):
        assert table_from_json(value) is None


def column(values: list[Any], kind: str = "int", nulls: int = 0, **more: Any) -> TableSketch:
    sample = Chosen(WHOLE, tuple(enumerate(values)))
    return TableSketch(len(values), {"c": Sketch(1, kind, "x", nulls, Chosen(), Moments(), sample, **more)})


def profile(table: TableSketch) -> Profile:
    return Profile(table.rows, described(table, {}), 1, 1)


def test_a_value_of_a_hidden_column_is_never_told() -> None:
    table = column(["secret"] * 50, "string", hidden=True)
    assert "secret" not in repr(described(table, {"c": {"min": "secret", "max": "secret"}}))
    other = column(["secret"] * 50, "string")
    assert "secret" not in repr(described(other, {"c": {"min": "secret"}}, hidden={"c"}))


def test_the_merge_of_a_hidden_and_a_shown_column_is_hidden() -> None:
    both = merge(column(["secret"] * 9, "string", hidden=True), column(["secret"] * 9, "string"))
    assert both.columns["c"].hidden
    assert both.columns["c"].sample is None


def test_drift_tells_moved_values_nulls_and_rows_in_words() -> None:
    before, after = column(list(range(400))), column([v + 300 for v in range(900)], nulls=450)
    shifts = {(s.measure, s.level): s for s in drift(profile(before), profile(after), (before, after))}
    assert ("values", "strong") in shifts
    assert shifts["nulls", "strong"].words == "NULLs went from 0.0% to 50.0% of the rows"
    assert ("rows", "strong") in shifts


def test_the_same_rows_have_not_drifted() -> None:
    table = column([v % 7 for v in range(700)])
    assert drift(profile(table), profile(table), (table, table)) == ()


def test_parts_say_what_the_whole_says() -> None:
    parts = [column([1, 2, 3]), column([4, 5]), column([6])]
    assert total(parts).rows == 6
    assert total(parts).columns["c"].nulls == 0
