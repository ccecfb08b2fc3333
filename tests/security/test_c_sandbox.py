"""C: leaving the consumer's database, changing it, or wearing it out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from contracts import schema_of
from observing import Bench
from raymesh.engines.kernel import consumer
from raymesh.engines.kernel.governed_query import GovernedBox
from raymesh.errors import (
    AccessDeniedError,
    InternalError,
    MeshError,
    TransformError,
    TransformMemoryError,
    TransformTimeoutError,
)
from raymesh.mesh.plan import Limits, ViewColumn
from raymesh.spec import expression as x
from raymesh.spec import mask as m
from views import SECRET, VARIABLE, viewed, written

SCHEMA = schema_of(id="long", tenant="string", email="string")
OURS = x.Compare("=", x.Column(("tenant",)), x.Value("a"))


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    rows = [{"id": n, "tenant": "ab"[n % 2], "email": f"hidden{n}@example.com"} for n in range(10)]
    scan = written(tmp_path / "data", SCHEMA, rows)
    governed = viewed(scan, "id", "tenant", ViewColumn("email", m.Token("c")), rows=OURS)
    bench = Bench(tmp_path, {"shop.people": governed})
    yield bench
    bench.close()


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The consumer's connection itself, as if the gate before it did not exist."""
    con = consumer.connect(Limits(1 << 26, 1, str(tmp_path)))
    con.execute("CREATE TABLE t AS SELECT 1 AS a")
    consumer.seal(con)
    yield con
    con.close()


def refused(bench: Bench, query: str) -> MeshError:
    with pytest.raises(MeshError) as caught:
        bench.sql(query)
    assert isinstance(caught.value, AccessDeniedError | TransformError), caught.value
    assert "hidden" not in f"{caught.value}{caught.value.hint}"
    return caught.value


def works(bench: Bench) -> None:
    """The reader's rows are still what they were."""
    rows = bench.rows("select * from shop.people order by id")
    assert [r["id"] for r in rows] == [0, 2, 4, 6, 8]
    assert all(len(r["email"]) == 32 for r in rows)


def test_c1_there_is_no_base_table_to_name(bench: Bench) -> None:
    for query in (
        "select * from base",
        "select * from scan",
        "select * from query('select 1')",
        "select * from query_table('shop' || '.people')",
        "select * from json_execute_serialized_sql(json_serialize_sql('select 1'))",
        "select * from duckdb_tables()",
        "select * from information_schema.tables",
        "select * from sqlite_master",
        "select * from pg_catalog.pg_tables",
    ):
        refused(bench, query)


def test_c2_macros_cannot_be_made(bench: Bench) -> None:
    for name in ("sha256(x) AS x", "lower(x) AS 'a'", "people(x) AS TABLE SELECT 1"):
        for kind in ("MACRO", "TEMP MACRO", "OR REPLACE TEMP MACRO"):
            refused(bench, f"create {kind} {name}")
            refused(bench, f"create {kind} {name}; select * from shop.people")
    works(bench)


def test_c3_governed_names_cannot_be_shadowed(bench: Bench) -> None:
    for query in (
        "create temp table people as select 1",
        "create or replace view shop.people as select 1",
        "create schema other",
        "drop view shop.people",
        "alter view shop.people rename to x",
    ):
        refused(bench, query)
    works(bench)
    assert bench.rows("with people as (select 1 as id) select * from people") == [{"id": 1}]
    works(bench)


def test_c4_nothing_of_one_query_is_left_for_the_next(bench: Bench) -> None:
    refused(bench, "set variable a = 1")
    refused(bench, "select getvariable('a')")
    refused(bench, "prepare p as select 1")
    refused(bench, "execute p")
    works(bench)


FILES = [
    "read_csv('{0}')", "read_text('{0}')", "read_blob('{0}')", "glob('{0}')", "sniff_csv('{0}')", "'{0}'",
    "parquet_schema('{0}')", "read_parquet('{0}')", "read_json('{0}')", "read_duckdb('{0}')", "parquet_scan('{0}')",
    "read_csv_auto('{0}')", "read_ndjson('{0}')", "parquet_bloom_probe('{0}', 'id', 1)",
]  # fmt: skip


