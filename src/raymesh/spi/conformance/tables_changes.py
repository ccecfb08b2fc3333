"""Changing tables: what each kind does, who wins, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from raymesh.errors import CommitConflictError, CorruptFileError, MeshError, NotFoundError, StorageError
from raymesh.mesh.plan import DataFile, Layout
from raymesh.spec.types import Field, TableSchema
from raymesh.spi.conformance.tables_opened import OpenedTables
from raymesh.spi.conformance.tables_samples import (
    INT,
    LONG,
    PLAIN,
    TEXT,
    Row,
    numbers,
    schema,
    total,
    write_parquet,
)
from raymesh.spi.tables import RUN_PROPERTY

if TYPE_CHECKING:
    from collections.abc import Callable

    from raymesh.spi.conformance.tables_samples import Bench

T, OTHER = "sales.orders", "sales.orders__quarantine"


class ChangeConformance(OpenedTables):
    """Replace, append, rewrite; several tables in one transaction."""

    def test_a_table_that_was_never_published_is_not_there(self, bench: Bench) -> None:
        tables = bench.tables
        assert tables.heads([T]) == {}
        assert tables.schema(T) is None
        assert list(tables.snapshots(T)) == []
        assert tables.find_run(T, "r1") is None
        assert tables.live_files(T) == frozenset()
        assert list(tables.list_files(T)) == []
        with pytest.raises(NotFoundError, match=T):
            tables.scan(T)

    def test_a_staged_change_is_invisible_until_it_is_committed(self, bench: Bench) -> None:
        staged = bench.tables.stage(bench.change(T, "replace", numbers(1, 3), run="r1"))
        assert (staged.table, staged.base) == (T, None)
        assert bench.tables.heads([T]) == {}
        assert bench.tables.find_run(T, "r1") is None
        bench.commit(staged)
        assert bench.tables.heads([T]) == {T: staged.metadata_location}
        assert bench.ids(T) == [1, 2, 3]

    def test_a_snapshot_carries_the_properties_and_the_counts_of_its_change(self, bench: Bench) -> None:
        staged = bench.publish(T, "replace", numbers(1, 3), run="r1")
        (snapshot,) = bench.tables.snapshots(T)
        assert snapshot.snapshot_id == staged.snapshot_id
        assert snapshot.summary[RUN_PROPERTY] == "r1"
        assert (total(snapshot.summary, "records"), total(snapshot.summary, "data-files")) == (3, 1)
        assert snapshot.at.utcoffset() is not None

    def test_the_schema_is_exactly_the_one_given(self, bench: Bench) -> None:
        fields = (Field("b", TEXT, 7, "what it is"), Field("a", INT, 3))
        columns = TableSchema(fields, last_id=9)
        bench.publish(T, "replace", [{"b": "x", "a": 1}], columns)
        assert bench.tables.schema(T) == columns
        assert bench.tables.scan(T).schema == columns

    def test_a_scan_says_what_the_table_is_made_of(self, bench: Bench) -> None:
        files = tuple(bench.write(T, PLAIN, rows) for rows in (numbers(1, 3), numbers(4, 5)))
        bench.publish(T, "replace", files=files)
        scan = bench.tables.scan(T)
        assert sorted(scan.files) == sorted(f.path for f in files)
        assert (scan.rows, scan.bytes) == (5, sum(f.bytes for f in files))

    def test_replacing_leaves_exactly_the_new_rows_in_one_snapshot(self, bench: Bench) -> None:
        first = bench.publish(T, "replace", numbers(1, 3))
        second = bench.publish(T, "replace", numbers(7, 8))
        assert bench.ids(T) == [7, 8]
        assert [s.snapshot_id for s in bench.tables.snapshots(T)] == [first.snapshot_id, second.snapshot_id]
        assert total(bench.tables.snapshots(T)[-1].summary, "records") == 2

    def test_an_older_snapshot_still_reads_as_it_was(self, bench: Bench) -> None:
        first = bench.publish(T, "replace", numbers(1, 3))
        bench.publish(T, "append", numbers(4, 4))
        bench.publish(T, "replace", numbers(9, 9))
        assert bench.ids(T, first.snapshot_id) == [1, 2, 3]
        with pytest.raises(NotFoundError):
            bench.tables.scan(T, 12345)

    def test_appending_keeps_what_was_there(self, bench: Bench) -> None:
        bench.publish(T, "replace", numbers(1, 3))
        bench.publish(T, "append", numbers(4, 5))
        assert bench.ids(T) == [1, 2, 3, 4, 5]
        assert total(bench.tables.snapshots(T)[-1].summary, "records") == 5

    def test_appending_can_begin_a_table(self, bench: Bench) -> None:
        bench.publish(T, "append", numbers(1, 1))
        assert bench.ids(T) == [1]

    def test_many_appends_stay_one_table(self, bench: Bench) -> None:
        for n in range(1, 41):
            bench.publish(T, "append", numbers(n, n))
        assert bench.ids(T) == list(range(1, 41))
        assert total(bench.tables.snapshots(T)[-1].summary, "records") == 40
        bench.publish(T, "replace", numbers(1, 2))
        assert bench.ids(T) == [1, 2]

    def test_a_table_may_be_empty(self, bench: Bench) -> None:
        bench.publish(T, "replace")
        assert (bench.tables.scan(T).files, bench.tables.scan(T).rows) == ((), 0)
        bench.publish(T, "append", numbers(1, 2))
        bench.publish(T, "replace")
        assert bench.rows(T) == []
        bench.publish(T, "append", numbers(3, 3))
        assert bench.ids(T) == [3]

    def test_a_file_without_rows_is_a_file(self, bench: Bench) -> None:
        bench.publish(T, "replace", [])
        assert bench.rows(T) == []
        assert len(bench.tables.scan(T).files) == 1

    def test_rewriting_puts_files_in_the_place_of_others(self, bench: Bench) -> None:
        for n in (1, 2, 3):
            bench.publish(T, "append", numbers(n, n))
        old = bench.tables.scan(T).files
        goes = tuple(f for f in old if bench.read(replace(bench.tables.scan(T), files=(f,)))[0]["id"] != 3)
        bench.publish(T, "rewrite", numbers(1, 2), removed=goes)
        assert bench.ids(T) == [1, 2, 3]
        assert len(bench.tables.scan(T).files) == 2
        assert not set(goes) & set(bench.tables.scan(T).files)
        assert total(bench.tables.snapshots(T)[-1].summary, "records") == 3

    def test_rewriting_some_of_the_files_published_together_keeps_the_others(self, bench: Bench) -> None:
        files = [bench.write(T, PLAIN, numbers(n, n)) for n in (1, 2, 3)]
        first = bench.publish(T, "replace", files=files)
        bench.publish(T, "rewrite", numbers(2, 2), removed=(files[1].path,))
        assert bench.ids(T) == [1, 2, 3]
        assert {files[0].path, files[2].path} < set(bench.tables.scan(T).files)
        bench.publish(T, "rewrite", numbers(1, 3), removed=bench.tables.scan(T).files)
        assert bench.ids(T) == [1, 2, 3]
        assert bench.ids(T, first.snapshot_id) == [1, 2, 3]

    def test_rewriting_a_file_that_is_gone_is_a_conflict(self, bench: Bench) -> None:
        bench.publish(T, "replace", numbers(1, 3))
        gone = bench.tables.scan(T).files
        bench.publish(T, "replace", numbers(4, 4))
        with pytest.raises(CommitConflictError):
            bench.tables.stage(bench.change(T, "rewrite", numbers(1, 3), removed=gone))
        assert bench.ids(T) == [4]

    # ── one winner ───────────────────────────────────────────────────────────────────────────

    @pytest.mark.parametrize("kind", ["replace", "append"])
    def test_of_two_changes_from_one_base_the_second_is_refused(self, bench: Bench, kind: str) -> None:
        bench.publish(T, "replace", numbers(1, 1))
        first = bench.tables.stage(bench.change(T, kind, numbers(2, 2)))
        second = bench.tables.stage(bench.change(T, kind, numbers(3, 3)))
        bench.commit(second)
        after = bench.ids(T)
        with pytest.raises(CommitConflictError, match=T):
            bench.commit(first)
        assert bench.ids(T) == after

    def test_of_two_new_tables_of_one_name_the_second_is_refused(self, bench: Bench) -> None:
        first = bench.tables.stage(bench.change(T, "replace", numbers(1, 1)))
        second = bench.tables.stage(bench.change(T, "replace", numbers(2, 2)))
        bench.commit(first)
        with pytest.raises(CommitConflictError, match=T):
            bench.commit(second)
        assert bench.ids(T) == [1]

    def test_committing_the_same_change_again_is_refused(self, bench: Bench) -> None:
        bench.publish(T, "replace", numbers(1, 1))
        staged = bench.tables.stage(bench.change(T, "append", numbers(2, 2)))
        bench.commit(staged)
        with pytest.raises(CommitConflictError):
            bench.commit(staged)
        assert bench.ids(T) == [1, 2]

    def test_a_base_that_was_cleaned_away_is_a_conflict_not_damage(self, bench: Bench) -> None:
        stale = bench.publish(T, "replace", numbers(1, 1)).metadata_location
        bench.publish(T, "replace", numbers(2, 2))
        bench.tables.delete_files([stale])
        with pytest.raises(CommitConflictError):
            bench.tables.stage(bench.change(T, "replace", numbers(3, 3), base=stale))

    # ── several tables, one transaction ──────────────────────────────────────────────────────

    def test_several_tables_and_evidence_become_visible_together(self, bench: Bench) -> None:
        staged = [bench.tables.stage(bench.change(t, "replace", numbers(1, 1))) for t in (T, OTHER)]
        with bench.state.write() as tx:
            bench.tables.commit(staged, tx)
            bench.state.enqueue(tx, "published", {"n": 1})
            assert bench.tables.heads([T, OTHER]) == {}
            assert set(bench.tables.heads([T, OTHER], within=tx)) == {T, OTHER}
        assert bench.tables.heads([T, OTHER]) == {s.table: s.metadata_location for s in staged}
        assert len(bench.state.pending()) == 1

    def test_a_conflict_in_one_table_leaves_all_of_them_and_the_evidence_alone(self, bench: Bench) -> None:
        for t in (T, OTHER):
            bench.publish(t, "replace", numbers(1, 1))
        staged = [bench.tables.stage(bench.change(t, "replace", numbers(2, 2))) for t in (T, OTHER)]
        bench.publish(OTHER, "replace", numbers(3, 3))
        with pytest.raises(CommitConflictError, match=OTHER), bench.state.write() as tx:
            bench.state.enqueue(tx, "published", {"n": 2})
            bench.tables.commit(staged, tx)
        assert (bench.ids(T), bench.ids(OTHER)) == ([1], [3])
        assert list(bench.state.pending()) == []

    def test_a_refused_commit_has_changed_nothing_even_for_who_goes_on(self, bench: Bench) -> None:
        for t in (T, OTHER):
            bench.publish(t, "replace", numbers(1, 1))
        staged = [bench.tables.stage(bench.change(t, "replace", numbers(2, 2))) for t in (T, OTHER)]
        bench.publish(OTHER, "replace", numbers(3, 3))
        with bench.state.write() as tx:
            with pytest.raises(CommitConflictError):
                bench.tables.commit(staged, tx)
            bench.state.enqueue(tx, "refused", {})
        assert (bench.ids(T), bench.ids(OTHER)) == ([1], [3])
        assert len(bench.state.pending()) == 1

    def test_a_transaction_that_fails_later_publishes_nothing(self, bench: Bench) -> None:
        staged = bench.tables.stage(bench.change(T, "replace", numbers(1, 1)))
        with pytest.raises(ZeroDivisionError), bench.state.write() as tx:
            bench.tables.commit([staged], tx)
            _ = 1 / 0
        assert bench.tables.heads([T]) == {}
        bench.commit(staged)
        assert bench.ids(T) == [1]

    # ── giving up ────────────────────────────────────────────────────────────────────────────

    def test_discarding_removes_what_staging_wrote(self, bench: Bench) -> None:
        bench.publish(T, "replace", numbers(1, 1))
        before = dict(bench.tables.list_files(T))
        change = bench.change(T, "append", numbers(2, 2))
        staged = bench.tables.stage(change)
        assert len(bench.tables.list_files(T)) > len(before) + 1
        bench.tables.discard([staged])
        assert set(dict(bench.tables.list_files(T))) == {*before, *(f.path for f in change.files)}
        bench.tables.discard([staged])

    def test_discarding_what_was_committed_after_all_harms_nothing(self, bench: Bench) -> None:
        first = bench.publish(T, "replace", numbers(1, 1))
        second = bench.publish(T, "append", numbers(2, 2))
        bench.tables.discard([first, second])
        assert bench.ids(T) == [1, 2]
        assert bench.ids(T, first.snapshot_id) == [1]

    # ── layout ───────────────────────────────────────────────────────────────────────────────

    def test_partitioned_files_hold_one_value_each(self, bench: Bench) -> None:
        layout = Layout(partition_by=("name",), sort_by=("id",))
        rows: list[list[Row]] = [
            [{"id": 1, "name": "a"}],
            [{"id": 2, "name": None}],
            [{"id": 3, "name": "a b/c=d%"}],
        ]
        files = [bench.write(T, PLAIN, r, partition=["name"]) for r in rows]
        bench.publish(T, "replace", files=files, layout=layout)
        assert bench.ids(T) == [1, 2, 3]
        mixed = bench.write(T, PLAIN, [{"id": 4, "name": "a"}, {"id": 5, "name": "b"}])
        halves = bench.write(T, PLAIN, [{"id": 4, "name": "a"}, {"id": 5, "name": None}])
        wrong = replace(bench.write(T, PLAIN, [{"id": 4, "name": "a"}]), partition=(("name", "b"),))
        for file in (mixed, halves, wrong):
            with pytest.raises(StorageError, match="name"):
                bench.tables.stage(bench.change(T, "append", files=[file], layout=layout))
        assert bench.ids(T) == [1, 2, 3]

    def test_the_layout_of_a_table_may_change(self, bench: Bench) -> None:
        bench.publish(T, "replace", numbers(1, 2))
        by_name = Layout(partition_by=("name",))
        bench.publish(T, "append", [{"id": 3, "name": "x"}], layout=by_name)
        bench.publish(T, "append", numbers(4, 5), layout=Layout(sort_by=("name", "id")))
        assert bench.ids(T) == [1, 2, 3, 4, 5]
        bench.publish(T, "rewrite", numbers(1, 5), removed=bench.tables.scan(T).files)
        assert bench.ids(T) == [1, 2, 3, 4, 5]
        bench.publish(T, "replace", [{"id": 6, "name": "x"}], layout=by_name)
        assert bench.ids(T) == [6]

    def test_a_layout_by_a_column_that_is_not_there_is_refused(self, bench: Bench) -> None:
        for layout in (Layout(partition_by=("nope",)), Layout(sort_by=("nope",))):
            with pytest.raises(StorageError, match="nope"):
                bench.tables.stage(bench.change(T, "replace", numbers(1, 1), layout=layout))

    # ── files that are not what they should be ───────────────────────────────────────────────

    @pytest.mark.parametrize("lost", [1, 8, 100, 10_000])
    def test_a_torn_file_is_refused_by_name(self, bench: Bench, lost: int) -> None:
        self._refuses(bench, lambda content: content[: max(0, len(content) - lost)], CorruptFileError)

    def test_a_file_of_noise_is_refused_by_name(self, bench: Bench) -> None:
        self._refuses(bench, lambda content: b"\0" * len(content), CorruptFileError)

    def _refuses(self, bench: Bench, damage: Callable[[bytes], bytes], error: type[MeshError]) -> None:
        bench.publish(T, "replace", numbers(1, 3))
        local = write_parquet(bench.folder / "bad.parquet", PLAIN, numbers(4, 6))
        whole = local.read_bytes()
        local.write_bytes(damage(whole))
        address = f"{bench.tables.location(T)}/bad.parquet"
        bench.shelf.put(local, address)
        self._staging_fails_cleanly(bench, DataFile(address, 3, len(whole)), error, "bad.parquet")

    def _staging_fails_cleanly(
        self, bench: Bench, file: DataFile, error: type[MeshError], match: str, columns: TableSchema = PLAIN
    ) -> None:
        before = dict(bench.tables.list_files(T))
        for kind in ("replace", "append"):
            with pytest.raises(error, match=match):
                bench.tables.stage(bench.change(T, kind, columns=columns, files=[file]))
        assert dict(bench.tables.list_files(T)) == before, "a refused change left files behind"
        assert bench.ids(T) == [1, 2, 3]

    def test_a_missing_file_is_refused_by_name(self, bench: Bench) -> None:
        bench.publish(T, "replace", numbers(1, 3))
        file = DataFile(f"{bench.tables.location(T)}/nowhere.parquet", 3, 500)
        self._staging_fails_cleanly(bench, file, CorruptFileError, "nowhere.parquet")

    def test_a_file_with_other_rows_or_bytes_than_reported_is_refused(self, bench: Bench) -> None:
        bench.publish(T, "replace", numbers(1, 3))
        good = bench.write(T, PLAIN, numbers(4, 6))
        self._staging_fails_cleanly(bench, replace(good, rows=4), CorruptFileError, "3 rows")
        self._staging_fails_cleanly(bench, replace(good, bytes=good.bytes + 1), CorruptFileError, "bytes")

    @pytest.mark.parametrize(
        ("columns", "said"),
        [
            (TableSchema((Field("id", LONG, 2), Field("name", TEXT, 1)), 2), "field id"),
            (TableSchema((Field("id", LONG, 1), Field("name", TEXT, 5)), 5), "field id 5"),
            (schema(id=LONG), "no column name"),
            (schema(id=LONG, name=TEXT, more=INT), "no column more"),
            (schema(id=INT, name=TEXT), "id is int"),
        ],
    )
    def test_a_file_with_other_columns_is_refused(
        self, bench: Bench, columns: TableSchema, said: str
    ) -> None:
        bench.publish(T, "replace", numbers(1, 3))
        rows = [{"id": 4, "name": "x", "more": 1}]
        file = bench.write(T, columns, [{f.name: r[f.name] for f in columns} for r in rows])
        self._staging_fails_cleanly(bench, file, StorageError, said)
