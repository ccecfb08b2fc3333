"""Rules of pandera, Great Expectations and Soda count rows, and refuse what they cannot answer."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from raymesh.adapters import checks
from raymesh.adapters.checks import frame
from raymesh.errors import MissingExtraError, UsageError

ROWS = "SELECT range AS id, CASE WHEN range <> 3 THEN range - 2 END::double AS amount, 'x' || range AS s FROM range(6)"
quiet = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def rows() -> Iterator[Any]:
    with duckdb.connect() as con:
        yield con.sql(ROWS)


def _needs(library: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(library) is None, reason=f"{library} is not installed")


@quiet
@_needs("pandera")
@pytest.mark.parametrize(
    ("implementation", "broken"),
    [
        ({"columns": {"amount": {"checks": {"greater_than_or_equal_to": 0}}}}, 2),
        ({"columns": {"amount": {"nullable": False}}}, 1),
        ({"columns": {"id": {"unique": True}}}, 0),
        ({"columns": {"id": {"checks": {"in_range": {"min_value": 1, "max_value": 3}}}}}, 3),
        ("columns: {s: {checks: {isin: [x1]}}}", 5),
        ({"unique": ["id", "s"]}, 0),
    ],
)
def test_a_schema_counts_the_rows_it_refuses(implementation: Any, broken: int, rows: Any) -> None:
    assert checks.pandera(implementation, rows) == broken


@quiet
@_needs("pandera")
@pytest.mark.parametrize(
    "implementation",
    [
        "rubbish",
        {},
        {"columns": {"zz": {}}},
        {"columns": {"id": {"checks": {"no_such": 1}}}},
        {"columns": {"id": {"checks": {"__init__": 1}}}},
        {"columns": {"id": {"dtype": "str"}}},
        {"columns": {"s": {"checks": {"greater_than": 1}}}},
    ],
)
def test_what_pandera_cannot_answer_is_no_answer(implementation: Any, rows: Any) -> None:
    with pytest.raises(UsageError):
        checks.pandera(implementation, rows)


@quiet
@_needs("great_expectations")
@pytest.mark.parametrize(
    ("kind", "kwargs", "broken"),
    [
        ("expect_column_values_to_be_between", {"column": "amount", "min_value": 0}, 2),
        ("expect_column_values_to_be_unique", {"column": "id"}, 0),
        ("expect_table_row_count_to_equal", {"value": 7}, 1),
    ],
)
def test_an_expectation_counts_the_rows_that_break_it(kind: str, kwargs: Any, broken: int, rows: Any) -> None:
    assert checks.great_expectations({"type": kind, "kwargs": kwargs}, rows) == broken


@quiet
@_needs("great_expectations")
@pytest.mark.parametrize(
    "implementation",
    [
        "rubbish",
        {"type": "expect_nonsense", "kwargs": {}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "zz"}},
    ],
)
def test_what_great_expectations_cannot_answer_is_no_answer(implementation: Any, rows: Any) -> None:
    with pytest.raises(UsageError):
        checks.great_expectations(implementation, rows)


@quiet
@_needs("soda_duckdb")
@pytest.mark.parametrize(
    ("implementation", "broken"),
    [
        ({"columns": [{"name": "amount", "checks": [{"missing": None}, {"invalid": {"valid_min": 0}}]}]}, 2),
        ({"columns": [{"name": "id", "checks": [{"duplicate": None}]}]}, 0),
        ("checks: [{row_count: {threshold: {must_be: 7}}}]", 1),
        ({"dataset": "a/b/c", "checks": [{"failed_rows": {"query": "SELECT * FROM rows WHERE id > 2"}}]}, 3),
    ],
)
def test_a_soda_contract_counts_the_rows_that_break_it(implementation: Any, broken: int, rows: Any) -> None:
    assert checks.soda(implementation, rows) == broken


@quiet
@_needs("soda_duckdb")
@pytest.mark.parametrize(
    ("implementation", "reason"),
    [
        ("rubbish", "is a Soda contract"),
        ({}, "is a Soda contract"),
        ({"columns": None}, "cannot read"),
        ({"columns": [{"name": "id"}]}, "no check"),
        ({"columns": [{"name": "zz"}]}, "not there: zz"),
        ({"columns": [{"name": "id", "checks": [{"mising": None}]}]}, "mising"),
        ({"checks": [{"failed_rows": {"expression": "s::integer > 0"}}]}, "could not evaluate"),
        ({"checks": [{"failed_rows": {"query": "FROM read_csv('/etc/passwd')"}}]}, "could not evaluate"),
    ],
)
def test_what_soda_cannot_answer_is_no_answer(implementation: Any, reason: str, rows: Any) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        checks.soda(implementation, rows)
    assert "x0" not in caught.value.message, "a value of a row"


def test_more_rows_than_fit_into_memory_are_refused(rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "MOST_ROWS", 5)
    with pytest.raises(UsageError, match="all rows in memory"):
        frame.frame(rows, "pandera", "pandera")


def test_a_library_that_is_not_there_is_named(rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    soda = "soda_core.contracts.contract_verification"
    for name in ("pandera", "pandera.errors", "great_expectations", soda):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match="pandera"):
        checks.pandera({"columns": {}}, rows)
    with pytest.raises(MissingExtraError, match="Great Expectations"):
        checks.great_expectations({"type": "x"}, rows)
    with pytest.raises(UsageError, match="soda-duckdb"):
        checks.soda({"checks": []}, rows)
