from __future__ import annotations

import datetime as dt
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from raymesh.errors import NotFoundError, SourceError
from raymesh.spec.secrets import SecretRef

pytestmark = pytest.mark.postgres


@pytest.fixture
def database(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as con:
        yield con


@pytest.fixture
def spec(postgres_url):
    return {"type": "postgres", "name": "given", "location": postgres_url, "table": "public.t"}


TYPES = """create table t (id bigint, small smallint, n numeric(10,2), big numeric(38,10), at timestamp,
  instant timestamptz, day date, clock time, flag boolean, raw bytea, key uuid, doc jsonb, ints int[], texts text[],
  nums numeric(8,3)[], name text, code varchar(10), share real, ratio double precision, mood mood, ip inet,
  wait interval, zoned timetz)"""
ROW = """insert into t values (1, 2, 1.20, 1234567890123456789012345678.0123456789, '2024-01-01 10:00:00.123456',
  '2024-01-01 10:00:00+02', '2024-02-29', '10:00:01.5', true, '\\x00ff', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  '{"a": 1}', '{1,null}', '{x,"y z"}', '{1.234}', 'ü', 'c', 1.5, 2.5, 'sad', '10.0.0.1', '1 day', '10:00+02')"""


def test_every_type_arrives_exactly(reader, database, spec):
    database.execute("create type mood as enum ('glad', 'sad')")
    database.execute(TYPES)
    database.execute(ROW)
    database.execute("insert into t(id) values (2)")
    relation = reader.relation(spec).order("id")
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    assert types["n"] == "DECIMAL(10,2)"
    assert types["big"] == "DECIMAL(38,10)"
    assert types["instant"] == "TIMESTAMP WITH TIME ZONE"
    assert types["nums"] == "VARCHAR[]"
    full, empty = relation.to_arrow_table().to_pylist()
    assert full == {
        "id": 1,
        "small": 2,
        "n": Decimal("1.20"),
        "big": Decimal("1234567890123456789012345678.0123456789"),
        "at": dt.datetime(2024, 1, 1, 10, 0, 0, 123456),
        "instant": dt.datetime(2024, 1, 1, 8, tzinfo=dt.UTC),
        "day": dt.date(2024, 2, 29),
        "clock": dt.time(10, 0, 1, 500000),
        "flag": True,
        "raw": b"\x00\xff",
        "key": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "doc": '{"a": 1}',
        "ints": [1, None],
        "texts": ["x", "y z"],
        "nums": ["1.234"],
        "name": "ü",
        "code": "c",
        "share": 1.5,
        "ratio": 2.5,
        "mood": "sad",
        "ip": "10.0.0.1/32",
        "wait": "1 day",
        "zoned": "10:00:00+02",
    }
    assert empty == dict.fromkeys(full) | {"id": 2}
    described = reader.describe(spec)
    assert [f.name for f in described.fields] == list(full)
    assert described.pin == {}


def test_a_query_is_read_and_a_numeric_without_a_size_takes_the_declared_one(reader, database, spec):
    database.execute("create table t (id int, n numeric(10,2))")
    database.execute("insert into t values (1, 1.25), (1, 2.50), (2, 0.10)")
    by_query = {**spec, "table": None, "query": "select id, sum(n) as total from t group by id;"}
    relation = reader.relation(by_query).order("id")
    assert list(map(str, relation.types)) == ["INTEGER", "DECIMAL(38,18)"]
    assert relation.fetchall() == [(1, Decimal("3.75")), (2, Decimal("0.10"))]
    sized = [{"name": "id", "type": "bigint"}, {"name": "total", "type": "decimal(12,2)"}]
    relation = reader.relation({**by_query, "columns": sized}).order("id")
    assert list(map(str, relation.types)) == ["BIGINT", "DECIMAL(12,2)"]
    with pytest.raises(
        SourceError, match="column total holds a value .* '0.10+'|column total holds a value .* '3.75'"
    ):
        reader.relation({**by_query, "columns": [{"name": "total", "type": "decimal(12,1)"}]})


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("numeric", "NaN"),
        ("numeric", "1e30"),
        ("date", "infinity"),
        ("timestamptz", "-infinity"),
        ("timestamp", "infinity"),
    ],
)
def test_values_no_column_can_keep_are_an_error_that_names_the_column(reader, database, spec, kind, value):
    database.execute(f"create table t (odd {kind})")
    database.execute(f"insert into t values ('{value}')")
    with pytest.raises(SourceError, match="column odd holds a value") as caught:
        reader.relation(spec)
    assert "query" in (caught.value.hint or "")