@pytest.mark.parametrize("call", FILES)
def test_c5_files_cannot_be_read(bench: Bench, sealed: Any, call: str) -> None:
    for file in ("/etc/passwd", bench.tables["shop.people"].files[0]):
        refused(bench, f"select * from {call.format(file)}")
        with pytest.raises(duckdb.Error):
            sealed.execute(f"select * from {call.format(file)}").fetchall()


def test_c6_python_variables_are_not_tables(bench: Bench, sealed: Any) -> None:
    import pandas as pd

    raw_python_var = pd.DataFrame({"a": ["hidden"]})
    refused(bench, "select * from raw_python_var")
    with pytest.raises(duckdb.Error):
        sealed.sql("select * from raw_python_var").fetchall()
    assert len(raw_python_var) == 1


WRITES = [
    "attach '{0}/x.db'", "copy (select 1) to '{0}/x.csv'", "copy (select 1) to '/dev/stdout'",
    "export database '{0}/x'", "import database '{0}/x'", "set profiling_output='{0}/x'",
    "set log_query_path='{0}/x'", "call enable_logging(storage='file', storage_path='{0}/x')", "checkpoint",
    "pragma enable_profiling='json'", "vacuum", "load httpfs",
]  # fmt: skip


@pytest.mark.parametrize("statement", WRITES)
def test_c7_nothing_leaves_by_a_file(bench: Bench, sealed: Any, tmp_path: Path, statement: str) -> None:
    refused(bench, statement.format(tmp_path))
    if not statement.startswith(("checkpoint", "vacuum", "pragma", "load")):
        with pytest.raises(duckdb.Error):
            sealed.execute(statement.format(tmp_path))
    assert not list(tmp_path.glob("x*"))


def test_c8_extensions_cannot_be_loaded(bench: Bench, sealed: Any) -> None:
    for statement in ("install httpfs", "load '/tmp/x.duckdb_extension'", "install x from community",
                      "set custom_extension_repository='http://127.0.0.1:1'"):  # fmt: skip
        refused(bench, statement)
        with pytest.raises(duckdb.Error):
            sealed.execute(statement)


SETTINGS = [
    "enable_external_access=true", "lock_configuration=false", "allowed_directories=['/']", "allowed_paths=['/etc/passwd']",
    "disabled_filesystems=''", "python_enable_replacements=true", "memory_limit='64GB'", "threads=64",
    "temp_directory='/tmp'", "autoload_known_extensions=true", "autoinstall_known_extensions=true",
    "allow_community_extensions=true", "max_temp_directory_size='9GB'", "errors_as_json=false",
]  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS)
def test_c9_settings_stay_as_they_are(bench: Bench, sealed: Any, setting: str) -> None:
    name = setting.partition("=")[0]
    for statement in (f"set {setting}", f"set global {setting}", f"reset {name}", f"pragma {setting}"):
        refused(bench, statement)
        with pytest.raises(duckdb.Error):
            sealed.execute(statement)


def test_c9_a_database_that_is_not_locked_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(consumer._LOCKED, "enable_external_access", "other")
    con = consumer.connect(Limits(1 << 26, 1, str(tmp_path)))
    with pytest.raises(InternalError, match="locked"):
        consumer.seal(con)
    con.close()


def test_c10_no_secret_is_within_reach(bench: Bench, sealed: Any) -> None:
    for query in (
        "select * from duckdb_secrets()",
        "select current_setting('secret_directory')",
        f"select getenv('{VARIABLE}')",
        "select * from duckdb_settings()",
        "select * from which_secret('s3://x', 's3')",
    ):
        refused(bench, query)
    assert sealed.execute("select * from duckdb_secrets()").fetchall() == []
    assert SECRET not in str(sealed.execute("select * from duckdb_settings()").fetchall())


