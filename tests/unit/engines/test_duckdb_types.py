"""DuckDB's types as stored types, casts that keep every value, literals."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal as Number

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raymesh.engines.kernel.fieldids import field_ids
from raymesh.engines.kernel.sqltext import literal, qualified, quote, text
from raymesh.engines.kernel.types import UnstorableTypeError, from_duckdb, misfit
from raymesh.errors import UsageError
from raymesh.mesh.evolution import evolve
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct
from raymesh.spi.scan_sql import type_text


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    con = duckdb.connect()
    con.execute("SET TimeZone='UTC'")
    yield con
    con.close()


STORED = {
    "TINYINT": Primitive("int"),
    "USMALLINT": Primitive("int"),
    "UINTEGER": Primitive("long"),
    "UBIGINT": Decimal(20, 0),
    "HUGEINT": Decimal(38, 0),
    "UHUGEINT": Decimal(38, 0),
    "TIMESTAMP_S": Primitive("timestamp"),
    "TIMESTAMP_MS": Primitive("timestamp"),
    "TIMESTAMPTZ": Primitive("timestamptz"),
    "UUID": Primitive("string"),
    "JSON": Primitive("string"),
    "ENUM('a')": Primitive("string"),
    "DECIMAL(9,3)": Decimal(9, 3),
    "INTEGER[3]": List(Primitive("int")),
    "MAP(VARCHAR, DECIMAL(4,1)[])": Map(Primitive("string"), List(Decimal(4, 1))),
    'STRUCT("A b" BLOB, t TIME)': Struct((Field("A b", Primitive("binary")), Field("t", Primitive("time")))),
}
REFUSED = ["TIMESTAMP_NS", "INTERVAL", '"NULL"', "BIT", "TIMETZ", "BIGNUM", "UNION(a INTEGER)", "VARIANT"]


@pytest.mark.parametrize(("name", "stored"), STORED.items(), ids=STORED)
def test_every_type_is_stored_in_one_that_holds_its_values(name, stored) -> None:
    assert from_duckdb(duckdb.type(name)) == stored


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("inside", ["{}", "{}[]", "STRUCT(x {})", "MAP(VARCHAR, {})"])
def test_types_no_table_can_hold_are_refused_with_advice(name, inside) -> None:
    with pytest.raises(UnstorableTypeError, match=r"cast|use|cannot"):
        from_duckdb(duckdb.type(inside.format(name)))


def test_a_column_of_only_null_takes_the_promised_type_at_any_depth(con) -> None:
    kind = con.sql("select {'a': null, 'b': [null]} as s").types[0]
    want = Struct((Field("a", Primitive("date")), Field("b", List(Primitive("long")))))
    assert from_duckdb(kind, want) == want


numbers = st.one_of(
    st.sampled_from([Primitive("int"), Primitive("long"), Primitive("float"), Primitive("double")]),
    st.integers(1, 38).flatmap(lambda p: st.integers(0, p).map(lambda s: Decimal(p, s))),
)


@given(have=numbers, want=numbers, value=st.decimals(allow_nan=False, allow_infinity=False, places=9))
def test_an_allowed_cast_keeps_the_value_or_raises(have, want, value) -> None:
    if misfit(have, want) is not None:
        return
    con = duckdb.connect(config={"threads": 1})
    try:
        source = f"CAST(TRY_CAST({text(str(value))} AS {type_text(have)}) AS {type_text(have)})"
        sql = f"select a, cast(a as {type_text(want)}) as b from (select {source} as a)"
        before, after = con.execute(sql).fetchall()[0]
    except duckdb.Error:
        return  # out of range
    finally:
        con.close()
    if isinstance(before, Number) and isinstance(after, float):
        assert Number(repr(after)) == before
    else:
        assert before == after


@pytest.mark.parametrize(
    ("have", "want"),
    [
        (Decimal(9, 2), Decimal(9, 1)),
        (Primitive("double"), Primitive("float")),
        (Primitive("long"), Primitive("double")),
        (Primitive("int"), Primitive("float")),
        (Decimal(16, 2), Primitive("double")),
        (Primitive("string"), Primitive("date")),
        (Primitive("timestamp"), Primitive("timestamptz")),
        (List(Decimal(2, 1)), List(Primitive("int"))),
    ],
)
def test_a_cast_that_may_lose_is_no_cast(have, want) -> None:
    assert misfit(have, want)


VALUES = [
    None,
    True,
    -(2**63),
    2**62,
    0.1,
    -0.0,
    math.inf,
    Number("1.20"),
    Number("-0.001"),
    Number("1E+3"),
    "it's \\ 'x' --",
    "🐙\n",
    b"\x00\xff'",
    date(1, 1, 1),
    time(23, 59, 59, 999999),
    datetime(2024, 1, 1, 12, 0, 0, 1),
    datetime(1969, 12, 31, tzinfo=UTC),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_literal_is_the_value_again(con, value) -> None:
    found = con.execute(f"select {literal(value)}").fetchall()[0][0]
    assert found == value
    assert isinstance(found, type(value))


@given(st.text().filter(lambda s: "\0" not in s and s.isprintable()))
def test_text_and_names_survive_quoting(value: str) -> None:
    con = duckdb.connect(config={"threads": 1})
    try:
        relation = con.sql(f"select {text(value)} as {quote(value or ' ')}")
        assert relation.fetchall() == [(value,)]
        assert relation.columns == [value or " "]
    finally:
        con.close()


def test_an_instant_of_another_zone_is_the_same_instant(con) -> None:
    moment = datetime(2024, 7, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert con.execute(f"select {literal(moment)}").fetchall()[0][0] == moment


@pytest.mark.parametrize("value", [object(), [1], Number("NaN"), "a\0b"])
def test_what_has_no_literal_is_refused(value) -> None:
    with pytest.raises(UsageError):
        literal(value)


def test_a_qualified_name_is_two_identifiers() -> None:
    assert qualified('a.b"c.d') == '"a"."b""c.d"'


def test_field_ids_name_every_nested_part() -> None:
    nested = Struct((Field("x", List(Primitive("int"))),))
    schema = evolve(
        None, [Field("a", Primitive("int")), Field('b"', Map(Primitive("string"), nested))]
    ).schema
    assert field_ids(schema) == (
        '{"a": 1, "b""": {__duckdb_field_id: 2, "key": 3, "value": {__duckdb_field_id: 4, '
        '"x": {__duckdb_field_id: 5, "element": 6}}}}'
    )


def test_a_column_without_an_id_cannot_be_written() -> None:
    from raymesh.spec.types import TableSchema

    with pytest.raises(ValueError, match="field id"):
        field_ids(TableSchema((Field("a", Primitive("int")),)))
