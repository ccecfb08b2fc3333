"""What manifests say about files is true, and no reader that believes it loses a row."""

from __future__ import annotations

import math
import struct
from datetime import UTC, date, datetime, time
from decimal import Decimal as Number

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raymesh.adapters.iceberg.bounds import Measure, Unfit, lower_bound, measure, only_value, upper_bound
from raymesh.adapters.iceberg.parquet import differences, leaves
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct
from raymesh.spi.conformance.tables_samples import schema, write_parquet

P = Primitive


def measured(path):
    """Measures of a file's columns by name."""
    footer = pq.read_metadata(path)
    from raymesh.adapters.iceberg.parquet import _field
    from raymesh.spec.types import TableSchema

    order = list(leaves(TableSchema(tuple(_field(f) for f in footer.schema.to_arrow_schema()))))
    return {leaf.name: m for leaf, m in zip(order, measure(footer, order), strict=True)}


def of(tmp_path, type_, *values, **options):
    columns = schema(v=type_)
    return measured(write_parquet(tmp_path / "f.parquet", columns, [{"v": v} for v in values], **options))[
        "v"
    ]


def read(m):
    """Bounds as Python values, read as the specification says."""
    from pyiceberg.conversions import from_bytes

    from raymesh.adapters.iceberg.schema import to_iceberg

    type_ = to_iceberg(schema(v=m.type), 0).fields[0].field_type
    return tuple(from_bytes(type_, b) if b is not None else None for b in (lower_bound(m), upper_bound(m)))


@pytest.mark.parametrize(
    ("type_", "values", "low", "high"),
    [
        (P("boolean"), [True, False, None], False, True),
        (P("int"), [-5, 7], -5, 7),
        (P("long"), [-(2**40), 2**60], -(2**40), 2**60),
        (P("float"), [1.5, -2.5], -2.5, 1.5),
        (P("double"), [1e300, -1e-300], -1e-300, 1e300),
        (Decimal(9, 2), [Number("-12.34"), Number("99.99")], Number("-12.34"), Number("99.99")),
        (Decimal(18, 4), [Number("-1.0000"), Number("5.5000")], Number("-1.0000"), Number("5.5000")),
        (
            Decimal(38, 2),
            [Number("-1.12"), Number("123456789012345678901234567890123456.78")],
            Number("-1.12"),
            Number("123456789012345678901234567890123456.78"),
        ),
        (P("date"), [date(1, 1, 1), date(2024, 2, 29)], -719162, 19782),
        (P("time"), [time(1, 2, 3)], 3723000000, 3723000000),
        (P("timestamp"), [datetime(2020, 1, 1)], 1577836800000000, 1577836800000000),
        (P("timestamptz"), [datetime(2020, 1, 1, tzinfo=UTC)], 1577836800000000, 1577836800000000),
        (P("string"), ["b", "a", ""], "", "b"),
        (P("binary"), [b"\x00", b"\xff\x00"], b"\x00", b"\xff\x00"),
    ],
)
def test_bounds_are_the_smallest_and_the_largest_value(tmp_path, type_, values, low, high):
    m = of(tmp_path, type_, *values)
    assert read(m) == (low, high)
    assert (m.values, m.nulls) == (len(values), values.count(None))


def test_dates_python_cannot_hold_have_bounds(tmp_path):
    path = tmp_path / "f.parquet"
    duckdb.sql(f"COPY (SELECT date '12020-01-01' AS v) TO '{path}' (FORMAT parquet)")
    assert read(measured(path)["v"]) == (3670687, 3670687)


def test_a_column_of_nulls_has_no_bounds_and_all_its_nulls(tmp_path):
    m = of(tmp_path, P("long"), None, None)
    assert (lower_bound(m), upper_bound(m), m.nulls) == (None, None, 2)


def test_not_a_number_leaves_no_bounds(tmp_path):
    m = of(tmp_path, P("double"), math.nan, 1.0)
    assert (lower_bound(m), upper_bound(m), m.nulls) == (None, None, 0)


