"""Rows that break a promise whose violation sets them aside: two parts of one output, judged apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from raymesh.errors import CancelledError
from raymesh.mesh.plan import Layout, Quarantine, Transform
from raymesh.mesh.quarantine import AT, REASONS, RULES, RUN
from raymesh.quality.model import Check
from raymesh.quality.state import total
from raymesh.spec.expression import Column, Compare, IsNull, Value
from raymesh.spi.conformance.engine_opened import OpenedEngine, columns, scan
from raymesh.spi.engine import Control, StagedOutput

if TYPE_CHECKING:
    from typing import Any

    from raymesh.mesh.plan import BuildPlan
    from raymesh.spi.conformance.engine_opened import Bench

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
ROWS = "select range as id, case when range % 10 = 3 then null else 'n' || range end as name from range({})"
PROMISED = columns(id="bigint", name="varchar")


def check(name: str, violates: Any, column: str, **more: Any) -> Check:
    given: dict[str, Any] = {"on_violation": "quarantine", "description": f"promise {name}", **more}
    return Check(name, "row", name, columns=(column,), violates=violates, **given)


NAMED = check("named", IsNull(Column(("name",))), "name")
SMALL = check("small", Compare(">", Column(("id",)), Value(12)), "id")
KEY = Check("key", "key", "unique", columns=("id",))


class QuarantineConformance(OpenedEngine):
    def place(self, bench: Bench, **more: Any) -> Quarantine:
        location = str(bench.root / "warehouse/d/p__quarantine/data")
        return replace(Quarantine("quarantine", "d.p__quarantine", location, 1.0, NOON), **more)

    def planned(self, bench: Bench, sql: str, *checks: Check, **more: Any) -> BuildPlan:
        given: dict[str, Any] = {"quarantine": self.place(bench), **more}
        return bench.plan(Transform("sql", sql=sql, sql_file="t.sql"), PROMISED, checks=checks, **given)

    def aside(self, staged: StagedOutput) -> StagedOutput:
        assert staged.quarantine is not None
        return staged.quarantine

    def test_rows_that_break_a_promise_are_staged_apart(self, bench: Bench) -> None:
        plan = self.planned(bench, ROWS.format(20), NAMED, KEY)
        staged = bench.run(plan).outputs[0]
        assert sorted(r["id"] for r in bench.rows(staged)) == [i for i in range(20) if i % 10 != 3]
        found = sorted(bench.rows(self.aside(staged)), key=lambda row: row["id"])
        notes = {RULES: ["named"], REASONS: ["promise named"], RUN: plan.run_id, AT: NOON}
        assert found == [{"id": i, "name": None, **notes} for i in (3, 13)]
        assert sorted(bench.staged_files()) == sorted(
            f.path for s in (staged, self.aside(staged)) for f in s.files
        )

    def test_each_part_is_measured_by_itself(self, bench: Bench) -> None:
        staged = bench.run(self.planned(bench, ROWS.format(20), NAMED, SMALL, KEY)).outputs[0]
        good, bad = total(staged.measurements.files.values()), self.aside(staged).measurements
        assert (good.rows, good.violations) == (12, {"named": 0, "small": 0})
        assert staged.measurements.values["key"] == 0
        assert (total(bad.files.values()).rows, total(bad.files.values()).violations) == (
            8,
            {"named": 2, "small": 7},
        )
        assert [r["name"] for r in bad.samples["named"]] == [None, None]

    def test_a_row_names_all_that_it_breaks_and_nothing_else(self, bench: Bench) -> None:
        staged = bench.run(self.planned(bench, ROWS.format(15), NAMED, SMALL)).outputs[0]
        rules = {r["id"]: r[RULES] for r in bench.rows(self.aside(staged))}
        assert rules == {3: ["named"], 13: ["named", "small"], 14: ["small"]}

    def test_unknown_is_not_broken(self, bench: Bench) -> None:
        positive = check("positive", Compare("<", Column(("id",)), Value(0)), "id")
        sql = "select * from (values (null::bigint, 'a'), (-1, 'b'), (1, 'c')) t(id, name)"
        staged = bench.run(self.planned(bench, sql, positive)).outputs[0]
        assert {r["name"] for r in bench.rows(staged)} == {"a", "c"}

    def test_what_breaks_nothing_is_staged_once(self, bench: Bench) -> None:
        plan = self.planned(bench, ROWS.format(3), NAMED)
        staged = bench.run(plan).outputs[0]
        assert staged.quarantine is None
        assert [f.path for f in staged.files] == bench.staged_files()

    def test_a_promise_that_does_not_set_aside_stays_broken(self, bench: Bench) -> None:
        strict = check("strict", IsNull(Column(("name",))), "name", on_violation="fail")
        staged = bench.run(self.planned(bench, ROWS.format(20), strict, SMALL)).outputs[0]
        assert total(staged.measurements.files.values()).violations == {"strict": 1, "small": 0}

    def test_beyond_the_limit_nothing_is_set_aside(self, bench: Bench) -> None:
        limited = self.place(bench, limit=0.05)
        staged = bench.run(self.planned(bench, ROWS.format(20), NAMED, quarantine=limited)).outputs[0]
        assert (staged.over_limit, staged.quarantine) == (2, None)
        assert total(staged.measurements.files.values()).violations == {"named": 2}
        assert [f.path for f in staged.files] == bench.staged_files()
        limited = self.place(bench, limit=0.1)
        staged = bench.run(self.planned(bench, ROWS.format(20), NAMED, quarantine=limited)).outputs[0]
        assert (staged.over_limit, len(bench.rows(self.aside(staged)))) == (0, 2)

    def test_no_row_may_be_left(self, bench: Bench) -> None:
        everything = check("nothing", Compare(">=", Column(("id",)), Value(0)), "id")
        staged = bench.run(self.planned(bench, ROWS.format(4), everything)).outputs[0]
        assert staged.files == ()
        assert len(bench.rows(self.aside(staged))) == 4

    def test_both_parts_keep_every_value(self, bench: Bench) -> None:
        sql = (
            "select range as id, case when range <> 1 then 'n' end as name, {'a': range, 'b': [range::double, null]} as s, "
            "map {'k': range} as m, range::decimal(20, 3) as d, timestamptz '2024-01-01 00:00:00+02' as t from range(3)"
        )
        plan = self.planned(bench, sql, NAMED)
        plan = replace(plan, outputs=tuple(replace(o, promises=()) for o in plan.outputs))
        staged = bench.run(plan).outputs[0]
        plain = bench.sql(sql)
        notes = (RULES, REASONS, RUN, AT)
        bad = [{k: v for k, v in r.items() if k not in notes} for r in bench.rows(self.aside(staged))]
        both = sorted([*bench.rows(staged), *bad], key=lambda row: row["id"])
        assert both == sorted(bench.rows(plain), key=lambda row: row["id"])
        assert staged.schema == plain.schema

    @pytest.mark.parametrize("layout", [Layout(sort_by=("name",)), Layout(partition_by=("name",))])
    def test_good_rows_are_laid_out_as_asked(self, bench: Bench, layout: Layout) -> None:
        staged = bench.run(self.planned(bench, ROWS.format(20), NAMED, layout=layout)).outputs[0]
        names = [r["name"] for r in bench.rows(staged)]
        assert len(staged.files) == (18 if layout.partition_by else 1)
        assert names == sorted(names) if layout.sort_by else len(names) == 18
        assert len(bench.rows(self.aside(staged))) == 2

    def test_an_append_sets_new_rows_aside_and_knows_how_far_it_came(self, bench: Bench) -> None:
        first = bench.sql("select 1::bigint as id, 'a' as name", PROMISED)
        growing: dict[str, Any] = {
            "mode": "append",
            "incremental_column": "id",
            "watermark": 1,
            "previous": first.schema,
            "kept": scan(first),
        }
        sql = "select * from (values (1, null), (2, 'b'), (3, null)) t(id, name)"
        staged = bench.run(self.planned(bench, sql, NAMED, **growing)).outputs[0]
        assert [r["id"] for r in bench.rows(staged)] == [2]
        assert [r["id"] for r in bench.rows(self.aside(staged))] == [3]
        assert staged.watermark == 3

    def test_rows_set_aside_are_judged_again(self, bench: Bench) -> None:
        first = self.aside(bench.run(self.planned(bench, ROWS.format(20), NAMED, SMALL)).outputs[0])
        noted = {r["id"]: r[RUN] for r in bench.rows(first)}
        again = self.place(
            bench, again=scan(first), previous=first.schema, at=datetime(2025, 1, 1, tzinfo=UTC)
        )
        staged = bench.run(self.planned(bench, "select nothing", NAMED, KEY, quarantine=again)).outputs[0]
        assert sorted(r["id"] for r in bench.rows(staged)) == [14, 15, 16, 17, 18, 19]
        stay = bench.rows(self.aside(staged))
        assert {r["id"]: (r[RULES], r[RUN], r[AT]) for r in stay} == {
            i: (["named"], noted[i], NOON) for i in (3, 13)
        }

    def test_the_parts_of_many_rows_spill(self, bench: Bench) -> None:
        bench.memory = 100 << 20
        rows = "select range as id, case when range % 3 > 0 then md5(range::varchar) end as name from range(1200000)"
        sorted_by = Layout(sort_by=("name",))
        staged = bench.run(self.planned(bench, rows, NAMED, layout=sorted_by)).outputs[0]
        assert (scan(staged).rows, scan(self.aside(staged)).rows) == (800_000, 400_000)

    @pytest.mark.parametrize("phase", ["quarantine", "checks"])
    def test_a_stop_after_rows_were_set_aside_leaves_neither_part(self, bench: Bench, phase: str) -> None:
        seen: list[str] = []

        def stopped() -> bool:
            return "quarantine" in seen and seen[-1] == phase

        with pytest.raises(CancelledError):
            bench.run(
                self.planned(bench, ROWS.format(1000), NAMED),
                Control(progress=lambda p: seen.append(p.phase), cancelled=stopped),
            )
        assert bench.staged_files() == []

    def test_a_failing_output_takes_both_parts_of_others_with_it(self, bench: Bench) -> None:
        from raymesh.errors import TransformError

        plan = self.planned(bench, ROWS.format(20), NAMED)
        bad = bench.plan(Transform("sql", sql="select nope", sql_file="b.sql"), port="second")
        with pytest.raises(TransformError):
            bench.run(replace(plan, outputs=plan.outputs + bad.outputs))
        assert bench.staged_files() == []