def test_c11_no_path_is_allowed_on_the_consumers_side(sealed: Any) -> None:
    found = sealed.execute(
        "select name, value from duckdb_settings() where name in ('allowed_paths', 'allowed_directories')"
    ).fetchall()
    assert {value for _, value in found} == {"[]"}


def test_c12_rules_paths_and_keys_are_nowhere_in_the_consumers_database(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumped: list[str] = []
    fill = GovernedBox.fill

    def watching(box: GovernedBox, inputs: Any) -> None:
        fill(box, inputs)
        con = box.consumer
        tables = ("duckdb_views()", "duckdb_tables()", "duckdb_settings()", "duckdb_variables()")
        dumped.extend(str(con.execute(f"select * from {table}").fetchall()) for table in tables)
        dumped.append(str(con.execute("explain select * from shop.people").fetchall()))

    monkeypatch.setattr(GovernedBox, "fill", watching)
    works(bench)
    text = "".join(dumped)
    assert "shop" in text
    from raymesh.engines.kernel.tokens import TokenKey

    secrets = (SECRET, TokenKey(SECRET, "c")._hex, "tenant = ", ".parquet")
    assert not [s for s in secrets if s in text]


def test_c12_the_trusted_sides_statement_holds_no_key(bench: Bench) -> None:
    from raymesh.engines.kernel.governed import select, understood
    from raymesh.engines.kernel.tokens import TokenKey

    scan = bench.tables["shop.people"]
    sql = select(scan, understood(scan, None, None))
    assert SECRET not in sql + repr(scan)
    assert TokenKey(SECRET, "c")._hex not in sql + repr(scan)


BOMBS = [
    "select sum(a) from range(1000000000000) t(a)",
    "with recursive r(n) as (select 1 union all select n + 1 from r) select max(n) from r",
    "select count(*) from range(1000000) a, range(1000000) b, range(1000000) c",
]


@pytest.mark.parametrize("bomb", BOMBS)
def test_c13_endless_queries_are_stopped(bench: Bench, bomb: str) -> None:
    bench.engine.limits = replace(bench.engine.limits, timeout=0.5)
    began = time.monotonic()
    with pytest.raises((TransformTimeoutError, TransformMemoryError)):
        bench.sql(bomb)
    assert time.monotonic() - began < 60
    bench.engine.limits = replace(bench.engine.limits, timeout=None)
    works(bench)


def test_c13_memory_has_an_end(bench: Bench) -> None:
    bench.engine.limits = replace(bench.engine.limits, memory_bytes=1 << 26)
    with pytest.raises(TransformMemoryError) as caught:
        bench.sql("select list(a) from range(100000000) t(a)")
    assert "governed" in caught.value.message


STATEMENTS = [
    "select 1; select 2",
    "select 1; drop table x",
    "pivot shop.people on tenant using count(*)",
    "prepare x as select 1",
    "call duckdb_tables()",
    "pragma show_tables",
    "begin",
    "show tables",
    "show all tables",
    "/* select */ set threads=1",
    "with x as (delete from shop.people returning *) select * from x",
    "with x as (insert into shop.people values (1) returning *) select * from x",
    "select * from (copy (select 1) to '/tmp/x')",
    "do $$ select 1 $$",
    "use shop",
    "explain select 1",
    "select 1) as q; attach '/tmp/x.db' as y; select * from (select 1",
    "",
    ";",
    "select * from shop.people at (version => 1)",
    "select system.main.stats(id) from shop.people",
    "select main.sleep_ms(1)",
    "select $1",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_c14_only_one_select_is_accepted(bench: Bench, statement: str) -> None:
    refused(bench, statement)
    works(bench)


HIDDEN_CALLS = [
    "select list_transform([1], lambda x: getvariable('x'))",
    "select list_filter([1], lambda x: stats(x) is null)",
    "select (select current_setting('threads'))",
    "select 1 order by current_setting('threads')",
    "select 1 limit cast(current_setting('threads') as int)",
    "select count(*) filter (where current_setting('threads') = '1')",
    "select sum(1) over (order by stats(1))",
    "select case when true then stats(1) end",
    "select * from (values (stats(1)))",
    "select * from shop.people a join shop.people b on stats(a.id) = ''",
    "select * from shop.people group by stats(id)",
    "select * from shop.people qualify stats(id) = ''",
    "select columns(c -> stats(c) = '') from shop.people",
    "select * replace (stats(id) as id) from shop.people",
    "select id.stats() from shop.people",
    "with a as materialized (select stats(1)) select * from a",
    "select exists (select stats(1))",
    "select 1 in (select stats(1))",
    'select "stats"(id) from shop.people',
    "select STATS(id) from shop.people",
    "select * from shop.people, lateral (select stats(id))",
    "select [stats(x) for x in [1]]",
    "select {'a': stats(1)}",
    "select try(stats(1))",
    "select stats(1) union all select ''",
    "select * from shop.people using sample 10 rows where stats(id) = ''",
]


@pytest.mark.parametrize("query", HIDDEN_CALLS)
def test_c15_the_gate_sees_what_duckdb_sees(bench: Bench, query: str) -> None:
    refused(bench, query)


ORDINARY = [
    "select count(*), sum(id), avg(id), min(email), string_agg(tenant, ',') from shop.people",
    "from shop.people select id where id > 2 order by id desc limit 1",
    "select tenant, count(*) as n from shop.people group by all having n > 1 order by all",
    "select *, row_number() over (partition by tenant order by id) as r, lag(id) over (order by id) from shop.people",
    "with a as (select id from shop.people), b as (select id + 1 as id from a) select * from b union all select * from a",
    "select case when id > 4 then 'x' else upper(tenant) end, cast(id as varchar) || '!', id between 1 and 4 from shop.people",
    "select list_transform([1, 2], lambda v: v + 1), {'a': id}, [id], date '2024-01-01' + interval 1 day from shop.people",
    "select * from shop.people where tenant in ('a', 'b') and email not like '%x' and id is not null",
    "select a.id from shop.people a left join shop.people b using (id) where exists (select 1 from shop.people c where c.id = a.id)",
    "select date_trunc('month', current_date) is not null, round(1.5), coalesce(null, id), nullif(id, 2), greatest(id, 1) from shop.people",
    "select regexp_extract(email, '^..'), substring(email, 1, 2), md5(email), json_object('a', id), strftime(date '2024-01-01', '%Y') from shop.people",
    "select unnest([1, 2]) as u, id from shop.people",
    "select * exclude (email) from shop.people",
    "select columns('i.*') from shop.people",
    "select distinct on (tenant) * from shop.people order by id",
    "select quantile_cont(id, 0.5), median(id), stddev(id), approx_count_distinct(id) from shop.people",
    "with recursive r(n) as (select 1 union all select n + 1 from r where n < 5) select * from r",
    "select * from range(3) t(a) cross join shop.people",
    "describe shop.people",
    "summarize shop.people",
    "select t from shop.people t",
    'select id from "shop"."people" asof join (select 3 as id) b using (id)',
    "select grouping(tenant), count(*) from shop.people group by rollup (tenant)",
    "select extract(year from date '2024-01-01'), id // 2, id % 2, -id, id ^ 2, id & 1 from shop.people",
    "table shop.people;",
]


@pytest.mark.parametrize("query", ORDINARY)
def test_c14_ordinary_questions_are_answered(bench: Bench, query: str) -> None:
    assert bench.sql(query).num_rows


def test_c16_addresses_of_memory_are_no_tables(bench: Bench) -> None:
    for call in ("arrow_scan(1, 2, 3)", "arrow_scan_dumb(1, 2, 3)", "pandas_scan(1)", "python_map_function(1)",
                 "seq_scan('x')", "test_all_types()", "repeat_row(1, num_rows=2)"):  # fmt: skip
        refused(bench, f"select * from {call}")


def test_c17_an_answer_that_comes_after_the_end_is_thrown_away(bench: Bench) -> None:
    """The guard of actions/governed.py asks before every batch: tests/security/test_e_time.py has the rest."""
    reader = bench.engine.query("select * from shop.people", bench.tables)
    reader.close()
    works(bench)
