"""How files are written: names, sizes, order, partitions, appends, evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raymesh.errors import ConformError
from raymesh.mesh.plan import Layout, Transform
from raymesh.spi.conformance.engine_opened import OpenedEngine, columns, scan

if TYPE_CHECKING:
    from raymesh.spi.conformance.engine_opened import Bench


class LayoutConformance(OpenedEngine):
    def test_files_lie_in_the_data_folder_under_the_run_id(self, bench: Bench) -> None:
        plan = bench.plan(Transform("sql", sql="select 1 as a", sql_file="t.sql"))
        file = bench.run(plan).outputs[0].files[0]
        assert Path(file.path).parent == bench.root / "warehouse/d/p/data"
        assert Path(file.path).name.startswith(plan.run_id)
        assert file.bytes == Path(file.path).stat().st_size

    def test_no_rows_make_no_file_but_columns(self, bench: Bench) -> None:
        staged = bench.sql("select 1::bigint as a where false")
        assert staged.files == ()
        assert staged.schema.names == ("a",)

    def test_files_end_near_the_target_size(self, bench: Bench) -> None:
        rows = "select range as id, md5(range::varchar) as text from range(400000)"
        staged = bench.sql(rows, layout=Layout(target_bytes=2_000_000))
        assert len(staged.files) > 2
        assert sum(f.rows for f in staged.files) == 400_000

    def test_rows_lie_in_the_order_asked_for(self, bench: Bench) -> None:
        sql = "select (hash(range) % 1000)::bigint as k from range(200000)"
        staged = bench.sql(sql, columns(k="bigint"), layout=Layout(sort_by=("k",)))
        found = [r["k"] for r in bench.rows(staged)]
        assert found == sorted(found)

    def test_every_partition_has_files_of_its_own(self, bench: Bench) -> None:
        staged = bench.sql(
            "select range as id, case range % 3 when 0 then null else 'a/ü ' || range % 3 end as part from range(30)",
            layout=Layout(partition_by=("part",)),
        )
        assert {f.partition: f.rows for f in staged.files} == {
            (("part", None),): 10,
            (("part", "a/ü 1"),): 10,
            (("part", "a/ü 2"),): 10,
        }
        assert {r["part"] for r in bench.rows(staged)} == {None, "a/ü 1", "a/ü 2"}

    def test_a_layout_over_a_missing_column_is_refused(self, bench: Bench) -> None:
        with pytest.raises(ConformError, match="partitionBy"):
            bench.sql("select 1 as a", layout=Layout(partition_by=("b",)))

    def test_an_append_takes_only_rows_after_the_watermark(self, bench: Bench) -> None:
        bench.inputs = {"d.a": scan(bench.sql("select range as id from range(10)"))}
        first = bench.sql("select id from d.a where id < 5", mode="append", incremental_column="id")
        assert first.watermark == 4
        second = bench.sql(
            "from d.a", mode="append", incremental_column="id", watermark=4, previous=first.schema
        )
        assert sorted(r["id"] for r in bench.rows(second)) == [5, 6, 7, 8, 9]
        assert second.watermark == 9

    def test_an_append_without_new_rows_keeps_the_watermark(self, bench: Bench) -> None:
        staged = bench.sql("select 1 as id", mode="append", incremental_column="id", watermark=7)
        assert staged.files == ()
        assert staged.watermark == 7

    def test_a_watermark_of_an_instant_is_in_utc(self, bench: Bench) -> None:
        sql = "select timestamptz '2024-01-01 02:00:00.000001+02' as at"
        staged = bench.sql(sql, mode="append", incremental_column="at")
        assert staged.watermark == datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
        again = bench.sql(sql, mode="append", incremental_column="at", watermark=staged.watermark)
        assert again.files == ()

    def test_several_outputs_are_built_together(self, bench: Bench) -> None:
        plan = bench.plan(Transform("sql", sql="select 1 as a", sql_file="a.sql"))
        other = bench.plan(Transform("sql", sql="select 2 as b", sql_file="b.sql"), port="second")
        outcome = bench.run(replace(plan, outputs=plan.outputs + other.outputs))
        assert [bench.rows(o) for o in outcome.outputs] == [[{"a": 1}], [{"b": 2}]]

    def test_the_work_is_measured(self, bench: Bench) -> None:
        outcome = bench.run(bench.plan(Transform("sql", sql="select range as a from range(100000)")))
        used = outcome.resources
        assert used.seconds > 0
        assert used.cpu_seconds > 0
        assert used.bytes_written == sum(f.bytes for f in outcome.outputs[0].files)

    def test_every_file_is_measured(self, bench: Bench) -> None:
        staged = bench.sql("select range as a from range(7)")
        assert [(p, s.rows) for p, s in staged.measurements.files.items()] == [(staged.files[0].path, 7)]
