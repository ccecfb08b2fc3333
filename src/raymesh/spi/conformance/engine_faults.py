"""A build that does not end well leaves nothing behind, whatever stopped it and wherever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from raymesh.errors import CancelledError, TransformError, TransformTimeoutError
from raymesh.mesh.plan import Transform
from raymesh.spi import faults
from raymesh.spi.conformance.engine_opened import SQL_FILE, OpenedEngine, scan, stopping_after
from raymesh.spi.engine import Control, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raymesh.spi.conformance.engine_opened import Bench

ENDLESS = "select count(*) as n from range(10000000) a, range(10000000) b where hash(a.range) % 7 = hash(b.range) % 11"
WIDE = "select range as id, md5(range::varchar) as a, md5((range + 1)::varchar) as b from range(400000)"
STAGING = ("first_byte_staged", "mid_file", "file_closed")


class BoomError(Exception):
    """What tests raise at a fault point."""


class EngineFaultConformance(OpenedEngine):
    @pytest.fixture(autouse=True)
    def _no_observer(self) -> Iterator[None]:
        yield
        faults.observer = None

    def test_a_query_without_end_is_stopped_at_its_limit(self, bench: Bench) -> None:
        bench.timeout = 0.5
        with pytest.raises(TransformTimeoutError, match=r"0\.5 s"):
            bench.sql(ENDLESS)
        assert bench.staged_files() == []

    def test_a_query_is_stopped_on_request(self, bench: Bench) -> None:
        plan = bench.plan(Transform("sql", sql=ENDLESS, sql_file=SQL_FILE))
        with pytest.raises(CancelledError):
            bench.run(plan, stopping_after(3))
        assert bench.staged_files() == []

    def test_a_stop_before_the_start_builds_nothing(self, bench: Bench) -> None:
        with pytest.raises(CancelledError):
            bench.run(bench.plan(Transform("sql", sql="select 1 as a")), Control(cancelled=lambda: True))
        assert bench.staged_files() == []

    @pytest.mark.parametrize("point", STAGING)
    @pytest.mark.parametrize("python", [False, True])
    def test_an_error_at_a_fault_point_leaves_no_file(self, bench: Bench, point: str, python: bool) -> None:
        def raise_there(reached: str) -> None:
            if reached == point:
                raise BoomError(point)

        faults.observer = raise_there
        code = "def transform(batch): return batch"
        with pytest.raises(BoomError):
            bench.python(code, sql=WIDE) if python else bench.sql(WIDE)
        assert bench.staged_files() == []

    def test_every_fault_point_of_staging_is_reached_in_order(self, bench: Bench) -> None:
        reached: list[str] = []
        faults.observer = reached.append
        bench.sql("select 1 as a")
        assert reached == list(STAGING)

    def test_a_failing_row_late_in_a_large_build_leaves_no_file(self, bench: Bench) -> None:
        with pytest.raises(TransformError, match="late"):
            bench.sql(
                f"select *, case when id = 390000 then error('too late')::varchar end as c from ({WIDE})"
            )
        assert bench.staged_files() == []

    def test_a_failing_output_takes_the_others_with_it(self, bench: Bench) -> None:
        from dataclasses import replace

        plan = bench.plan(Transform("sql", sql="select 1 as a", sql_file="a.sql"))
        bad = bench.plan(Transform("sql", sql="select nope", sql_file="b.sql"), port="second")
        with pytest.raises(TransformError):
            bench.run(replace(plan, outputs=plan.outputs + bad.outputs))
        assert bench.staged_files() == []

    def test_other_versions_files_are_left_alone(self, bench: Bench) -> None:
        first = bench.sql("select 1 as a")
        with pytest.raises(TransformError):
            bench.sql("select error('x')::integer as a")
        assert bench.rows(first) == [{"a": 1}]

    def test_a_result_larger_than_memory_spills(self, bench: Bench) -> None:
        bench.memory = 100 << 20
        staged = bench.sql(f"from ({WIDE.replace('400000', '1200000')}) order by b, a")
        assert scan(staged).rows == 1_200_000

    def test_progress_is_told(self, bench: Bench) -> None:
        told: list[Progress] = []
        bench.run(bench.plan(Transform("sql", sql=WIDE)), Control(progress=told.append))
        assert told
        assert {p.product for p in told} == {"d.p"}
        assert all(p.fraction is None or 0 <= p.fraction <= 1 for p in told)