def test_declared_columns_are_checked_all_at_once(reader, database, spec):
    database.execute("create table t (id text, amount numeric(9,2))")
    columns = [{"name": "id", "type": "bigint"}, {"name": "ammount", "type": "decimal(9,2)"}]
    with pytest.raises(SourceError) as caught:
        reader.relation({**spec, "columns": columns})
    assert "column id is VARCHAR, declared BIGINT" in str(caught.value)
    assert "column ammount is missing; did you mean amount?" in str(caught.value)


def test_the_database_is_never_changed(reader, database, spec):
    database.execute("create table t (id int)")
    database.execute(
        "create function sneak() returns int language sql as 'insert into t values (1) returning id'"
    )
    for query in ("select sneak() as x", "with d as (delete from t returning id) select * from d"):
        with pytest.raises(SourceError):
            reader.relation({**spec, "table": None, "query": query})
    for query in ("select 1) as x; drop table t; select * from (select 1", "select 1; drop table t"):
        with pytest.raises(SourceError):
            reader.relation({**spec, "table": None, "query": query})
    assert database.execute("select count(*) from t").fetchall() == [(0,)]


def test_names_are_quoted(reader, database, spec):
    database.execute('create schema "Odd.one"')
    database.execute('create table "select" ("Group" int, "a""b" int)')
    database.execute('insert into "select" values (1, 2)')
    relation = reader.relation({**spec, "table": "public.select"})
    assert (relation.columns, relation.fetchall()) == (["Group", 'a"b'], [(1, 2)])


def test_doubled_columns_of_a_query_are_an_error(reader, database, spec):
    database.execute("create table t (id int)")
    with pytest.raises(SourceError, match="column name id and id comes 2 times"):
        reader.relation({**spec, "table": None, "query": "select a.id, b.id from t a join t b using (id)"})


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"table": "public.none"}, "check `location`, `table` and `query`"),
        ({"table": None, "query": "selec 1"}, None),
        ({"table": None}, "add `table"),
        ({"query": "select 1"}, "keep one of the two"),
        ({"location": "mysql://x/y"}, "postgresql://"),
        ({"location": "postgresql://127.0.0.1:9/db"}, "is the server running"),
    ],
)
def test_what_is_wrong_is_explained(reader, database, spec, change, hint):
    database.execute("create table t (id int)")
    with pytest.raises(SourceError) as caught:
        reader.relation({**spec, **change})
    assert hint is None or hint in (caught.value.hint or "")


def test_the_password_is_looked_up_and_shows_nowhere(reader, database, postgres_url, monkeypatch):
    database.execute("create table t (id int)")
    host = parse_qs(urlsplit(postgres_url).query)["host"][0]
    monkeypatch.setenv("SECRET_OF_TEST", "h@rd/to:quote%")
    spec = {
        "type": "postgres",
        "name": "given",
        "location": f"postgresql://127.0.0.1:9/none?host={host}",
        "table": "t",
        "user": SecretRef("${env:SECRET_OF_TEST}"),
        "password": SecretRef("${env:SECRET_OF_TEST}"),
    }
    with pytest.raises(SourceError) as caught:
        reader.relation(spec)
    shown = f"{caught.value!r} {caught.value.hint} {caught.value.__cause__!r}"
    assert "h@rd" not in shown
    assert "h%40rd" not in shown
    monkeypatch.delenv("SECRET_OF_TEST")
    with pytest.raises(NotFoundError, match="SECRET_OF_TEST"):
        reader.relation(spec)


def test_many_rows_are_streamed(reader, database, spec):
    database.execute(
        "create table t as select g as id, g::numeric(12,2) / 4 as n from generate_series(1, 200000) g"
    )
    sized = [{"name": "id", "type": "bigint"}, {"name": "n", "type": "decimal(14,2)"}]
    relation = reader.relation({**spec, "columns": sized})
    assert relation.aggregate("count(*), sum(n)").fetchall() == [(200_000, Decimal("5000025000.00"))]
