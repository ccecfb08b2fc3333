"""SQL transforms: one SELECT that sees its inputs and nothing else, with errors that name the place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from raymesh.errors import SourceSpan, TransformError
from raymesh.mesh.plan import Transform
from raymesh.spi.conformance.engine_opened import SQL_FILE, OpenedEngine, columns, scan, schema, short

if TYPE_CHECKING:
    from raymesh.spi.conformance.engine_opened import Bench

NOT_ONE_SELECT = [
    "",
    "-- nothing",
    "select 1; select 2",
    "insert into d.a values (1)",
    "copy (select 1) to 'x.parquet'",
    "create table t as select 1 as a",
    "set threads = 1",
    "pragma version",
    "attach 'x.db'",
    "install httpfs",
    "with gone as (delete from d.a returning *) select * from gone",
    "select 1) as q; drop schema d; --",
    "select $name",
]

OUTSIDE = [
    "select * from read_csv('{file}')",
    "select * from read_text('{file}')",
    "select * from '{file}'",
    "select * from glob('{folder}/*')",
    "select * from read_parquet('{folder}/../*.parquet')",
]


class SqlConformance(OpenedEngine):
    def test_inputs_are_read_by_their_names(self, bench: Bench) -> None:
        bench.inputs = {
            "d.a": scan(bench.sql("select range as id, 'n' || range as name from range(3)")),
            "other.b": scan(bench.sql("select 1::bigint as id, 2.5 as x")),
        }
        staged = bench.sql('select a.name, b.x from d.a join "other"."b" using (id)')
        assert [(r["name"], float(r["x"])) for r in bench.rows(staged)] == [("n1", 2.5)]

    def test_an_ingest_takes_its_input_as_it_is(self, bench: Bench) -> None:
        bench.inputs = {"d.a": scan(bench.sql("select range as id from range(3)"))}
        outcome = bench.run(bench.plan(Transform("ingest"), columns(id="bigint")))
        assert len(bench.rows(outcome.outputs[0])) == 3

    def test_an_input_without_files_is_an_empty_table(self, bench: Bench) -> None:
        empty = bench.sql("select 1 as id, 'x' as name where false")
        bench.inputs = {"d.a": scan(empty)}
        staged = bench.sql("select count(*) as n, any_value(name) as name from d.a")
        assert bench.rows(staged) == [{"n": 0, "name": None}]

    @pytest.mark.parametrize(
        "sql", ["from d.a", "select * from d.a;", "select * from d.a -- end", "from d.a; -- ;"], ids=short
    )
    def test_ways_to_write_one_select(self, bench: Bench, sql: str) -> None:
        bench.inputs = {"d.a": scan(bench.sql("select 1 as id"))}
        assert bench.rows(bench.sql(sql)) == [{"id": 1}]

    @pytest.mark.parametrize("sql", NOT_ONE_SELECT, ids=short)
    def test_anything_but_one_select_is_refused(self, bench: Bench, sql: str) -> None:
        before = bench.sql("select 1 as id")
        bench.inputs = {"d.a": scan(before)}
        with pytest.raises(TransformError) as caught:
            bench.sql(sql)
        assert caught.value.spans[0].file == SQL_FILE
        assert bench.staged_files() == [f.path for f in before.files]

    @pytest.mark.parametrize("sql", OUTSIDE, ids=short)
    def test_sql_reaches_no_file_but_its_inputs(self, bench: Bench, sql: str) -> None:
        secret = bench.root / "secret.csv"
        secret.write_text("a\n1\n", encoding="utf-8")
        with pytest.raises(TransformError, match="Cannot access"):
            bench.sql(sql.format(file=secret, folder=bench.root / "elsewhere"))

    @pytest.mark.parametrize(
        ("sql", "line", "character"),
        [
            ("selec 1", 1, 1),
            ("select 'ü',\n  nope from d.a", 2, 3),
            ("select id\nfrom d.nothing", 2, 6),
            ("select id,\n\tsum(name) as n from d.a group by 1", 2, 2),
            ("select 'ä' as x,\n cast(name as integer) as n from d.a", 2, 2),
            ("select id from d.a where", 1, 20),
        ],
        ids=short,
    )
    def test_an_error_names_line_and_column(self, bench: Bench, sql: str, line: int, character: int) -> None:
        bench.inputs = {"d.a": scan(bench.sql("select 1 as id, 'x' as name"))}
        with pytest.raises(TransformError) as caught:
            bench.sql(sql)
        assert caught.value.spans == (SourceSpan(SQL_FILE, line, character),)

    def test_an_unknown_column_comes_with_a_way_out(self, bench: Bench) -> None:
        bench.inputs = {"d.a": scan(bench.sql("select 1 as customer_id"))}
        with pytest.raises(TransformError, match="custmer_id") as caught:
            bench.sql("select custmer_id from d.a")
        assert "customer_id" in (caught.value.hint or "")

    def test_describe_tells_columns_without_data(self, bench: Bench) -> None:
        found = bench.engine.describe(
            "select *, sum(id) over () as total from d.a", {"d.a": schema(id="bigint", s="struct(a integer)")}
        )
        assert [(f.name, str(f.type)) for f in found] == [
            ("id", "long"),
            ("s", "struct<a: int>"),
            ("total", "decimal(38, 0)"),
        ]

    def test_describe_names_line_and_column(self, bench: Bench) -> None:
        with pytest.raises(TransformError) as caught:
            bench.engine.describe("select\n nope from d.a", {"d.a": schema(id="bigint")})
        assert (caught.value.spans[0].line, caught.value.spans[0].column) == (2, 2)

    def test_time_is_counted_in_utc(self, bench: Bench) -> None:
        staged = bench.sql("select extract(hour from timestamptz '2024-07-01 12:00:00+02') as h")
        assert bench.rows(staged) == [{"h": 10}]
