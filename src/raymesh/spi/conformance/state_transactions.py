"""Transactions: all or nothing, one consistent snapshot, no failure that passes for success."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from raymesh.errors import CommitConflictError, StorageError, UsageError
from raymesh.spi.conformance.state_opened import OpenedState
from raymesh.spi.conformance.state_samples import PORT, check, file, paths, publish, run, version

if TYPE_CHECKING:
    from raymesh.spi.state import StateStore


class TransactionConformance(OpenedState):
    def test_migrating_again_keeps_everything(self, state: StateStore, other: StateStore) -> None:
        published = publish(state, "a.b", 1, [file("1.parquet")])
        other.migrate()
        assert other.current() == {("a.b", PORT): published}

    def test_what_is_written_is_visible_to_others_when_the_block_ends(
        self, state: StateStore, other: StateStore
    ) -> None:
        started = run("a.b")
        state.start_run(started)
        with state.write() as tx:
            state.record_version(tx, version(started, 1), added=[file("1.parquet")], removed=[])
            assert not other.current()
        assert other.current() == {("a.b", PORT): version(started, 1)}

    def test_a_block_that_raises_changes_nothing(self, state: StateStore, other: StateStore) -> None:
        started = run("a.b")
        state.start_run(started)
        with pytest.raises(ZeroDivisionError), state.write() as tx:
            state.record_version(tx, version(started, 1), added=[file("1.parquet")], removed=[])
            state.record_checks(tx, started.run_id, PORT, [check("c")])
            state.finish_run(replace(started, status="published"), within=tx)
            state.enqueue(tx, "told", {})
            raise ZeroDivisionError
        assert not other.current()
        assert not other.checks(started.run_id)
        assert not other.pending()
        assert [r.status for r in other.runs()] == ["running"]

    def test_a_failure_that_the_caller_swallows_is_not_committed_in_part(
        self, state: StateStore, other: StateStore
    ) -> None:
        published = publish(state, "a.b", 1, [file("1.parquet")])
        second = run("a.b")
        state.start_run(second)
        with pytest.raises(StorageError), state.write() as tx:
            state.enqueue(tx, "told", {})
            with suppress(CommitConflictError):
                state.record_version(tx, version(second, 2), added=[], removed=["never-there.parquet"])
        assert other.current() == {("a.b", PORT): published}
        assert paths(other, published) == {"1.parquet"}
        assert not other.pending()

    def test_the_store_works_after_a_failed_transaction(self, state: StateStore) -> None:
        for _ in range(30):  # more often than any pool has connections
            with pytest.raises(ZeroDivisionError), state.write():
                raise ZeroDivisionError
            with pytest.raises(ZeroDivisionError), state.read():
                raise ZeroDivisionError
        publish(state, "a.b", 1)

    def test_a_read_block_sees_one_moment(self, state: StateStore, other: StateStore) -> None:
        first = publish(state, "a.b", 1, [file("1.parquet")])
        writer = threading.Thread(target=publish, args=(other, "a.b", 2, [file("2.parquet")]))
        with state.read() as tx:
            assert state.current(within=tx) == {("a.b", PORT): first}
            writer.start()
            writer.join(0.5)  # some databases make the writer wait for the reader
            assert state.current(within=tx) == {("a.b", PORT): first}
            assert [f.path for f in state.files(first, within=tx)] == ["1.parquet"]
        writer.join()
        assert [v.number for v in state.current().values()] == [2]

    def test_a_write_block_sees_what_it_wrote(self, state: StateStore) -> None:
        started = run("a.b")
        state.start_run(started)
        with state.write() as tx:
            state.record_version(tx, version(started, 1), added=[file("1.parquet")], removed=[])
            assert state.current(["a.b"], within=tx) == {("a.b", PORT): version(started, 1)}
            assert [f.path for f in state.files(version(started, 1), within=tx)] == ["1.parquet"]

    def test_a_read_block_cannot_write(self, state: StateStore, other: StateStore) -> None:
        started = run("a.b")
        state.start_run(started)
        with pytest.raises(StorageError), state.read() as tx:
            state.record_version(tx, version(started, 1), added=[], removed=[])
        assert not other.current()

    def test_a_write_inside_a_write_of_the_same_thread_is_refused_at_once(self, state: StateStore) -> None:
        with state.write() as tx:
            with pytest.raises(UsageError, match="transaction"):
                state.start_run(run())
            state.enqueue(tx, "told", {})
        assert [e.kind for e in state.pending()] == ["told"]

    def test_the_address_can_be_shown(self, state: StateStore) -> None:
        assert state.url in repr(state) or "***" in state.url
