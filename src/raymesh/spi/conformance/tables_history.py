"""What tables remember: evolution, going back, forgetting, and which files may go."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raymesh.errors import CommitConflictError, MeshError, NotFoundError, UsageError
from raymesh.mesh.evolution import evolve
from raymesh.mesh.plan import Layout
from raymesh.spec.types import Field, List, Struct, TableSchema
from raymesh.spi.conformance.tables_opened import OpenedTables
from raymesh.spi.conformance.tables_samples import DOUBLE, FLOAT, INT, LONG, PLAIN, TEXT, numbers, schema

if TYPE_CHECKING:
    from raymesh.spi.conformance.tables_samples import Bench

T = "sales.orders"


def lines(*members: tuple[str, Any]) -> List:
    return List(Struct(tuple(Field(n, t) for n, t in members)))


class HistoryConformance(OpenedTables):
    """Evolution, rollback, expiry, orphans."""

    # ── evolution ────────────────────────────────────────────────────────────────────────────

    def test_files_written_before_an_evolution_read_under_the_new_columns(self, bench: Bench) -> None:
        first = schema(id=INT, name=TEXT, price=FLOAT, lines=lines(("sku", TEXT), ("qty", INT)))
        old = {"id": 1, "name": "a", "price": 1.5, "lines": [{"sku": "s", "qty": 2}]}
        bench.publish(T, "replace", [old], first)
        wanted = [
            Field("label", TEXT),
            Field("id", LONG),
            Field("price", DOUBLE),
            Field("lines", lines(("article", TEXT), ("qty", LONG), ("note", TEXT))),
            Field("added", INT),
        ]
        second = evolve(first, wanted, {"label": "name", "lines.element.article": "sku"}).schema
        new = {
            "label": "b",
            "id": 2**40,
            "price": 2.5,
            "lines": [{"article": "t", "qty": 2**40, "note": "n"}],
            "added": 7,
        }
        bench.publish(T, "append", [new], second)
        assert bench.tables.schema(T) == second
        assert sorted(bench.rows(T), key=lambda r: r["id"]) == [
            {
                "label": "a",
                "id": 1,
                "price": 1.5,
                "lines": [{"article": "s", "qty": 2, "note": None}],
                "added": None,
            },
            new,
        ]

    def test_an_older_snapshot_keeps_its_columns(self, bench: Bench) -> None:
        first = bench.publish(T, "replace", numbers(1, 1))
        second = evolve(PLAIN, [Field("id", LONG), Field("label", TEXT)], {"label": "name"}).schema
        bench.publish(T, "replace", [{"id": 2, "label": "x"}], second)
        assert bench.rows(T, first.snapshot_id) == numbers(1, 1)
        assert bench.rows(T) == [{"id": 2, "label": "x"}]

    def test_a_dropped_column_that_returns_does_not_bring_its_values_back(self, bench: Bench) -> None:
        bench.publish(T, "replace", numbers(1, 1))
        narrow = evolve(PLAIN, [Field("id", LONG)]).schema
        bench.publish(T, "append", [{"id": 2}], narrow)
        again = evolve(bench.tables.schema(T), [Field("id", LONG), Field("name", TEXT)]).schema
        bench.publish(T, "append", [{"id": 3, "name": "new"}], again)
        found = sorted(bench.rows(T), key=lambda r: r["id"])
        assert [r["name"] for r in found] == [None, None, "new"]

    def test_a_table_never_forgets_how_many_ids_it_has_used(self, bench: Bench) -> None:
        columns = TableSchema(PLAIN.fields, last_id=40)
        bench.publish(T, "replace", numbers(1, 1), columns)
        assert bench.tables.scan(T).schema.last_id == 40
        bench.publish(T, "replace", numbers(1, 1), TableSchema(PLAIN.fields, last_id=41))
        assert bench.tables.scan(T).schema.last_id == 41

    def test_partition_columns_may_be_renamed_and_dropped(self, bench: Bench) -> None:
        by_name = Layout(partition_by=("name",), sort_by=("name",))
        bench.publish(T, "replace", [{"id": 1, "name": "a"}], layout=by_name)
        renamed = evolve(PLAIN, [Field("id", LONG), Field("label", TEXT)], {"label": "name"}).schema
        row = {"id": 2, "label": "b"}
        bench.publish(T, "append", [row], renamed, layout=Layout(partition_by=("label",)))
        taken = evolve(renamed, [*renamed.fields, Field("name", TEXT)]).schema
        row = {"id": 3, "label": "b", "name": "c"}
        bench.publish(T, "append", [row], taken, layout=Layout(partition_by=("label",)))
        gone = evolve(taken, [Field("id", LONG), Field("name", TEXT)]).schema
        bench.publish(T, "append", [{"id": 4, "name": "d"}], gone, layout=None)
        assert bench.ids(T) == [1, 2, 3, 4]
        bench.publish(T, "rewrite", [{"id": 1, "name": None}], gone, removed=self._file_of(bench, 1))
        assert bench.ids(T) == [1, 2, 3, 4]
        bench.publish(T, "replace", [{"id": 5, "name": "e"}], gone, layout=Layout(partition_by=("name",)))
        assert bench.ids(T) == [5]

    def _file_of(self, bench: Bench, id_: int) -> tuple[str, ...]:
        scan = bench.tables.scan(T)
        one = [f for f in scan.files if [r["id"] for r in bench.read(replace(scan, files=(f,)))] == [id_]]
        return tuple(one)

    # ── going back ───────────────────────────────────────────────────────────────────────────

    def test_a_rollback_makes_the_older_snapshot_current_and_writes_no_new_one(self, bench: Bench) -> None:
        first = bench.publish(T, "replace", numbers(1, 2))
        wider = evolve(PLAIN, [*PLAIN.fields, Field("more", INT)]).schema
        bench.publish(T, "replace", [{"id": 9, "name": "x", "more": 1}], wider)
        staged = bench.publish(T, "rollback", snapshot_id=first.snapshot_id, run="back", layout=None)
        assert staged.snapshot_id == first.snapshot_id
        assert bench.rows(T) == numbers(1, 2)
        assert bench.tables.schema(T) is not None
        assert bench.tables.scan(T).schema.names == ("id", "name")
        assert bench.tables.scan(T).schema.last_id == wider.last_id
        assert len(bench.tables.snapshots(T)) == 2
        found = bench.tables.find_run(T, "back")
        assert found is not None
        assert found.snapshot_id == first.snapshot_id

    def test_after_a_rollback_the_table_goes_on(self, bench: Bench) -> None:
        first = bench.publish(T, "replace", numbers(1, 2))
        second = bench.publish(T, "append", numbers(3, 3))
        bench.publish(T, "rollback", snapshot_id=first.snapshot_id)
        bench.publish(T, "append", numbers(4, 4))
        assert bench.ids(T) == [1, 2, 4]
        bench.publish(T, "rollback", snapshot_id=second.snapshot_id)
        assert bench.ids(T) == [1, 2, 3]

    def test_a_rollback_to_a_snapshot_that_is_gone_is_refused(self, bench: Bench) -> None:
        bench.publish(T, "replace", numbers(1, 2))
        with pytest.raises(NotFoundError):
            bench.tables.stage(bench.change(T, "rollback", snapshot_id=1))
        with pytest.raises(UsageError):
            bench.tables.stage(bench.change("sales.nowhere", "rollback", snapshot_id=1))

    # ── finding ──────────────────────────────────────────────────────────────────────────────

    def test_the_snapshot_of_a_run_is_found_by_its_id(self, bench: Bench) -> None:
        staged = [bench.publish(T, "append", numbers(n, n), run=f"run-{n}") for n in (1, 2, 3)]
        for n, one in enumerate(staged, start=1):
            found = bench.tables.find_run(T, f"run-{n}")
            assert found is not None
            assert found.snapshot_id == one.snapshot_id
        assert bench.tables.find_run(T, "run-4") is None

    # ── forgetting ───────────────────────────────────────────────────────────────────────────

    def test_expired_snapshots_are_gone_and_the_rest_reads_on(self, bench: Bench) -> None:
        old = [bench.publish(T, "append", numbers(n, n)).snapshot_id for n in (1, 2, 3)]
        now = bench.publish(T, "append", numbers(4, 4))
        staged = bench.tables.expire(T, old[:2], now.metadata_location)
        assert len(bench.tables.snapshots(T)) == 4
        bench.commit(staged)
        assert [s.snapshot_id for s in bench.tables.snapshots(T)] == [old[2], now.snapshot_id]
        assert bench.ids(T) == [1, 2, 3, 4]
        assert bench.ids(T, old[2]) == [1, 2, 3]
        with pytest.raises(NotFoundError):
            bench.tables.scan(T, old[0])

    def test_the_current_snapshot_never_expires(self, bench: Bench) -> None:
        first = bench.publish(T, "replace", numbers(1, 1))
        second = bench.publish(T, "replace", numbers(2, 2))
        before = bench.tables.list_files(T)
        with pytest.raises(UsageError, match=T):
            bench.tables.expire(T, [first.snapshot_id, second.snapshot_id], second.metadata_location)
        assert bench.tables.list_files(T) == before

    def test_expiring_what_is_not_there_changes_nothing(self, bench: Bench) -> None:
        now = bench.publish(T, "replace", numbers(1, 1))
        bench.commit(bench.tables.expire(T, [5], now.metadata_location))
        assert bench.ids(T) == [1]

    def test_expiring_from_a_base_that_moved_on_is_refused(self, bench: Bench) -> None:
        first = bench.publish(T, "replace", numbers(1, 1))
        second = bench.publish(T, "replace", numbers(2, 2))
        staged = bench.tables.expire(T, [first.snapshot_id], second.metadata_location)
        bench.publish(T, "rollback", snapshot_id=first.snapshot_id)
        with pytest.raises(CommitConflictError):
            bench.commit(staged)
        assert bench.ids(T) == [1]

    # ── files ────────────────────────────────────────────────────────────────────────────────

    def test_orphans_are_what_no_kept_snapshot_needs(self, bench: Bench) -> None:
        first = bench.publish(T, "replace", numbers(1, 1))
        lost = bench.write(T, PLAIN, numbers(5, 5)).path
        second = bench.publish(T, "replace", numbers(2, 2))
        assert bench.orphans(T) == {lost}
        replaced = bench.tables.scan(T, first.snapshot_id).files
        bench.commit(bench.tables.expire(T, [first.snapshot_id], second.metadata_location))
        assert set(replaced) <= bench.orphans(T)
        bench.tables.delete_files(sorted(bench.orphans(T)))
        assert bench.orphans(T) == set()
        assert bench.ids(T) == [2]
        bench.publish(T, "append", numbers(3, 3))
        assert bench.ids(T) == [2, 3]

    def test_deleting_a_file_that_is_gone_is_fine(self, bench: Bench) -> None:
        path = bench.write(T, PLAIN, numbers(1, 1)).path
        bench.tables.delete_files([path])
        bench.tables.delete_files([path])
        assert list(bench.tables.list_files(T)) == []

    def test_files_outside_the_warehouse_are_never_deleted(self, bench: Bench) -> None:
        inside = bench.write(T, PLAIN, numbers(1, 1)).path
        outside = bench.folder / "precious.txt"
        outside.write_text("keep me")
        climbing = f"{bench.tables.location(T)}/../../../../precious.txt"
        for bad in (str(outside), climbing, f"file://{outside}", "precious.txt", ""):
            with pytest.raises(MeshError):
                bench.tables.delete_files([inside, bad])
        assert outside.exists()
        assert [path for path, _ in bench.tables.list_files(T)] == [inside]

    @pytest.mark.parametrize("name", ["orders", "../orders.x", "sales./etc", "sales...", ".x", "a.b/c"])
    def test_a_name_that_could_leave_its_folder_is_refused(self, bench: Bench, name: str) -> None:
        with pytest.raises(UsageError):
            bench.tables.location(name)

    @given(
        st.lists(st.sampled_from(["replace", "append", "rewrite", "rollback", "expire", "lose"]), max_size=9)
    )
    @settings(
        max_examples=8,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    def test_whatever_happens_every_kept_snapshot_reads_as_it_was_published(
        self, bench: Bench, steps: list[str]
    ) -> None:
        model = Model(bench, f"sales.t{uuid4().hex}", random.Random(repr(steps)))  # noqa: S311  (not a secret)
        for number, step in enumerate(["replace", *steps]):
            model.do(step, number)
            assert bench.ids(model.table) == model.current
            bench.tables.delete_files(sorted(bench.orphans(model.table)))
            assert {s.snapshot_id for s in bench.tables.snapshots(model.table)} == set(model.kept)
            for snapshot_id, ids in model.kept.items():
                assert bench.ids(model.table, snapshot_id) == ids
        assert bench.orphans(model.table) == set()


@dataclass
class Model:
    """What a table should hold: the ids of every kept snapshot, and of the current one."""

    bench: Bench
    table: str
    chance: random.Random
    kept: dict[int, list[int]] = field(default_factory=dict)
    current: list[int] = field(default_factory=list)

    def do(self, step: str, number: int) -> None:
        """Do one thing to the table and to the model."""
        bench, table = self.bench, self.table
        match step:
            case "replace" | "append":
                new = [number * 10, number * 10 + 1]
                self.current = new if step == "replace" else [*self.current, *new]
                staged = bench.publish(table, step, [{"id": n, "name": "x"} for n in new])
                self.kept[staged.snapshot_id] = self.current
            case "rewrite":
                rows, files = bench.rows(table), bench.tables.scan(table).files
                self.kept[bench.publish(table, step, rows, removed=files).snapshot_id] = self.current
            case "rollback":
                goal = self.chance.choice(sorted(self.kept))
                bench.publish(table, step, snapshot_id=goal)
                self.current = self.kept[goal]
            case "expire":
                self._expire()
            case "lose":
                bench.tables.stage(bench.change(table, "append", [{"id": 0, "name": "lost"}]))

    def _expire(self) -> None:
        now = self.bench.tables.heads([self.table])[self.table]
        gone = [s for s, ids in self.kept.items() if ids != self.current and self.chance.random() < 0.7]
        self.bench.commit(self.bench.tables.expire(self.table, gone, now))
        for s in gone:
            del self.kept[s]
