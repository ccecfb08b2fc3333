from __future__ import annotations

import datetime as dt
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raymesh.adapters.sources.exact import from_json, from_text, from_typed, or_null
from raymesh.spi.scan_sql import literal


@pytest.fixture(scope="module")
def con():
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone='UTC'")
        yield opened


def convert(con, text, kind):
    """The converted value, or None when the text does not convert exactly."""
    exact = from_text("x", con.type(kind))
    query = (
        f"SELECT CASE WHEN {exact.accepted} THEN {exact.value} END FROM (VALUES ({literal(text)})) AS t(x)"
    )
    return con.sql(query).to_arrow_table().column(0).to_pylist()[0]


@settings(deadline=None, max_examples=60)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9))
def test_a_decimal_converts_exactly_or_not_at_all(con, value):
    found = convert(con, str(value), "decimal(14,3)")
    if value == value.quantize(Decimal("0.001")) and abs(value) < 10**11 and "E" not in str(value):
        assert found == value
    else:
        assert found is None


@settings(deadline=None, max_examples=60)
@given(st.integers(-(2**65), 2**65), st.sampled_from(["", ".0", ".5", "e1"]))
def test_an_integer_converts_exactly_or_not_at_all(con, value, end):
    found = convert(con, f"{value}{end}", "bigint")
    fits = -(2**63) <= value < 2**63 and end in {"", ".0"}
    assert found == (value if fits else None)


@settings(deadline=None, max_examples=50)
@given(st.floats(allow_nan=False))
def test_a_double_keeps_every_bit(con, value):
    assert convert(con, repr(value), "double") == value


@settings(deadline=None, max_examples=50)
@given(st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30)), st.integers(-12 * 60, 14 * 60))
def test_an_instant_is_the_same_in_every_zone_and_no_plain_timestamp(con, moment, minutes):
    aware = moment.replace(tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    assert convert(con, aware.isoformat(), "timestamptz") == aware
    assert convert(con, aware.isoformat(), "timestamp") is None
    assert convert(con, moment.isoformat(sep=" "), "timestamp") == moment


@settings(deadline=None, max_examples=25)
@given(
    st.recursive(
        st.none() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_no_json_value_makes_a_conversion_fail_instead_of_being_refused(con, value):
    import json

    column = f"(VALUES ({literal(json.dumps(value))}::JSON)) AS t(x)"
    for kind in (
        "bigint",
        "varchar",
        "integer[]",
        "struct(a integer, b varchar[])",
        "map(varchar, bigint[])",
        "date",
    ):
        exact = or_null("x", from_json("x", con.type(kind)))
        con.sql(f"SELECT CASE WHEN {exact.accepted} THEN {exact.value} END FROM {column}").fetchall()


@pytest.mark.parametrize(
    ("actual", "target", "kept"),
    [
        ("integer", "bigint", True),
        ("bigint", "integer", False),
        ("uinteger", "bigint", True),
        ("uinteger", "integer", False),
        ("integer", "uinteger", False),
        ("float", "double", True),
        ("double", "float", False),
        ("decimal(9,2)", "decimal(12,4)", True),
        ("decimal(9,2)", "decimal(9,3)", False),
        ("decimal(9,2)", "decimal(12,1)", False),
        ("uuid", "varchar", True),
        ("timestamp_ms", "timestamp", True),
        ("timestamp", "timestamptz", False),
        ("timestamp", "date", False),
        ("varchar", "integer", False),
        ("struct(a integer, b float)", "struct(a bigint, b double)", True),
        ("struct(a integer)", "struct(b integer)", False),
        ("struct(a integer)", "struct(a integer, b integer)", False),
        ("integer[]", "bigint[]", True),
        ("bigint[]", "integer[]", False),
        ("map(varchar, integer)", "map(varchar, bigint)", True),
        ("timestamp_ns[]", "timestamp[]", False),
    ],
)
def test_typed_columns_widen_only_when_every_value_is_kept(con, actual, target, kept):
    assert (from_typed("x", con.type(actual), con.type(target)) is not None) is kept
