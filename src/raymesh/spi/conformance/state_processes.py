"""Several processes on one database: nothing lost, nothing torn, nobody waits for the dead."""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raymesh.errors import CommitConflictError, LeaseLostError
from raymesh.spi.conformance.state_opened import OpenedState, OpenState
from raymesh.spi.conformance.state_samples import PORT, file, next_number, paths, run, version
from raymesh.spi.owner import own

if TYPE_CHECKING:
    from collections.abc import Callable

    from raymesh.spi.state import Lease, StateStore

PROCESSES = 4
ROUNDS = 8
BUILDS = 3
PRODUCT = "a.b"
LEASE_SECONDS = 0.1
CRASHED = 9
CONTEXT = multiprocessing.get_context("forkserver")
"""Processes that share nothing with this one, and start faster than spawned ones."""


def together(
    open_state: OpenState, work: Callable[..., None], processes: int = PROCESSES
) -> list[int | None]:
    """Do `work(store, index)` in several processes that start at the same moment; their exit codes."""
    opener = getattr(open_state, "func", open_state)
    CONTEXT.set_forkserver_preload(["__main__", __name__, opener.__module__])
    barrier = CONTEXT.Barrier(processes)
    started = [CONTEXT.Process(target=_worker, args=(open_state, work, barrier, i)) for i in range(processes)]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
    return [process.exitcode for process in started]


def _worker(open_state: OpenState, work: Callable[..., None], barrier: Any, index: int) -> None:
    state = open_state()
    barrier.wait(60)
    work(state, index)
    state.close()


def migrate(state: StateStore, index: int) -> None:
    """Set the database up and use it."""
    state.migrate()
    state.start_run(run(f"{index}.x"))


def count(state: StateStore, _: int) -> None:
    """Publish ROUNDS versions, each one more than the version it found."""
    for _round in range(ROUNDS):
        started = run(PRODUCT)
        state.start_run(started)
        while not _published_next(state, started):
            pass


def _published_next(state: StateStore, started: Any) -> bool:
    try:
        with state.write() as tx:
            number = next_number(state, PRODUCT, within=tx)
            state.record_version(tx, version(started, number), added=[file(f"{number}.parquet")], removed=[])
            state.enqueue(tx, "told", {"number": number})
    except CommitConflictError:
        return False
    return True


def build_with_pauses(state: StateStore, index: int) -> None:
    """Publish under a lease; every second time only after it has expired, which must be refused."""
    for attempt in range(BUILDS):
        lease = _wait_for_lease(state, f"{index}-{attempt}")
        late = (attempt + index) % 2 == 0
        if late:
            time.sleep(LEASE_SECONDS * 1.5)
        accepted = _publish_under(state, lease)
        if late and accepted:
            raise SystemExit("a write after the end of the lease was accepted")
        if accepted:
            state.release(lease)


def _wait_for_lease(state: StateStore, purpose: str) -> Lease:
    while (lease := state.acquire(PRODUCT, own(purpose), LEASE_SECONDS)) is None:
        time.sleep(0.005)
    return lease


def _publish_under(state: StateStore, lease: Lease) -> bool:
    started = run(PRODUCT)
    state.start_run(started)
    try:
        with state.write(lease) as tx:
            number = next_number(state, PRODUCT, within=tx)
            published = version(started, number, fingerprint=str(lease.fence))
            state.record_version(tx, published, added=[], removed=[])
    except LeaseLostError:
        return False
    return True


def die_before_commit(state: StateStore, _: int) -> None:
    """Take the lease, do everything a publish does, and die before it is committed."""
    lease = state.acquire(PRODUCT, own("run"), 3600)
    started = run(PRODUCT)
    state.start_run(started)
    with state.write(lease) as tx:
        state.record_version(tx, version(started, 2), added=[file("2.parquet")], removed=["1.parquet"])
        state.finish_run(replace(started, status="published"), within=tx)
        state.enqueue(tx, "told", {})
        os._exit(CRASHED)


def die_after_commit(state: StateStore, _: int) -> None:
    """Publish and die before anybody is told."""
    _published_next(state, next(iter(state.runs())))
    os._exit(CRASHED)


class ProcessConformance(OpenedState):
    def test_processes_that_start_at_once_set_the_database_up_once(self, open_state: OpenState) -> None:
        assert together(open_state, migrate) == [0] * PROCESSES
        state = open_state()
        assert len(state.runs()) == PROCESSES
        state.close()

    def test_no_version_is_lost_or_counted_twice(self, state: StateStore, open_state: OpenState) -> None:
        assert together(open_state, count) == [0] * PROCESSES
        total = PROCESSES * ROUNDS
        assert [v.number for v in state.versions(PRODUCT, PORT)] == list(range(total, 0, -1))
        assert paths(state, state.current()[PRODUCT, PORT]) == {f"{n}.parquet" for n in range(1, total + 1)}
        assert sorted(e.payload["number"] for e in state.pending()) == list(range(1, total + 1))

    def test_leases_pass_on_and_late_builders_are_refused(
        self, state: StateStore, open_state: OpenState
    ) -> None:
        assert together(open_state, build_with_pauses) == [0] * PROCESSES
        fences = [int(v.fingerprint) for v in reversed(state.versions(PRODUCT, PORT))]
        assert fences == sorted(set(fences))
        assert len(fences) < fences[-1] <= PROCESSES * BUILDS

    def test_a_builder_that_dies_before_its_commit_leaves_the_old_version(
        self, state: StateStore, open_state: OpenState
    ) -> None:
        started = run(PRODUCT)
        state.start_run(started)
        with state.write() as tx:
            state.record_version(tx, version(started, 1), added=[file("1.parquet")], removed=[])
        assert together(open_state, die_before_commit, 1) == [CRASHED]
        current = state.current()[PRODUCT, PORT]
        assert current.number == 1
        assert paths(state, current) == {"1.parquet"}
        assert not state.pending()
        assert state.runs(status="published") == []
        lease = state.acquire(PRODUCT, own("next"), 60)
        assert lease is not None
        assert _publish_under(state, lease)

    def test_a_builder_that_dies_after_its_commit_has_published_and_its_event_is_told(
        self, state: StateStore, open_state: OpenState
    ) -> None:
        state.start_run(run(PRODUCT))
        assert together(open_state, die_after_commit, 1) == [CRASHED]
        assert state.current()[PRODUCT, PORT].number == 1
        assert [e.payload["number"] for e in state.pending()] == [1]
