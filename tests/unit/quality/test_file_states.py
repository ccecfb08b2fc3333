"""States of files merge in any order and grouping, and never invent what was not counted."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from raymesh.quality.model import FileState
from raymesh.quality.state import file_state_from_json, file_state_to_json, merge, total

IDS = st.sampled_from(["a", "b", "c"])
LIMITS = st.one_of(st.none(), st.integers(-3, 3))


@st.composite
def profiles(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {"id": draw(st.integers(1, 2)), "type": "int", "nulls": draw(st.integers(0, 3))}
    for limit in ("min", "max"):
        if draw(st.booleans()):
            found[limit] = draw(LIMITS)
    return found


@st.composite
def states(draw: st.DrawFn) -> FileState:
    violations = draw(st.dictionaries(IDS, st.integers(0, 5)))
    rows = draw(st.integers(0, 9))
    basis = {k: draw(st.sampled_from("xy")) for k in violations}
    columns = draw(st.dictionaries(st.sampled_from(["n", "m"]), profiles()))
    return FileState(rows, violations if rows else dict.fromkeys(violations, 0), columns, basis)


def known(state: FileState) -> tuple[Any, ...]:
    """What a state says about rows; a state without rows has no columns to speak of."""
    return state.rows, dict(state.violations), dict(state.columns) if state.rows else {}, dict(state.basis)


@given(states(), states(), states())
def test_grouping_does_not_matter(a: FileState, b: FileState, c: FileState) -> None:
    assert known(merge(merge(a, b), c)) == known(merge(a, merge(b, c)))


@given(states(), states())
def test_order_does_not_matter(a: FileState, b: FileState) -> None:
    assert known(merge(a, b)) == known(merge(b, a))


@given(states())
def test_an_empty_state_changes_nothing(a: FileState) -> None:
    assert known(merge(FileState(), a)) == known(a) == known(merge(a, FileState()))


@given(st.lists(states(), max_size=5))
def test_what_one_file_does_not_know_the_table_does_not_know(some: list[FileState]) -> None:
    whole = total(some)
    for check in "abc":
        with_rows = [s for s in some if s.rows]
        if any(check not in s.violations for s in with_rows):
            assert check not in whole.violations
        elif len({s.basis[check] for s in with_rows}) == 1:
            assert whole.violations[check] == sum(s.violations[check] for s in with_rows)


def test_counts_of_different_things_do_not_add_up() -> None:
    a, b = (FileState(1, {"a": 1}, basis={"a": basis}) for basis in "xy")
    assert "a" not in merge(a, b).violations


@given(states())
def test_states_survive_json(a: FileState) -> None:
    assert file_state_from_json(json.loads(json.dumps(file_state_to_json(a)))) == a


def test_what_is_no_state_must_be_measured_again() -> None:
    for value in (
        {},
        {"rows": 1},
        {"rows": -1, "violations": {}},
        {"rows": 1, "violations": {"a": "0"}},
        {"rows": 1, "violations": 3},
    ):
        assert file_state_from_json(value) is None
    assert (
        file_state_from_json({"rows": 1, "violations": {"a": 0}, "whole": {"k": ["digest", 2]}}) is not None
    )