def test_one_row_group_that_does_not_say_spoils_the_bounds_of_all(tmp_path):
    path = tmp_path / "f.parquet"
    values = "SELECT CASE WHEN i >= 4096 THEN 'nan'::double ELSE i END AS v FROM range(8192) r(i) ORDER BY i"
    duckdb.sql(f"COPY ({values}) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    assert pq.read_metadata(path).num_row_groups > 1
    m = measured(path)["v"]
    assert (lower_bound(m), upper_bound(m)) == (None, None)


def test_zero_is_bounded_on_both_sides_of_its_sign(tmp_path):
    m = of(tmp_path, P("double"), 0.0)
    assert lower_bound(m) == struct.pack("<d", -0.0)
    assert upper_bound(of(tmp_path, P("double"), -0.0)) == struct.pack("<d", 0.0)


@pytest.mark.parametrize(
    "text", ["z" * 500, "é" * 200, "🧺" * 100, "a" * 15 + "\U0010ffff" * 300, "\U0010ffff" * 99]
)
def test_bounds_of_long_text_hold_although_its_footer_is_cut(tmp_path, text):
    m = of(tmp_path, P("string"), text)
    low, high = read(m)
    assert low is None or (low <= text and len(low) <= 16)
    assert high is None or (high >= text and len(high) <= 16)


@given(st.lists(st.one_of(st.none(), st.text(max_size=40)), min_size=1, max_size=6))
@settings(max_examples=80, deadline=None)
def test_text_lies_between_its_bounds_byte_by_byte(values):
    filled = sorted(v.encode("utf-8", "surrogatepass") for v in values if v is not None)
    m = Measure(
        P("string"),
        0,
        len(values),
        values.count(None),
        *(filled[:1] or [None]),
        *(filled[-1:] or [None]),
        True,
    )
    low, high = lower_bound(m), upper_bound(m)
    for v in filled:
        assert low is not None
        assert low <= v
        assert high is None or v <= high


@given(st.binary(max_size=40))
def test_bytes_lie_between_their_bounds(value):
    m = Measure(P("binary"), 0, 1, 0, value, value, bounded=True)
    assert lower_bound(m) <= value
    assert upper_bound(m) is None or upper_bound(m) >= value


@given(st.integers(-(10**38) + 1, 10**38 - 1))
def test_decimals_are_written_as_the_specification_says(unscaled):
    m = Measure(Decimal(38, 5), 0, 1, 0, unscaled, unscaled, bounded=True)
    assert int.from_bytes(lower_bound(m), "big", signed=True) == unscaled
    assert len(lower_bound(m)) <= 16


def test_members_have_bounds_and_elements_have_none(tmp_path):
    point = Struct((Field("x", P("int")),))
    columns = schema(p=point, l=List(P("int")), m=Map(P("string"), point))
    rows = [{"p": {"x": 1}, "l": [1, 2], "m": [("k", {"x": 5})]}, {"p": None, "l": [], "m": None}]
    found = measured(write_parquet(tmp_path / "f.parquet", columns, rows))
    assert read(found["p.x"]) == (1, 1)
    assert (found["p.x"].nulls, found["p.x"].values) == (1, 2)
    for name in ("l.element", "m.key", "m.value.x"):
        assert found[name].nulls is None
        assert found[name].bytes > 0
        assert (lower_bound(found[name]), upper_bound(found[name])) == (None, None)


# ── partition values ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("type_", "value", "stored"),
    [
        (P("long"), 5, 5),
        (P("boolean"), False, False),
        (P("date"), date(2020, 1, 1), 18262),
        (P("string"), "x", "x"),
        (P("string"), "", ""),
        (P("string"), None, None),
        (
            Decimal(38, 2),
            Number("123456789012345678901234567890123456.78"),
            Number("123456789012345678901234567890123456.78"),
        ),
    ],
)
def test_the_one_value_of_a_column(tmp_path, type_, value, stored):
    assert only_value(of(tmp_path, type_, value, value), None) == stored


@pytest.mark.parametrize("values", [(1, 2), (1, None), (math.nan, math.nan)])
def test_more_than_one_value_is_said(tmp_path, values):
    type_ = P("double") if isinstance(values[0], float) else P("long")
    assert isinstance(only_value(of(tmp_path, type_, *values), None), Unfit)


@pytest.mark.parametrize("letter", ["x", "é", "🧺"])
def test_long_text_needs_its_writer_to_say_it(tmp_path, letter):
    m = of(tmp_path, P("string"), letter * 400)
    assert isinstance(only_value(m, None), Unfit)
    assert only_value(m, letter * 400) == letter * 400
    assert isinstance(only_value(m, letter), Unfit)


def test_a_writer_that_says_another_text_is_contradicted(tmp_path):
    assert isinstance(only_value(of(tmp_path, P("string"), "x" * 400), "y" * 400), Unfit)
    assert isinstance(only_value(of(tmp_path, P("string"), "x"), "y"), Unfit)


def test_no_rows_have_the_partition_null(tmp_path):
    assert only_value(of(tmp_path, P("string")), None) is None


# ── columns of a file against the table's ────────────────────────────────────────────────────


def test_differences_are_found_at_any_depth():
    point = Struct((Field("x", P("int"), 3), Field("y", P("int"), 4)))
    table = [Field("a", P("int"), 1), Field("l", List(point, 5), 2)]
    assert list(differences(table, table)) == []
    assert list(differences(list(reversed(table)), table)) == []
    swapped = Struct((Field("x", P("int"), 4), Field("y", P("int"), 3)))
    said = list(differences([Field("a", P("int"), 1), Field("l", List(swapped, 5), 2)], table))
    assert len(said) == 2
    assert "l.element.x" in said[0]
    said = list(differences([Field("a", P("long"), 0), Field("l", List(point, 9), 2)], table))
    assert ["no field id" in s for s in said] == [True, False, False]
    assert "field id 9" in said[2]
