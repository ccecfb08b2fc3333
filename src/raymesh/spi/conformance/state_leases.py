"""Leases: one builder at a time, and a late one changes nothing."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from raymesh.errors import LeaseLostError
from raymesh.spi.conformance.state_opened import OpenedState
from raymesh.spi.conformance.state_samples import file, run, version
from raymesh.spi.owner import own

if TYPE_CHECKING:
    from raymesh.spi.state import Lease, StateStore

LONG = 60.0
SHORT = 0.05


def taken(state: StateStore, name: str, purpose: str, ttl_seconds: float = LONG) -> Lease:
    """A lease that is known to be free, held by this process."""
    lease = state.acquire(name, own(purpose), ttl_seconds)
    assert lease is not None
    return lease


def expired(state: StateStore, name: str, purpose: str) -> Lease:
    """A lease this process held until a moment ago."""
    lease = taken(state, name, purpose, SHORT)
    while state.holder(name) is not None:
        time.sleep(SHORT / 4)
    return lease


class LeaseConformance(OpenedState):
    def test_only_one_builder_holds_a_lease(self, state: StateStore, other: StateStore) -> None:
        lease = taken(state, "a.b", "first")
        assert other.acquire("a.b", own("second"), LONG) is None
        assert other.holder("a.b") == lease
        assert taken(other, "c.d", "second").fence == 1

    def test_a_lease_ends_after_its_time(self, state: StateStore) -> None:
        before = datetime.now(UTC)
        lease = taken(state, "a.b", "first")
        assert before < lease.until - timedelta(seconds=LONG - 5) < before + timedelta(seconds=10)

    def test_a_free_lease_has_no_holder(self, state: StateStore) -> None:
        assert state.holder("a.b") is None
        state.release(taken(state, "a.b", "first"))
        assert state.holder("a.b") is None

    def test_fences_grow_over_release_expiry_and_take_over(
        self, state: StateStore, other: StateStore
    ) -> None:
        first = taken(state, "a.b", "first")
        state.release(first)
        second = expired(other, "a.b", "second")
        third = taken(state, "a.b", "third")
        assert (first.fence, second.fence, third.fence) == (1, 2, 3)

    def test_a_dead_builder_is_followed_at_once(self, state: StateStore) -> None:
        host, _, start, _ = own("run").split(":", 3)
        dead = f"{host}:{2**22 + 1}:{start}:run"  # a pid no Linux system gives out
        assert state.acquire("a.b", dead, LONG) is not None
        assert taken(state, "a.b", "second").fence == 2

    @pytest.mark.parametrize("owner", ["another-host:1:0:run", "somebody"])
    def test_a_builder_that_may_be_alive_is_waited_for(self, state: StateStore, owner: str) -> None:
        assert state.acquire("a.b", owner, LONG) is not None
        assert state.acquire("a.b", own("second"), LONG) is None

    def test_an_owner_that_lost_the_answer_gets_its_own_lease_again(self, state: StateStore) -> None:
        lost = taken(state, "a.b", "first")
        again = taken(state, "a.b", "first")
        assert again.fence == lost.fence + 1

    def test_renewing_keeps_others_out(self, state: StateStore, other: StateStore) -> None:
        lease = taken(state, "a.b", "first", 30)
        renewed = state.renew(lease, LONG)
        assert (renewed.fence, renewed.owner) == (lease.fence, lease.owner)
        assert renewed.until > lease.until
        assert other.holder("a.b") == renewed

    def test_a_lost_lease_cannot_be_renewed(self, state: StateStore) -> None:
        late = expired(state, "a.b", "first")
        with pytest.raises(LeaseLostError, match="expired"):
            state.renew(late, LONG)
        lease = taken(state, "a.b", "second")
        with pytest.raises(LeaseLostError, match="taken over"):
            state.renew(late, LONG)
        assert state.holder("a.b") == lease

    def test_releasing_a_lost_lease_leaves_the_new_holder_alone(self, state: StateStore) -> None:
        late = expired(state, "a.b", "first")
        lease = taken(state, "a.b", "second")
        state.release(late)
        assert state.holder("a.b") == lease

    def test_the_holder_may_write(self, state: StateStore) -> None:
        lease = taken(state, "a.b", "first")
        self._publish(state, lease)
        state.renew(lease, LONG)
        with state.write(lease) as tx:  # the lease as it was before it was renewed is the same lease
            state.enqueue(tx, "told", {})
        assert len(state.current()) == 1

    @pytest.mark.parametrize("how", ["expired", "taken over", "released"])
    def test_a_late_builder_changes_nothing(self, state: StateStore, other: StateStore, how: str) -> None:
        late = taken(state, "a.b", "first") if how == "released" else expired(state, "a.b", "first")
        if how == "released":
            state.release(late)
        if how == "taken over":
            taken(other, "a.b", "second")
        with pytest.raises(LeaseLostError):
            self._publish(state, late)
        assert not other.current()

    def test_a_forged_fence_is_refused(self, state: StateStore) -> None:
        lease = taken(state, "a.b", "first")
        with pytest.raises(LeaseLostError):
            self._publish(state, replace(lease, fence=lease.fence + 1))
        with pytest.raises(LeaseLostError):
            self._publish(state, replace(lease, name="c.d"))
        assert not state.current()

    def _publish(self, state: StateStore, lease: Lease) -> None:
        started = run("a.b")
        state.start_run(started)
        with state.write(lease) as tx:
            state.record_version(tx, version(started, 1), added=[file("1.parquet")], removed=[])
